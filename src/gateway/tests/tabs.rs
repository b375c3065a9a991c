//! `logout.close_tabs`: when the goodbye page has the script that sends other tabs to the sign-in page, and when the
//! worker's script is served.

use super::*;
use crate::session::store::faulty::{FaultMode, FaultyStore};
use crate::values::session_id::SessionId;

const FROM_US: &str = "Sec-Fetch-Site: same-origin";
const REGISTERS: &str = "Service-Worker: script";
const WORKER: &str = "/.exeunt/tabs.js";

fn closing() -> Harness {
    harness_with(|settings| settings.logout.close_tabs = true)
}

/// Signs out, and returns the address of the goodbye page.
async fn goodbye(harness: &Harness) -> &'static str {
    let alice = harness.sign_in("alice").await;
    let page = harness.ask("POST", "/logout", &[&alice, BROWSER], "").await;
    assert!(!text(&page).contains("<script"), "the first page redirects by itself");
    header(&page, "refresh").unwrap().strip_prefix("0; url=").unwrap().to_owned().leak()
}

/// Whether the page has the script.
async fn has_script(harness: &Harness, target: &str, lines: &[&str]) -> bool {
    let page = harness.ask("GET", target, &[&[BROWSER], lines].concat(), "").await;
    assert_eq!(page.status, 200);
    let (script, policy) = (text(&page).contains("<script"), header(&page, "content-security-policy").unwrap());
    assert_eq!(script, policy.contains("worker-src"), "{policy}");
    script
}

#[tokio::test]
async fn the_script_needs_a_receipt_the_same_origin_and_no_session() {
    let harness = closing();
    let address = goodbye(&harness).await;
    assert!(has_script(&harness, address, &[FROM_US]).await);
    for from in ["none", "same-site", "cross-site"] {
        let line = format!("Sec-Fetch-Site: {from}");
        assert!(!has_script(&harness, address, &[&line]).await, "{from}");
    }
    assert!(!has_script(&harness, address, &[]).await, "a browser that does not say where it comes from");
    assert!(!has_script(&harness, "/.exeunt/goodbye", &[FROM_US]).await, "no receipt");
    assert!(!has_script(&harness, &address.replace("end=1", "end=2"), &[FROM_US]).await, "another logout's receipt");
    let bob = harness.sign_in("bob").await;
    assert!(!has_script(&harness, address, &[FROM_US, &bob]).await, "somebody is signed in");
}

#[tokio::test]
async fn a_host_with_allowed_service_workers_gets_no_script() {
    let harness = harness_with(|settings| {
        settings.logout.close_tabs = true;
        settings.routes[1].service_workers = true;
    });
    let address = goodbye(&harness).await;
    assert!(!has_script(&harness, address, &[FROM_US]).await);
}

#[tokio::test]
async fn the_worker_is_for_browsers_that_register_it() {
    let (harness, usual) = (closing(), harness());
    let worker = harness.ask("GET", &format!("{WORKER}?1"), &[REGISTERS, FROM_US], "").await;
    assert_eq!((worker.status.as_u16(), header(&worker, "service-worker-allowed")), (200, Some("/")));
    assert!(text(&worker).starts_with("const login = \"/login\""));
    assert_eq!(harness.ask("GET", WORKER, &[FROM_US], "").await.status, 404, "not as a script of a page");
    assert_eq!(usual.ask("GET", WORKER, &[REGISTERS, FROM_US], "").await.status, 404, "not without close_tabs");
    let address = goodbye(&usual).await;
    assert!(!has_script(&usual, address, &[FROM_US]).await);
}

#[tokio::test(start_paused = true)]
async fn tabs_stay_while_it_is_unknown_who_is_signed_in() {
    let store = FaultyStore::new();
    let over: Arc<dyn SessionStore> = Arc::clone(&store) as _;
    let harness = harness_over(Some(over), |settings| settings.logout.close_tabs = true);
    let address = goodbye(&harness).await;
    let unknown = format!("Cookie: exeunt={}", SessionId::generate().unwrap().cookie_value());
    assert!(has_script(&harness, address, &[FROM_US, &unknown]).await);
    let unknown = format!("Cookie: exeunt={}", SessionId::generate().unwrap().cookie_value());
    store.set_mode(FaultMode::Down);
    assert!(!has_script(&harness, address, &[FROM_US, &unknown]).await);
}
