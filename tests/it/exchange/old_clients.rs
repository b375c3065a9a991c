//! HTTP/1.0 clients: no chunks, no interim answers, and a connection that ends unless they ask for more.

use super::bench::{says, site_of};

/// Health checks of this kind are told what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_answers_are_understood() {
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
