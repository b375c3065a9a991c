//! The shop behind the gateway: what passes, what does not, and what a sign-out ends.

use exeunt::sample::Sample;
use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::server::client::within;
use crate::site::answer::request;
use crate::site::harness::{FORM, Site};

/// A gateway before a shop. The shop goes with the test.
async fn site() -> (Site, Sample) {
    let sample = Sample::start().unwrap();
    (Site::before_one(sample.address()), sample)
}

/// One `Cookie` line of two.
fn both(one: &str, other: &str) -> String {
    format!("{one}; {}", other.strip_prefix("Cookie: ").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cart_is_in_the_gateway_and_ends_with_the_session() {
    let (site, _sample) = site().await;
    let alice = site.sign_in("alice").await;
    let first = site.get("/", &[&alice]).await;
    assert!(first.text().contains("<strong>alice</strong>"), "{}", first.text());
    assert_eq!(first.header("set-cookie"), None, "the shop's cookie stays in the gateway");
    for _ in 0..2 {
        let added = site.ask("POST", "/cart", &[&alice, FORM], "add=bear").await;
        assert_eq!((added.status, added.header("location")), (303, Some("/cart")));
    }
    let cart = site.get("/cart", &[&alice]).await;
    assert!(cart.text().contains("€498.00"), "{}", cart.text());
    let session = site.get("/.exeunt/session", &[&alice]).await.json();
    assert_eq!(session["cookies"][0], "shopsession");
    let seen = site.get("/headers.json", &[&both(&alice, "Cookie: shopsession=planted")]).await.json();
    let cookie = seen["headers"]["cookie"].as_str().unwrap();
    assert!(cookie.starts_with("shopsession=") && !cookie.contains("planted"), "{cookie}");
    let receipt = site.ask("POST", "/logout", &[&alice], "").await.json();
    assert_eq!((&receipt["steps"][2]["step"], &receipt["steps"][2]["count"]), (&"cookies".into(), &1.into()));
    let bob = site.sign_in("bob").await;
    let cart = site.get("/cart", &[&bob]).await;
    assert!(cart.status == 200 && cart.text().contains("nothing in your cart"), "{}", cart.text());
    let seen = site.get("/headers.json", &[&bob]).await.json();
    assert!(!seen.to_string().contains(&cookie["shopsession=".len()..]), "nothing of the first user reaches the shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_cookie_passes_both_ways_and_scripts_may_read_it() {
    let (site, _sample) = site().await;
    let alice = site.sign_in("alice").await;
    let chosen = site.ask("POST", "/language", &[&alice, FORM], "lang=de&back=/headers").await;
    let set = chosen.header("set-cookie").unwrap();
    assert!(set.starts_with("lang=de;") && !set.to_lowercase().contains("httponly"), "{set}");
    let page = site.get("/headers", &[&both(&alice, &chosen.cookie_line())]).await;
    assert!(page.text().contains("<html lang=\"de\">") && page.text().contains("<code>lang</code>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn shop_sees_the_gateways_identity_and_no_forged_one() {
    let (site, _sample) = site().await;
    let alice = both(&site.sign_in("alice").await, "Cookie: lang=en");
    let forged = ["X-Forwarded-User: root", "x_forwarded_user: root", "X-Forwarded-Groups: root", "Remote-User: root"];
    let seen = site.get("/headers.json", &[&[alice.as_str()], forged.as_slice()].concat()).await.json();
    assert_eq!((&seen["user"], &seen["headers"]["x-forwarded-user"]), (&"alice".into(), &"alice".into()));
    assert_eq!(seen["headers"]["cookie"], "lang=en", "the gateway's own cookie stays with it");
    assert!(!seen.to_string().contains("root"), "{seen}");
    let page = site.get("/headers", &[&[alice.as_str()], forged.as_slice()].concat()).await;
    assert!(page.text().contains("x-forwarded-user") && !page.text().contains("root"), "{}", page.text());
    let public = site.get("/public/", &forged).await;
    assert_eq!(public.status, 200);
    assert!(public.text().contains("Nobody is signed in."), "{}", public.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn shop_logout_keeps_the_gateways_session() {
    let (site, _sample) = site().await;
    let alice = site.sign_in("alice").await;
    site.ask("POST", "/cart", &[&alice, FORM], "add=bear").await;
    let left = site.ask("POST", "/accounts/logout/", &[&alice], "").await;
    assert_eq!((left.status, left.header("location")), (303, Some("/public/")));
    let cart = site.get("/cart", &[&alice]).await;
    assert!(cart.status == 200 && cart.text().contains("nothing in your cart"), "{}", cart.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_stops_the_prices_over_events() {
    let (site, _sample) = site().await;
    let alice = site.sign_in("alice").await;
    let mut client = site.client().await;
    client.say(&request("GET", "/ticker/sse", &[&alice], "")).await;
    let head = within(client.answer_head()).await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-type: text/event-stream"), "{head}");
    for _ in 0..2 {
        let event = String::from_utf8(within(client.chunk()).await.unwrap()).unwrap();
        assert!(event.starts_with("id: ") && event.contains("\"bear\":"), "{event}");
    }
    site.sign_out(&alice).await;
    while within(client.chunk()).await.is_some() {}
    assert_eq!(site.get("/ticker/sse", &[&alice]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_stops_the_prices_over_a_websocket() {
    let (site, _sample) = site().await;
    let alice = site.sign_in("alice").await;
    let mut handshake = "ws://app.test/ticker/ws".into_client_request().unwrap();
    handshake.headers_mut().insert("cookie", alice.strip_prefix("Cookie: ").unwrap().parse().unwrap());
    handshake.headers_mut().insert("origin", "http://app.test".parse().unwrap());
    let stream = TcpStream::connect(site.address()).await.unwrap();
    let (mut socket, _) = within(client_async(handshake, stream)).await.unwrap();
    for _ in 0..2 {
        let message = within(socket.next()).await.unwrap().unwrap();
        assert!(message.to_text().unwrap().contains("\"bear\":"), "{message:?}");
    }
    site.sign_out(&alice).await;
    let close_frame = loop {
        match within(socket.next()).await.unwrap().unwrap() {
            Message::Close(close_frame) => break close_frame.unwrap(),
            price => assert!(price.is_text()),
        }
    };
    assert_eq!((close_frame.code, close_frame.reason.as_str()), (CloseCode::Policy, "session ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_there_are_no_prices() {
    let (site, _sample) = site().await;
    let handshake = ["Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(site.get("/ticker/ws", &[handshake.as_slice(), &[key]].concat()).await.status, 401);
    assert_eq!(site.get("/ticker/sse", &[]).await.status, 401);
    assert_eq!(site.get("/", &[]).await.status, 401);
}
