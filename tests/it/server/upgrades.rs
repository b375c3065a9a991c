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
async fn no_byte_is_lost_and_none_comes_twice() {
    let first = "first ".repeat(200);
    let (_house, mut client) = upgraded(&first).await;
    assert_eq!(client.exactly(first.len()).await, first);
    client.say("second").await;
    assert_eq!(client.exactly(6).await, "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_is_read_at_once_arrives_whole() {
    let first: String = (0..20_000).map(|number| format!("{number} ")).collect();
    let (_house, mut client) = upgraded(&first).await;
    assert_eq!(client.exactly(first.len()).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_sent_yet_is_fine_too() {
    let (_house, mut client) = upgraded("").await;
    client.say("later").await;
    assert_eq!(client.exactly(5).await, "later");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_no_deadline_and_ends_when_its_client_leaves() {
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
async fn a_stop_reaches_it_as_a_cut() {
    let (harness, mut client) = upgraded("a").await;
    client.exactly(1).await;
    harness.server.stop();
    assert_eq!(client.rest().await, "goodbye");
    within(harness.server.stopped()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_listen_to_a_cut_is_ended_with_the_drain() {
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
