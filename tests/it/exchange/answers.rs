//! Answers are framed by the gateway: one length, or chunks, or the end of the connection, and nothing that belongs to
//! the application's own connection.

use super::harness::{Script, ask, get, says, says_and_closes, site_of};
use crate::site::answer::Answer;

/// How the client is told where the body ends.
fn framing(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("content-length"), answer.header("transfer-encoding"))
}

const HELLO: &str = "Content-Length: 5\r\n\r\nhello";
const CHUNKS: &str = "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";

/// Whatever the application says of its connection, the client's goes on.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_connection_options_do_not_reach_the_client() {
    let measured = (Some("5"), None);
    let chunked = (None, Some("chunked"));
    let cases: [(&str, Script, (Option<&str>, Option<&str>), bool); 11] = [
        ("a length", says(&format!("HTTP/1.1 200 OK\r\n{HELLO}")), measured, true),
        ("chunks", says(&format!("HTTP/1.1 200 OK\r\n{CHUNKS}")), chunked, true),
        ("close", says_and_closes(&format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{HELLO}")), measured, false),
        (
            "close that is only said",
            says(&format!("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n{HELLO}")),
            measured,
            false,
        ),
        ("chunks and close", says(&format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{CHUNKS}")), chunked, false),
        ("a close that is not said", says_and_closes(&format!("HTTP/1.1 200 OK\r\n{HELLO}")), measured, false),
        ("an old one", says(&format!("HTTP/1.0 200 OK\r\n{HELLO}")), measured, false),
        (
            "an old one that keeps",
            says(&format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n{HELLO}")),
            measured,
            true,
        ),
        ("until it closes", says_and_closes("HTTP/1.1 200 OK\r\n\r\nhello"), chunked, false),
        ("an old one until it closes", says_and_closes("HTTP/1.0 200 OK\r\n\r\nhello"), chunked, false),
        ("a limit of its own", says(&format!("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\n{HELLO}")), measured, true),
    ];
    for (name, script, framed, reused) in cases {
        let outcome = get(script).await;
        let answer = outcome.answer.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!((answer.status, answer.text(), framing(&answer)), (200, "hello", framed), "{name}");
        assert_eq!((outcome.kept, outcome.reused), (true, reused), "{name}");
    }
}

/// The framing of chunks ends here: extensions, trailers, sizes as they were written.
#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_framed_again() {
    let bodies = [
        "5;a=b\r\nhello\r\n0;last\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-Sum: 5\r\nSet-Cookie: exeunt=x\r\n\r\n",
        "00000005\r\nhello\r\n000\r\n\r\n",
        "1\r\nh\r\n4;x=\"y\"\r\nello\r\n0\r\n\r\n",
    ];
    for body in bodies {
        let head = "HTTP/1.1 200 OK\r\nTrailer: X-Sum, Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n";
        let outcome = get(says(&format!("{head}{body}"))).await;
        let answer = outcome.answer.unwrap();
        assert_eq!((answer.text(), framing(&answer)), ("hello", (None, Some("chunked"))), "{body:?}");
        assert!(outcome.kept && outcome.reused, "{body:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_to_head_keeps_the_content_length() {
    let cases = [
        ("Content-Length: 9\r\n", Some("9"), true),
        ("Transfer-Encoding: chunked\r\n", None, true),
        ("", None, true),
        ("Content-Length: 9\r\nConnection: close\r\n", Some("9"), false),
    ];
    for (lines, length, reused) in cases {
        let site = site_of(says(&format!("HTTP/1.1 200 OK\r\nETag: x\r\n{lines}\r\n"))).await;
        let outcome = ask(&site, "HEAD", &[]).await;
        let answer = outcome.answer.unwrap();
        assert_eq!((answer.status, answer.header("content-length")), (200, length), "{lines:?}");
        assert_eq!((answer.header("etag"), outcome.kept, outcome.reused), (Some("x"), true, reused), "{lines:?}");
    }
}

/// No content has no framing, and what does not change has no body.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_have_no_body_have_none() {
    let cases: [(&str, bool); 8] = [
        ("204 No Content\r\n", true),
        ("204 No Content\r\nContent-Length: 0\r\n", true),
        ("204 No Content\r\nContent-Length: 5\r\n", false),
        ("204 No Content\r\nTransfer-Encoding: chunked\r\n", false),
        ("304 Not Modified\r\n", true),
        ("304 Not Modified\r\nContent-Length: 9\r\n", true),
        ("304 Not Modified\r\nTransfer-Encoding: chunked\r\n", false),
        ("200 OK\r\nContent-Length: 0\r\n", true),
    ];
    for (head, reused) in cases {
        let outcome = get(says(&format!("HTTP/1.1 {head}ETag: x\r\n\r\n"))).await;
        let answer = outcome.answer.unwrap_or_else(|| panic!("{head:?}: no answer"));
        assert_eq!((answer.text(), answer.header("transfer-encoding"), answer.header("etag")), ("", None, Some("x")));
        assert!(answer.status != 204 || answer.header("content-length").is_none(), "{head:?}: {}", answer.head);
        assert!(answer.status != 304 || matches!(answer.header("content-length"), None | Some("9")), "{head:?}");
        assert_eq!((outcome.kept, outcome.reused), (true, reused), "{head:?}");
    }
}

/// What is between two hops stays there, and so does what the application nominates.
#[tokio::test(flavor = "multi_thread")]
async fn hop_by_hop_fields_are_not_forwarded() {
    let lines = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTrailer: X-Sum\r\n\
                 Proxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\nX-End: 2\r\n";
    let outcome = get(says(&format!("HTTP/1.1 200 OK\r\n{lines}{HELLO}"))).await;
    let answer = outcome.answer.unwrap();
    for name in ["x-hop", "keep-alive", "trailer", "proxy-connection", "te", "upgrade"] {
        assert_eq!(answer.header(name), None, "{}", answer.head);
    }
    assert!(answer.header("connection").is_none_or(|value| value == "keep-alive"), "{}", answer.head);
    assert_eq!((answer.header("x-end"), outcome.kept, outcome.reused), (Some("2"), true, true));
}

/// Everything else is.
#[tokio::test(flavor = "multi_thread")]
async fn other_fields_are_forwarded_unchanged() {
    let lines = "X-A: 1\r\nSet-Cookie: a=1\r\nX-Empty:\r\nX-A: 2\r\nx-latin: \u{e9}\"\t,;\r\n\
                 Set-Cookie: b=2; Path=/\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: old\r\n";
    let outcome = get(says(&format!("HTTP/1.1 200 OK\r\n{lines}{HELLO}"))).await;
    let answer = outcome.answer.unwrap();
    assert_eq!(answer.headers("x-a"), ["1", "2"]);
    assert_eq!(answer.headers("set-cookie"), ["a=1", "b=2; Path=/"]);
    assert_eq!(answer.header("x-latin"), Some("\u{e9}\"\t,;"));
    assert_eq!(answer.headers("date"), ["Thu, 01 Jan 1970 00:00:00 GMT"]);
    assert_eq!(answer.headers("server"), ["old"]);
    assert!(answer.head.to_ascii_lowercase().contains("x-empty:"), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_is_forwarded() {
    for (line, status) in [("226 IM Used", 226), ("451", 451), ("599 ", 599), ("299 a  b", 299), ("307 \u{e9}", 307)] {
        let outcome = get(says(&format!("HTTP/1.1 {line}\r\n{HELLO}"))).await;
        assert_eq!(outcome.answer.map(|answer| answer.status), Some(status), "{line}");
        assert!(outcome.kept && outcome.reused, "{line}");
    }
}

/// An answer that breaks off is not delivered as a complete one.
#[tokio::test(flavor = "multi_thread")]
async fn truncated_body_is_not_completed() {
    let cases = [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
    ];
    for body in cases {
        let outcome = get(says_and_closes(&format!("HTTP/1.1 200 OK\r\n{body}"))).await;
        assert!(outcome.answer.is_none_or(|answer| answer.status == 502) && !outcome.reused, "{body:?}");
    }
}
