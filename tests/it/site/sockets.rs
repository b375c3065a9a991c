//! WebSockets through the whole gateway, from a real client to a real application.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Request;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use super::harness::{IDLE, Site, until};
use crate::server::client::within;
use crate::upstream::{self, header};
use exeunt::config::Settings;
use exeunt::values::origin::Origin;

pub type Socket = WebSocketStream<TcpStream>;

/// The handshakes that reached the application, as header lines.
pub type Handshakes = Arc<Mutex<Vec<String>>>;

/// In front of an application that echoes every message and answers pings.
pub async fn site_with(change: impl FnOnce(&mut Settings)) -> (Site, Handshakes) {
    let handshakes = Handshakes::default();
    let log = Arc::clone(&handshakes);
    let app = upstream::start(move |connection, _| {
        let log = Arc::clone(&log);
        async move {
            #[expect(clippy::result_large_err, reason = "the library's signature")]
            let note = |request: &Request<()>, response| {
                let lines =
                    request.headers().iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
                log.lock().unwrap().push(format!("GET {}\r\n{}\r\n", request.uri(), lines.collect::<String>()));
                Ok(response)
            };
            let Ok(mut socket) = accept_hdr_async(connection.stream, note).await else { return };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() || message.is_binary() {
                    socket.send(message).await.unwrap();
                }
            }
        }
    })
    .await;
    (Site::before(&[format!("http://{app}")], change), handshakes)
}

async fn site() -> (Site, Handshakes) {
    site_with(|_| {}).await
}

/// Opens a WebSocket with these further header lines.
pub async fn open(site: &Site, target: &str, lines: &[&str]) -> Result<Socket, tungstenite::Error> {
    let stream = TcpStream::connect(site.address()).await.unwrap();
    let mut request = Request::get(format!("ws://app.test{target}"))
        .header("host", "app.test")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key());
    for (name, value) in lines.iter().map(|line| line.split_once(": ").unwrap()) {
        request = request.header(name, value);
    }
    let (socket, response) = client_async(request.body(()).unwrap(), stream).await?;
    assert_eq!(response.status(), 101);
    Ok(socket)
}

async fn refusal(site: &Site, lines: &[&str]) -> (u16, String) {
    match open(site, "/socket", lines).await {
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8(body).unwrap())
        }
        other => panic!("{lines:?}: {:?}", other.map(drop)),
    }
}

pub async fn echoes(socket: &mut Socket, text: &str) {
    within(async {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    })
    .await;
}

/// The code and the reason with which it was closed.
pub async fn closed(socket: &mut Socket) -> (CloseCode, String) {
    within(async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code, frame.reason.to_string()),
                Some(Ok(Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await
}

fn session_ended() -> (CloseCode, String) {
    (CloseCode::Policy, "session ended".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_of_a_signed_in_user_reaches_the_application() {
    let (site, handshakes) = site().await;
    let alice = site.session_of("alice").await;
    let mut socket = open(&site, "/a/../socket?room=1", &[&alice, "Cookie: app=1"]).await.unwrap();
    for text in ["one", "two", &"x".repeat(100_000)] {
        echoes(&mut socket, text).await;
    }
    for handshake in handshakes.lock().unwrap().iter() {
        assert!(handshake.starts_with("GET /socket?room=1\r\n"), "{handshake}");
        assert_eq!(header(handshake, "x-forwarded-user"), Some("alice"));
        assert_eq!((header(handshake, "cookie"), header(handshake, "host")), (Some("app=1"), Some("app.test")));
        assert!(!handshake.contains(alice.split_once('=').unwrap().1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_without_a_session_or_of_another_site_is_refused() {
    let (site, handshakes) = site_with(|setup| {
        setup.gateway.routes[0].origins = vec![Origin::parse("https://partner.test").unwrap()];
    })
    .await;
    let alice = site.session_of("alice").await;
    let (status, body) = refusal(&site, &[]).await;
    assert!(status == 401 && body.contains("sign_in_required"), "{status} {body}");
    for foreign in ["http://evil.test", "https://app.test", "http://app.test:81", "null", "https://partner.test:444"] {
        let (status, body) = refusal(&site, &[&alice, &format!("Origin: {foreign}")]).await;
        assert!(status == 403 && body.contains("socket_origin"), "{foreign}: {status} {body}");
    }
    assert!(handshakes.lock().unwrap().is_empty());
    for own in ["http://app.test", "https://partner.test"] {
        open(&site, "/socket", &[&alice, &format!("Origin: {own}")]).await.unwrap();
    }
    assert_eq!(handshakes.lock().unwrap().len(), 2);
    open(&site, "/public/socket", &["Origin: http://evil.test"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_applications_own_refusal_is_passed_on() {
    let app = upstream::start(async |mut connection, _| {
        while connection.request().await.is_some() {
            connection.answer(418, "Set-Cookie: exeunt=stolen\r\nX-Why: tea\r\n", "no socket here").await;
        }
    })
    .await;
    let site = Site::before_one(app);
    let alice = site.session_of("alice").await;
    let lines = [&*alice, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY];
    let answer = site.get("/socket", &lines).await;
    assert_eq!((answer.status, answer.text(), answer.header("x-why")), (418, "no socket here", Some("tea")));
    assert!(answer.headers("set-cookie").is_empty());
    let lines = site.access_lines(1, "path=/socket ").await;
    assert!(lines.len() == 1 && lines[0].contains("status=418"), "{lines:?}");
}

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

#[tokio::test(flavor = "multi_thread")]
async fn logout_closes_sockets_with_a_reason() {
    let (site, _) = site().await;
    let (alice, bob) = (site.session_of("alice").await, site.session_of("bob").await);
    let mut sockets =
        [open(&site, "/socket", &[&alice]).await.unwrap(), open(&site, "/socket", &[&alice]).await.unwrap()];
    let mut public = open(&site, "/public/socket", &[&alice]).await.unwrap();
    let mut other = open(&site, "/socket", &[&bob]).await.unwrap();
    for socket in &mut sockets {
        echoes(socket, "hello").await;
    }
    site.sign_out(&alice).await;
    for socket in &mut sockets {
        assert_eq!(closed(socket).await, session_ended());
    }
    assert_eq!(closed(&mut public).await, session_ended(), "it was opened in her name");
    echoes(&mut other, "hello").await;
    let lines = site.access_lines(2, "path=/socket ").await;
    assert!(
        lines.len() == 2 && lines.iter().all(|line| line.contains("status=101") && line.contains("user=alice")),
        "{lines:?}"
    );
    assert!(lines.iter().all(|line| line.contains("cut=session_ended")), "{lines:?}");
}

/// What a person does keeps the session; that both ends say they are there does not.
#[tokio::test(flavor = "multi_thread")]
async fn messages_are_activity_and_pings_are_not() {
    let (site, _) = site().await;
    let alice = site.session_of("alice").await;
    let mut socket = open(&site, "/socket", &[&alice]).await.unwrap();
    for _ in 0..3 {
        site.advance(IDLE - Duration::from_secs(1)).await;
        echoes(&mut socket, "still here").await;
    }
    site.advance(IDLE - Duration::from_secs(1)).await;
    within(async {
        socket.send(Message::Ping("are you there?".into())).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap().is_pong());
    })
    .await;
    site.advance(Duration::from_secs(1 + 5)).await;
    assert_eq!(closed(&mut socket).await, session_ended());
    assert!(site.lines().iter().any(|line| line.contains("cause=idle")));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_closes_sockets() {
    let (site, _) = site().await;
    let alice = site.session_of("alice").await;
    let mut socket = open(&site, "/socket", &[&alice]).await.unwrap();
    echoes(&mut socket, "hello").await;
    site.server.stop();
    assert_eq!(closed(&mut socket).await, (CloseCode::Restart, "service restart".to_owned()));
    drop(socket);
    within(site.server.stopped()).await;
    let lines = site.access_lines(1, "path=/socket ").await;
    assert!(lines.len() == 1 && lines[0].contains("cut=stopping"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_sockets_are_not_cut() {
    let (site, _) = site_with(|setup| {
        setup.gateway.routes.iter_mut().for_each(|route| route.response_timeout = Duration::from_millis(50));
        setup.server.body_timeout = Duration::from_millis(50);
    })
    .await;
    let alice = site.session_of("alice").await;
    let mut socket = open(&site, "/socket", &[&alice]).await.unwrap();
    // The silence that is under test; by the server's clock it is longer.
    site.advance(IDLE / 2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    echoes(&mut socket, "hello").await;
    drop(socket);
    until(|| site.server.connections() == 0).await;
}
