//! Answers that are a little wrong: old applications are understood, but what comes behind such an answer is not read.

use super::harness::{get, says, says_and_closes};

const HELLO: &str = "Content-Length: 5\r\n\r\nhello";

/// Head and body, and what the client gets under `X`.
#[tokio::test(flavor = "multi_thread")]
async fn folded_lines_of_old_programs_are_accepted() {
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let cases: [(String, &str); 16] = [
        (format!("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n{HELLO}"), "a b"),
        (format!("HTTP/1.1 200 OK\r\nX: a\r\n\t b \r\n c\r\n{HELLO}"), "a b c"),
        (format!("HTTP/1.1 200 OK\r\nX:\r\n a\r\n{HELLO}"), "a"),
        ("HTTP/1.1 200 OK\nX: a\nContent-Length: 5\n\nhello".to_owned(), "a"),
        (format!("HTTP/1.1 200 OK\r\nX: a\n{HELLO}"), "a"),
        (format!("HTTP/1.1 200 OK\r\nX : a\r\n{HELLO}"), "a"),
        (format!("HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 5\r\n{HELLO}"), "a"),
        ("HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 5, 5\r\n\r\nhello".to_owned(), "a"),
        ("HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 05\r\n\r\nhello".to_owned(), "a"),
        (format!("HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: identity\r\n{HELLO}"), "a"),
        (format!("HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n{chunks}"), "a"),
        (format!("HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"), "a"),
        (
            format!("HTTP/1.0 200 OK\r\nX: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
            "a",
        ),
        ("HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: chunked\r\n\r\n5   \r\nhello\r\n0\r\n\r\n".to_owned(), "a"),
        ("HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n".to_owned(), "a"),
        (format!("HTTP/1.1 200\r\nX: a\r\nConnection: y,\r\n close\r\n{HELLO}"), "a"),
    ];
    for (bytes, value) in cases {
        let outcome = get(says(&bytes)).await;
        let answer = outcome.answer.unwrap_or_else(|| panic!("{bytes:?}: no answer"));
        assert_eq!((answer.status, answer.text(), answer.header("x")), (200, "hello", Some(value)), "{bytes:?}");
        assert!(answer.header("content-length").is_none() || answer.header("transfer-encoding").is_none());
        assert!(answer.header("transfer-encoding").is_none_or(|coding| coding == "chunked"), "{bytes:?}");
        assert_eq!((outcome.kept, outcome.reused), (true, false), "{bytes:?}");
    }
    let until_close = get(says_and_closes("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello")).await;
    assert_eq!(until_close.answer.unwrap().text(), "hello");
}

/// A line that is folded is still one line: nothing hides in it.
#[tokio::test(flavor = "multi_thread")]
async fn folded_line_cannot_hide_a_field() {
    let cookie = format!("HTTP/1.1 200 OK\r\nSet-Cookie:\r\n exeunt=x\r\nX: a\r\n Set-Cookie: exeunt=y\r\n{HELLO}");
    let answer = get(says(&cookie)).await.answer.unwrap();
    assert_eq!(answer.headers("set-cookie"), [""; 0]);
    assert_eq!(answer.header("x"), Some("a Set-Cookie: exeunt=y"));
    let length = get(says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\nhello")).await.answer.unwrap();
    assert_eq!(length.status, 502);
}

/// An answer that programs could read in different ways is refused.
#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_answer_is_502() {
    let cases = [
        "X: a\rb\r\nContent-Length: 5\r\n",
        "X: a\0b\r\nContent-Length: 5\r\n",
        "X: \u{1b}[1m\r\nContent-Length: 5\r\n",
        " X: a\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 6\r\nContent-Length: 5\r\n",
        "Content-Length: 5,\r\n",
        "Content-Length: x\r\n",
        "Content-Length:\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "no colon\r\nContent-Length: 5\r\n",
        ": x\r\nContent-Length: 5\r\n",
    ];
    for lines in cases {
        let outcome = get(says(&format!("HTTP/1.1 200 OK\r\n{lines}\r\nhello"))).await;
        let answer = outcome.answer.unwrap_or_else(|| panic!("{lines:?}: no answer"));
        assert_eq!((answer.status, &answer.json()["error"]), (502, &"upstream_broken".into()), "{lines:?}");
        assert!(!outcome.reused, "{lines:?}");
    }
}

/// What comes after the end of an answer is discarded, and the connection is closed.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_an_answer_are_discarded() {
    let second = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let answers = [
        format!("HTTP/1.1 200 OK\r\n{HELLO}"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
    ];
    for first in answers {
        for behind in [second, "x", "\r\n"] {
            let outcome = get(says(&format!("{first}{behind}"))).await;
            assert_eq!(outcome.answer.unwrap().text(), "hello", "{first:?} {behind:?}");
            assert!(outcome.kept && !outcome.reused, "{first:?} {behind:?}");
        }
    }
    for head in ["204 No Content\r\n\r\nhello", "304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"] {
        let outcome = get(says(&format!("HTTP/1.1 {head}"))).await;
        assert_eq!(outcome.answer.map(|answer| answer.body), Some(Vec::new()), "{head:?}");
        assert!(outcome.kept && !outcome.reused, "{head:?}");
    }
}
