//! What takes too long is cut, and nothing else is.

use std::time::Duration;

use super::app::{Harness, local};
use super::client::{Client, turning, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_is_closed() {
    let harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    within(harness.server.reached(1)).await;
    let (time, message) = turning(&harness, client.rest()).await;
    assert!(time >= Duration::from_secs(10), "{time:?}");
    assert_eq!(message, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_head_is_cut() {
    let harness = Harness::open(local());
    let (mut reader, mut writer) = Client::of(&harness).await.stream.into_split();
    let trickling = async {
        use tokio::io::AsyncWriteExt;
        writer.write_all(b"GET /hello HTTP/1.1\r\nX: ").await.unwrap();
        while writer.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let reading = async { Client::over(tokio::io::join(&mut reader, tokio::io::sink())).rest().await };
    let (time, message) = turning(&harness, async {
        tokio::select! { message = reading => message, () = trickling => String::new() }
    })
    .await;
    assert!(time >= Duration::from_secs(10), "{time:?}");
    assert!(message.is_empty() || message.starts_with("HTTP/1.1 408"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_head_is_answered_408() {
    let harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.say("GET /hello HTTP/1.1\r\nHost: local").await;
    let (time, message) = turning(&harness, client.rest()).await;
    assert!(time >= Duration::from_secs(10), "{time:?}");
    assert!(message.starts_with("HTTP/1.1 408"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_after_a_longer_time() {
    let harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.get("/hello").await;
    let (time, message) = turning(&harness, client.rest()).await;
    assert!(time >= Duration::from_secs(75), "{time:?}");
    assert_eq!(message, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn exchange_has_no_deadline() {
    let mut harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.ask("/wait").await;
    within(harness.begun.recv()).await.unwrap();
    harness.clock_handle.advance(Duration::from_secs(24 * 3600));
    harness.server.sweep();
    harness.control.go_on.notify_one();
    assert!(client.answer().await.ends_with("waited"));
    assert!(client.get("/hello").await.ends_with("hello"), "and the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_does_not_read_is_cut() {
    let mut harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.ask("/endless").await;
    within(harness.begun.recv()).await.unwrap();
    let mut over = std::mem::replace(&mut harness.over, tokio::sync::mpsc::unbounded_channel().1);
    let (time, ended) = turning(&harness, over.recv()).await;
    assert_eq!(ended.as_deref(), Some("/endless"));
    assert!(time >= Duration::from_secs(60), "{time:?}");
}
