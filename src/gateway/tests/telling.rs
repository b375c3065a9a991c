//! Messages to users, programs and operators.

use super::*;

#[tokio::test]
async fn the_log_has_the_events_and_no_secret() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    drop(harness.forward("/x?token=geheim", &[&alice, "Referer: http://app.test/y?token=geheim"]));
    harness.ask("POST", "/login", &[FORM], "username=alice%0aevent=signed_in&password=hunter22").await;
    harness.ask("POST", "/logout", &[&alice], "").await;
    let lines = harness.lines.lock().join("\n");
    for want in [
        "event=signed_in user=alice", "event=access", "path=/x ", "event=session_ended",
        "steps=end:done:1,cut:nothing:0",
    ] {
        assert!(lines.contains(want), "{want} is not in\n{lines}");
    }
    let cookie = alice.split('=').next_back().unwrap();
    for secret in [cookie, "geheim", "hunter22", "wonder land"] {
        assert!(!lines.contains(secret), "{secret} is in\n{lines}");
    }
    assert!(lines.contains("user=\"alice\\u{a}event=signed_in\""), "{lines}");
}

#[tokio::test]
async fn browsers_get_their_language_and_programs_english() {
    let harness = harness();
    let german = "Accept-Language: de-AT,de;q=0.9,en;q=0.5";
    let page = harness.ask("GET", "/login", &[BROWSER, german], "").await;
    assert!(text(&page).contains("Anmelden"));
    let wrong = harness.ask("POST", "/login", &[FORM, BROWSER, german], "username=alice&password=wrong").await;
    assert!(text(&wrong).contains("Benutzername oder Passwort ist falsch"));
    let goodbye = harness.ask("POST", "/logout", &[BROWSER, german], "").await;
    assert!(text(&goodbye).contains("Sie sind abgemeldet"));
    let program = harness.ask("GET", "/x", &[german], "").await;
    assert_eq!(json(&program)["message"], "Sign in to see this.");
}

#[tokio::test]
async fn a_user_without_access_is_offered_another_account() {
    let harness = harness();
    let bob = harness.sign_in("bob").await;
    let page = harness.ask("GET", "/staff/x?y=1", &[&bob, BROWSER], "").await;
    assert_eq!(page.status, 403);
    assert!(text(&page).contains("href=\"/login?switch=1&amp;next=%2Fstaff%2Fx%3Fy%3D1\""), "{}", text(&page));
    let form = harness.ask("GET", "/login?switch=1&next=%2Fstaff%2Fx%3Fy%3D1", &[&bob, BROWSER], "").await;
    assert!(text(&form).contains("type=\"password\"") && text(&form).contains("/staff/x?y=1"));
    assert!(harness.is_signed_in(&bob));
}

#[tokio::test]
async fn style_and_logo_are_public() {
    let harness = harness();
    for (target, kind) in [("/.exeunt/style.css", "text/css; charset=utf-8"), ("/.exeunt/logo", "image/svg+xml")] {
        let reply = harness.ask("GET", target, &[], "").await;
        assert_eq!((reply.status.as_u16(), header(&reply, "content-type")), (200, Some(kind)));
        assert_eq!(header(&reply, "cache-control"), Some("public, max-age=3600"));
    }
}
