//! How exchanges and connections end: who says `close`, who closes without a word, and who sends on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::door::client::within;
use crate::site::answer::request;
use crate::site::house::Site;
use crate::upstream;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A connection that the application closed while it was idle is not used, whatever the method.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_meanwhile_is_not_used() {
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

/// The end of a client in the middle of its body is no end of the body.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_is_not_passed_off_as_a_whole_one() {
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
