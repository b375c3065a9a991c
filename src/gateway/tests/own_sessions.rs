//! `/.exeunt/sessions`, and signing out everywhere.

use super::*;

const PAGE: &str = "/.exeunt/sessions";

/// The page's data for a program.
async fn listed(harness: &Harness, cookie: &str) -> serde_json::Value {
    json(&harness.ask("GET", PAGE, &[cookie], "").await)
}

/// The handle of a cookie's session.
async fn handle(harness: &Harness, cookie: &str) -> String {
    listed(harness, cookie).await["sessions"][0]["session"].as_str().unwrap().to_owned()
}

async fn end(harness: &Harness, lines: &[&str], what: &str) -> Reply {
    let body = format!("end={what}");
    harness.ask("POST", PAGE, &[&[FORM], lines].concat(), body.leak()).await
}

#[tokio::test]
async fn only_the_users_own_sessions_are_listed() {
    let harness = harness();
    let (alice, _bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
    harness.clock.advance(Duration::from_secs(90));
    let other = harness.sign_in("alice").await;
    let list = listed(&harness, &alice).await;
    assert_eq!((&list["user"], &list["not_shown"]), (&"alice".into(), &0.into()));
    let lines = list["sessions"].as_array().unwrap();
    let told: Vec<_> = lines.iter().map(|line| (&line["current"], &line["age_seconds"])).collect();
    assert_eq!(told, [(&true.into(), &90.into()), (&false.into(), &0.into())]);
    assert_eq!(lines[1]["session"], handle(&harness, &other).await);
    let page = harness.ask("GET", PAGE, &[BROWSER, &alice], "").await;
    assert_eq!((page.status.as_u16(), header(&page, "cache-control")), (200, Some("no-store")));
    let page = text(&page);
    assert!(page.contains("This browser") && page.contains("Signed in 1 minute ago"), "{page}");
    assert!(!page.contains("bob") && page.contains("Sign out all others"), "{page}");
    let alone = harness.ask("GET", "/.exeunt/session", &[BROWSER, &alice], "").await;
    assert_eq!((alone.status.as_u16(), header(&alone, "location")), (303, Some(PAGE)));
    let alone = json(&harness.ask("GET", "/.exeunt/session", &[&alice], "").await);
    assert_eq!((&alone["age_seconds"], &alone["idle_seconds"]), (&90.into(), &90.into()));
    let linked = text(&harness.ask("GET", "/login", &[BROWSER, &alice], "").await);
    assert!(linked.contains(PAGE), "{linked}");
}

#[tokio::test]
async fn one_or_all_other_sessions_of_the_user_end() {
    let harness = harness();
    let (own, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
    let one = harness.sign_in("alice").await;
    let cut = Cut::new();
    let received = harness.receive_on(&cut, "GET", "/", &[&one]).await;
    assert!(matches!(received, Received::Forward(_)), "{received:?}");
    let named = handle(&harness, &one).await;
    let reply = end(&harness, &[&own], &named).await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["sessions_ended"]), (200, &1.into()));
    assert!(cut.signalled().is_some(), "its exchange is cut");
    assert_eq!([&own, &one, &bob].map(|cookie| harness.is_signed_in(cookie)), [true, false, true]);
    let again = end(&harness, &[&own], &named).await;
    assert_eq!((again.status.as_u16(), &json(&again)["sessions_ended"]), (200, &0.into()));

    let foreign = handle(&harness, &bob).await;
    assert_eq!(json(&end(&harness, &[&own], &foreign).await)["sessions_ended"], 0);
    assert!(harness.is_signed_in(&bob), "a handle of another user's session has no effect");

    assert_eq!(json(&end(&harness, &[&bob], "all").await)["sessions_ended"], 1);
    assert_eq!([&own, &bob].map(|cookie| harness.is_signed_in(cookie)), [true, false]);

    let (two, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
    let reply = end(&harness, &[&own, BROWSER], "others").await;
    assert_eq!((reply.status.as_u16(), header(&reply, "location")), (303, Some(PAGE)));
    assert_eq!([&own, &two, &bob].map(|cookie| harness.is_signed_in(cookie)), [true, false, true]);
    let own_name = handle(&harness, &own).await;
    let reply = end(&harness, &[&own], &own_name).await;
    assert!(header(&reply, "set-cookie").unwrap().contains("Max-Age=0") && !harness.is_signed_in(&own));
    let lines = harness.lines.lock().join("\n");
    assert_eq!(lines.matches("cause=everywhere").count(), 4, "{lines}");
}

#[tokio::test]
async fn only_pages_of_the_same_origin_may_end_sessions() {
    let harness = harness();
    let (own, other) = (harness.sign_in("alice").await, harness.sign_in("alice").await);
    let cases: [(&[&str], &str, u16, &str); 6] = [
        (&[&own, "Origin: http://evil.test"], "others", 403, "cross_site"),
        (&[&own, "Sec-Fetch-Site: cross-site"], "others", 403, "cross_site"),
        (&[&own, "Sec-Fetch-Site: same-site"], "others", 403, "cross_site"),
        (&[], "others", 401, "sign_in_required"),
        (&[&own], "a&end=others", 400, "form_malformed"),
        (&[&own], "%ff", 400, "form_malformed"),
    ];
    for (lines, what, status, reason) in cases {
        let reply = end(&harness, lines, what).await;
        assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (status, &reason.into()), "{what} {lines:?}");
    }
    let none = harness.ask("POST", PAGE, &[FORM, &own], "").await;
    assert!(none.status == 400 && text(&none).contains("end=others"), "{}", text(&none));
    assert_eq!(harness.ask("DELETE", PAGE, &[&own], "").await.status, 405);
    assert_eq!(harness.ask("GET", PAGE, &[BROWSER], "").await.status, 303);
    assert!(harness.is_signed_in(&own) && harness.is_signed_in(&other));
}

#[tokio::test]
async fn a_logout_everywhere_ends_all_sessions_of_the_user() {
    let asks: [(&str, &str, bool); 6] = [
        ("/logout?everywhere=1", "", true),
        ("/logout", "everywhere=1", true),
        ("/logout", "everywhere=on&next=/bye", true),
        ("/logout", "everywhere=0", false),
        ("/logout", "everywhere=1&everywhere=1", false),
        ("/logout", "", false),
    ];
    for (target, body, everywhere) in asks {
        let harness = harness();
        let (own, other, bob) =
            (harness.sign_in("alice").await, harness.sign_in("alice").await, harness.sign_in("bob").await);
        let reply = harness.ask("POST", target, &[FORM, "Accept: application/json", &own], body).await;
        let receipt = json(&reply);
        assert_eq!(
            (&receipt["user"], &receipt["steps"][0]["count"]),
            (&"alice".into(), &(1 + u32::from(everywhere)).into())
        );
        let live = [&own, &other, &bob].map(|cookie| harness.is_signed_in(cookie));
        assert_eq!(live, [false, !everywhere, true], "{target} {body}");
        let lines = harness.lines.lock().join("\n");
        let id = format!("logout_id={}", receipt["logout_id"].as_str().unwrap());
        assert_eq!(lines.matches(&id).count(), 1 + usize::from(everywhere), "one logout has one id: {lines}");
    }
}

#[tokio::test]
async fn a_cookie_of_an_ended_session_ends_no_other() {
    let harness = harness();
    let (old, other) = (harness.sign_in("alice").await, harness.sign_in("alice").await);
    assert_eq!(harness.ask("POST", "/logout", &[&old], "").await.status, 200);
    assert_eq!(harness.ask("POST", "/logout?everywhere=1", &[&old], "").await.status, 200);
    assert!(harness.is_signed_in(&other));
    // Neither does an expired session that is still in the table.
    harness.clock.advance(Duration::from_secs(500));
    let new = harness.sign_in("alice").await;
    harness.clock.advance(Duration::from_secs(101));
    assert_eq!(harness.ask("POST", "/logout?everywhere=1", &[&other], "").await.status, 200);
    assert!(harness.is_signed_in(&new));
}

#[tokio::test]
async fn a_session_names_the_hosts_that_it_is_open_on() {
    let shop = || Host::parse("shop.test");
    let harness = harness_with(|settings| {
        settings.hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), shop());
    });
    let body = "username=alice&password=wonder+land";
    for (host, signed_in_at) in [("Host: app.test", "app.test"), ("Host: SHOP.test:80", "shop.test")] {
        let cookie = cookie_line(&harness.ask("POST", "/login", &[FORM, host], body).await);
        let own = json(&harness.ask("GET", "/.exeunt/session", &[host, &cookie], "").await);
        assert_eq!(own["hosts"], serde_json::json!([signed_in_at]), "{host}");
        let page = text(&harness.ask("GET", PAGE, &[host, BROWSER, &cookie], "").await);
        assert!(page.contains(&format!("on {signed_in_at}")), "{page}");
    }
    assert_eq!(
        listed(&harness, &harness.sign_in("bob").await).await["sessions"][0]["hosts"],
        serde_json::json!(["app.test"])
    );
    let alone = super::harness();
    let bob = alone.sign_in("bob").await;
    assert!(!text(&alone.ask("GET", PAGE, &[BROWSER, &bob], "").await).contains("on app.test"));
}
