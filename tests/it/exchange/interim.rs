//! Interim answers: hints pass, and nothing else does.

use super::bench::{ask, get, says, site_of};
use crate::site::answer::request;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";

/// A hint is passed on when it comes, not when the answer does.
#[tokio::test(flavor = "multi_thread")]
async fn a_hint_does_not_wait_for_the_answer() {
    let go_on = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let waits = std::sync::Arc::clone(&go_on);
    let app = crate::upstream::start(move |mut connection, _| {
        let waits = std::sync::Arc::clone(&waits);
        async move {
            while connection.request().await.is_some() {
                connection.write(HINT).await;
                waits.acquire().await.unwrap().forget();
                connection.write(HELLO).await;
            }
        }
    })
    .await;
    let site = crate::site::house::Site::before_one(app);
    let mut client = site.client().await;
    for _ in 0..2 {
        client.say(&request("GET", "/public/x", &[], "")).await;
        assert_eq!(client.one_answer(false).await.unwrap().status, 103);
        go_on.add_permits(1);
        assert_eq!(client.one_answer(false).await.unwrap().text(), "hello");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_without_end_are_no_answer() {
    let few = get(says(&format!("{}{HELLO}", HINT.repeat(30)))).await;
    assert_eq!(few.answer.unwrap().text(), "hello");
    let many = get(says(&format!("{}{HELLO}", HINT.repeat(33)))).await;
    assert!(many.answer.is_none_or(|answer| answer.status == 502) && !many.reused);
    let broken = get(says(&format!("{HINT}HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello"))).await;
    assert!(broken.answer.is_none_or(|answer| answer.status == 502) && !broken.reused);
    let unasked = site_of(says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")).await;
    let outcome = ask(&unasked, "GET", &["Upgrade: x", "Connection: Upgrade"]).await;
    assert_eq!(outcome.answer.unwrap().status, 502, "what we did not ask for");
}
