//! T54-T74, T97: what is a session, what is none, and what ends one.

use std::sync::Arc;

use exeunt::values::identity::UserKey;
use exeunt::values::session_id::SessionId;

use super::harness::{folded, status, the_one};
use crate::site::answer::request;
use crate::site::harness::{FORM, Site, until};
use crate::upstream::header;

/// No connection goes on knowing a session that was ended on another.
#[tokio::test(flavor = "multi_thread")]
async fn t54_ended_session_is_refused_on_every_connection_at_once() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let bob = site.sign_in("bob").await;
    let page = request("GET", "/x", &[&alice], "");
    let (mut first, mut second) = (site.client().await, site.client().await);
    for client in [&mut first, &mut second] {
        assert_eq!(client.exchange(&page).await.status, 200);
    }
    // An answer can be read a moment before its exchange is over; a logout in between would close the connection.
    let user = UserKey { source: "file".into(), subject: "alice".into() };
    until(|| site.gateway.sessions().list(&user).iter().all(|session| session.live_connections() == 0)).await;
    assert_eq!(first.exchange(&request("POST", "/logout", &[&alice], "")).await.status, 200);
    echo.take();
    for client in [&mut first, &mut second, &mut site.client().await] {
        assert_eq!(client.exchange(&page).await.status, 401, "captured cookies are dead");
    }
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(first.exchange(&request("GET", "/x", &[&bob], "")).await.status, 200, "nobody else is signed out");
}

const PEOPLE: usize = 200;
const TASKS: usize = 8;
const ROUNDS: usize = 3;

/// Many users sign in and out at the same time: each is only ever seen as that user.
#[tokio::test(flavor = "multi_thread")]
async fn t55_concurrent_users_are_not_confused() {
    let (site, _echo) = Site::with_echo().await;
    let site = Arc::new(site);
    let tasks = (0..TASKS).map(|task| {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let mut client = site.client().await;
            for round in 0..ROUNDS {
                for person in (task..PEOPLE).step_by(TASKS) {
                    client = in_and_out(&site, client, &format!("user{person}-{round}")).await;
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(site.gateway.sessions().is_empty());
}

/// Two sessions of one person; one is signed out, then the other.
async fn in_and_out(
    site: &Site,
    mut client: crate::server::client::Client,
    user: &str,
) -> crate::server::client::Client {
    let (one, other) = (site.session_of(user).await, site.session_of(user).await);
    for cookie in [&one, &other, &one] {
        let answer = client.exchange(&request("GET", "/x", &[cookie], "")).await;
        assert_eq!((answer.status, header(answer.text(), "x-forwarded-user")), (200, Some(user)));
    }
    for (out, left) in [(&one, Some(&other)), (&other, None)] {
        let receipt = site.ask("POST", "/logout", &[out], "").await;
        assert_eq!((receipt.status, &receipt.json()["user"]), (200, &user.into()));
        // An end cuts the connection of an exchange that is not quite over.
        client = site.client().await;
        assert_eq!(client.exchange(&request("GET", "/x", &[out], "")).await.status, 401);
        if let Some(left) = left {
            let answer = client.exchange(&request("GET", "/x", &[left], "")).await;
            assert_eq!(header(answer.text(), "x-forwarded-user"), Some(user));
        }
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn t57_after_a_logout_neither_side_knows_the_cookie() {
    let (site, echo) = Site::with_echo().await;
    for lines in [&[][..], &["Accept: text/html"], &["Accept: application/json"]] {
        let alice = site.sign_in("alice").await;
        let answer = site.ask("POST", "/logout", &[lines, &[&*alice]].concat(), "").await;
        let set = answer.headers("set-cookie");
        assert!(!set.is_empty() && set.iter().all(|line| line.contains("Max-Age=0")), "{}", answer.head);
        assert!(set.iter().any(|line| line.starts_with("exeunt=;")), "{set:?}");
        for target in ["/x", "/staff/x", "/.exeunt/session"] {
            assert_eq!(status(&site, "GET", target, &[&alice]).await, 401, "{target}");
        }
        let form = site.get("/login", &["Accept: text/html", &alice]).await;
        assert!(form.text().contains("name=\"password\""), "the sign-in page knows nobody either");
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t60_a_sign_in_gives_a_new_cookie_and_ends_the_old_session() {
    let (site, echo) = Site::with_echo().await;
    let planted = format!("Cookie: exeunt={}", SessionId::generate().unwrap().cookie_value());
    let form = "username=alice&password=wonder+land";
    let first = site.ask("POST", "/login", &[FORM, &planted], form).await.cookie_line();
    assert!(!first.contains(planted.split_once('=').unwrap().1));
    assert_eq!(status(&site, "GET", "/x", &[&planted]).await, 401, "who planted it knows nothing");
    let second = site.ask("POST", "/login", &[FORM, &first], "username=bob&password=wonder+land").await.cookie_line();
    assert_ne!(first, second);
    assert_eq!(status(&site, "GET", "/x", &[&first]).await, 401);
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(header(site.get("/x", &[&second]).await.text(), "x-forwarded-user"), Some("bob"));
}

/// The half of this row about a store that fails comes with the first store that can.
#[tokio::test(flavor = "multi_thread")]
async fn t61_malformed_cookie_is_not_a_session() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let value = alice.split_once('=').unwrap().1;
    let broken = [
        String::new(),
        "x".to_owned(),
        value[1..].to_owned(),
        format!("{value}x"),
        format!("{value}="),
        format!("\"{value}\""),
        format!("%{value}"),
        value.to_ascii_uppercase(),
        format!("{value},{value}"),
        "x".repeat(4096),
        "\u{ff}".repeat(43),
        value.replace(char::is_alphabetic, "-"),
        format!("{}/", &value[..42]),
        format!("{} {}", &value[..20], &value[20..]),
    ];
    for value in &broken {
        let line = format!("Cookie: exeunt={value}");
        let answer = site.get("/x", &[&line]).await;
        assert_eq!(answer.status, 401, "{value}");
        let page = site.get("/x", &[&line, "Accept: text/html"]).await;
        assert_eq!(page.status, 303, "{value}");
        assert_eq!(status(&site, "GET", "/.exeunt/session", &[&line]).await, 401, "{value}");
        assert_eq!(echo.take(), [""; 0], "{value}");
        assert_eq!(status(&site, "GET", "/public/x", &[&line]).await, 200);
        assert_eq!(folded(&the_one(&echo), "x-forwarded-user"), 0, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_number_of_cookies_is_not_taken_from_a_cookie() {
    let (site, echo) = Site::with_echo().await;
    // A loop up to the larger number would not end before the test's own timeout.
    for count in ["99999999", "18446744073709551615"] {
        for line in ["exeunt_chunks=COUNT", "exeunt.0=a; exeunt.COUNT=b", "__Host-exeunt_chunks=COUNT; exeunt=x"] {
            let line = format!("Cookie: {}", line.replace("COUNT", count));
            assert_eq!(status(&site, "GET", "/x", &[&line]).await, 401, "{line}");
        }
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_hostile_cookies_do_not_panic() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let own = alice.strip_prefix("Cookie: ").unwrap();
    let signs = ["=", ";", ";;", "a", "=a", "exeunt", "exeunt=", "\"", "a=\"", " ", ",", "\t", "\u{ff}", "a=b", own];
    let mut sent = 0;
    for one in signs {
        for other in signs {
            for third in ["", ";", "; ", "=", own] {
                let line = format!("Cookie: {one}{third}{other}");
                let got = status(&site, "GET", "/public/x", &[&line]).await;
                assert_eq!(got, 200, "{line:?}");
                sent += 1;
            }
        }
    }
    let seen = echo.take();
    assert_eq!(seen.len(), sent);
    let pairs = seen.iter().filter_map(|request| header(request, "cookie")).flat_map(|line| line.split(';'));
    let names: Vec<_> = pairs.map(|pair| pair.split('=').next().unwrap().trim()).collect();
    assert!(names.contains(&"a") && !names.contains(&"exeunt"), "none of ours is passed on, and all others are");
    let large = format!("Cookie: {}", "a=b; ".repeat(64 * 1024 / 5));
    assert!(matches!(status(&site, "GET", "/public/x", &[&large]).await, 200 | 400 | 431));
}

#[tokio::test(flavor = "multi_thread")]
async fn t68_cookie_inside_another_value_is_not_a_session() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let own = alice.strip_prefix("Cookie: ").unwrap();
    let none = [
        format!("={own}"),
        format!("\u{e2}\u{80}\u{80}{own}"),
        format!("\u{a0}{own}"),
        format!("x{own}"),
        format!("a={own}"),
        format!("__Secure-{own}"),
        format!("__Host-{own}"),
        own.replacen("exeunt", "EXEUNT", 1),
        own.replacen('=', " =x", 1),
        format!("a,{own}"),
        format!("exeunt; {own}x"),
    ];
    for case in none {
        assert_eq!(status(&site, "GET", "/x", &[&format!("Cookie: {case}")]).await, 401, "{case}");
    }
    assert_eq!(echo.take(), [""; 0]);
    // Quotes and versions are of standards that no browser follows: to RFC 6265 these are two cookies.
    let one = [
        format!("a=\"; {own}; \""),
        format!("a=\"x; {own}"),
        format!("$Version=1; {own}; $Path=/"),
        format!("exeunt=; {own}; exeunt=\"\""),
    ];
    for case in one {
        let line = format!("Cookie: {case}");
        assert_eq!(header(site.get("/x", &[&line]).await.text(), "x-forwarded-user"), Some("alice"), "{case}");
        assert!(!the_one(&echo).contains("exeunt="), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t69_two_live_session_cookies_end_both() {
    let (site, echo) = Site::with_echo().await;
    for at in 0..3 {
        let (alice, bob) = (site.session_of("alice").await, site.session_of("bob").await);
        let both = format!("{alice}; {}", bob.strip_prefix("Cookie: ").unwrap());
        let orders: [&[&str]; 3] = [&[&both], &[&alice, &bob], &[&bob, &alice]];
        let lines = orders[at];
        let answer = site.get("/x", lines).await;
        assert_eq!((answer.status, answer.header("cache-control")), (401, Some("no-store")));
        assert!(
            answer.headers("set-cookie").iter().any(|line| line.starts_with("exeunt=;") && line.contains("Max-Age=0"))
        );
        let public = site.get("/public/x", lines).await;
        assert!(public.status == 200 && public.headers("set-cookie").is_empty(), "{}", public.head);
        assert_eq!(folded(&the_one(&echo), "x-forwarded-user"), 0);
        for cookie in [&alice, &bob] {
            assert_eq!(status(&site, "GET", "/x", &[cookie]).await, 401, "one of them was planted");
        }
    }
    assert!(site.gateway.sessions().is_empty());
    assert_eq!(site.lines().join("\n").matches("cause=cookie_conflict").count(), 6);
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_other_secrets_are_not_accepted_as_sessions() {
    let (site, echo) = Site::with_echo().await;
    let form = "username=alice&password=wonder+land";
    let signed_in = site.ask("POST", "/login", &[FORM], form).await;
    let alice = signed_in.cookie_line();
    let known = alice.split("exeunt-known=").nth(1).unwrap().to_owned();
    let user = UserKey { source: "file".into(), subject: "alice".into() };
    let handle = site.gateway.sessions().list(&user)[0].handle().unwrap().as_str().to_owned();
    let receipt = site.ask("POST", "/logout", &[&site.session_of("bob").await], "").await;
    let receipt = receipt.json()["logout_id"].as_str().unwrap().to_owned();
    for value in [&known, &handle, &receipt, "alice"] {
        assert_eq!(status(&site, "GET", "/x", &[&format!("Cookie: exeunt={value}")]).await, 401, "{value}");
    }
    let session = alice.split(['=', ';']).nth(1).unwrap();
    assert_eq!(status(&site, "GET", "/x", &[&format!("Cookie: exeunt-known={session}")]).await, 401);
    assert_eq!(echo.take(), [""; 0]);
}

const NAVIGATION: [&str; 2] = ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];

#[tokio::test(flavor = "multi_thread")]
async fn t73_cross_site_requests_do_not_sign_out() {
    let (site, _echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let foreign: [(&str, &[&str], u16); 11] = [
        ("GET", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"], 403),
        ("GET", &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"], 403),
        ("GET", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"], 403),
        ("GET", &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"], 403),
        ("GET", &["Sec-Fetch-Site: none", NAVIGATION[0], NAVIGATION[1], "Sec-Purpose: prefetch"], 403),
        ("GET", &["Sec-Fetch-Site: cross-site", NAVIGATION[0], NAVIGATION[1]], 200),
        ("GET", &["Accept: text/html"], 200),
        ("POST", &["Sec-Fetch-Site: cross-site"], 403),
        ("POST", &["Sec-Fetch-Site: same-site"], 403),
        ("POST", &["Origin: https://evil.test"], 403),
        ("POST", &["Origin: null"], 403),
    ];
    for (method, lines, want) in foreign {
        let answer = site.ask(method, "/logout", &[lines, &[&*alice]].concat(), "").await;
        assert_eq!(answer.status, want, "{method} {lines:?}");
        assert!(answer.headers("set-cookie").is_empty(), "{method} {lines:?}");
        assert_eq!(status(&site, "GET", "/x", &[&alice]).await, 200, "{method} {lines:?} ends nothing");
    }
    let own: [(&str, &[&str]); 4] = [
        ("GET", &["Sec-Fetch-Site: same-origin", NAVIGATION[0], NAVIGATION[1]]),
        ("GET", &["Sec-Fetch-Site: none", NAVIGATION[0], NAVIGATION[1]]),
        ("POST", &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate"]),
        ("POST", &["Origin: http://app.test"]),
    ];
    for (method, lines) in own {
        let alice = site.session_of("alice").await;
        site.ask(method, "/logout?next=/bye", &[lines, &[&*alice]].concat(), "").await;
        assert_eq!(status(&site, "GET", "/x", &[&alice]).await, 401, "{method} {lines:?}");
    }
}

/// Every address of the gateway that changes something: there are two, and the others refuse POST.
#[tokio::test(flavor = "multi_thread")]
async fn t74_cross_site_requests_change_nothing() {
    let (site, _echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let form = "username=bob&password=wonder+land";
    for line in ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.test", "Origin: null"]
    {
        for target in ["/login", "/logout", "/LOGIN/", "/%6cogin", "/logout?everywhere=1", "/.exeunt/sessions"] {
            let answer = site.ask("POST", target, &[FORM, line, &alice], form).await;
            assert_eq!((answer.status, &answer.json()["error"]), (403, &"cross_site".into()), "{target} {line}");
            assert!(answer.headers("set-cookie").is_empty());
        }
    }
    for target in ["session", "goodbye", "style.css", "logo"] {
        assert_eq!(status(&site, "POST", &format!("/.exeunt/{target}"), &[&alice]).await, 405, "{target}");
    }
    for target in ["sessions/x", "users/alice/sessions", "reload"] {
        assert_eq!(status(&site, "DELETE", &format!("/.exeunt/{target}"), &[&alice]).await, 404, "{target}");
        assert_eq!(status(&site, "POST", &format!("/.exeunt/{target}"), &[&alice]).await, 404, "{target}");
    }
    assert_eq!(site.gateway.sessions().len(), 1);
    assert_eq!(status(&site, "GET", "/x", &[&alice]).await, 200);
}

/// Times tell nothing where a secret is looked up by its hash, and compared by `subtle` where it is compared. How
/// long that takes cannot be tested in earnest; that it is so can.
#[tokio::test(flavor = "multi_thread")]
async fn t97_secrets_are_looked_up_by_hash_and_compared_in_constant_time() {
    let id = SessionId::generate().unwrap();
    let value = id.cookie_value();
    let shown = format!("{id:?} {:?}", id.key());
    assert!(!shown.contains(&value) && !shown.contains(&value[..8]), "{shown}");
    let sources = [
        (include_str!("../../../src/credentials/password.rs"), "computed.ct_eq(&self.output)"),
        (include_str!("../../../src/credentials/apr1.rs"), ".ct_eq(self.text.as_bytes())"),
        (include_str!("../../../src/credentials/stored_hash.rs"), ".ct_eq(digest)"),
        (include_str!("../../../src/values/session_id.rs"), "is_cookie_value(value).then(|| Self(digest_of(value)))"),
        (include_str!("../../../src/values/mac.rs"), ".ct_eq(&mac.0)"),
    ];
    for (source, wanted) in sources {
        assert!(source.contains(wanted), "{wanted}");
    }
    let secret = include_str!("../../../src/values/secret.rs");
    let derived = secret.lines().filter(|line| line.contains("#[derive"));
    assert!(
        derived.clone().count() > 0 && derived.clone().all(|line| !line.contains("Eq")),
        "a secret is not compared"
    );
}
