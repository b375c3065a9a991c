//! Connections that become something else.

use std::time::Duration;

use super::app::{Harness, local};
use super::client::{Client, turning, within};

const HANDSHAKE: &str = "GET /upgrade HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

async fn upgraded(first_bytes: &str) -> (Harness, Client) {
    let harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.say(&format!("{HANDSHAKE}{first_bytes}")).await;
    let head = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (harness, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_keeps_every_byte_once() {
    let first = "first ".repeat(200);
    let (_house, mut client) = upgraded(&first).await;
    assert_eq!(client.exactly(first.len()).await, first);
    client.say("second").await;
    assert_eq!(client.exactly(6).await, "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_keeps_bytes_beyond_the_read_buffer() {
    let first: String = (0..20_000).map(|number| format!("{number} ")).collect();
    let (_house, mut client) = upgraded(&first).await;
    assert_eq!(client.exactly(first.len()).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_works_without_early_bytes() {
    let (_house, mut client) = upgraded("").await;
    client.say("later").await;
    assert_eq!(client.exactly(5).await, "later");
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_has_no_deadline_and_ends_with_its_client() {
    let (mut harness, mut client) = upgraded("").await;
    assert_eq!(within(harness.over.recv()).await.unwrap(), "/upgrade");
    client.say("a").await;
    client.exactly(1).await;
    harness.clock_handle.advance(Duration::from_secs(24 * 3600));
    harness.server.sweep();
    client.say("b").await;
    assert_eq!(client.exactly(1).await, "b");
    drop(client);
    within(harness.server.reached(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_cuts_upgraded_connections() {
    let (harness, mut client) = upgraded("a").await;
    client.exactly(1).await;
    harness.server.stop();
    assert_eq!(client.rest().await, "goodbye");
    within(harness.server.stopped()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgraded_connection_that_ignores_a_cut_ends_with_the_drain() {
    let harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.say(&HANDSHAKE.replace("/upgrade", "/stubborn")).await;
    client.answer().await;
    harness.server.stop();
    let (time, message) = turning(&harness, client.rest()).await;
    assert_eq!(message, "");
    assert!(time >= Duration::from_secs(20), "{time:?}");
    within(harness.server.stopped()).await;
}
