//! The sessions that a request's cookies name: one live session counts, two both end, and a logout ends all of them.

use super::*;
use crate::session::store::HostKey;
use crate::values::session_id::SessionId;

/// A `Cookie` line with these pairs.
fn line(pairs: &[&str]) -> String {
    format!("Cookie: {}", pairs.join("; "))
}

fn pair(cookie: &str) -> &str {
    cookie.strip_prefix("Cookie: ").unwrap()
}

fn dead() -> String {
    format!("exeunt={}", SessionId::generate().unwrap().cookie_value())
}

/// `Cookie` lines with other cookies beside the gateway's, as browsers and clients send them.
fn with_strays(own: &str) -> Vec<String> {
    let value = own.split('=').nth(1).unwrap();
    let quoted = format!("exeunt=\"{value}\"");
    let many = vec!["exeunt=x"; 100].join("; ");
    let dead = dead();
    let strays: [&str; 14] = [
        "prefs=\"dark", "$Version=1", "$Version=\"1\"", "exeunt=", "exeunt", "exeunt=\"\"", "exeunt=x", "EXEUNT=x",
        "__Host-exeunt=x", "exeunt-known=x", &quoted, &dead, &many, "=exeunt=x",
    ];
    strays.iter().flat_map(|stray| [line(&[stray, own]), line(&[own, stray]), line(&[stray, own, stray])]).collect()
}

#[tokio::test]
async fn stray_cookies_neither_lock_out_nor_prevent_a_logout() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    for cookie in with_strays(pair(&alice)) {
        assert_eq!(harness.forward("/x", &[&cookie]).session().unwrap().identity().user(), "alice", "{cookie}");
        let passed = head("GET", &[&cookie]).headers;
        let passed = sent(&harness.forward("/x", &[&cookie]), &passed);
        let passed = passed.get("cookie").map_or("", |line| line.to_str().unwrap());
        assert!(!passed.replace("=exeunt=x", "").to_lowercase().contains("exeunt"), "{cookie}: {passed}");
    }
    harness.ask("POST", "/logout", &[&alice], "").await;
    for at in 0..with_strays(pair(&alice)).len() {
        let alice = harness.session_of("alice").await;
        let cookie = with_strays(pair(&alice)).remove(at);
        let receipt = json(&harness.ask("POST", "/logout", &[&cookie], "").await);
        assert_eq!((&receipt["user"], &receipt["steps"][0]["count"]), (&"alice".into(), &1.into()), "{cookie}");
        assert!(!harness.is_signed_in(&alice), "{cookie}");
    }
}

#[tokio::test]
async fn two_live_sessions_in_one_request_both_end() {
    let asks: [(&str, &str, &[&str]); 6] = [
        ("GET", "/x", &[]),
        ("GET", "/x", &[BROWSER]),
        ("GET", "/login", &[BROWSER]),
        ("GET", "/.exeunt/session", &[]),
        ("PUT", "/login", &[]),
        ("POST", "/login", &[FORM]),
    ];
    for (method, target, lines) in asks {
        let harness = harness();
        let (alice, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
        let both = line(&[pair(&alice), &dead(), "exeunt=x", pair(&bob)]);
        let reply = harness.ask(method, target, &[lines, &[&*both]].concat(), "username=carol&password=wrong").await;
        assert!(!text(&reply).contains("alice") && !text(&reply).contains("bob"), "{method} {target}");
        assert!(!harness.is_signed_in(&alice) && !harness.is_signed_in(&bob), "{method} {target}");
        assert!(harness.gateway.sessions().is_empty());
        let log = harness.lines.lock().join("\n");
        assert_eq!(log.matches("cause=cookie_conflict").count(), 2, "{log}");
        assert!(log.contains("event=session_ended user=alice") && log.contains("event=session_ended user=bob"));
    }
}

#[tokio::test]
async fn after_a_conflict_the_request_has_no_session() {
    let harness = harness();
    let (alice, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
    let both = line(&[pair(&alice), pair(&bob)]);
    let Received::Forward(public) = harness.receive_later("GET", "/public/x", &[&both]).await else { panic!() };
    assert!(public.session().is_none());
    let edits = format!("{:?}", public.response_edits(StatusCode::OK, &HeaderMap::new()));
    assert!(!edits.contains("set-cookie"), "an answer that caches may store sets no cookie: {edits}");
    let reply = harness.ask("GET", "/x", &[&both], "").await;
    assert_eq!(reply.status, 401);
    assert!(header(&reply, "set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(header(&reply, "cache-control"), Some("no-store"));
    let again = harness.sign_in("alice").await;
    assert!(harness.is_signed_in(&line(&[pair(&alice), pair(&again), pair(&bob)])), "both can sign in again");
}

/// A session has a key for each host: two of them are one session.
#[tokio::test]
async fn two_keys_of_one_session_are_no_conflict() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let other_host = SessionId::generate().unwrap();
    let session = harness.gateway.sessions().sessions_of(None).remove(0);
    let further = HostKey { key: other_host.key(), host: "shop.test".into() };
    assert_eq!(harness.gateway.sessions().add_key(&session, further).await, Ok(true));
    let both = line(&[pair(&alice), &format!("exeunt={}", other_host.cookie_value())]);
    assert!(harness.is_signed_in(&both) && harness.is_signed_in(&alice));
}

fn https() -> Harness {
    harness_with(|settings| settings.cookie = SessionCookie::new("exeunt", Scheme::Https, SameSite::Lax))
}

#[tokio::test]
async fn only_the_exact_name_signs_in_and_all_spellings_end() {
    for spelling in ["exeunt", "EXEUNT", "__Secure-exeunt", "__host-exeunt"] {
        let harness = https();
        let (alice, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
        let other = pair(&bob).replacen("__Host-exeunt", spelling, 1);
        assert!(!harness.is_signed_in(&line(&[&other])), "{spelling}");
        assert!(harness.is_signed_in(&line(&[&other, pair(&alice)])), "it is no conflict");
        assert!(harness.is_signed_in(&bob));
        let reply = harness.ask("POST", "/logout", &[&line(&[&other, pair(&alice)])], "").await;
        let receipt = json(&reply);
        assert_eq!((&receipt["steps"][0]["count"], &receipt["user"]), (&2.into(), &serde_json::Value::Null));
        assert!(!harness.is_signed_in(&alice) && !harness.is_signed_in(&bob), "{spelling}");
        assert_eq!(harness.lines.lock().join("\n").matches("cause=logout").count(), 2);
    }
}

#[tokio::test]
async fn a_logout_ends_every_session_that_is_named() {
    const NAVIGATE: [&str; 3] = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
    let asks: [(&str, &[&str]); 4] =
        [("POST", &[]), ("POST", &[BROWSER]), ("POST", &["Accept: application/json"]), ("GET", &NAVIGATE)];
    for (method, lines) in asks {
        let harness = harness();
        let (one, other) = (harness.sign_in("alice").await, harness.sign_in("alice").await);
        let bob = harness.sign_in("bob").await;
        let both = line(&["a=\"", pair(&one), "exeunt=x"]);
        let reply = harness.ask(method, "/logout", &[lines, &[&both, &other]].concat(), "").await;
        let counted = header(&reply, "location").is_some_and(|to| to.contains("&end=2&"))
            || text(&reply).contains("2 sessions have ended")
            || (json(&reply)["steps"][0]["count"] == 2 && json(&reply)["user"] == "alice");
        assert!(counted, "{}", text(&reply));
        assert!(!harness.is_signed_in(&one) && !harness.is_signed_in(&other) && harness.is_signed_in(&bob));
        assert_eq!(harness.lines.lock().join("\n").matches("cause=logout").count(), 2, "each session has its log line");
    }
}

#[tokio::test]
async fn a_logout_that_is_refused_ends_nothing() {
    let harness = harness();
    let (alice, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
    let both = line(&[pair(&alice), pair(&bob)]);
    let refused: [(&str, &[&str], u16); 6] = [
        ("POST", &["Sec-Fetch-Site: cross-site"], 403),
        ("POST", &["Origin: null", BROWSER], 403),
        ("GET", &[BROWSER], 200),
        ("GET", &[], 405),
        ("GET", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"], 403),
        ("DELETE", &[], 405),
    ];
    for (method, lines, status) in refused {
        let reply = harness.ask(method, "/logout", &[lines, &[&*both]].concat(), "").await;
        assert_eq!((reply.status.as_u16(), header(&reply, "set-cookie")), (status, None), "{method} {lines:?}");
        assert!(!text(&reply).contains("alice") && !text(&reply).contains("bob"), "no user name is shown");
        assert!(harness.is_signed_in(&alice) && harness.is_signed_in(&bob), "{method} {lines:?}");
    }
}

#[tokio::test]
async fn a_sign_in_ends_all_that_its_request_names() {
    let harness = https();
    let (alice, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
    let other = pair(&bob).replacen("__Host-exeunt", "exeunt", 1);
    let named = line(&[&other, "__Host-exeunt=\"x", pair(&alice)]);
    let wrong = harness.ask("POST", "/login", &[FORM, &named], "username=alice&password=wrong").await;
    assert_eq!(wrong.status, 401);
    assert!(harness.is_signed_in(&alice) && harness.is_signed_in(&bob), "the sign-in failed, so both sessions stay");
    let reply = harness.ask("POST", "/login", &[FORM, &named], "username=alice&password=wonder+land").await;
    let new = cookie_line(&reply);
    assert!(!harness.is_signed_in(&alice) && !harness.is_signed_in(&bob) && harness.is_signed_in(&new));
    assert_eq!(harness.lines.lock().join("\n").matches("cause=signed_in_again").count(), 2);
}

#[tokio::test]
async fn a_sign_in_with_two_live_sessions_keeps_only_the_new_one() {
    let harness = harness();
    let (alice, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
    let both = line(&[pair(&alice), pair(&bob)]);
    let reply = harness.ask("POST", "/login", &[FORM, &both], "username=alice&password=wonder+land").await;
    assert_eq!(reply.status, 303);
    assert_eq!(harness.gateway.sessions().len(), 1);
    let new = cookie_line(&reply);
    assert!(harness.is_signed_in(&line(&[pair(&alice), pair(&new), pair(&bob)])));
}

/// With shared caches in front: only responses that they must not store set or expire a cookie of the gateway.
#[tokio::test]
async fn answers_with_the_gateways_cookies_are_never_stored() {
    let harness = harness();
    let asks: [(&str, &str, &[&str], &str); 12] = [
        ("GET", "/x", &[], ""),
        ("GET", "/x", &[BROWSER], ""),
        ("GET", "/staff/x", &[BROWSER], ""),
        ("GET", "/login", &[BROWSER], ""),
        ("GET", "/.exeunt/session", &[], ""),
        ("GET", "/.exeunt/style.css", &[], ""),
        ("POST", "/login", &[FORM], "username=alice&password=wonder+land"),
        ("POST", "/login", &[FORM, "Accept: application/json"], "username=alice&password=wonder+land"),
        ("POST", "/logout", &[], ""),
        ("POST", "/logout?next=/bye", &[BROWSER], ""),
        ("POST", "/logout", &[BROWSER], ""),
        ("POST", "/logout", &[FORM, "Accept: application/json"], "next=/bye"),
    ];
    let mut with_cookies = 0;
    for (method, target, lines, body) in asks {
        for stray in ["exeunt=x", "exeunt=x; exeunt=y", "exeunt"] {
            let reply = harness.ask(method, target, &[lines, &[&*line(&[stray])]].concat(), body).await;
            if header(&reply, "set-cookie").is_some() {
                assert_eq!(header(&reply, "cache-control"), Some("no-store"), "{method} {target}");
                with_cookies += 1;
            }
        }
    }
    assert!(with_cookies >= 8 * 3, "{with_cookies}");
}
