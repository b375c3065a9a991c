//! HTTP Basic: name and password with every request.

use data_encoding::BASE64;

use super::*;
use crate::values::end_cause::EndCause;

fn line(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
}

/// `/dav` allows Basic for all users, `/dav/staff` for a group, `/dav/open` is public; `/` does not allow it.
fn harness() -> Harness {
    harness_with(|settings| {
        let basic = |path, access| RouteSettings { basic: true, ..route(path, access) };
        settings.routes.extend([
            basic("/dav", Access::SignedIn),
            basic("/dav/staff", Access::Groups(vec!["staff".into()])),
            basic("/dav/open", Access::Public),
        ]);
    })
}

/// The forwarded request's headers, or the status and the reason.
async fn outcome(harness: &Harness, method: &str, target: &str, lines: &[&str]) -> Result<HeaderMap, (u16, String)> {
    match harness.receive_later(method, target, lines).await {
        Received::Forward(forward) => Ok(sent(&forward, &head(method, lines).headers)),
        Received::Answer(reply) => Err((reply.status.as_u16(), reply.reason.map_or("", Reason::id).to_owned())),
        other => panic!("{target}: {other:?}"),
    }
}

async fn user(harness: &Harness, target: &str, lines: &[&str]) -> Result<String, (u16, String)> {
    let told = outcome(harness, "GET", target, lines).await?;
    Ok(told.get("x-forwarded-user").map_or("", |user| user.to_str().unwrap()).to_owned())
}

async fn reply(harness: &Harness, target: &str, lines: &[&str]) -> Reply {
    match harness.receive_later("GET", target, lines).await {
        Received::Answer(reply) => reply,
        other => panic!("{target} was not answered: {other:?}"),
    }
}

#[tokio::test]
async fn a_program_is_authenticated_by_its_password() {
    let harness = harness();
    let alice = line("alice", "wonder land");
    let told = outcome(&harness, "PROPFIND", "/dav/x", &[&alice]).await.unwrap();
    assert_eq!(
        (&told["x-forwarded-user"], &told["x-forwarded-groups"]),
        (&"alice".parse().unwrap(), &"staff".parse().unwrap())
    );
    assert!(!told.contains_key("authorization"), "{told:?}");
    let hashes = harness.gateway.passwords.computed();
    for _ in 0..3 {
        assert_eq!(user(&harness, "/dav/x", &[&alice]).await, Ok("alice".to_owned()));
    }
    assert_eq!(harness.gateway.passwords.computed(), hashes, "checked once");
    harness.clock.advance(Duration::from_secs(60));
    assert_eq!(user(&harness, "/dav/x", &[&alice]).await, Ok("alice".to_owned()));
    assert_eq!(harness.gateway.passwords.computed(), hashes + 1, "checked once a minute");
    assert!(harness.gateway.sessions().is_empty(), "there is no session");
    let lines = harness.lines.lock().clone();
    let signed_in: Vec<_> = lines.iter().filter(|line| line.contains("event=signed_in")).collect();
    assert_eq!(signed_in.len(), 2, "{lines:?}");
    assert!(signed_in[0].contains("user=alice") && signed_in[0].contains("method=basic"), "{signed_in:?}");
    let access = lines.iter().filter(|line| line.contains("event=access")).all(|line| line.contains("user=alice"));
    assert!(access, "{lines:?}");
}

#[tokio::test]
async fn a_request_needs_the_right_password() {
    let harness = harness();
    let wrong = Err((401, "credentials_wrong".to_owned()));
    let cases = [
        ("/dav/x", "", Err((401, "sign_in_required".to_owned()))),
        ("/dav/x", &line("alice", "wrong"), wrong.clone()),
        ("/dav/x", &line("carol", "wonder land"), wrong.clone()),
        ("/dav/x", &line("dora", "wonder land"), wrong.clone()),
        ("/dav/x", &line("bob", "wonder land"), Ok("bob".to_owned())),
        ("/dav/x", "Authorization: Basic", wrong.clone()),
        ("/dav/x", "Authorization: Bearer x", Err((401, "sign_in_required".to_owned()))),
        ("/dav/staff", &line("bob", "wonder land"), Err((403, "group_missing".to_owned()))),
        ("/dav/staff", &line("alice", "wonder land"), Ok("alice".to_owned())),
        ("/dav/open", "", Ok(String::new())),
        ("/dav/open", &line("bob", "wonder land"), Ok("bob".to_owned())),
        ("/dav/open", &line("bob", "wrong"), wrong.clone()),
        ("/x", &line("alice", "wonder land"), Err((401, "sign_in_required".to_owned()))),
        ("/staff", &line("alice", "wonder land"), Err((401, "sign_in_required".to_owned()))),
        ("/public", &line("alice", "wonder land"), Ok(String::new())),
    ];
    for (target, authorization, want) in cases {
        let lines: Vec<&str> = Some(authorization).into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(user(&harness, target, &lines).await, want, "{target} {authorization}");
    }
    let alice = line("alice", "wonder land");
    assert_eq!(user(&harness, "/dav/x", &[&alice, &alice]).await, Err((400, "head_malformed".to_owned())));
}

/// Browsers get the form; subresources of a page get no challenge.
#[tokio::test]
async fn programs_are_challenged_and_browsers_are_not() {
    const CHALLENGE: Option<&str> = Some("Basic realm=\"app.test\", charset=\"UTF-8\"");
    let harness = harness();
    let wrong = line("dora", "wrong");
    let cases: [(&[&str], u16, Option<&str>); 11] = [
        (&[], 401, CHALLENGE),
        (&[&wrong], 401, CHALLENGE),
        (&["Authorization: Basic ?"], 401, CHALLENGE),
        (&["User-Agent: Mozilla/5.0 Thunderbird/128", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: cors"], 401, CHALLENGE),
        (&[BROWSER], 303, None),
        (&["Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none"], 303, None),
        (&[BROWSER, &wrong], 303, None),
        (&["X-Requested-With: XMLHttpRequest"], 401, None),
        (&["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"], 401, None),
        (&["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"], 401, None),
        (&["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", &wrong], 401, None),
    ];
    for (lines, status, challenge) in cases {
        let reply = reply(&harness, "/dav/x", lines).await;
        assert_eq!((reply.status.as_u16(), header(&reply, "www-authenticate")), (status, challenge), "{lines:?}");
    }
    assert_eq!(header(&reply(&harness, "/x", &[]).await, "www-authenticate"), None, "a route without Basic");
}

#[tokio::test]
async fn wrong_passwords_ban_like_those_of_the_form() {
    let harness = harness();
    let wrong = line("alice", "wrong");
    for _ in 0..5 {
        assert_eq!(reply(&harness, "/dav/x", &[&wrong]).await.status, 401);
    }
    let (hashes, right) = (harness.gateway.passwords.computed(), line("alice", "wonder land"));
    for authorization in [&wrong, &right] {
        let reply = reply(&harness, "/dav/x", &[authorization]).await;
        assert_eq!((reply.status.as_u16(), header(&reply, "retry-after")), (429, Some("5")));
        assert_eq!(header(&reply, "www-authenticate"), None);
    }
    let form = harness.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await;
    assert_eq!((form.status.as_u16(), harness.gateway.passwords.computed()), (429, hashes), "one count for both");
    let refused =
        |line: &String| line.contains("event=sign_in_refused client=unix reason=credentials_wrong user=alice");
    assert_eq!(harness.lines.lock().iter().filter(|line| refused(line)).count(), 5);
    harness.clock.advance(Duration::from_secs(5));
    assert_eq!(user(&harness, "/dav/x", &[&right]).await, Ok("alice".to_owned()));
}

/// Attackers who guess passwords do not lock out a program that was verified within the last hour.
#[tokio::test]
async fn a_program_that_was_verified_before_is_counted_separately() {
    let harness = harness();
    let (right, wrong) = (line("alice", "wonder land"), line("alice", "wrong"));
    assert_eq!(user(&harness, "/dav/x", &[&right]).await, Ok("alice".to_owned()));
    for _ in 0..9 {
        reply(&harness, "/dav/x", &[&wrong]).await;
    }
    assert_eq!(user(&harness, "/dav/x", &[&right]).await, Ok("alice".to_owned()), "verified programs are not banned");
    harness.clock.advance(Duration::from_secs(60));
    for _ in 0..9 {
        reply(&harness, "/dav/x", &[&wrong]).await;
    }
    assert_eq!(reply(&harness, "/dav/x", &[&wrong]).await.status, 429);
    assert_eq!(user(&harness, "/dav/x", &[&right]).await, Ok("alice".to_owned()), "nor when they are checked again");
}

#[tokio::test]
async fn concurrent_requests_are_one_attempt() {
    let harness = harness();
    for (password, status) in [("wrong", 401), ("wonder land", 200)] {
        let (alice, hashes) = (line("alice", password), harness.gateway.passwords.computed());
        let lines = [alice.as_str()];
        let asked = (0..20).map(|_| outcome(&harness, "GET", "/dav/x", &lines));
        for outcome in futures_util::future::join_all(asked).await {
            assert_eq!(outcome.map_or_else(|(status, _)| status, |_| 200), status);
        }
        assert_eq!(harness.gateway.passwords.computed(), hashes + 1, "{password}");
    }
}

/// A link with a password in it does not make a user act as another one.
#[tokio::test]
async fn a_session_counts_before_credentials() {
    let harness = harness();
    let cookie = harness.sign_in("bob").await;
    let hashes = harness.gateway.passwords.computed();
    for authorization in [line("alice", "wonder land"), line("alice", "wrong"), "Authorization: Basic ?".to_owned()] {
        let told = outcome(&harness, "GET", "/dav/x", &[&cookie, &authorization]).await.unwrap();
        assert_eq!(told["x-forwarded-user"], "bob", "{authorization}");
        assert!(!told.contains_key("authorization"), "{authorization} is not forwarded");
    }
    assert_eq!(harness.gateway.passwords.computed(), hashes);
    harness.ask("POST", "/logout", &[&cookie], "").await;
    let alice = line("alice", "wonder land");
    assert_eq!(user(&harness, "/dav/x", &[&cookie, &alice]).await, Ok("alice".to_owned()), "a dead session's cookie");
}

#[tokio::test]
async fn only_basic_credentials_are_withheld_and_only_on_basic_routes() {
    let harness = harness();
    let cookie = harness.sign_in("bob").await;
    let alice = line("alice", "wonder land");
    let passes = async |target, authorization: &str| {
        let told = outcome(&harness, "GET", target, &[&cookie, authorization]).await.unwrap();
        told.get("authorization").is_some()
    };
    assert!(passes("/dav/x", "Authorization: Bearer x").await);
    assert!(passes("/x", &alice).await, "the application may use it itself");
    for authorization in
        [&alice, "Authorization: bAsIc YTpi", "Authorization: Basic\tYTpi", "Authorization: Basic,YTpi"]
    {
        assert!(!passes("/dav/x", authorization).await, "{authorization}");
    }
}

/// Browsers send remembered Basic credentials with requests of any page, also of other sites.
#[tokio::test]
async fn other_sites_cannot_use_remembered_basic_credentials() {
    let harness = harness();
    let alice = line("alice", "wonder land");
    let allowed = async |method, lines: &[&str]| {
        let lines: Vec<&str> = std::iter::once(alice.as_str()).chain(lines.iter().copied()).collect();
        match outcome(&harness, method, "/dav/x", &lines).await {
            Ok(_) => true,
            Err(refused) => {
                assert_eq!(refused, (403, "cross_site".to_owned()));
                false
            }
        }
    };
    for (method, lines, want) in [
        ("POST", &[][..], true),
        ("PUT", &["Origin: http://app.test"], true),
        ("POST", &["Sec-Fetch-Site: same-origin"], true),
        ("GET", &["Sec-Fetch-Site: cross-site"], true),
        ("PROPFIND", &["Origin: http://evil.test"], true),
        ("POST", &["Sec-Fetch-Site: cross-site"], false),
        ("POST", &["Sec-Fetch-Site: same-site"], false),
        ("POST", &["Origin: http://evil.test"], false),
        ("POST", &["Origin: null"], false),
        ("DELETE", &["Origin: http://evil.test"], false),
        ("GET", &["X-HTTP-Method-Override: DELETE", "Sec-Fetch-Site: cross-site"], false),
    ] {
        assert_eq!(allowed(method, lines).await, want, "{method} {lines:?}");
    }
    let cookie = harness.sign_in("bob").await;
    let other = outcome(&harness, "POST", "/dav/x", &[&cookie, "Sec-Fetch-Site: cross-site"]).await;
    assert!(other.is_ok(), "SameSite protects a cookie; see cross_site");
}

/// Exchanges of a removed user are cut, and the next request is verified again.
#[tokio::test]
async fn cleared_credentials_cut_their_exchanges() {
    let harness = harness();
    let (alice, cut) = (line("alice", "wonder land"), Cut::new());
    let received = harness.receive_on(&cut, "GET", "/dav/x", &[&alice]).await;
    let Received::Forward(forward) = received else { panic!("{received:?}") };
    let hashes = harness.gateway.passwords.computed();
    assert_eq!(harness.gateway.forget_credentials(|_| None), 0);
    assert!(!forward.has_ended());
    assert_eq!(user(&harness, "/dav/x", &[&alice]).await, Ok("alice".to_owned()));
    assert_eq!(harness.gateway.passwords.computed(), hashes + 1);
    assert_eq!(
        harness
            .gateway
            .forget_credentials(|session| (session.identity().user() == "alice").then_some(EndCause::Revoked)),
        1
    );
    assert!(forward.has_ended() && forward.begin_write().is_none() && cut.signalled().is_some());
}
