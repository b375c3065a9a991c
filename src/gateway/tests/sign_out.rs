//! Signing out: the sessions that end, the target, and which requests are allowed.

use super::*;

#[tokio::test]
async fn a_logout_by_post_ends_the_session_before_it_is_answered() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let other = harness.sign_in("alice").await;
    let reply = harness.ask("POST", "/logout", &[&alice], "").await;
    assert_eq!(reply.status, 200);
    let receipt = json(&reply);
    assert_eq!((&receipt["user"], &receipt["target"]), (&"alice".into(), &serde_json::Value::Null));
    assert_eq!(receipt["steps"][0]["step"], "end");
    assert_eq!(receipt["steps"][0]["result"], "done");
    assert!(header(&reply, "set-cookie").unwrap().contains("Max-Age=0"));
    assert!(!harness.is_signed_in(&alice) && harness.is_signed_in(&other));
    let again = harness.ask("POST", "/logout", &[&alice], "").await;
    assert_eq!((again.status.as_u16(), &json(&again)["user"]), (200, &serde_json::Value::Null));
    let page = harness.ask("POST", "/logout", &[&other, BROWSER], "").await;
    let onward = header(&page, "refresh").unwrap();
    assert!(onward.starts_with("0; url=/.exeunt/goodbye?"), "a reload would send the form again: {onward}");
    assert!(text(&page).contains("You are signed out") && text(&page).contains("Goodbye, alice"));
}

#[tokio::test]
async fn a_logout_leads_to_a_checked_target() {
    let cases: [(&str, &str, &str, &[&str], Option<&str>); 10] = [
        ("POST", "/logout?next=/bye", "", &[], Some("/bye")),
        ("POST", "/logout", "next=/bye", &[FORM], Some("/bye")),
        ("POST", "/logout?next=/q", "rd=/bye", &[FORM], Some("/bye")),
        ("POST", "/logout?next=https://other.test/x", "", &[], Some("https://other.test/x")),
        ("POST", "/logout?next=https://evil.test/x", "", &[], None),
        ("POST", "/logout?next=/a&next=/b", "", &[], None),
        ("POST", "/logout?next=/a/../Logout/", "", &[], None),
        ("POST", "/logout?next=/bye", "", &["Accept: application/json"], None),
        ("POST", "/logout?next=/bye", "", &[BROWSER], Some("/bye")),
        ("POST", "/logout", "next=%ff", &[FORM], None),
    ];
    for (method, target, body, lines, want) in cases {
        let harness = harness();
        let reply = harness.ask(method, target, lines, body).await;
        assert_eq!(header(&reply, "location"), want, "{target} {body}");
        assert_eq!(reply.status, if want.is_some() { 303 } else { 200 });
    }
    let harness = harness_with(|settings| settings.logout.next = Some(ReturnTo::own("/public")));
    let reply = harness.ask("POST", "/logout?next=//evil.test", &[], "").await;
    assert_eq!(header(&reply, "location"), Some("/public"));
    let reply = harness.ask("POST", "/logout?next=/logout", &[], "").await;
    assert_eq!(header(&reply, "location"), None, "a target that signs out shows the goodbye page");
}

#[tokio::test]
async fn a_get_of_logout_ends_asks_or_refuses_by_its_origin() {
    const OWN: [&str; 3] = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let lines = [OWN.as_slice(), &[alice.as_str(), "Sec-Purpose: prefetch"]].concat();
    assert_eq!(harness.ask("GET", "/logout", &lines, "").await.status, 403);
    let image = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", &alice];
    assert_eq!(harness.ask("GET", "/logout", &image, "").await.status, 403);
    let program = harness.ask("GET", "/logout", &[&alice], "").await;
    assert_eq!((program.status.as_u16(), header(&program, "allow")), (405, Some("POST")));
    assert!(text(&program).contains("curl -X POST"));
    let confirm = harness.ask("GET", "/logout?next=/bye", &[&alice, BROWSER], "").await;
    assert_eq!(confirm.status, 200);
    assert!(
        text(&confirm).contains("Sign out?")
            && text(&confirm).contains("value=\"/bye\"")
            && text(&confirm).contains("alice")
    );
    for method in ["HEAD", "PUT", "DELETE"] {
        assert_eq!(harness.ask(method, "/logout", &[&alice], "").await.status, 405);
    }
    assert!(harness.is_signed_in(&alice), "none of these ends anything");

    let lines = [OWN.as_slice(), &[alice.as_str()]].concat();
    let reply = harness.ask("GET", "/Logout/", &lines, "").await;
    let goodbye = header(&reply, "location").unwrap();
    assert!(reply.status == 303 && goodbye.starts_with("/.exeunt/goodbye?receipt="), "{goodbye}");
    assert!(!harness.is_signed_in(&alice));
    let page = harness.ask("GET", goodbye, &[BROWSER], "").await;
    assert!(text(&page).contains("You are signed out") && text(&page).contains("Your session has ended"));
    assert!(text(&page).contains("Goodbye, alice"), "the next page names who was signed in");
    for (from, to) in [("alice", "mallory"), ("end=1", "end=9"), ("mac=", "mac=x"), ("receipt=", "receipt=1")] {
        let crafted = harness.ask("GET", &goodbye.replace(from, to), &[BROWSER], "").await;
        let page = text(&crafted);
        assert!(crafted.status == 200 && page.contains("Your session in this browser has ended."), "{page}");
        assert!(!page.contains("What was ended") && !page.contains("mallory") && !page.contains("alice"), "{page}");
    }
    let bob = harness.sign_in("bob").await;
    let page = harness.ask("GET", goodbye, &[&bob, BROWSER], "").await;
    assert!(text(&page).contains("You are signed in as") && harness.is_signed_in(&bob), "the new session is shown");
}

#[tokio::test]
async fn another_site_cannot_sign_a_user_out() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    for line in ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.test", "Origin: null"]
    {
        let reply = harness.ask("POST", "/logout", &[&alice, line], "").await;
        assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (403, &"cross_site".into()), "{line}");
        assert_eq!(header(&reply, "set-cookie"), None);
    }
    let page = harness.ask("POST", "/logout", &[&alice, BROWSER, "Origin: http://evil.test"], "").await;
    assert_eq!(page.status, 403);
    assert!(text(&page).contains("<form method=\"post\" action=\"/logout\">"));
    assert!(harness.is_signed_in(&alice));
}

#[tokio::test]
async fn an_exchange_in_flight_sets_no_cookie_after_the_logout() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let forward = harness.forward("/x", &[&alice]);
    let mut answer = HeaderMap::new();
    answer.insert("set-cookie", "app=1".parse().unwrap());
    assert!(!forward.response_edits(StatusCode::OK, &answer).contains(&HeaderEdit::Remove(http::header::SET_COOKIE)));
    harness.ask("POST", "/logout", &[&alice], "").await;
    assert!(forward.has_ended());
    assert!(forward.response_edits(StatusCode::OK, &answer).contains(&HeaderEdit::Remove(http::header::SET_COOKIE)));
}

/// The session ends before the body is read, which may be slow or never arrive.
#[tokio::test]
async fn a_logout_ends_before_it_reads_its_body() {
    let harness = harness();
    for next in ["/bye", "//evil.test"] {
        let alice = harness.sign_in("alice").await;
        let Received::BuiltIn(own) = harness.receive("POST", "/logout", &[&alice, FORM]) else { panic!() };
        let body = async {
            assert!(!harness.is_signed_in(&alice), "it waits for the body");
            assert!(harness.lines.lock().join("\n").contains("cause=logout"), "it is audited before that, too");
            Ok(Bytes::from(format!("next={next}")))
        };
        let reply = harness.gateway.sign_in_or_out(own, body).await;
        assert_eq!(header(&reply, "location"), (next == "/bye").then_some(next), "the target is still read");
        harness.lines.lock().clear();
    }
    let alice = harness.sign_in("alice").await;
    let Received::BuiltIn(own) = harness.receive("POST", "/logout", &[&alice, FORM]) else { panic!() };
    let mut abandoned = Box::pin(harness.gateway.sign_in_or_out(own, std::future::pending()));
    assert!(futures_util::poll!(abandoned.as_mut()).is_pending());
    drop(abandoned);
    until_idle().await;
    assert!(!harness.is_signed_in(&alice), "a client that disconnects is signed out");
}
