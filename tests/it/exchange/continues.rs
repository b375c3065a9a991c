//! Bodies on their way to the application: `Expect: 100-continue`, and answers that come before the body is over.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::site::answer::request;
use crate::site::harness::Site;
use crate::upstream::{self, Connection, header};

const EXPECT: &str = "Expect: 100-continue";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Reads a body of five bytes after saying `first`, and answers with it.
async fn echo_five(mut connection: Connection, first: &'static str) {
    while let Some(head) = connection.head().await {
        let length = upstream::content_length(&head);
        connection.write(first).await;
        let Some(body) = connection.exactly(length).await else { return };
        connection.answer(200, "", &body).await;
    }
}

/// Who asks is told; who does not is not, whatever the application says.
#[tokio::test(flavor = "multi_thread")]
async fn status_100_is_forwarded_to_clients_that_expect_it() {
    let site = Site::before_one(upstream::start(|connection, _| echo_five(connection, CONTINUE)).await);
    let mut client = site.client().await;
    for _ in 0..2 {
        client.say(&request("POST", "/public/x", &[EXPECT, "Content-Length: 5"], "")).await;
        assert_eq!(client.one_answer(false).await.unwrap().status, 100);
        client.say("hello").await;
        assert_eq!(client.one_answer(false).await.unwrap().text(), "hello");
        client.say(&request("POST", "/public/x", &[], "hello")).await;
        let answer = client.one_answer(false).await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, "hello"));
    }
}

/// Who does not wait for it need not get it, and an application may do without saying it.
#[tokio::test(flavor = "multi_thread")]
async fn body_sent_without_waiting_for_100_is_accepted() {
    for first in ["", CONTINUE] {
        let site = Site::before_one(upstream::start(move |connection, _| echo_five(connection, first)).await);
        let mut client = site.client().await;
        for _ in 0..2 {
            let answer = client.exchange(&request("POST", "/public/x", &[EXPECT], "hello")).await;
            assert_eq!((answer.status, answer.text()), (200, "hello"));
        }
        client
            .say("POST /public/x HTTP/1.0\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            .await;
        client.say("hello").await;
        let all = client.rest().await;
        assert!(all.matches("HTTP/1.").count() == 1 && all.ends_with("\r\n\r\nhello"), "{all}");
    }
}

/// An application that has heard enough is heard, and nothing that its client still sends is taken for a request.
#[tokio::test(flavor = "multi_thread")]
async fn early_answer_is_forwarded_at_once() {
    const SMUGGLED: &str = "GET /public/smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        for close in ["", "Connection: close\r\n"] {
            let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
            let log = Arc::clone(&seen);
            let app = upstream::start(move |mut connection, _| {
                let log = Arc::clone(&log);
                async move {
                    let head = connection.head().await.unwrap();
                    log.lock().unwrap().push(head);
                    connection.answer(413, close, "too much").await;
                    // What still comes is read, as a careful server does.
                    while connection.exactly(1).await.is_some() {}
                }
            })
            .await;
            let site = Site::before_one(app);
            let mut client = site.client().await;
            client.say(&request("POST", "/public/x", &[framing], "")).await;
            let answer = client.one_answer(false).await.unwrap();
            assert_eq!((answer.status, answer.text()), (413, "too much"), "{framing}");
            // It may go on sending, or be closed on: it is answered nothing more for a body.
            let _ = client.stream.write_all(SMUGGLED.as_bytes()).await;
            let _ = client.stream.shutdown().await;
            let rest = client.rest().await;
            assert!(!rest.contains("HTTP/1.1 2"), "{framing}: {rest}");
            let seen = seen.lock().unwrap();
            assert!(seen.iter().all(|head| head.starts_with("POST /public/x ")), "{seen:?}");
        }
    }
}

/// An application that answers while it reads: both ways flow at the same time, to the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_begin_before_the_body_is_over() {
    let app = upstream::start(|mut connection, _| async move {
        while connection.head().await.is_some() {
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await;
            for _ in 0..2 {
                let Some(piece) = connection.exactly(5).await else { return };
                connection.write(&piece).await;
            }
        }
    })
    .await;
    let site = Site::before_one(app);
    for _ in 0..2 {
        let mut client = site.client().await;
        client.say(&request("POST", "/public/x", &["Content-Length: 10"], "")).await;
        let head = client.answer_head().await.unwrap();
        // It is not known yet whether the whole body will be read.
        assert!(head.contains("Connection: close\r\n"), "{head}");
        for piece in ["hello", "world"] {
            client.say(piece).await;
            assert_eq!(client.bytes(5).await.unwrap(), piece.as_bytes());
        }
    }
}

/// What the client sends reaches the application as it comes, and does not wait for the end.
#[tokio::test(flavor = "multi_thread")]
async fn body_is_streamed_to_the_upstream() {
    let came = Arc::new(Semaphore::new(0));
    let note = Arc::clone(&came);
    let app = upstream::start(move |mut connection, _| {
        let note = Arc::clone(&note);
        async move {
            let head = connection.head().await.unwrap();
            let chunked = header(&head, "transfer-encoding").is_some();
            for piece in ["hel", "lo"] {
                let framed = if chunked { format!("{:x}\r\n{piece}\r\n", piece.len()) } else { piece.to_owned() };
                assert_eq!(connection.exactly(framed.len()).await.unwrap(), framed);
                note.add_permits(1);
            }
            if chunked {
                assert_eq!(connection.exactly(5).await.unwrap(), "0\r\n\r\n");
            }
            connection.answer(200, "", "ok").await;
        }
    })
    .await;
    for (framing, first, second) in [
        ("Content-Length: 5", "hel", "lo"),
        ("Transfer-Encoding: chunked", "3;x=y\r\nhel\r\n", "02\r\nlo\r\n0\r\nX-Sum: 5\r\n\r\n"),
    ] {
        let site = Site::before_one(app);
        let mut client = site.client().await;
        client.say(&request("POST", "/public/x", &[framing], "")).await;
        client.say(first).await;
        crate::server::client::within(came.acquire()).await.unwrap().forget();
        client.say(second).await;
        crate::server::client::within(came.acquire()).await.unwrap().forget();
        assert_eq!(client.one_answer(false).await.unwrap().text(), "ok", "{framing}");
    }
}
