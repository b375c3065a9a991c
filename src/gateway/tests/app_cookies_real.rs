//! How real applications use cookies, each as a small fake.

use super::app_cookies::{Browser, SESSION, alice, names, with_rules};
use super::*;
use crate::vault::rules::AppCookies;

/// Grafana sets a HttpOnly session cookie and a readable one of another name, from which scripts read its expiry; its
/// live updates use a WebSocket.
#[tokio::test]
async fn grafana_has_a_readable_cookie_and_a_websocket() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    let set = ["grafana_session=s; HttpOnly; Path=/; Max-Age=99", "grafana_session_expiry=9; Path=/; Max-Age=99"];
    browser.visit(&harness, "/x", &set);
    assert!(!browser.has("grafana_session") && browser.has("grafana_session_expiry"));
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let socket = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key];
    let lines = [&socket[..], &["Origin: http://app.test"]].concat();
    let got = browser.visit_with(&harness, "/api/live/ws", &lines, &[]);
    assert_eq!(got, "grafana_session_expiry=9; grafana_session=s");
    browser.sign_out(&harness).await;
    assert!(!browser.has("grafana_session_expiry"));
}

/// The remember-me cookies of Jenkins and Django last for weeks, but end with the session here.
#[tokio::test]
async fn remember_me_cookies_end_with_the_session() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    let remember = "remember-me=alice; HttpOnly; Path=/; Max-Age=1209600; Expires=Wed, 01 Jan 2098 00:00:00 GMT";
    browser.visit(&harness, "/", &["JSESSIONID.x=1; HttpOnly; Path=/", remember]);
    assert_eq!(browser.visit(&harness, "/", &[]), "JSESSIONID.x=1; remember-me=alice");
    browser.sign_out(&harness).await;
    browser.sign_in(&harness, "alice").await;
    assert_eq!(browser.visit(&harness, "/", &[]), "", "not even for the same user");
}

/// Django with a HttpOnly token (CSRF_COOKIE_HTTPONLY), which is compared with the one in the form; and double submit,
/// with a token that scripts copy to a header.
#[tokio::test]
async fn csrf_tokens_reach_the_application_in_cookie_and_form() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    browser.visit(&harness, "/", &["csrftoken=t; HttpOnly; Path=/; SameSite=Lax; Max-Age=31449600"]);
    assert_eq!(browser.visit(&harness, "/form", &[]), "csrftoken=t");
    assert!(!browser.has("csrftoken"));
    browser.visit(&harness, "/", &["XSRF-TOKEN=x; Path=/"]);
    assert!(browser.has("XSRF-TOKEN"), "a script reads it");
    assert_eq!(browser.visit(&harness, "/form", &[]), "XSRF-TOKEN=x; csrftoken=t");
    browser.visit(&harness, "/", &["XSRF-TOKEN=y; Path=/"]);
    assert_eq!(browser.visit(&harness, "/form", &[]), "XSRF-TOKEN=y; csrftoken=t", "the new token, once");
}

/// PHP adopts a session id that the browser sends, and then sets none. The application's own form signs in with it.
#[tokio::test]
async fn an_applications_sign_in_form_does_not_adopt_a_planted_id() {
    let harness = harness();
    let mut browser = Browser::default();
    browser.visit(&harness, "/public/x", &["PHPSESSID=anonymous; HttpOnly; Path=/"]);
    browser.keep(["PHPSESSID=planted; Path=/"]);
    browser.sign_in(&harness, "alice").await;
    assert_eq!(browser.visit(&harness, "/login.php", &["PHPSESSID=new; HttpOnly; Path=/"]), "");
    browser.keep(["PHPSESSID=planted; Path=/"]);
    assert_eq!(browser.visit(&harness, "/account", &["PHPSESSID=after; HttpOnly; Path=/"]), "PHPSESSID=new");
    assert_eq!(browser.visit(&harness, "/account", &[]), "PHPSESSID=after", "an id that changes at the sign-in");
    browser.sign_in(&harness, "bob").await;
    assert_eq!(browser.visit(&harness, "/account", &[]), "", "bob is asked to sign in there");
}

/// A sign-in at another site returns with a POST from there, which needs the state cookie in the browser.
#[tokio::test]
async fn a_state_cookie_for_another_site_stays_in_the_browser_and_expires_at_the_end() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    let state = "state=1; HttpOnly; Secure; SameSite=None; Path=/callback";
    assert_eq!(browser.visit(&harness, "/go", &[state, SESSION]), "");
    let from_there = ["Sec-Fetch-Site: cross-site", "Origin: http://idp.test"];
    assert_eq!(browser.visit_with(&harness, "/callback", &from_there, &[]), "state=1; sid=1");
    browser.sign_out(&harness).await;
    assert!(!browser.has("state"));
}

/// A program on another port of the host gets the browser's cookies only: such a route needs `track`.
#[tokio::test]
async fn a_cookie_for_another_port_is_in_the_browser_where_it_is_tracked() {
    for (mode, browsers) in [(AppCookies::Track, true), (AppCookies::Vault, false)] {
        let harness = with_rules(|rules| rules.mode = mode);
        let mut browser = alice(&harness).await;
        browser.visit(&harness, "/x", &[SESSION]);
        assert_eq!(browser.has("sid"), browsers, "{mode:?}");
    }
    let harness = with_rules(|rules| rules.browser = names(&["sid"]));
    let mut browser = alice(&harness).await;
    browser.visit(&harness, "/x", &[SESSION, "other=1; HttpOnly; Path=/"]);
    assert!(browser.has("sid") && !browser.has("other"), "or it is listed in browser_cookies");
}
