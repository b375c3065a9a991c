//! What keeps a session, and what does not: what a person's browser does, and not what an application pushes or a page
//! asks for by itself.

use std::sync::Arc;
use std::time::Duration;

use exeunt::session::record::Session;
use exeunt::values::configured_path::ConfiguredPath;
use exeunt::values::identity::UserKey;
use tokio::sync::Semaphore;

use super::answer::request;
use super::harness::{IDLE, Site, until};
use crate::server::client::within;
use crate::upstream::{self, header};

/// Almost the idle timeout.
const ALMOST: Duration = IDLE.saturating_sub(Duration::from_secs(1));

/// Waits until this holds for a session of alice.
async fn until_alice(site: &Site, holds: impl Fn(&Session) -> bool) {
    let alice = UserKey { source: "test".into(), subject: "alice".into() };
    until(|| site.gateway.sessions().list(&alice).iter().any(|session| holds(session))).await;
}

/// Waits until the session of alice was used just now.
async fn is_active(site: &Site) {
    let now = site.clock.now().seconds();
    until_alice(site, |session| session.last_seen().seconds() == now).await;
}

async fn is_signed_in(site: &Site, cookie: &str) -> bool {
    site.get("/.exeunt/session", &[cookie]).await.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_a_long_body_counts_as_activity() {
    let app = upstream::start(async |mut connection, _| {
        while connection.raw_request().await.is_some() {
            connection.answer(200, "", "got it").await;
        }
    })
    .await;
    for framing in ["Content-Length: 16", "Transfer-Encoding: chunked"] {
        let site = Site::before(&[format!("http://{app}")], |setup| setup.server.body_timeout = IDLE * 10);
        let alice = site.session_of("alice").await;
        let mut client = site.client().await;
        client.say(&request("POST", "/x", &[&alice, framing], "")).await;
        until_alice(&site, |session| session.live_connections() == 1).await;
        for _ in 0..4 {
            site.advance(ALMOST).await;
            client.say(if framing.starts_with('C') { "more" } else { "4\r\nmore\r\n" }).await;
            is_active(&site).await;
        }
        if framing.starts_with('T') {
            client.say("0\r\n\r\n").await;
        }
        assert_eq!(client.one_answer(false).await.unwrap().text(), "got it");
        assert!(is_signed_in(&site, &alice).await, "{framing}");
    }
}

/// An application that answers with these lines and then a piece for each permit.
async fn piecemeal(lines: &'static str) -> (Site, Arc<Semaphore>) {
    let go_on = Arc::new(Semaphore::new(0));
    let next = Arc::clone(&go_on);
    let app = upstream::start(move |mut connection, _| {
        let next = Arc::clone(&next);
        async move {
            connection.request().await;
            connection.write(&format!("HTTP/1.1 200 OK\r\n{lines}Transfer-Encoding: chunked\r\n\r\n")).await;
            while let Ok(permit) = next.acquire().await {
                permit.forget();
                connection.write("5\r\npiece\r\n").await;
            }
        }
    })
    .await;
    (Site::before(&[format!("http://{app}")], |setup| setup.server.send_timeout = IDLE * 10), go_on)
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_long_answer_counts_as_activity() {
    let (site, go_on) = piecemeal("Content-Type: application/zip\r\n").await;
    let alice = site.session_of("alice").await;
    let mut client = site.client().await;
    client.say(&request("GET", "/x", &[&alice], "")).await;
    client.answer_head().await.unwrap();
    for _ in 0..4 {
        site.advance(ALMOST).await;
        go_on.add_permits(1);
        assert_eq!(client.chunk().await.unwrap(), b"piece");
        is_active(&site).await;
    }
    assert!(is_signed_in(&site, &alice).await);
}

/// A stream is cut at the idle timeout of its session, whatever its content type is.
#[tokio::test(flavor = "multi_thread")]
async fn pushed_data_does_not_count_as_activity() {
    let pushes = [
        "Content-Type: text/event-stream\r\n",
        "Content-Type: text/plain\r\nContent-Type: text/event-stream\r\n",
        "Content-Type: multipart/x-mixed-replace; boundary=x\r\n",
        "Content-Type: application/x-ndjson\r\n",
        "Content-Type: application/json-seq\r\n",
    ];
    for lines in pushes {
        let (site, go_on) = piecemeal(lines).await;
        let alice = site.session_of("alice").await;
        let mut client = site.client().await;
        client.say(&request("GET", "/x", &[&alice], "")).await;
        client.answer_head().await.unwrap();
        for time in [ALMOST / 2, ALMOST / 2] {
            site.advance(time).await;
            go_on.add_permits(1);
            assert_eq!(client.chunk().await.unwrap(), b"piece");
        }
        site.advance(Duration::from_secs(2)).await;
        assert_eq!(client.chunk().await.unwrap(), b"", "{lines}");
        assert_eq!(client.rest().await, "");
        assert!(!is_signed_in(&site, &alice).await, "{lines}");
        let line = &site.access_lines(1, "path=/x ").await[0];
        assert!(line.contains("cut=session_ended"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_idle_paths_do_not_count_as_activity() {
    let app = upstream::start(async |mut connection, _| {
        while let Some(head) = connection.request().await {
            let body = header(&head, "x-forwarded-user").unwrap_or("nobody").to_owned();
            connection.answer(200, "", &body).await;
        }
    })
    .await;
    for (target, keeps) in [("/poll", false), ("/poll/1?x=/other", false), ("/other", true), ("/polls", true)] {
        let site = Site::before(&[format!("http://{app}")], |setup| {
            setup.gateway.routes[0].idle_paths = vec![ConfiguredPath::parse("/poll").unwrap()];
        });
        let alice = site.session_of("alice").await;
        for _ in 0..2 {
            site.advance(ALMOST / 2).await;
            assert_eq!(site.get(target, &[&alice]).await.text(), "alice");
        }
        site.advance(Duration::from_secs(2)).await;
        assert_eq!(is_signed_in(&site, &alice).await, keeps, "{target}");
    }
}

/// What a client sends on a WebSocket of such a path (`idle_paths`) does not extend its session; on another path it
/// does, unless it is a heartbeat.
#[tokio::test(flavor = "multi_thread")]
async fn receiving_on_a_socket_does_not_count_as_activity() {
    const LINES: [&str; 4] = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let app = upstream::start(async |mut connection, _| {
        connection.request().await;
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
        connection.write(&format!("{head}{accept}\r\n")).await;
        while let Some(byte) = connection.exactly(1).await {
            connection.write(&byte).await;
        }
    })
    .await;
    let (word, beat) = ("\u{1}\u{3}hey", "\u{1}\u{2}{}");
    for (target, frame, keeps) in [("/other", word, true), ("/other", beat, false), ("/poll", word, false)] {
        let site = Site::before(&[format!("http://{app}")], |setup| {
            setup.gateway.routes[0].idle_paths = vec![ConfiguredPath::parse("/poll").unwrap()];
        });
        let alice = site.session_of("alice").await;
        let mut client = site.client().await;
        client.say(&request("GET", target, &[&[&*alice][..], &LINES].concat(), "")).await;
        client.answer_head().await.unwrap();
        for _ in 0..2 {
            site.advance(ALMOST / 2).await;
            client.say(frame).await;
            assert_eq!(within(client.exactly(frame.len())).await, frame);
        }
        site.advance(Duration::from_secs(2)).await;
        assert_eq!(is_signed_in(&site, &alice).await, keeps, "{target} {frame:?}");
    }
}
