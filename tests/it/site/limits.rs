//! What is too large, too slow, too many or no request at all: a clear answer with the reason's id, and the end of the
//! connection. What breaks in the middle reaches no application as a whole.

use std::sync::Arc;
use std::time::Duration;

use exeunt::http1::request_head::HeadLimits;
use tokio::sync::Semaphore;

use super::answer::request;
use super::echo::Echo;
use super::harness::{FORM, Site, until};
use crate::server::client::within;
use crate::upstream;

const BROWSER: &str = "Accept: text/html";

/// A site that reads heads of 2 KiB and 20 lines.
async fn narrow() -> (Site, Echo) {
    Site::with_echo_and(|setup| setup.server.head = HeadLimits { size: 2048, fields: 20 }).await
}

/// Heads that are refused before anybody parses them: each says why, to programs and to people, closes the connection
/// and has its access line.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_request_is_answered_with_a_reason() {
    let (site, echo) = narrow().await;
    let long = "a".repeat(3000);
    let lines = "X: y\r\n".repeat(30);
    let cases = [
        (format!("GET /{long} HTTP/1.1\r\n{BROWSER}\r\n\r\n"), 414, "target_too_long"),
        (format!("GET /x HTTP/1.1\r\nHost: app.test\r\nCookie: {long}\r\n\r\n"), 431, "head_too_large"),
        (format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n"), 431, "head_too_large"),
        ("GET /x HTTP/1.1\nHost: app.test\r\n\r\n".into(), 400, "head_malformed"),
        ("GET /x y HTTP/1.1\r\nHost: app.test\r\n\r\n".into(), 400, "head_malformed"),
        ("GET /x HTTP/3.0\r\nHost: app.test\r\n\r\n".into(), 505, "version_not_supported"),
        ("CONNECT app.test:443 HTTP/1.1\r\nHost: app.test\r\n\r\n".into(), 405, "method_not_allowed"),
        ("POST /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400, "head_malformed"),
        (
            "POST /x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\n".into(),
            400,
            "body_malformed",
        ),
    ];
    for (raw, status, reason) in &cases {
        let mut client = site.client().await;
        client.say(raw).await;
        let answer = client.one_answer(false).await.unwrap();
        assert_eq!((answer.status, &answer.json()["error"]), (*status, &(*reason).into()), "{raw:.60}");
        assert_eq!((answer.header("connection"), answer.header("cache-control")), (Some("close"), Some("no-store")));
        assert_eq!(client.rest().await, "", "{raw:.60}");
        let line = &site.access_lines(1, &format!("note={reason}")).await[0];
        assert!(line.contains(&format!("status={status}")) && line.contains("client=127.0.0.1"), "{line}");
    }
    let mut client = site.client().await;
    client.say(&format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{BROWSER}\r\nCookie: {long}\r\n\r\n")).await;
    let page = client.one_answer(false).await.unwrap();
    assert_eq!((page.status, page.header("content-type")), (431, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("too many cookies") && !page.text().contains("aaaa"), "{}", page.text());
    assert!(echo.take().is_empty());
    assert_eq!(site.get("/public/x", &[]).await.status, 200);
}

/// A head that does not end: 408, with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn incomplete_head_is_answered_408() {
    let (site, echo) = narrow().await;
    let mut client = site.client().await;
    client.say("GET /x HTTP/1.1\r\nHost: app.test\r\n").await;
    let answer = site.turning(client.one_answer(false)).await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]), (408, &"head_too_slow".into()));
    assert!(echo.take().is_empty());
}

/// A body of which a piece comes every five seconds: after a minute of waiting it has had its time.
#[tokio::test(flavor = "multi_thread")]
async fn slow_body_is_cut() {
    let (site, echo) = Site::with_echo().await;
    for (target, line) in [("/public/x", "X: y"), ("/login", FORM)] {
        let mut client = site.client().await;
        client.say(&request("POST", target, &[line, "Content-Length: 1000"], "")).await;
        let mut answer = None;
        for seconds in 0..40 {
            // The piece before has arrived when nothing of it is left in the socket.
            client.say("x").await;
            site.advance(Duration::from_secs(5)).await;
            let come = tokio::time::timeout(Duration::from_millis(20), client.one_answer(false)).await;
            if let Ok(come) = come {
                assert!(seconds >= 10, "too early: after {seconds} pieces");
                answer = come;
                break;
            }
        }
        let answer = answer.expect("an answer within 200 seconds");
        assert_eq!((answer.status, &answer.json()["error"]), (408, &"body_too_slow".into()), "{target}");
    }
    assert!(echo.take().is_empty(), "half a body is no request");
}

/// Chunks that break after the head was passed on: 400, and the application never sees the end of a body.
#[tokio::test(flavor = "multi_thread")]
async fn broken_chunks_are_not_forwarded_as_complete() {
    let over = Arc::new(Semaphore::new(0));
    let (begun, ended) = (Arc::new(Semaphore::new(0)), Arc::clone(&over));
    let begins = Arc::clone(&begun);
    let app = upstream::start(move |mut connection, _| {
        let (begins, ended) = (Arc::clone(&begins), Arc::clone(&ended));
        async move {
            let Some(head) = connection.head().await else { return };
            assert!(head.starts_with("POST /public/x "));
            begins.add_permits(1);
            let mut body = String::new();
            while let Some(byte) = connection.exactly(1).await {
                body += &byte;
            }
            assert!("5\r\nhello\r\n".starts_with(&body), "{body:?}");
            ended.add_permits(1);
        }
    })
    .await;
    let site = Site::before_one(app);
    let mut client = site.client().await;
    client.say(&request("POST", "/public/x", &["Transfer-Encoding: chunked"], "")).await;
    client.say("5\r\nhello\r\n").await;
    within(begun.acquire()).await.unwrap().forget();
    client.say("5\nworld\r\n0\r\n\r\n").await;
    let answer = client.one_answer(false).await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]), (400, &"body_malformed".into()));
    assert_eq!(client.rest().await, "");
    within(over.acquire()).await.unwrap().forget();
}

/// One session cannot take all of an application; others are not disturbed, and it is not for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_its_share_of_requests() {
    let go_on = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go_on);
    let slow = upstream::start(move |mut connection, _| {
        let waits = Arc::clone(&waits);
        async move {
            while let Some(head) = connection.request().await {
                if head.starts_with("GET /quick ") {
                    connection.answer(200, "", "done").await;
                    continue;
                }
                waits.acquire().await.unwrap().forget();
                connection.answer(200, "", "done").await;
            }
        }
    })
    .await;
    let site = Site::before(&[format!("http://{slow}")], |setup| setup.gateway.requests_per_session = 2);
    let (alice, bob) = (site.session_of("alice").await, site.session_of("bob").await);
    let asked = request("GET", "/x", &[&alice], "");
    let mut first = [site.client().await, site.client().await];
    for client in &mut first {
        client.say(&asked).await;
    }
    let connections = async || site.get("/.exeunt/session", &[&alice]).await.json()["connections"].as_u64();
    while within(connections()).await != Some(2) {}
    let refused = site.get("/x", &[&alice]).await;
    assert_eq!((refused.status, &refused.json()["error"]), (429, &"session_busy".into()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(site.get("/quick", &[&bob]).await.status, 200);
    go_on.add_permits(2);
    for client in &mut first {
        assert_eq!(client.one_answer(false).await.unwrap().status, 200);
    }
    until(|| {
        site.lines().iter().filter(|line| line.contains("user=alice") && line.contains("status=200")).count() >= 2
    })
    .await;
    assert_eq!(site.get("/quick", &[&alice]).await.status, 200);
}
