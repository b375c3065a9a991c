//! Signing in: the form, the target, and refused attempts.

use super::*;

#[tokio::test]
async fn the_sign_in_address_shows_a_form_and_never_redirects() {
    let harness = harness();
    let form = harness.ask("GET", "/login?next=/a%3Fb", &[BROWSER], "").await;
    assert_eq!(form.status, 200);
    assert!(text(&form).contains("name=\"username\"") && text(&form).contains("value=\"/a?b\""));
    let program = harness.ask("GET", "/login", &[], "").await;
    assert_eq!(json(&program)["fields"], serde_json::json!(["username", "password", "next"]));
    let alice = harness.sign_in("alice").await;
    let page = harness.ask("GET", "/login?next=/a", &[BROWSER, &alice], "").await;
    assert_eq!(page.status, 200);
    assert!(text(&page).contains("<h1 class=\"who\">alice</h1>") && text(&page).contains("href=\"/a\""));
    let switch = harness.ask("GET", "/login?switch=1", &[BROWSER, &alice], "").await;
    assert!(text(&switch).contains("name=\"password\""));
    let evil = harness.ask("GET", "/login?next=//evil.test", &[BROWSER], "").await;
    assert!(!text(&evil).contains("evil"));
}

#[tokio::test]
async fn signing_in_leads_to_a_checked_target() {
    let harness = harness();
    let cases = [
        ("/login", "username=alice&password=wonder+land", "/"),
        ("/login", "username=alice&password=wonder+land&next=/a%3Fb", "/a?b"),
        ("/login?next=/q", "username=alice&password=wonder+land&next=/f", "/f"),
        ("/login?next=/q", "username=alice&password=wonder+land", "/q"),
        ("/login?rd=/q", "username=alice&password=wonder+land", "/q"),
        ("/login", "username=alice&password=wonder+land&next=http://app.test/a", "http://app.test/a"),
        ("/login", "username=alice&password=wonder+land&next=//evil.test", "/"),
        ("/login", "username=alice&password=wonder+land&next=https://other.test/", "/"),
        ("/login", "username=alice&password=wonder+land&next=/a&next=/b", "/"),
        ("/login", "username=alice&password=wonder+land&next=/logout", "/"),
        ("/login", "username=alice&password=wonder+land&next=/login", "/"),
    ];
    for (target, body, want) in cases {
        let reply = harness.ask("POST", target, &[FORM], body).await;
        assert_eq!((reply.status.as_u16(), header(&reply, "location")), (303, Some(want)), "{target} {body}");
    }
    let reply = harness
        .ask("POST", "/login", &[FORM, "Accept: application/json"], "username=bob&password=wonder+land&next=/a")
        .await;
    assert_eq!((reply.status.as_u16(), json(&reply)), (200, serde_json::json!({ "user": "bob", "next": "/a" })));
    assert!(harness.is_signed_in(&cookie_line(&reply)));
}

#[tokio::test]
async fn wrong_credentials_and_invalid_forms_open_no_session() {
    let harness = harness();
    let cases: [(&[&str], &str, u16, &str); 9] = [
        (&[FORM], "username=alice&password=wrong", 401, "credentials_wrong"),
        (&[FORM], "username=nobody&password=wonder+land", 401, "credentials_wrong"),
        (&[FORM], "username=carol&password=wonder+land", 401, "credentials_wrong"),
        (&[FORM], "username=alice", 400, "form_malformed"),
        (&[FORM], "username=alice&username=bob&password=wonder+land", 400, "form_malformed"),
        (&[FORM], "username=%ff&password=wonder+land", 400, "form_malformed"),
        (&["Content-Type: application/json"], "{}", 400, "form_malformed"),
        (&[FORM, "Origin: http://evil.test"], "username=alice&password=wonder+land", 403, "cross_site"),
        (&[FORM, "Sec-Fetch-Site: cross-site"], "username=alice&password=wonder+land", 403, "cross_site"),
    ];
    for (lines, body, status, reason) in cases {
        let reply = harness.ask("POST", "/login", lines, body).await;
        assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (status, &reason.into()), "{body}");
        assert_eq!(header(&reply, "set-cookie"), None);
    }
    assert!(harness.gateway.sessions().is_empty());
    let page = harness.ask("POST", "/login", &[FORM, BROWSER], "username=al%22ice&password=wrong&next=/a").await;
    assert_eq!(page.status, 401);
    assert!(
        text(&page).contains("Wrong user name or password")
            && text(&page).contains("value=\"al&quot;ice\"")
            && text(&page).contains("value=\"/a\"")
    );
    assert!(!text(&page).contains("value=\"wrong\""));
}

#[tokio::test]
async fn json_signs_in_as_a_form_does() {
    const JSON: &str = "Content-Type: application/json; charset=utf-8";
    let harness = harness();
    let body = r#"{"username": "alice", "password": "wonder land", "next": "/a"}"#;
    let reply = harness.ask("POST", "/login?next=/q", &[JSON], body).await;
    assert_eq!((reply.status.as_u16(), header(&reply, "location")), (303, Some("/a")));
    assert!(harness.is_signed_in(&cookie_line(&reply)));
    let reply = harness
        .ask("POST", "/login?next=/q", &[JSON, "Accept: application/json"], body.replace("next", "x").leak())
        .await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["next"]), (200, &"/q".into()));
    let cases = [
        (r#"{"username": "alice", "password": "wrong"}"#, 401),
        (r#"{"username": "alice", "password": "wonder land", "password": "wonder land"}"#, 400),
        (r#"{"username": ["alice"], "password": "wonder land"}"#, 400),
        ("username=alice&password=wonder+land", 400),
    ];
    for (body, status) in cases {
        assert_eq!(harness.ask("POST", "/login", &[JSON], body).await.status.as_u16(), status, "{body}");
    }
    let cross = [JSON, "Origin: http://evil.test"];
    assert_eq!(harness.ask("POST", "/login", &cross, body).await.status, 403);
}

#[tokio::test]
async fn other_content_types_are_refused_with_help() {
    let harness = harness();
    let part = "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nalice\r\n--x--\r\n";
    for line in ["Content-Type: multipart/form-data; boundary=x", "Content-Type: text/plain", "X-None: 1"] {
        let reply = harness.ask("POST", "/login", &[line], part).await;
        let body = json(&reply);
        assert_eq!((reply.status.as_u16(), &body["error"]), (400, &"form_malformed".into()), "{line}");
        let message = body["message"].as_str().unwrap();
        let wants = ["username", "password", "application/x-www-form-urlencoded", "application/json"];
        assert!(wants.iter().all(|want| message.contains(want)), "{message}");
    }
}

#[tokio::test]
async fn a_planted_cookie_does_not_survive_the_sign_in() {
    let harness = harness();
    let planted =
        format!("Cookie: exeunt={}", crate::values::session_id::SessionId::generate().unwrap().cookie_value());
    assert!(!harness.is_signed_in(&planted));
    let reply = harness.ask("POST", "/login", &[FORM, &planted], "username=alice&password=wonder+land").await;
    let own = cookie_line(&reply);
    assert_ne!(own, planted);
    assert!(harness.is_signed_in(&own) && !harness.is_signed_in(&planted));
    let again = harness.ask("POST", "/login", &[FORM, &own], "username=bob&password=wonder+land").await;
    let again = cookie_line(&again);
    assert!(harness.is_signed_in(&again) && !harness.is_signed_in(&own), "the earlier session is still alive");
}

#[tokio::test]
async fn an_application_can_have_its_own_login_and_logout() {
    let usual = harness();
    let moved = harness_with(|settings| {
        let path = |text| OwnPath::parse(text).unwrap();
        settings.own_pages = OwnPages::new(path("/.exeunt/login"), vec![path("/.exeunt/logout")]).unwrap();
    });
    for harness in [&usual, &moved] {
        let form = harness.ask("GET", "/.Exeunt/login/?next=/a", &[BROWSER], "").await;
        assert!(text(&form).contains("name=\"password\"") && text(&form).contains("value=\"/a\""));
        let reply =
            harness.ask("POST", "/.exeunt/login", &[FORM], "username=alice&password=wonder+land&next=/.exeunt/logout");
        let alice = cookie_line(&reply.await);
        let reply = harness.ask("POST", "/.exeunt/logout", &[&alice, BROWSER], "next=/.exeunt/login").await;
        assert!(text(&reply).contains("Goodbye, alice") && !harness.is_signed_in(&alice));
    }
    let alice = cookie_line(&moved.ask("POST", "/.exeunt/login", &[FORM], "username=alice&password=wonder+land").await);
    moved.forward("/login", &[&alice]);
    moved.forward("/logout", &[&alice]);
    assert_eq!(header(&moved.ask("GET", "/x", &[BROWSER], "").await, "location"), Some("/.exeunt/login?next=%2Fx"));
    let page = moved.ask("GET", "/.exeunt/login", &[BROWSER, &alice], "").await;
    assert!(text(&page).contains("action=\"/.exeunt/logout\""), "{}", text(&page));
}

#[tokio::test]
async fn the_form_shows_the_host_and_keeps_its_target() {
    let other = Host::parse("wiki.test").unwrap();
    let harness = harness_with(|settings| {
        settings.hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), [other]);
        settings.share = false;
    });
    let cases: [(&str, &str, &str); 5] = [
        ("/login", "Host: app.test:81", "to app.test<"),
        ("/login", "Host: WIKI.test", "to wiki.test<"),
        ("/login?next=/x", "Host: wiki.test", "to wiki.test<"),
        ("/login?next=http://wiki.test/x", "Host: app.test", "to wiki.test<"),
        ("/login?next=http://evil.test/x", "Host: app.test", "to app.test<"),
    ];
    for (target, host, want) in cases {
        let form = text(&harness.ask("GET", target, &[BROWSER, host], "").await);
        assert!(form.contains(want) && form.contains("<form method=\"post\">"), "{target} {host}: {form}");
        let wrong = harness.ask("POST", target, &[BROWSER, host, FORM], "username=eve&password=x").await;
        assert!(wrong.status == 401 && text(&wrong).contains(want), "{target} {host}");
    }
    let mended = harness.ask("POST", "/login?next=/x", &[BROWSER, "Content-Type: text/plain"], "username=eve").await;
    assert_eq!((mended.status.as_u16(), mended.reason), (400, Some(Reason::FormMalformed)));
    assert!(text(&mended).contains("name=\"password\"") && text(&mended).contains("value=\"/x\""));
    let large = harness.receive("POST", "/login?next=/x", &[BROWSER, FORM]);
    let Received::BuiltIn(large) = large else { panic!("{large:?}") };
    let large = harness.gateway.sign_in_or_out(large, async { Err(Reason::FormTooLarge) }).await;
    assert!(large.status == 413 && text(&large).contains("value=\"/x\""), "{}", text(&large));
}

#[tokio::test]
async fn continue_that_leads_back_shows_the_configuration() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let page = harness.ask("GET", "/login?next=/a", &[BROWSER, &alice], "").await;
    let mark = header(&page, "set-cookie").unwrap();
    assert_eq!(mark, "exeunt-continued=1; HttpOnly; SameSite=Lax; Path=/login; Max-Age=10");
    assert!(!text(&page).contains("[login]"));
    let cookies = format!("{alice}; exeunt-continued=1");
    let (site, none) = ("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none");
    let navigate = "Sec-Fetch-Mode: navigate";
    let cases: [(&str, &[&str], bool); 7] = [
        ("/login?next=/a", &[BROWSER], true),
        ("/Login/?next=/b", &[BROWSER], true),
        ("/login", &[site, navigate], true),
        ("/login", &[none, navigate], false),
        ("/login", &[site, navigate, "Cache-Control: max-age=0"], false),
        ("/login", &[BROWSER, "Cache-Control: no-cache"], false),
        ("/.exeunt/login", &[BROWSER], false),
    ];
    for (target, lines, told) in cases {
        let page = harness.ask("GET", target, &[lines, &[&cookies]].concat(), "").await;
        assert_eq!(text(&page).contains("path = \"/.exeunt/login\""), told, "{target} {lines:?}");
        assert!(text(&page).contains("You are signed in as"));
    }
    let form = harness.ask("GET", "/login", &[BROWSER, "Cookie: exeunt-continued=1"], "").await;
    assert!(text(&form).contains("name=\"password\"") && header(&form, "set-cookie").is_none());
}
