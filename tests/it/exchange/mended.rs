//! Answers that are a little wrong: old applications are understood, but what comes behind such an answer is not read.

use super::bench::{get, says};

const HELLO: &str = "Content-Length: 5\r\n\r\nhello";

/// A line that is folded is still one line: nothing hides in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_fold_hides_nothing() {
    let cookie = format!("HTTP/1.1 200 OK\r\nSet-Cookie:\r\n exeunt=x\r\nX: a\r\n Set-Cookie: exeunt=y\r\n{HELLO}");
    let answer = get(says(&cookie)).await.answer.unwrap();
    assert_eq!(answer.headers("set-cookie"), [""; 0]);
    assert_eq!(answer.header("x"), Some("a Set-Cookie: exeunt=y"));
    let length = get(says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\nhello")).await.answer.unwrap();
    assert_eq!(length.status, 502);
}

/// More than the answer came: it is nobody's, and the connection goes with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_behind_an_answer_is_not_read() {
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
