//! A reload with other keys: an older key is accepted for signatures and seals as long as it is in the file.

use std::sync::LazyLock;

use super::app_cookies::{Browser, SESSION, alice};
use super::*;
use crate::session::store::faulty::{FaultMode, FaultyStore};

/// The same password hashes in every test, since stamps of sessions depend on them.
static PEOPLE: LazyLock<Arc<Users>> = LazyLock::new(|| Arc::new(users()));

/// A key for each digit, in this order.
fn keys(digits: &str) -> MacKeys {
    let lines: Vec<_> = digits.chars().map(|digit| String::from(digit).repeat(64)).collect();
    MacKeys::parse(&lines.join("\n")).unwrap()
}

fn harness_with(digits: &str, store: &Arc<FaultyStore>) -> Harness {
    harness_with_keys(Arc::new(keys(digits)), Some(Arc::clone(store) as _), |settings| {
        settings.users = Arc::clone(&PEOPLE);
    })
}

async fn reload(harness: &Harness, digits: &str) -> Result<ReloadOutcome, ReloadError> {
    let settings = GatewaySettings { users: Arc::clone(&PEOPLE), ..settings() };
    harness.gateway.reload(settings, LIMITS, Some(keys(digits))).await
}

/// Sets a cookie and saves it, as the proxy does before it sends the head of an answer.
async fn set(harness: &Harness, browser: &mut Browser, cookie: &str) {
    browser.visit(harness, "/x", &[cookie]);
    for session in harness.gateway.sessions().sessions_of(None) {
        harness.gateway.sessions().save_cookies(&session).await;
    }
}

/// The number of sessions that a gateway with these keys can read from a store.
async fn readable(digits: &str, store: &Arc<FaultyStore>) -> usize {
    let harness = harness_with(digits, store);
    harness.gateway.sessions().load_all().await.unwrap();
    harness.gateway.sessions().len()
}

#[tokio::test]
async fn jars_are_sealed_with_the_first_key_and_opened_with_any() {
    let store = FaultyStore::new();
    let harness = harness_with("1", &store);
    let mut browser = alice(&harness).await;
    set(&harness, &mut browser, SESSION).await;
    reload(&harness, "21").await.unwrap();
    assert_eq!([readable("21", &store).await, readable("2", &store).await], [1, 0], "sealed with the old key");
    set(&harness, &mut browser, "sid=2; HttpOnly; Path=/").await;
    assert_eq!([readable("21", &store).await, readable("2", &store).await], [1, 1], "sealed with the new key");
}

#[tokio::test]
async fn sessions_end_with_the_key_that_they_were_opened_under() {
    let store = FaultyStore::new();
    let harness = harness_with("1", &store);
    let early = harness.sign_in("alice").await;
    let result = async |digits| reload(&harness, digits).await.map(|done| (done.keys.is_some(), done.ended)).unwrap();
    assert_eq!(result("1").await, (false, 0));
    assert_eq!(result("12").await, (true, 0));
    assert_eq!(result("21").await, (true, 0));
    let late = harness.sign_in("bob").await;
    assert!(harness.is_signed_in(&early) && harness.is_signed_in(&late));
    assert_eq!(result("2").await, (true, 1));
    assert!(!harness.is_signed_in(&early) && harness.is_signed_in(&late));
    let lines = harness.lines.lock().join("\n");
    assert!(lines.contains("cause=key_removed") && !lines.contains("cause=password_changed"), "{lines}");
}

/// The receipt as an example: the same keys sign and verify everything that browsers send back.
#[tokio::test]
async fn signatures_are_accepted_while_their_key_is_in_the_file() {
    let harness = harness_with("1", &FaultyStore::new());
    let alice = harness.sign_in("alice").await;
    let own = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", &alice];
    let reply = harness.ask("GET", "/logout", &own, "").await;
    let goodbye = header(&reply, "location").unwrap();
    for (digits, is_accepted) in [("21", true), ("321", true), ("32", false), ("1", true)] {
        reload(&harness, digits).await.unwrap();
        let page = harness.ask("GET", goodbye, &[BROWSER], "").await;
        assert_eq!(text(&page).contains("Goodbye, alice"), is_accepted, "{digits}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_keeps_the_keys_as_they_are() {
    let store = FaultyStore::new();
    let harness = harness_with("1", &store);
    let alice = harness.sign_in("alice").await;
    store.set_mode(FaultMode::Down);
    assert!(matches!(reload(&harness, "2").await, Err(ReloadError::Store)));
    assert!(harness.is_signed_in(&alice) && harness.gateway.generation() == 0);
    reload(&harness, "1").await.unwrap();
    assert_eq!(harness.gateway.generation(), 1, "a reload that changes no key needs no store");
}
