//! T117: applications that answer nonsense, or too much of it. The client gets 502, or a clean answer; no exchange
//! hangs, and a connection that was spoilt is not used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;

use super::answer::{Answer, request};
use super::harness::Site;
use crate::upstream;

/// An application that answers every request with these bytes and keeps the connection open, as long as it lasts.
async fn answering(bytes: Arc<[u8]>) -> (Site, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let app = upstream::start(move |mut connection, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let bytes = Arc::clone(&bytes);
        async move {
            while connection.request().await.is_some() {
                // The gateway may have had enough before the end.
                let _ = connection.stream.write_all(&bytes).await;
            }
        }
    })
    .await;
    (Site::before_one(app), connections)
}

/// One exchange: the final answer, or `None` where the connection was closed before its end.
async fn ask(site: &Site) -> Option<Answer> {
    let mut client = site.client().await;
    let page = request("GET", "/public/x", &[], "");
    client.say(&page).await;
    client.reply_to(&page).await
}

#[tokio::test(flavor = "multi_thread")]
async fn t117_malformed_answer_is_502_and_its_connection_is_closed() {
    let ok = "Content-Length: 5\r\n\r\nhello";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no HTTP", b"220 mail.example.com ESMTP\r\n\r\n".to_vec()),
        ("another version", format!("HTTP/2.0 200 OK\r\n{ok}").into_bytes()),
        ("a status of letters", format!("HTTP/1.1 2x0 OK\r\n{ok}").into_bytes()),
        ("a status of two digits", format!("HTTP/1.1 20 OK\r\n{ok}").into_bytes()),
        ("a status below 100", format!("HTTP/1.1 099 OK\r\n{ok}").into_bytes()),
        ("two lengths", format!("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n{ok}").into_bytes()),
        ("a list of lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello".to_vec()),
        ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello".to_vec()),
        ("no colon", format!("HTTP/1.1 200 OK\r\nnonsense\r\n{ok}").into_bytes()),
        ("NUL in a value", format!("HTTP/1.1 200 OK\r\nX: a\0b\r\n{ok}").into_bytes()),
        ("a bare CR in a value", format!("HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: exeunt=x\r\n{ok}").into_bytes()),
        ("switching what nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_vec()),
        ("a head of 10 MB", format!("HTTP/1.1 200 OK\r\nX: {}\r\n{ok}", "x".repeat(10_000_000)).into_bytes()),
        ("a million lines", format!("HTTP/1.1 200 OK\r\n{}{ok}", "X: y\r\n".repeat(1_000_000)).into_bytes()),
        ("interim answers without end", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n".repeat(100_000).into_bytes()),
    ];
    for (name, bytes) in cases {
        let (site, connections) = answering(bytes.into()).await;
        for round in 1..=2 {
            let answer = ask(&site).await.unwrap_or_else(|| panic!("{name}: no answer"));
            assert_eq!((answer.status, &answer.json()["error"]), (502, &"upstream_broken".into()), "{name}");
            assert_eq!(connections.load(Ordering::SeqCst), round, "{name}: a new connection each time");
        }
    }
}

/// Answers that contradict themselves but have a reading: the client gets that reading alone, the rest is dropped with
/// the connection.
#[tokio::test(flavor = "multi_thread")]
async fn odd_answer_is_cleaned_or_its_connection_is_closed() {
    let cases: [(&str, &str, &[&str]); 5] = [
        (
            "a length and chunks, and more than the chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nmore",
            &["hello"],
        ),
        ("more than was announced", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, HTTP/1.1 200 OK", &["hello"]),
        ("a body that must not be", "HTTP/1.1 204 No Content\r\n\r\nhello", &[""]),
        ("a body of a 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", &[""]),
        (
            "a second answer",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            &["hello"],
        ),
    ];
    for (name, bytes, bodies) in cases {
        let (site, connections) = answering(bytes.as_bytes().into()).await;
        for round in 1..=2 {
            let answer = ask(&site).await.unwrap_or_else(|| panic!("{name}: no answer"));
            assert!(answer.status == 502 || bodies.contains(&answer.text()), "{name}: {answer:?}");
            assert!(answer.header("content-length").is_none() || answer.header("transfer-encoding").is_none());
            assert_eq!(connections.load(Ordering::SeqCst), round, "{name}: a new connection each time");
        }
    }
}

/// Chunks that are none, after the head was passed on: the client learns by the close that this is not the whole.
#[tokio::test(flavor = "multi_thread")]
async fn broken_body_is_not_forwarded_as_complete() {
    for body in ["5\r\nhello\r\nzz\r\n", "5\r\nhelloworld\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n"] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let (site, connections) = answering(bytes.into_bytes().into()).await;
        for round in 1..=2 {
            let answer = ask(&site).await;
            assert!(answer.is_none_or(|answer| answer.status == 502), "{body:?}");
            assert_eq!(connections.load(Ordering::SeqCst), round, "{body:?}");
        }
    }
}

/// A few hints are welcome, and each is passed on before the answer.
#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_pass() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(3);
    let bytes = format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let (site, _) = answering(bytes.into_bytes().into()).await;
    let mut client = site.client().await;
    client.say(&request("GET", "/public/x", &[], "")).await;
    for status in [103, 103, 103, 200] {
        assert_eq!(client.one_answer(false).await.unwrap().status, status);
    }
}
