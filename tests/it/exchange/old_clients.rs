//! HTTP/1.0 clients: no chunks, no interim answers, and a connection that ends unless they ask for more.

use super::harness::{says, says_and_closes, site_of};

/// An answer, all that a client of HTTP/1.0 gets for it, and whether the end is told by the close alone.
#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_client_gets_an_unchunked_body() {
    let chunks = "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 5\r\n\r\n";
    let cases = [
        (says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), Some("5")),
        (says(&format!("HTTP/1.1 200 OK\r\n{chunks}")), None),
        (says_and_closes("HTTP/1.1 200 OK\r\n\r\nhello"), None),
        (says_and_closes("HTTP/1.0 200 OK\r\n\r\nhello"), None),
    ];
    for (script, length) in cases {
        for lines in ["", "Connection: close\r\n", "Connection: keep-alive, close\r\n"] {
            let site = site_of(script.clone()).await;
            let mut client = site.client().await;
            client.say(&format!("GET /public/x HTTP/1.0\r\nHost: app.test\r\n{lines}\r\n")).await;
            let head = client.answer_head().await.unwrap().to_ascii_lowercase();
            assert_eq!(client.rest().await, "hello", "{head}");
            let line = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
            assert_eq!(
                (line("content-length: "), line("transfer-encoding: "), line("trailer: ")),
                (length, None, None)
            );
            assert_ne!(line("connection: "), Some("keep-alive"), "{head}");
        }
    }
}

/// A connection goes on where the client asks for it and the end of the body can be told.
#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_connection_is_kept_alive_on_request() {
    let page = "GET /public/x HTTP/1.0\r\nHost: app.test\r\nConnection: Keep-Alive\r\n\r\n";
    let measured = site_of(says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")).await;
    let mut client = measured.client().await;
    for _ in 0..3 {
        let answer = client.exchange(page).await;
        assert_eq!((answer.text(), answer.header("connection")), ("hello", Some("keep-alive")), "{}", answer.head);
    }
    let chunked = site_of(says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")).await;
    let mut client = chunked.client().await;
    client.say(page).await;
    let all = client.rest().await;
    assert!(all.ends_with("\r\n\r\nhello") && !all.to_ascii_lowercase().contains("connection: keep-alive"), "{all}");
}

/// Health checks of this kind are told what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_client_gets_the_gateways_own_answers() {
    let site = site_of(says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")).await;
    let cases = [("GET /x HTTP/1.0\r\nHost: app.test\r\n\r\n", "401"), ("GET / HTTP/1.0\r\n\r\n", "400")];
    for (page, status) in cases {
        let mut client = site.client().await;
        client.say(page).await;
        let all = client.rest().await;
        assert_eq!(all.split(' ').nth(1), Some(status), "{all}");
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        let length = format!("content-length: {}", body.len());
        assert!(head.to_ascii_lowercase().contains(&length) && body.starts_with('{'), "{all}");
    }
}
