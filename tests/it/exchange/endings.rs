//! How exchanges and connections end: `Connection: close`, a close without it, and clients that continue to send.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use super::harness::{ask, says, says_and_closes, site_of};
use crate::server::client::within;
use crate::site::answer::request;
use crate::site::harness::Site;
use crate::upstream;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A client that says `close` is told so too, and its connection ends behind the answer; the application's goes on.
#[tokio::test(flavor = "multi_thread")]
async fn connection_close_is_honoured() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for lines in
        [&["Connection: close"][..], &["Connection: x, Close"], &["Connection: keep-alive", "Connection: close"]]
    {
        for script in [says(HELLO), says(chunks)] {
            let outcome = ask(&site_of(script).await, "GET", lines).await;
            let answer = outcome.answer.unwrap();
            assert_eq!((answer.text(), answer.header("connection")), ("hello", Some("close")), "{lines:?}");
            assert!(!outcome.kept && outcome.reused, "{lines:?}");
        }
    }
    let both = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    let outcome = ask(&site_of(says_and_closes(both)).await, "GET", &["Connection: close"]).await;
    let answer = outcome.answer.unwrap();
    assert_eq!((answer.text(), answer.header("connection")), ("hello", Some("close")));
    assert!(!outcome.kept && !outcome.reused);
}

/// A connection that the application closed while it was idle is not used, whatever the method.
#[tokio::test(flavor = "multi_thread")]
async fn closed_upstream_connection_is_not_reused() {
    for (method, body) in [("GET", ""), ("POST", "hello"), ("POST", ""), ("DELETE", "")] {
        let closed = Arc::new(Semaphore::new(0));
        let requests = Arc::new(AtomicUsize::new(0));
        let (note, count) = (Arc::clone(&closed), Arc::clone(&requests));
        let app = upstream::start(move |mut connection, _| {
            let (note, count) = (Arc::clone(&note), Arc::clone(&count));
            async move {
                connection.request().await;
                count.fetch_add(1, Ordering::SeqCst);
                connection.write(HELLO).await;
                drop(connection);
                note.add_permits(1);
            }
        })
        .await;
        let site = Site::before_one(app);
        let mut client = site.client().await;
        for round in 1..=5 {
            let answer = client.exchange(&request(method, "/public/x", &[], body)).await;
            assert_eq!((answer.status, answer.text()), (200, "hello"), "{method}");
            assert_eq!(requests.load(Ordering::SeqCst), round, "{method}: each is sent once");
            within(closed.acquire()).await.unwrap().forget();
        }
    }
}

/// A client that has said all it has to say still listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_closed_client_gets_its_answer() {
    let go_on = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go_on);
    let app = upstream::start(move |mut connection, _| {
        let waits = Arc::clone(&waits);
        async move {
            while let Some(head) = connection.head().await {
                let body = connection.exactly(upstream::content_length(&head)).await.unwrap();
                waits.acquire().await.unwrap().forget();
                connection.answer(200, "", &format!("got {body}")).await;
            }
        }
    })
    .await;
    let site = Site::before_one(app);
    for (method, body) in [("GET", ""), ("POST", "hello")] {
        let mut client = site.client().await;
        client.say(&request(method, "/public/x", &[], body)).await;
        client.stream.shutdown().await.unwrap();
        go_on.add_permits(1);
        let answer = client.one_answer(false).await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, &*format!("got {body}")), "{method}");
        assert_eq!(client.rest().await, "");
    }
}

/// A client that disconnects in the middle of its body has not completed it.
#[tokio::test(flavor = "multi_thread")]
async fn incomplete_body_is_not_forwarded_as_complete() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let over = Arc::new(Semaphore::new(0));
    let (log, note) = (Arc::clone(&bodies), Arc::clone(&over));
    let app = upstream::start(move |mut connection, _| {
        let (log, note) = (Arc::clone(&log), Arc::clone(&note));
        async move {
            if let Some(whole) = connection.raw_request().await {
                log.lock().unwrap().push(whole);
                connection.answer(200, "", "").await;
            }
            note.add_permits(1);
        }
    })
    .await;
    let site = Site::before_one(app);
    let halves = [("Content-Length: 10", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n")];
    for (framing, half) in halves {
        let mut client = site.client().await;
        client.say(&(request("POST", "/public/x", &[framing], "") + half)).await;
        client.stream.shutdown().await.unwrap();
        let answer = client.one_answer(false).await;
        assert!(answer.is_none_or(|answer| matches!(answer.status, 400 | 408)), "{framing}");
        within(over.acquire()).await.unwrap().forget();
    }
    assert_eq!(*bodies.lock().unwrap(), [""; 0]);
}

/// Requests that do not wait for their turn are answered in their order, or the connection ends.
#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_order_of_their_requests() {
    let app = upstream::start(|mut connection, _| async move {
        while let Some(whole) = connection.raw_request().await {
            let target = whole.split(' ').nth(1).unwrap().to_owned();
            connection.answer(200, "", &target).await;
        }
    })
    .await;
    let site = Site::before_one(app);
    let page = |at: usize| request("GET", &format!("/public/{at}"), &[], "");
    let form = |at: usize| request("POST", &format!("/public/{at}"), &[], "GET /public/9 HTTP/1.1\r\n\r\n");
    let pieces = |at: usize| {
        request("POST", &format!("/public/{at}"), &["Transfer-Encoding: chunked"], "") + "2\r\nhi\r\n0\r\n\r\n"
    };
    for rows in [[page(1), page(2), page(3)], [form(1), page(2), form(3)], [pieces(1), form(2), pieces(3)]] {
        let mut client = site.client().await;
        client.say(&rows.concat()).await;
        let mut said_close = false;
        for at in 1..=3 {
            let Some(answer) = client.one_answer(false).await else {
                assert!(said_close, "a connection that says nothing of an end goes on");
                break;
            };
            assert_eq!(answer.text(), format!("/public/{at}"));
            said_close = answer.header("connection") == Some("close");
        }
    }
    assert_eq!(site.get("/public/4", &[]).await.text(), "/public/4");
}
