//! The shop without a gateway: requests in, answers out.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_SECURITY_POLICY, LOCATION, SET_COOKIE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::sync::watch;

use super::answer::Body;
use super::{Sample, Shop, handlers};

struct Harness {
    shop: Shop,
    ticks: watch::Sender<u64>,
}

struct ShopAnswer {
    status: StatusCode,
    head: http::HeaderMap,
    text: String,
}

impl Harness {
    fn open() -> Self {
        let (shop, ticks) = Shop::new().unwrap();
        Self { shop, ticks }
    }

    /// `lines` are header lines.
    async fn raw(&self, method: &str, path: &str, lines: &[&str], body: &str) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        handlers::answer(&self.shop, request.body(body).unwrap()).await
    }

    async fn ask(&self, method: &str, path: &str, lines: &[&str], body: &str) -> ShopAnswer {
        let (head, body) = self.raw(method, path, lines, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        ShopAnswer { status: head.status, head: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str, lines: &[&str]) -> ShopAnswer {
        self.ask("GET", path, lines, "").await
    }

    /// A first visit; returns the `Cookie` line of the new session.
    async fn enter(&self) -> String {
        let set = self.get("/", &[]).await.cookie_set().unwrap();
        assert!(set.contains("; HttpOnly") && set.contains("; SameSite=Lax") && set.contains("; Path=/"), "{set}");
        format!("Cookie: {}", set.split(';').next().unwrap())
    }
}

impl ShopAnswer {
    fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.head.get(name).map(|value| value.to_str().unwrap())
    }

    fn cookie_set(&self) -> Option<String> {
        self.header(SET_COOKIE).map(str::to_owned)
    }
}

#[tokio::test]
async fn a_cart_is_kept_on_the_server_under_a_cookie() {
    let harness = Harness::open();
    let me = harness.enter().await;
    for form in ["add=skull", "add=skull", "add=bear"] {
        let answer = harness.ask("POST", "/cart", &[&me], form).await;
        assert_eq!((answer.status.as_u16(), answer.header(LOCATION)), (303, Some("/cart")), "{form}");
        assert_eq!(answer.cookie_set(), None, "the session is known");
    }
    let cart = harness.get("/cart", &[&me]).await;
    assert!(cart.text.contains("Skull of a jester") && cart.text.contains("€78.00") && cart.text.contains("€327.00"));
    harness.ask("POST", "/cart", &[&me], "remove=skull").await;
    let cart = harness.get("/cart", &[&me]).await;
    assert!(!cart.text.contains("Skull of a jester") && cart.text.contains("€249.00"));
    let stranger = harness.get("/cart", &[]).await;
    assert!(stranger.text.contains("nothing in your cart") && stranger.cookie_set().is_some());
}

#[tokio::test]
async fn an_unknown_visitor_id_is_not_adopted() {
    let harness = Harness::open();
    let planted = "0123456789abcdef0123456789abcdef";
    let answer = harness.ask("POST", "/cart", &[&format!("Cookie: shopsession={planted}")], "add=bear").await;
    assert!(!answer.cookie_set().unwrap().contains(planted));
    let planted = harness.get("/cart", &[&format!("Cookie: shopsession={planted}")]).await;
    assert!(planted.text.contains("nothing in your cart"));
}

#[tokio::test]
async fn invalid_forms_change_nothing() {
    let harness = Harness::open();
    let me = harness.enter().await;
    let long = "add=bear&x=".repeat(800);
    let twice = ["add=bear&add=bear", "add=bear&remove=bear"];
    for form in ["", "add=", "add=elephant", "add=%ff", &long].into_iter().chain(twice) {
        assert_eq!(harness.ask("POST", "/cart", &[&me], form).await.status, 400, "{form}");
    }
    assert!(harness.get("/cart", &[&me]).await.text.contains("nothing in your cart"));
    for form in ["", "lang=xx", "lang=de&lang=en"] {
        assert_eq!(harness.ask("POST", "/language", &[], form).await.status, 400, "{form}");
    }
}

#[tokio::test]
async fn the_shops_own_logout_requires_post() {
    let harness = Harness::open();
    let me = harness.enter().await;
    harness.ask("POST", "/cart", &[&me], "add=bear").await;
    let page = harness.get("/accounts/logout/", &[&me]).await;
    assert!(page.status == 200 && page.text.contains("<form method=\"post\" action=\"/accounts/logout/\">"));
    assert!(harness.get("/cart", &[&me]).await.text.contains("Bear costume"), "a GET ends nothing");
    let left = harness.ask("POST", "/accounts/logout/", &[&me], "").await;
    assert_eq!((left.status.as_u16(), left.header(LOCATION)), (303, Some("/public/")));
    let set = left.cookie_set().unwrap();
    assert!(set.starts_with("shopsession=; ") && set.contains("Max-Age=0"), "{set}");
    let after = harness.get("/cart", &[&me]).await;
    assert!(after.text.contains("nothing in your cart") && after.cookie_set().is_some(), "the old id is not accepted");
}

#[tokio::test]
async fn the_language_is_in_a_cookie_that_scripts_may_read() {
    let harness = Harness::open();
    let chosen = harness.ask("POST", "/language", &[], "lang=de&back=/cart").await;
    assert_eq!((chosen.status.as_u16(), chosen.header(LOCATION)), (303, Some("/cart")));
    let set = chosen.cookie_set().unwrap();
    assert!(set.starts_with("lang=de; ") && !set.contains("HttpOnly"), "{set}");
    let page = harness.get("/public/", &["Cookie: lang=de", "Accept-Language: en"]).await;
    assert!(page.text.contains("<html lang=\"de\">") && page.text.contains("Über uns"));
}

#[tokio::test]
async fn every_page_is_complete_in_both_languages_and_escapes_its_values() {
    let harness = Harness::open();
    let evil = "<script>alert(1)</script>";
    let told = [format!("X-Forwarded-User: {evil}"), format!("X-Other: {evil}"), format!("Cookie: c={evil}")];
    for path in ["/", "/cart", "/headers", "/ticker", "/accounts/logout/", "/public/", "/nowhere"] {
        for language in ["Accept-Language: en", "Accept-Language: de"] {
            let lines = [told[0].as_str(), &told[1], &told[2], language];
            let page = harness.get(path, &lines).await;
            assert!(page.text.ends_with("</html>") && page.text.contains("&lt;script&gt;"), "{path} {}", page.text);
            assert!(!page.text.contains(evil), "{path}");
            assert!(page.header(CONTENT_SECURITY_POLICY).unwrap().starts_with("default-src 'none'; "), "{path}");
        }
    }
}

#[tokio::test]
async fn only_the_page_with_live_prices_has_a_script() {
    let harness = Harness::open();
    for (path, script) in [("/", false), ("/ticker", true), ("/headers", false)] {
        let page = harness.get(path, &[]).await;
        assert_eq!(page.text.contains("<script"), script, "{path}");
        assert_eq!(page.header(CONTENT_SECURITY_POLICY).unwrap().contains("script-src"), script, "{path}");
    }
    assert!(harness.get("/ticker.js", &[]).await.text.contains("document.cookie"));
}

#[tokio::test]
async fn it_shows_the_received_headers() {
    let harness = Harness::open();
    let lines = ["X-Forwarded-User: alice", "X-Twice: 1", "X-Twice: 2", "Cookie: lang=en; a=b"];
    let json: serde_json::Value = serde_json::from_str(&harness.get("/headers.json", &lines).await.text).unwrap();
    assert_eq!(json["user"], "alice");
    assert_eq!(json["headers"]["x-twice"], serde_json::json!(["1", "2"]));
    assert_eq!(json["headers"]["cookie"], "lang=en; a=b");
    let page = harness.get("/headers", &lines).await.text;
    assert!(page.contains("<code>x-forwarded-user</code>") && page.contains("<strong>alice</strong>"));
    assert!(page.contains("<code>a</code>") && page.contains("<code>b</code>"));
    assert!(harness.get("/", &[]).await.text.contains("Nobody is signed in."));
}

#[tokio::test]
async fn unknown_addresses_are_404_and_wrong_methods_405() {
    let harness = Harness::open();
    assert_eq!(harness.get("/nowhere", &[]).await.status, 404);
    let cases = [("POST", "/", "GET, HEAD"), ("GET", "/language", "POST"), ("DELETE", "/cart", "GET, HEAD, POST")];
    for (method, path, allow) in cases {
        let answer = harness.ask(method, path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header(ALLOW)), (405, Some(allow)), "{method} {path}");
    }
    assert_eq!(harness.get("/ticker/ws", &[]).await.status, 426);
}

#[tokio::test]
async fn events_follow_the_ticks_and_end_with_the_shop() {
    let harness = Harness::open();
    let mut body = harness.raw("GET", "/ticker/sse", &[], "").await.into_body();
    harness.ticks.send_replace(7);
    let event = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(event.starts_with(b"id: 7\ndata: {\"prices\":{") && event.ends_with(b"}\n\n"), "{event:?}");
    drop(harness.ticks);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn it_listens_on_loopback_until_it_is_dropped() {
    let sample = Sample::start().unwrap();
    let address = sample.address();
    assert!(address.ip().is_loopback());
    let mut open = tokio::net::TcpStream::connect(address).await.unwrap();
    drop(sample);
    let mut rest = Vec::new();
    // Closed or reset, either is fine.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut open, &mut rest).await;
    assert!(rest.is_empty());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
