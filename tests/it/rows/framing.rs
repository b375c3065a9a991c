//! T99-T109, T116, T125: all programs agree on where a message ends and the next one begins.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::harness::{Outcome, folded, open_site_with, send, the_one};
use crate::site::answer::request;
use crate::site::echo::Echo;
use crate::site::harness::Site;
use crate::upstream::{self, header};

const BODY_TIMEOUT: Duration = Duration::from_secs(2);
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";

/// A POST to the application with these header lines, and this behind its head.
async fn post(lines: &str, behind: &str) -> Outcome {
    raw(&format!("POST /x HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n{behind}")).await
}

/// Each character is one byte.
async fn raw(text: &str) -> Outcome {
    let (site, echo) = open_site_with(BODY_TIMEOUT).await;
    let bytes: Vec<u8> = text.chars().map(|at| at as u8).collect();
    let outcome = send(&site, &echo, &bytes).await;
    assert!(outcome.is_in_step(), "{text:?}: {:?}", outcome.seen);
    outcome
}

async fn all_refused(lines: &[&str], behind: &str) {
    for line in lines {
        let outcome = post(&format!("{line}\r\n"), behind).await;
        assert!(outcome.is_refused(), "{line:?}: {} {:?}", outcome.status(), outcome.seen);
    }
}

/// A body that the gateway does not read is not taken for the next request (request smuggling).
#[tokio::test(flavor = "multi_thread")]
async fn t99_body_of_a_request_answered_by_the_gateway_is_not_a_request() {
    let (site, echo) = Site::with_echo().await;
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let measured = format!("Content-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len());
    let cases = [
        ("POST /x", 401),
        ("POST /logout", 200),
        ("POST /login", 400),
        ("GET /login", 200),
        ("PUT /logout", 405),
        ("POST //x", 400),
        ("POST /.exeunt/session", 405),
        ("BREW /public/x", 405),
    ];
    for (line, status) in cases {
        for body in [&chunked, &measured] {
            let mut client = site.client().await;
            client.say(&format!("{line} HTTP/1.1\r\nHost: app.test\r\n{body}")).await;
            let answer = client.one_answer(false).await.unwrap();
            assert_eq!(answer.status, status, "{line}");
            // Closed, or in step: what follows is answered as what it is, or not at all.
            let closed = answer.header("connection") == Some("close");
            let next = "GET /public/next HTTP/1.1\r\nHost: app.test\r\n\r\n";
            let _ = client.stream.write_all(next.as_bytes()).await;
            match client.one_answer(false).await {
                Some(next) => assert!(!closed && next.text().starts_with("GET /public/next "), "{line}: {next:?}"),
                None => assert!(closed, "{line}"),
            }
        }
    }
    assert!(echo.take().iter().all(|request| request.starts_with("GET /public/next ")));
}

const HANDSHAKE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// Nothing that is sent behind an upgrade request reaches the application before it has agreed.
#[tokio::test(flavor = "multi_thread")]
async fn t100_bytes_after_a_handshake_are_not_a_request() {
    let good = request("GET", "/socket", &HANDSHAKE, "") + SMUGGLED;
    let declined = raw(&good).await;
    assert_eq!((declined.status(), declined.seen.len()), (200, 1), "the application declined: {:?}", declined.seen);
    let cases: [(&str, &[&str], u16); 6] = [
        ("GET", &["Sec-WebSocket-Version: 8", HANDSHAKE[3]], 426),
        ("GET", &[HANDSHAKE[3]], 426),
        ("GET", &["Sec-WebSocket-Version: 13"], 400),
        ("GET", &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"], 400),
        ("POST", &["Sec-WebSocket-Version: 13", HANDSHAKE[3]], 400),
        ("GET", &["Sec-WebSocket-Version: 13", HANDSHAKE[3], "Content-Length: 5"], 400),
    ];
    for (method, lines, status) in cases {
        let outcome = raw(&(request(method, "/socket", &[&HANDSHAKE[..2], lines].concat(), "") + SMUGGLED)).await;
        assert_eq!((outcome.status(), outcome.seen.len()), (status, 0), "{method} {lines:?}");
        let version = outcome.answers[0].header("sec-websocket-version");
        assert_eq!(version, (status == 426).then_some("13"), "RFC 6455 4.2.2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t101_conflicting_body_lengths_are_refused() {
    all_refused(
        &[
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: identity, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: \u{b}chunked",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding: chunked;q=1",
            "Transfer-Encoding: xchunked",
        ],
        "0\r\n\r\n",
    )
    .await;
    for lines in ["Transfer-Encoding: chunked\r\n", "", "Connection: keep-alive\r\n"] {
        let text = format!("POST /x HTTP/1.0\r\nHost: app.test\r\n{lines}\r\n{SMUGGLED}");
        let outcome = raw(&text).await;
        assert!(outcome.seen.iter().all(|request| request.starts_with("POST /x ")), "{lines:?}: {:?}", outcome.seen);
    }
}

/// Nothing is kept here: who asks second is not shown what was answered first.
#[tokio::test(flavor = "multi_thread")]
async fn t102_answers_are_not_reused_for_other_users() {
    let echo = Echo::answering("Cache-Control: public, max-age=3600\r\nETag: \"x\"\r\n").await;
    let site = Site::before_one(echo.address);
    for user in ["alice", "bob", "alice"] {
        let cookie = site.session_of(user).await;
        let answer = site.get("/x", &[&cookie]).await;
        assert_eq!(header(answer.text(), "x-forwarded-user"), Some(user));
        assert_eq!(site.get("/public/x", &[]).await.status, 200);
    }
    assert_eq!(echo.take().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_lengths_that_are_not_plain_digits_or_overflow_are_refused() {
    all_refused(&["Content-Length: +5", "Content-Length: -1", "Content-Length: 0x5", "Content-Length: 5a"], "abcde")
        .await;
    all_refused(
        &[
            "Content-Length: 5 5", "Content-Length: 5,5", "Content-Length: 5, 6",
            "Content-Length: 5\r\nContent-Length: 5",
        ],
        "abcde",
    )
    .await;
    let huge = ["ffffffffffffffff0", "10000000000000005", "fffffffffffffffff", "+5", "-5", "0x5", "5g"];
    for size in huge {
        let outcome = post("Transfer-Encoding: chunked\r\n", &format!("{size}\r\nabcde\r\n0\r\n\r\n")).await;
        let whole = outcome.seen.iter().any(|request| request.ends_with("0\r\n\r\n"));
        assert!(outcome.status() != 200 && !whole, "{size:?}: {} {:?}", outcome.status(), outcome.seen);
    }
    let get = raw("GET /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nabcde").await;
    assert_eq!((get.status(), get.seen.len()), (200, 1));
    assert!(get.seen[0].ends_with("\r\n\r\nabcde"), "a body belongs to its request: {:?}", get.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_without_a_size_are_refused() {
    for size in ["", " "] {
        let outcome = post("Transfer-Encoding: chunked\r\n", &format!("{size}\r\nabcde\r\n0\r\n\r\n")).await;
        assert!(outcome.status() != 200, "an empty size is zero: {:?}", outcome.seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t104_empty_names_and_lengths_are_refused() {
    all_refused(
        &[
            ": x",
            "Content-Length: ",
            "Content-Length:",
            "Content-Length: 99999999999999999999999999",
            "Content-Length: 18446744073709551616",
            "Content-Length: 18446744073709551615",
            "Content-Length: 9223372036854775808",
            "Content-Length: 5\r\n: x",
        ],
        SMUGGLED,
    )
    .await;
}

/// What is tolerated in a chunk's line is not passed on: the body is framed by the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn t105_odd_chunk_lines_are_refused_or_framed_again() {
    let bodies = [
        "5\nabcde\n0\n\n", "5;a=b\nabcde\r\n0\r\n\r\n", "5\r\nabcde\n0\r\n\r\n", "5;a\0b\r\nabcde\r\n0\r\n\r\n",
        "5 \r\nabcde\r\n0\r\n\r\n", "5;a=\"\n\"\r\nabcde\r\n0\r\n\r\n", "5;\r\nabcde\r\n0\r\n\r\n",
        "5;a=b\r\nabcde\r\n0\r\n\r\n", "5\r\r\nabcde\r\n0\r\n\r\n", "5\r\nabcdeXX\r\n0\r\n\r\n",
    ];
    for body in bodies {
        let outcome = post("Transfer-Encoding: chunked\r\n", body).await;
        for request in &outcome.seen {
            let (_, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(body.is_empty() || body == "5\r\nabcde\r\n0\r\n\r\n", "{body:?}");
        }
        assert!(outcome.status() == 200 || outcome.status() >= 400 || outcome.answers.is_empty(), "{body:?}");
    }
    let spilt = post("Transfer-Encoding: chunked\r\n", "5\r\nabcdeXX\r\n0\r\n\r\n").await;
    assert_ne!(spilt.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn t106_chunk_extensions_are_not_forwarded() {
    let (site, echo) = open_site_with(BODY_TIMEOUT).await;
    let modest = format!("1;{}\r\na\r\n", "e".repeat(100)).repeat(5);
    let head = request("POST", "/x", &["Transfer-Encoding: chunked"], "");
    let outcome = send(&site, &echo, format!("{head}{modest}0\r\n\r\n").as_bytes()).await;
    assert_eq!((outcome.status(), outcome.seen.len()), (200, 1));
    let seen = &outcome.seen[0];
    assert!(!seen.contains("eee") && seen.ends_with("\r\n0\r\n\r\n"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunk_extensions_have_a_limit() {
    let (site, echo) = open_site_with(BODY_TIMEOUT).await;
    let head = request("POST", "/x", &["Transfer-Encoding: chunked"], "");
    let large = format!("1;{}\r\na\r\n", "e".repeat(8 * 1024)).repeat(100);
    let outcome = send(&site, &echo, format!("{head}{large}0\r\n\r\n").as_bytes()).await;
    assert_ne!(outcome.status(), 200, "100 bytes came with 800 KiB of extensions");
}

/// The application is asked before the client sends, and its answer is forwarded. No other expectation is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn t107_expect_continue_is_between_client_and_application() {
    let strict = upstream::start(async |mut connection, _| {
        while let Some(head) = connection.head().await {
            assert_eq!(header(&head, "expect"), Some("100-continue"));
            if head.starts_with("POST /public/refused") {
                return connection.answer(413, "Connection: close\r\n", "").await;
            }
            connection.write("HTTP/1.1 100 Continue\r\n\r\n").await;
            let body = connection.exactly(5).await.unwrap();
            connection.answer(200, "", &body).await;
        }
    })
    .await;
    let site = Site::before_one(strict);
    let head =
        |path| format!("POST {path} HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let mut client = site.client().await;
    client.say(&head("/public/x")).await;
    assert_eq!(client.one_answer(false).await.unwrap().status, 100);
    client.say("hello").await;
    assert_eq!(client.one_answer(false).await.unwrap().text(), "hello");
    let mut client = site.client().await;
    client.say(&head("/public/refused")).await;
    assert_eq!(client.one_answer(false).await.unwrap().status, 413, "before the body is sent");
    for odd in ["foo", "100-continue, x", "y 100-continue", "100-continue;q=1", "200-ok", ""] {
        let outcome = post(&format!("Expect: {odd}\r\nContent-Length: 5\r\n"), "abcde").await;
        assert!(outcome.is_refused() && outcome.status() == 417, "{odd:?}: {}", outcome.status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t108_bytes_after_a_connect_are_not_forwarded() {
    for target in ["app.test:443", "app.test:80", "/x", "*"] {
        let outcome = raw(&format!("CONNECT {target} HTTP/1.1\r\nHost: app.test\r\n\r\n{SMUGGLED}")).await;
        assert!(outcome.is_refused() && matches!(outcome.status(), 400 | 405), "{target}: {}", outcome.status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t109_only_websocket_is_tunnelled() {
    for protocol in ["h2c", "TLS/1.0", "websocket, h2c", "HTTP/2.0", "foo"] {
        let lines = format!(
            "Upgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        );
        let outcome = raw(&format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n{SMUGGLED}")).await;
        assert_ne!(outcome.status(), 101, "{protocol}");
        for request in &outcome.seen {
            assert_eq!((folded(request, "upgrade"), folded(request, "http2-settings")), (0, 0), "{request}");
        }
    }
}

/// 2^31 is left out: such a body takes minutes here, and 64 MiB pass in tests/it/site/bodies.rs.
#[tokio::test(flavor = "multi_thread")]
async fn t116_sizes_around_powers_of_two_are_intact() {
    let (site, echo) = Site::with_echo().await;
    for length in [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, (1 << 15) - 1, 1 << 15, 255, 256, 257] {
        let body = "x".repeat(length);
        let answer = site.ask("POST", "/public/x", &[], &body).await;
        assert_eq!(answer.status, 200, "{length}");
        assert!(the_one(&echo).ends_with(&format!("\r\n\r\n{body}")), "{length}");
        assert!(answer.text().ends_with(&body), "and back: {length}");
        let head = request("POST", "/public/x", &["Transfer-Encoding: chunked"], "");
        let chunked = format!("{head}{length:x}\r\n{body}\r\n0\r\n\r\n");
        assert_eq!(site.client().await.exchange(&chunked).await.status, 200);
        let seen = the_one(&echo);
        assert_eq!(seen.matches('x').count() - seen.split("\r\n\r\n").next().unwrap().matches('x').count(), length);
    }
    for length in [255, 256, 257, 4095, 4096, 4097, 8191, 8192] {
        let line = format!("X-Long: {}", "x".repeat(length));
        assert_eq!(site.get("/public/x", &[&line]).await.status, 200, "{length}");
        assert_eq!(header(&the_one(&echo), "x-long").map(str::len), Some(length));
    }
    for length in [(1 << 16) - 1, 1 << 16, (1 << 16) + 1] {
        let line = format!("X-Long: {}", "x".repeat(length));
        let answer = site.get("/public/x", &[&line]).await;
        let whole = echo.take().iter().all(|request| header(request, "x-long").map(str::len) == Some(length));
        assert!(whole && matches!(answer.status, 200 | 400 | 431), "{length}: {}", answer.status);
    }
}

/// What has no body has none, whatever its head says.
#[tokio::test(flavor = "multi_thread")]
async fn t125_answers_without_a_body_keep_their_framing() {
    let app = upstream::start(async |mut connection, _| {
        while let Some(head) = connection.request().await {
            match head.split(' ').nth(1).unwrap() {
                "/public/204" => connection.write("HTTP/1.1 204 No Content\r\n\r\n").await,
                "/public/304" => {
                    connection.write("HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 9\r\n\r\n").await
                }
                "/public/head" => connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await,
                "/public/until-close" => return connection.write("HTTP/1.0 200 OK\r\n\r\nuntil the end").await,
                _ => connection.answer(200, "", "ok").await,
            }
        }
    })
    .await;
    let site = Site::before_one(app);
    let mut client = site.client().await;
    let cases = [
        ("GET", "/public/204", 204, ""),
        ("GET", "/public/x", 200, "ok"),
        ("GET", "/public/304", 304, ""),
        ("GET", "/public/x", 200, "ok"),
        ("HEAD", "/public/head", 200, ""),
        ("GET", "/public/x", 200, "ok"),
        ("HEAD", "/login", 200, ""),
        ("HEAD", "/logout", 405, ""),
        ("HEAD", "/.exeunt/goodbye", 200, ""),
        ("HEAD", "/x", 401, ""),
        ("HEAD", "/%2f", 400, ""),
        ("GET", "/public/x", 200, "ok"),
        ("GET", "/public/until-close", 200, "until the end"),
        ("GET", "/public/x", 200, "ok"),
    ];
    for (method, target, status, body) in cases {
        let answer = client.exchange(&request(method, target, &[], "")).await;
        assert_eq!((answer.status, answer.text()), (status, body), "{method} {target}");
    }
}
