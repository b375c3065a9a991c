//! Requests that do not wait for the answer before them.

use crate::site::answer::request;
use crate::site::harness::Site;

fn get(target: &str) -> String {
    request("GET", target, &[], "")
}

/// What can only be the next request is answered as that, in order.
#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_body_are_answered_in_order() {
    let (site, echo) = Site::with_echo().await;
    let mut client = site.client().await;
    let all = [get("/public/1"), get("/x"), request("HEAD", "/public/2", &[], ""), get("/public/3")].concat();
    client.say(&(all + &request("POST", "/public/4", &[], "hello"))).await;
    for (target, status, to_head) in [("1", 200, false), ("x", 401, false), ("2", 200, true), ("3", 200, false)] {
        let answer = client.one_answer(to_head).await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{target}");
        assert!(to_head || status != 200 || answer.text().starts_with(&format!("GET /public/{target} ")), "{target}");
    }
    assert!(client.one_answer(false).await.unwrap().text().ends_with("\r\n\r\nhello"));
    assert_eq!(echo.take().len(), 4);
}

/// Bytes that another program could take for a part of the request are not read, and the connection is closed.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_a_body_are_not_read_as_a_request() {
    let (site, echo) = Site::with_echo().await;
    let firsts = [
        request("POST", "/public/x", &[], "hello"),
        request("POST", "/public/x", &["Content-Length: 0"], ""),
        request("DELETE", "/public/x", &[], ""),
        request("GET", "/public/x", &[], "hello"),
        request("GET", "/public/x", &["Transfer-Encoding: chunked"], "") + "0\r\n\r\n",
        request("GET", "/public/x", &["Connection: Upgrade", "Upgrade: h2c"], ""),
        "GET /public/x HTTP/1.0\r\nHost: app.test\r\nConnection: keep-alive\r\n\r\n".to_owned(),
    ];
    for first in firsts {
        let mut client = site.client().await;
        client.say(&(first.clone() + &get("/public/smuggled"))).await;
        let answer = client.one_answer(false).await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{first}");
        assert_eq!((client.rest().await.as_str(), echo.take().len()), ("", 1), "{first}");
    }
}
