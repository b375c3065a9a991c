//! Interim answers: hints pass, and nothing else does.

use super::harness::{ask, get, says, site_of};
use crate::server::client::Client;
use crate::site::answer::request;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";

/// The statuses that a client sees, the last of them the final one.
async fn statuses(client: &mut Client, request: &str) -> Vec<u16> {
    client.say(request).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|&status| status < 200) {
        let answer = client.one_answer(request.starts_with("HEAD ")).await.unwrap();
        assert!(answer.status != 103 || answer.headers("link").len() == 1, "{}", answer.head);
        let words = ["set-cookie", "clear-site-data", "remote-user", "x-forwarded-user", "content-length", "x-other"];
        let told = words.iter().find(|name| answer.status < 200 && !answer.headers(name).is_empty());
        assert_eq!(told, None, "{}", answer.head);
        seen.push(answer.status);
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn forwards_early_hints_and_no_other_interim_answers() {
    let cases: [(&str, &[u16]); 9] = [
        (HINT, &[103, 200]),
        ("HTTP/1.1 100 Continue\r\n\r\n", &[200]),
        ("HTTP/1.1 102 Processing\r\n\r\n", &[200]),
        ("HTTP/1.1 199 X\r\nSet-Cookie: a=b\r\n\r\n", &[200]),
        ("HTTP/1.1 104 Upload Resumption Supported\r\n\r\n", &[200]),
        ("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 X\r\nLink: </a>\r\n\r\n", &[103, 200]),
        ("HTTP/1.1 103 X\r\nlink: </a>\r\n\r\nHTTP/1.1 103 X\r\nLINK: </b>\r\n\r\n", &[103, 103, 200]),
        ("HTTP/1.1 102\r\n\r\n", &[200]),
        ("HTTP/1.1 102 X\n\n", &[200]),
    ];
    for (interim, want) in cases {
        let site = site_of(says(&format!("{interim}{HELLO}"))).await;
        for method in ["GET", "POST"] {
            let mut client = site.client().await;
            for _ in 0..2 {
                let seen = statuses(&mut client, &request(method, "/public/x", &[], "")).await;
                assert_eq!(seen, want, "{interim:?}");
            }
        }
    }
}

/// An early hint with fields other than links is passed on without them, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn early_hints_carry_link_fields_only() {
    let lines = [
        "Set-Cookie: exeunt=x", "Set-Cookie: a=b", "Clear-Site-Data: \"*\"", "Remote-User: bob",
        "X-Forwarded-User: bob", "Content-Length: 5", "X-Other: y",
    ];
    for line in lines {
        let site = site_of(says(&format!("HTTP/1.1 103 X\r\nLink: </a>\r\n{line}\r\n\r\n{HELLO}"))).await;
        let alice = site.session_of("alice").await;
        for cookie in [&alice, "Accept: */*"] {
            let page = request("GET", "/public/x", &[cookie], "");
            let seen = statuses(&mut site.client().await, &page).await;
            assert!(seen == [103, 200] || seen == [200], "{line}: {seen:?}");
        }
    }
}

/// A hint is passed on when it comes, not when the answer does.
#[tokio::test(flavor = "multi_thread")]
async fn early_hints_are_forwarded_at_once() {
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
    let site = crate::site::harness::Site::before_one(app);
    let mut client = site.client().await;
    for _ in 0..2 {
        client.say(&request("GET", "/public/x", &[], "")).await;
        assert_eq!(client.one_answer(false).await.unwrap().status, 103);
        go_on.add_permits(1);
        assert_eq!(client.one_answer(false).await.unwrap().text(), "hello");
    }
}

/// HTTP/1.0 knows none (RFC 9110 15.2).
#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_client_gets_no_interim_answers() {
    for interim in [HINT, "HTTP/1.1 100 Continue\r\n\r\n"] {
        let site = site_of(says(&format!("{interim}{HELLO}"))).await;
        let mut client = site.client().await;
        client.say("GET /public/x HTTP/1.0\r\nHost: app.test\r\nExpect: 100-continue\r\n\r\n").await;
        let all = client.rest().await;
        assert!(all.split(' ').nth(1) == Some("200") && all.ends_with("\r\n\r\nhello"), "{all}");
        assert_eq!(all.matches("HTTP/1.").count(), 1, "{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_interim_answers_are_502() {
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
