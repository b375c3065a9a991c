//! WebSockets from a real client through the hand-over to a real upstream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exeunt::proxy::failure::UpstreamFailure;
use exeunt::proxy::tunnel::{self, Cause, Side, TunnelEnd};
use exeunt::proxy::websocket::{NotOpened, Opened, open};
use exeunt::routes::pool::{Pool, UpstreamSettings};
use exeunt::routes::resolver::Upstreams;
use exeunt::routes::upstream_trust::UpstreamTrust;
use exeunt::session::live::Cut;
use exeunt::values::time::Clock;
use exeunt::values::upstream_address::UpstreamAddress;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::upstream::{self, Identity, Io, dead_port};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn pool(texts: &[String], edit: impl FnOnce(&mut UpstreamSettings)) -> Pool {
    let known = Upstreams::new(Handle::current());
    let upstreams = texts.iter().map(|text| known.get(&UpstreamAddress::parse(text).unwrap()));
    let mut settings = UpstreamSettings::new(UpstreamTrust::nobody());
    edit(&mut settings);
    Pool::new(upstreams.collect(), settings, Clock::system())
}

fn pool_at(address: SocketAddr) -> Pool {
    pool(&[format!("http://{address}")], |_| ())
}

fn handshake() -> Request<()> {
    let request = Request::get("/socket?room=1").header("host", "app.test");
    request.header("sec-websocket-version", "13").header("sec-websocket-key", KEY).body(()).unwrap()
}

async fn failure(pool: &Pool) -> UpstreamFailure {
    match open(pool, 0, handshake()).await {
        Err(NotOpened::Failure(failure)) => failure,
        Err(NotOpened::Answer(answer)) => panic!("answered {}", answer.head.status),
        Ok(_) => panic!("opened"),
    }
}

async fn echo(stream: Box<dyn Io>) {
    let mut socket = accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

async fn echo_over_tcp() -> SocketAddr {
    upstream::start(|connection, _| echo(connection.stream)).await
}

/// A client whose handshake goes through a gateway of a few lines: head, open, 101, tunnel.
async fn client_through(pool: Pool, cut: &Arc<Cut>) -> (WebSocketStream<TcpStream>, JoinHandle<TunnelEnd>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cut = Arc::clone(cut);
    let gateway = tokio::spawn(async move {
        let mut client = upstream::Connection::of(listener.accept().await.unwrap().0);
        let head = client.request().await.unwrap();
        let mut request = Request::get("/socket");
        for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
            request = request.header(name, value);
        }
        let Ok(Opened { head, upstream }) = open(&pool, 0, request.body(()).unwrap()).await else {
            panic!("not opened");
        };
        client.write("HTTP/1.1 101 Switching Protocols\r\n").await;
        for (name, value) in &head.headers {
            client.write(&format!("{name}: {}\r\n", value.to_str().unwrap())).await;
        }
        client.write("\r\n").await;
        let client = Side { stream: client.stream, already_read: Bytes::new() };
        tunnel::run(client, upstream, &cut, |_| ()).await
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let (socket, _) = client_async("ws://app.test/socket", stream).await.unwrap();
    (socket, gateway)
}

async fn echoes(pool: Pool) {
    let cut = Cut::new();
    let (mut client, gateway) = client_through(pool, &cut).await;
    for message in [Message::text("hello"), Message::binary(vec![7; 3_000_000])] {
        client.send(message.clone()).await.unwrap();
        assert!(client.next().await.unwrap().unwrap() == message);
    }
    cut.signal(Duration::ZERO);
    let close = client.next().await.unwrap().unwrap();
    assert!(matches!(close, Message::Close(Some(ref frame)) if frame.reason == "session ended"), "{close:?}");
    drop(client);
    assert_eq!(gateway.await.unwrap().cause, Cause::Cut);
}

#[tokio::test]
async fn over_tcp_past_a_dead_endpoint() {
    let addresses = [dead_port().await, echo_over_tcp().await, dead_port().await];
    echoes(pool(&addresses.map(|address| format!("http://{address}")), |_| ())).await;
}

#[tokio::test]
async fn over_tls() {
    let identity = Identity::of(&["localhost"]);
    let address = upstream::start_tls(&identity, |connection| echo(connection.stream)).await;
    let text = [format!("https://localhost:{}", address.port())];
    let trust = UpstreamTrust::from_pem(identity.authority_pem.as_bytes()).unwrap();
    echoes(pool(&text, |settings| settings.trust = trust)).await;
    assert_eq!(failure(&pool(&text, |_| ())).await, UpstreamFailure::Unreachable, "nobody vouches for it");
}

#[tokio::test]
async fn over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { echo(Box::new(listener.accept().await.unwrap().0)).await });
    echoes(pool(&[format!("unix:{}", path.display())], |_| ())).await;
}

#[tokio::test]
async fn what_comes_with_the_101_is_kept_and_the_handshake_is_complete() {
    let address = upstream::start(async |mut connection, _| {
        let head = connection.request().await.unwrap().to_ascii_lowercase();
        assert!(head.starts_with("get /socket?room=1 http/1.1\r\n"), "{head}");
        for line in ["host: app.test", "upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
        }
        connection.write(&format!("{ACCEPTED}\u{1}\u{2}hi")).await;
        std::future::pending::<()>().await;
    })
    .await;
    let Ok(opened) = open(&pool_at(address), 0, handshake()).await else { panic!("not opened") };
    assert_eq!(opened.head.status, 101);
    let mut upstream = opened.upstream;
    let mut got = upstream.already_read.to_vec();
    while got.len() < 4 {
        tokio::io::AsyncReadExt::read_buf(&mut upstream.stream, &mut got).await.unwrap();
    }
    assert_eq!(got, b"\x01\x02hi");
}

#[tokio::test]
async fn another_answer_is_the_clients() {
    let address = upstream::start(async |mut connection, _| {
        connection.request().await.unwrap();
        let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
        connection.write(&format!("{head}5\r\nstaff\r\n5\r\n only\r\n0\r\n\r\n")).await;
        std::future::pending::<()>().await;
    })
    .await;
    let Err(NotOpened::Answer(mut answer)) = open(&pool_at(address), 0, handshake()).await else {
        panic!("no answer");
    };
    assert_eq!(answer.head.status, 403);
    assert_eq!(answer.head.headers.len(), 1, "{:?}", answer.head.headers);
    let mut body = Vec::new();
    while let Some(piece) = answer.next_piece().await {
        body.extend(piece.unwrap());
    }
    assert_eq!(body, b"staff only");
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
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
        let said = answer.clone();
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
        let said = said.get(..60).unwrap_or(&said);
        assert_eq!(failure(&pool_at(address)).await, UpstreamFailure::BadAnswer, "{said}");
    }
}

#[tokio::test]
async fn no_connection_and_no_answer_are_told_apart() {
    assert_eq!(failure(&pool_at(dead_port().await)).await, UpstreamFailure::Unreachable);
    let silent = upstream::start(async |mut connection, _| while connection.request().await.is_some() {}).await;
    let quick = |settings: &mut UpstreamSettings| settings.response_timeout = Duration::from_millis(100);
    assert_eq!(failure(&pool(&[format!("http://{silent}")], quick)).await, UpstreamFailure::TooSlow);
}
