//! Bodies on their way to the application: `Expect: 100-continue`, and answers that come before the body is over.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::site::answer::request;
use crate::site::house::Site;
use crate::upstream::{self, header};

/// An application that has heard enough is heard, and nothing that its client still sends is taken for a request.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_is_passed_on_at_once() {
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

/// What the client sends reaches the application as it comes, and does not wait for the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_passed_on_as_it_comes() {
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
        crate::door::client::within(came.acquire()).await.unwrap().forget();
        client.say(second).await;
        crate::door::client::within(came.acquire()).await.unwrap().forget();
        assert_eq!(client.one_answer(false).await.unwrap().text(), "ok", "{framing}");
    }
}
