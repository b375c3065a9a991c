//! Exchanges that are ended from outside, and the stop of the door.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use exeunt::proxy::Signals;
use tokio::net::TcpStream;

use super::app::{House, local};
use super::client::{Client, turning, within};

async fn waiting_exchange() -> (House, Client, Arc<exeunt::proxy::Connection>) {
    let mut house = House::open(local());
    let mut client = Client::of(&house).await;
    client.ask("/wait").await;
    let connection = within(house.begun.recv()).await.unwrap();
    (house, client, connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_without_grace_is_at_once() {
    let (mut house, mut client, connection) = waiting_exchange().await;
    connection.cut().signal(Duration::ZERO);
    assert_eq!(client.rest().await, "");
    assert_eq!(within(house.over.recv()).await.unwrap(), "/wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn within_its_grace_an_exchange_finishes() {
    let (house, mut client, connection) = waiting_exchange().await;
    connection.cut().signal(Duration::from_secs(5));
    house.hands.advance(Duration::from_secs(4));
    house.door.sweep();
    house.stage.go_on.notify_one();
    assert!(client.answer().await.ends_with("waited"));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_grace_it_is_cut() {
    let (house, mut client, connection) = waiting_exchange().await;
    connection.cut().signal(Duration::from_secs(5));
    let (time, said) = turning(&house, client.rest()).await;
    assert_eq!(said, "");
    assert!(time >= Duration::from_secs(5), "{time:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_no_grace() {
    let mut house = House::open(local());
    let mut client = Client::of(&house).await;
    client.ask("/stream").await;
    let connection = within(house.begun.recv()).await.unwrap();
    connection.cut().signal(Duration::from_secs(5));
    let said = client.rest().await;
    assert!(said.contains("begun") && !said.ends_with("0\r\n\r\n"), "cut, and not ended: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_exchanges_finish_and_closes_the_rest() {
    let (house, mut busy, connection) = waiting_exchange().await;
    let (mut idle, mut silent) = (Client::of(&house).await, Client::of(&house).await);
    idle.get("/hello").await;
    within(house.door.reached(3)).await;
    house.door.stop();
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
    within(house.door.reached(1)).await;
    assert!(connection.is_draining());
    house.stage.go_on.notify_one();
    assert!(busy.rest().await.ends_with("waited"));
    within(house.door.stopped()).await;
    assert!(TcpStream::connect(house.tcp_address()).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_has_an_end() {
    let (house, mut client, _) = waiting_exchange().await;
    house.door.stop();
    let (time, said) = turning(&house, client.rest()).await;
    assert_eq!(said, "");
    assert!(time >= Duration::from_secs(20), "{time:?}");
    within(house.door.stopped()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stop_is_at_once() {
    let (house, mut client, _) = waiting_exchange().await;
    house.door.stop();
    house.door.stop_now();
    assert_eq!(client.rest().await, "");
    within(house.door.stopped()).await;
}

/// A bug ends the exchange that met it, and nothing else: its place is free again, and its accounting is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_its_exchange_alone() {
    let (mut house, mut other, _) = waiting_exchange().await;
    for _ in 0..3 {
        let mut client = Client::of(&house).await;
        client.ask("/panic").await;
        assert_eq!(client.rest().await, "");
        assert_eq!(within(house.over.recv()).await.unwrap(), "/panic");
    }
    within(house.door.reached(1)).await;
    assert!(Client::of(&house).await.get("/hello").await.ends_with("hello"));
    house.stage.go_on.notify_one();
    assert!(other.answer().await.ends_with("waited"), "who was there before is not disturbed");
}

/// One test for all signals: they reach every handler of the process.
#[tokio::test(flavor = "multi_thread")]
async fn signals_reload_drain_and_stop() {
    let signals = Signals::install().unwrap();
    let (house, mut client, _) = waiting_exchange().await;
    let reloads = Arc::new(AtomicU32::new(0));
    let (reloaded, mut reload_seen) = tokio::sync::mpsc::unbounded_channel();
    let running = async {
        signals
            .run(&house.door, || {
                reloads.fetch_add(1, Ordering::Relaxed);
                reloaded.send(()).unwrap();
            })
            .await;
    };
    let operator = async {
        send("HUP");
        within(reload_seen.recv()).await.unwrap();
        let mut idle = Client::of(&house).await;
        assert!(idle.get("/hello").await.ends_with("hello"), "a reload does not stop it");
        send("TERM");
        assert_eq!(idle.rest().await, "");
        within(house.door.reached(1)).await;
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
