//! It does not matter in which pieces bytes come: one by one, both ways, everything is the same.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use crate::site::answer::{Answer, request};
use crate::site::harness::{FORM, PASSWORD, Site};
use crate::upstream;

/// Sends byte by byte, each in a packet of its own.
async fn trickle(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        // The other side has a chance to read what there is.
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_come_byte_by_byte() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let chunked = request("POST", "/x?y", &[&alice, "Transfer-Encoding: chunked"], "");
    let requests = [
        request("GET", "/x?y", &[&alice, "X-A: b", "Accept: text/html"], ""),
        request("POST", "/x?y", &[&alice], "hello\r\n\r\n"),
        chunked + "3;a=b\r\nhel\r\n0002\r\nlo\r\n0\r\nX: y\r\n\r\n",
        request("PUT", "/x?y", &[&alice], &"0123456789".repeat(100)),
    ];
    let mut whole = site.client().await;
    let mut by_bytes = site.client().await;
    by_bytes.stream.set_nodelay(true).unwrap();
    for text in requests {
        whole.exchange(&text).await;
        trickle(&mut by_bytes.stream, text.as_bytes()).await;
        assert_eq!(by_bytes.reply_to(&text).await.unwrap().status, 200, "{text:?}");
        let seen = echo.take().into_iter().map(|seen| plain(&seen)).collect::<Vec<_>>();
        assert!(seen.len() == 2 && seen[0] == seen[1], "{seen:?}");
    }
}

/// A request with its body in one piece: how it was divided into chunks is not compared.
fn plain(raw: &str) -> (String, String) {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return (head.to_owned(), body.to_owned());
    }
    let mut rest = body;
    let mut joined = String::new();
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            assert_eq!(behind, "\r\n", "no trailers");
            break;
        }
        joined += &behind[..size];
        rest = &behind[size + 2..];
    }
    (head.to_owned(), joined)
}

#[tokio::test(flavor = "multi_thread")]
async fn own_pages_are_served_to_requests_sent_byte_by_byte() {
    let (site, _echo) = Site::with_echo().await;
    let form = format!("username=alice&password={}", PASSWORD.replace(' ', "+"));
    let texts = [
        (request("POST", "/login", &[FORM], &form), 303),
        (request("GET", "/login", &[], ""), 200),
        (request("GET", "/x", &[], ""), 401),
        (request("POST", "/logout", &[], ""), 200),
    ];
    let mut client = site.client().await;
    for (text, status) in texts {
        trickle(&mut client.stream, text.as_bytes()).await;
        let answer = client.reply_to(&text).await.unwrap();
        assert_eq!(answer.status, status, "{text:?}");
        if answer.header("connection") == Some("close") {
            client = site.client().await;
        }
    }
}

/// An answer, and whether the connection ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn answers_come_byte_by_byte() {
    let cases: [(&str, bool, &str); 8] = [
        ("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello", false, "hello"),
        (
            "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\nhel\r\n02\r\nlo\r\n0\r\nX: y\r\n\r\n",
            false,
            "hello",
        ),
        ("HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello", true, "hello"),
        ("HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello", true, "hello"),
        ("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", false, ""),
        ("HTTP/1.1 304 Not Modified\r\nX: y\r\nContent-Length: 9\r\n\r\n", false, ""),
        ("HTTP/1.1 200 OK\nX:\n  y\nContent-Length: 5\n\nhello", false, "hello"),
        (
            "HTTP/1.1 103 X\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello",
            false,
            "hello",
        ),
    ];
    for (bytes, closes, body) in cases {
        let site = trickling(bytes, closes).await;
        let mut client = site.client().await;
        for _ in 0..2 {
            let answer: Answer = client.exchange(&request("GET", "/public/x", &[], "")).await;
            assert_eq!((answer.text(), answer.header("x")), (body, Some("y")), "{bytes:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_answer_is_502_in_any_segmentation() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "220 ESMTP\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n",
    ] {
        let site = trickling(bytes, false).await;
        let answer = site.get("/public/x", &[]).await;
        assert_eq!((answer.status, &answer.json()["error"]), (502, &"upstream_broken".into()), "{bytes:?}");
    }
}

async fn trickling(bytes: &str, closes: bool) -> Site {
    let bytes: Arc<str> = bytes.into();
    let app = upstream::start(move |mut connection, _| {
        let bytes = Arc::clone(&bytes);
        async move {
            while connection.request().await.is_some() {
                trickle(&mut connection.stream, bytes.as_bytes()).await;
                if closes {
                    return;
                }
            }
        }
    })
    .await;
    Site::before_one(app)
}

/// A whole conversation in the smallest pieces: what is echoed is what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn both_directions_in_pieces_at_once() {
    let app = upstream::start(|mut connection, _| async move {
        while let Some(whole) = connection.raw_request().await {
            let body = whole.split_once("\r\n\r\n").unwrap().1;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            trickle(&mut connection.stream, answer.as_bytes()).await;
        }
    })
    .await;
    let site = Site::before_one(app);
    let echo: Vec<String> = (0..5).map(|at| at.to_string().repeat(at * 50)).collect();
    let mut client = site.client().await;
    for body in echo {
        let text = request("POST", "/public/x", &[], &body);
        trickle(&mut client.stream, text.as_bytes()).await;
        assert_eq!(client.reply_to(&text).await.unwrap().text(), body);
    }
}
