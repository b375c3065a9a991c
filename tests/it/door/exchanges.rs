//! Requests and answers, as long as all is well.

use std::convert::Infallible;
use std::net::SocketAddr;

use exeunt::proxy::settings::Settings;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, UnixStream};

use super::app::{House, local};
use super::client::{Client, within};

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_requests() {
    let house = House::open(local());
    let mut client = Client::of(&house).await;
    for _ in 0..100 {
        let answer = client.get("/hello").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }
    assert_eq!(house.door.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_at_once() {
    let house = House::open(local());
    let clients = (0..100).map(|_| async {
        let mut client = Client::of(&house).await;
        for _ in 0..20 {
            assert!(client.get("/hello").await.ends_with("hello"));
        }
    });
    within(futures_util::future::join_all(clients)).await;
    within(house.door.reached(0)).await;
}

/// The second request is not read as anything else, and its client learns by the close that it was not taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_wait_for_its_turn_is_not_taken() {
    let mut house = House::open(local());
    let mut client = Client::of(&house).await;
    let request = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.say(&request.repeat(2)).await;
    let said = client.rest().await;
    assert_eq!(said.matches("HTTP/1.1 200").count(), 1, "{said}");
    assert_eq!(within(house.over.recv()).await.unwrap(), "/hello");
    assert!(house.over.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_can_end_it() {
    let house = House::open(local());
    let mut client = Client::of(&house).await;
    client.say("GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(client.rest().await.ends_with("hello"));
    drop(client);
    within(house.door.reached(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_knows_its_client() {
    let house = House::open(local());
    let mut client = Client::of(&house).await;
    let own = client.stream.local_addr().unwrap().to_string();
    assert!(client.get("/peer").await.ends_with(&own));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let listen = vec![format!("unix:{}", path.display()).parse().unwrap()];
    let house = House::open(Settings { listen, ..Settings::default() });
    let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
    assert!(client.get("/peer").await.ends_with("unix"));
    assert!(client.get("/hello").await.ends_with("hello"));
    house.door.stop();
    within(house.door.stopped()).await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_both_ways() {
    let house = House::open_with_upstream(local(), Some(echoing_upstream().await));
    let mut client = Client::of(&house).await;
    let body = "0123456789abcdef".repeat(65536);
    for _ in 0..2 {
        let head = format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        let (mut reader, mut writer) = client.stream.split();
        let sending = async {
            use tokio::io::AsyncWriteExt;
            writer.write_all(head.as_bytes()).await.unwrap();
            writer.write_all(body.as_bytes()).await.unwrap();
        };
        let mut answer = String::new();
        let reading = async {
            let mut reader = Client::over(tokio::io::join(&mut reader, tokio::io::sink()));
            answer = reader.answer().await;
        };
        tokio::join!(sending, reading);
        assert!(answer.ends_with(&body));
    }
    assert_eq!(house.door.connections(), 1);
}

/// Answers every request with its body, once all of it has come.
async fn echoing_upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let echo = service_fn(|request: hyper::Request<hyper::body::Incoming>| async {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(hyper::Response::new(http_body_util::Full::new(body)))
            });
            let serving = hyper::server::conn::http1::Builder::new();
            tokio::spawn(async move { serving.serve_connection(TokioIo::new(stream), echo).await });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let house = House::open(local());
    let mut client = Client::of(&house).await;
    client.say("POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n").await;
    client.say(&"x".repeat(200_000)).await;
    assert!(client.answer().await.ends_with("hello"));
    client.say(&"x".repeat(9_800_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_is_503() {
    let house = House::open(Settings { connections: 1, ..local() });
    let mut first = Client::of(&house).await;
    first.get("/hello").await;
    let mut second = Client::of(&house).await;
    second.ask("/hello").await;
    let refused = second.rest().await;
    assert!(refused.contains("\"error\":\"too_many_connections\""), "{refused}");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(first.get("/hello").await.ends_with("hello"), "the first is not disturbed");
    drop(first);
    within(house.door.reached(0)).await;
    assert!(Client::of(&house).await.get("/hello").await.ends_with("hello"));
}
