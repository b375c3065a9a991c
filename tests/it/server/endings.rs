//! Exchanges that are ended from outside, and the stop of the server.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use exeunt::proxy::Signals;
use tokio::net::TcpStream;

use super::app::{Harness, local};
use super::client::{Client, turning, within};

async fn waiting_exchange() -> (Harness, Client, Arc<exeunt::proxy::Connection>) {
    let mut harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.ask("/wait").await;
    let connection = within(harness.begun.recv()).await.unwrap();
    (harness, client, connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_without_grace_is_immediate() {
    let (mut harness, mut client, connection) = waiting_exchange().await;
    connection.cut().signal(Duration::ZERO);
    assert_eq!(client.rest().await, "");
    assert_eq!(within(harness.over.recv()).await.unwrap(), "/wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn within_its_grace_an_exchange_finishes() {
    let (harness, mut client, connection) = waiting_exchange().await;
    connection.cut().signal(Duration::from_secs(5));
    harness.clock_handle.advance(Duration::from_secs(4));
    harness.server.sweep();
    harness.control.go_on.notify_one();
    assert!(client.answer().await.ends_with("waited"));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_grace_it_is_cut() {
    let (harness, mut client, connection) = waiting_exchange().await;
    connection.cut().signal(Duration::from_secs(5));
    let (time, message) = turning(&harness, client.rest()).await;
    assert_eq!(message, "");
    assert!(time >= Duration::from_secs(5), "{time:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_no_grace() {
    let mut harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.ask("/stream").await;
    let connection = within(harness.begun.recv()).await.unwrap();
    connection.cut().signal(Duration::from_secs(5));
    let message = client.rest().await;
    assert!(message.contains("begun") && !message.ends_with("0\r\n\r\n"), "cut, and not ended: {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_exchanges_finish_and_closes_the_rest() {
    let (harness, mut busy, connection) = waiting_exchange().await;
    let (mut idle, mut silent) = (Client::of(&harness).await, Client::of(&harness).await);
    idle.get("/hello").await;
    within(harness.server.reached(3)).await;
    harness.clock_handle.advance(Duration::from_secs(1));
    harness.server.stop();
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
    within(harness.server.reached(1)).await;
    assert!(connection.is_draining());
    harness.control.go_on.notify_one();
    assert!(busy.rest().await.ends_with("waited"));
    within(harness.server.stopped()).await;
    assert!(TcpStream::connect(harness.tcp_address()).await.is_err(), "nobody listens any more");
}

/// Its client could not know of the stop, and programs seldom repeat a request on their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_just_accepted_gets_its_answer_during_a_drain() {
    let harness = Harness::open(local());
    let (mut new, mut silent) = (Client::of(&harness).await, Client::of(&harness).await);
    within(harness.server.reached(2)).await;
    harness.server.stop();
    new.ask("/hello").await;
    let answer = new.rest().await;
    assert!(answer.ends_with("hello"), "{answer}");
    within(harness.server.reached(1)).await;
    let (time, message) = turning(&harness, silent.rest()).await;
    assert_eq!(message, "");
    assert!(time <= Duration::from_secs(2), "{time:?}");
    within(harness.server.stopped()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_has_an_end() {
    let (harness, mut client, _) = waiting_exchange().await;
    harness.server.stop();
    let (time, message) = turning(&harness, client.rest()).await;
    assert_eq!(message, "");
    assert!(time >= Duration::from_secs(20), "{time:?}");
    within(harness.server.stopped()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_stop_is_immediate() {
    let (harness, mut client, _) = waiting_exchange().await;
    harness.server.stop();
    harness.server.stop_now();
    assert_eq!(client.rest().await, "");
    within(harness.server.stopped()).await;
}

/// A bug ends the exchange that met it, and nothing else: its place is free again, and its accounting is done.
#[tokio::test(flavor = "multi_thread")]
async fn panic_ends_only_its_exchange() {
    let (mut harness, mut other, _) = waiting_exchange().await;
    for _ in 0..3 {
        let mut client = Client::of(&harness).await;
        client.ask("/panic").await;
        assert_eq!(client.rest().await, "");
        assert_eq!(within(harness.over.recv()).await.unwrap(), "/panic");
    }
    within(harness.server.reached(1)).await;
    assert!(Client::of(&harness).await.get("/hello").await.ends_with("hello"));
    harness.control.go_on.notify_one();
    assert!(other.answer().await.ends_with("waited"), "who was there before is not disturbed");
}

/// One test for all signals: they reach every handler of the process.
#[tokio::test(flavor = "multi_thread")]
async fn signals_reload_drain_and_stop() {
    let signals = Signals::install().unwrap();
    let (harness, mut client, _) = waiting_exchange().await;
    let reloads = Arc::new(AtomicU32::new(0));
    let (reloaded, mut reload_seen) = tokio::sync::mpsc::unbounded_channel();
    let running = async {
        signals
            .run(&harness.server, || {
                reloads.fetch_add(1, Ordering::Relaxed);
                reloaded.send(()).unwrap();
            })
            .await;
    };
    let operator = async {
        send("HUP");
        within(reload_seen.recv()).await.unwrap();
        let mut idle = Client::of(&harness).await;
        assert!(idle.get("/hello").await.ends_with("hello"), "a reload does not stop it");
        send("TERM");
        assert_eq!(idle.rest().await, "");
        within(harness.server.reached(1)).await;
        assert!(!is_told_anything(&client), "its exchange goes on");
        send("INT");
        assert_eq!(client.rest().await, "");
    };
    within(async { tokio::join!(running, operator) }).await;
    assert_eq!(reloads.load(Ordering::Relaxed), 1);
}

fn is_told_anything(client: &Client) -> bool {
    let mut byte = [0];
    client.stream.try_read(&mut byte).is_ok()
}

fn send(signal: &str) {
    let process = std::process::id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
}
