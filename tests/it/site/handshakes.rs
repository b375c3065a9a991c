//! How a WebSocket is opened at the upstream: over whatever leads there, and with nothing lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use exeunt::config::Settings;
use exeunt::routes::upstream_trust::UpstreamTrust;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixListener};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

use super::answer::{Answer, request};
use super::harness::Site;
use crate::server::client::within;
use crate::upstream::{self, Connection, Identity, Io, dead_port};

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn handshake() -> String {
    let lines = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    request("GET", "/public/socket?room=1", &lines, "")
}

async fn echo(stream: Box<dyn Io>) {
    let Ok(mut socket) = accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

async fn echoes(upstreams: &[String], change: impl FnOnce(&mut Settings)) {
    let site = Site::before(upstreams, change);
    let stream = TcpStream::connect(site.address()).await.unwrap();
    let (mut client, _) = client_async("ws://app.test/public/socket", stream).await.unwrap();
    for message in [Message::text("hello"), Message::binary(vec![7; 3_000_000])] {
        within(client.send(message.clone())).await.unwrap();
        assert!(within(client.next()).await.unwrap().unwrap() == message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_past_a_dead_endpoint() {
    let live = upstream::start(|connection, _| echo(connection.stream)).await;
    let addresses = [dead_port().await, live, dead_port().await];
    echoes(&addresses.map(|address| format!("http://{address}")), |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls() {
    let identity = Identity::of(&["localhost"]);
    let address = upstream::start_tls(&identity, |connection| echo(connection.stream)).await;
    let upstreams = [format!("https://localhost:{}", address.port())];
    let trust = UpstreamTrust::from_pem(identity.authority_pem.as_bytes()).unwrap();
    echoes(&upstreams, |setup| {
        setup.gateway.routes.iter_mut().for_each(|route| route.trust = Arc::clone(&trust));
    })
    .await;
    assert_eq!(answered(&Site::before(&upstreams, |_| {})).await.status, 502, "nobody vouches for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { echo(Box::new(listener.accept().await.unwrap().0)).await });
    echoes(&[format!("unix:{}", path.display())], |_| {}).await;
}

/// The final answer to a handshake.
async fn answered(site: &Site) -> Answer {
    site.client().await.exchange(&handshake()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_the_101_are_kept() {
    let address = upstream::start(async |mut connection: Connection, _| {
        let head = connection.request().await.unwrap().to_ascii_lowercase();
        assert!(head.starts_with("get /public/socket?room=1 http/1.1\r\n"), "{head}");
        for line in ["host: app.test", "upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"] {
            assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
        }
        connection.write(&format!("{ACCEPTED}\u{1}\u{2}hi")).await;
        let early = connection.exactly(8).await;
        connection.write(&early.unwrap()).await;
        std::future::pending::<()>().await;
    })
    .await;
    let site = Site::before_one(address);
    let mut client = site.client().await;
    // With a mask of zeroes: a frame is echoed as it came.
    let frame = "\u{1}\u{2}\0\0\0\0yo";
    client.say(&(handshake() + frame)).await;
    let head = client.answer_head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(client.exactly(4).await, "\u{1}\u{2}hi");
    assert_eq!(client.exactly(8).await, frame);
}

/// What is no 101 is an answer like any other: its framing is ours, and what is not for the client does not pass.
#[tokio::test(flavor = "multi_thread")]
async fn refused_handshake_is_forwarded_to_the_client() {
    let address = upstream::start(async |mut connection: Connection, _| {
        while connection.request().await.is_some() {
            let head = "HTTP/1.1 403 No\r\nContent-Type: text/plain\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n\
                Set-Cookie: exeunt=stolen\r\nTransfer-Encoding: chunked\r\n\r\n";
            connection.write(&format!("{head}5\r\nstaff\r\n5\r\n only\r\n0\r\n\r\n")).await;
        }
    })
    .await;
    let site = Site::before_one(address);
    for _ in 0..2 {
        let answer = answered(&site).await;
        assert_eq!((answer.status, answer.text(), answer.header("connection")), (403, "staff only", Some("close")));
        for name in ["keep-alive", "upgrade", "set-cookie", "content-length"] {
            assert_eq!(answer.headers(name), [""; 0], "{}", answer.head);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_handshake_answer_is_a_failure() {
    let huge = format!("HTTP/1.1 101 X\r\nX-Huge: {}\r\n\r\n", "x".repeat(100_000));
    let answers = [
        ACCEPTED.replace("s3pPL", "s3pPM"),
        ACCEPTED.replace("Sec-WebSocket-Accept", "X-Accept"),
        ACCEPTED.replace("Upgrade: websocket", "Upgrade: h2c"),
        ACCEPTED.replace("Connection: upgrade\r\n", ""),
        "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(),
        String::new(),
        huge,
    ];
    for answer in answers {
        let message = answer.get(..60).unwrap_or(&answer).to_owned();
        let address = upstream::start(move |mut connection, _| {
            let answer = answer.clone();
            async move {
                connection.request().await.unwrap();
                connection.write(&answer).await;
                let _ = connection.stream.shutdown().await;
                while connection.request().await.is_some() {}
            }
        })
        .await;
        let refused = answered(&Site::before_one(address)).await;
        assert_eq!((refused.status, &refused.json()["error"]), (502, &"upstream_broken".into()), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_and_no_answer_are_told_apart() {
    let nobody: SocketAddr = dead_port().await;
    assert_eq!(answered(&Site::before_one(nobody)).await.json()["error"], "upstream_unreachable");
    let silent = upstream::start(async |mut connection, _| while connection.request().await.is_some() {}).await;
    let site = Site::before(&[format!("http://{silent}")], |setup| {
        setup.gateway.routes.iter_mut().for_each(|route| route.response_timeout = Duration::from_secs(3));
    });
    assert_eq!(site.turning(answered(&site)).await.json()["error"], "upstream_too_slow");
}
