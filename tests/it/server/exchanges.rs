//! Requests and answers, as long as all is well.

use exeunt::proxy::settings::ServerSettings;
use tokio::net::UnixStream;

use super::app::{Harness, local};
use super::client::{Client, within};

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_requests() {
    let harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    for _ in 0..100 {
        let answer = client.get("/hello").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }
    assert_eq!(harness.server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_at_once() {
    let harness = Harness::open(local());
    let clients = (0..100).map(|_| async {
        let mut client = Client::of(&harness).await;
        for _ in 0..20 {
            assert!(client.get("/hello").await.ends_with("hello"));
        }
    });
    within(futures_util::future::join_all(clients)).await;
    within(harness.server.reached(0)).await;
}

/// A client that sends the next request before it has the answer (pipelining) gets all answers, in order.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_are_answered_one_after_the_other() {
    let mut harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.say(&(request("/hello").repeat(3) + &request("/peer") + "GET /hel")).await;
    for _ in 0..3 {
        assert!(client.answer().await.ends_with("hello"));
    }
    assert!(client.answer().await.contains("127.0.0.1"));
    client.say("lo HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(client.answer().await.ends_with("hello"));
    for path in ["/hello", "/hello", "/hello", "/peer", "/hello"] {
        assert_eq!(within(harness.over.recv()).await.unwrap(), path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn application_receives_the_clients_address() {
    let harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    let own = client.stream.local_addr().unwrap().to_string();
    assert!(client.get("/peer").await.ends_with(&own));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let listen = vec![format!("unix:{}", path.display()).parse().unwrap()];
    let harness = Harness::open(ServerSettings { listen, ..ServerSettings::default() });
    let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
    assert!(client.get("/peer").await.ends_with("unix"));
    assert!(client.get("/hello").await.ends_with("hello"));
    harness.server.stop();
    within(harness.server.stopped()).await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let harness = Harness::open(local());
    let mut client = Client::of(&harness).await;
    client.say("POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n").await;
    client.say(&"x".repeat(200_000)).await;
    assert!(client.answer().await.ends_with("hello"));
    client.say(&"x".repeat(9_800_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_are_503() {
    let harness = Harness::open(ServerSettings { connections: 1, ..local() });
    let mut first = Client::of(&harness).await;
    first.get("/hello").await;
    let mut second = Client::of(&harness).await;
    second.ask("/hello").await;
    let refused = second.rest().await;
    assert!(refused.contains("\"error\":\"too_many_connections\""), "{refused}");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("Retry-After: 1\r\n"), "{refused}");
    assert!(first.get("/hello").await.ends_with("hello"), "the first is not disturbed");
    drop(first);
    within(harness.server.reached(0)).await;
    assert!(Client::of(&harness).await.get("/hello").await.ends_with("hello"));
}
