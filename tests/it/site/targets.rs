//! The bytes that were judged are the bytes that are forwarded (TABLE P1-P12, T24-T38, T41).

use std::time::Duration;

use exeunt::routes::access::Access;

use super::answer::request;
use super::echo::Echo;
use super::house::{Site, route};

/// `/` and `/public` for everybody, `/admin` for who is signed in: what is read as another path shows.
async fn open_site() -> (Site, Echo) {
    open_site_with(Duration::from_secs(60)).await
}

/// The same, that waits only so long for a body to go on.
pub async fn open_site_with(body_timeout: Duration) -> (Site, Echo) {
    let echo = Echo::start().await;
    let routes =
        [("/", Access::Public), ("/admin", Access::SignedIn)].map(|(path, access)| route(path, access, &[echo.url()]));
    let site = Site::before(&[echo.url()], |setup| {
        setup.gateway.routes = routes.into();
        setup.door.body_timeout = body_timeout;
    });
    (site, echo)
}

async fn status(site: &Site, method: &str, target: &str, lines: &[&str]) -> u16 {
    site.client().await.exchange(&request(method, target, lines, "")).await.status
}

/// P1, P2, P4, P5: in every spelling that has one reading it is the gateway that answers.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_addresses_are_ours_in_every_spelling() {
    let (site, echo) = open_site().await;
    let logout = [
        "/logout", "/logout?x", "/%6cogout", "/%6Cogout", "/./logout", "/a/../logout", "/a/%2e%2e/logout",
        "/.//logout", "/logout/", "/LOGOUT", "/Logout", "http://app.test/logout", "/a//../logout", "/logout/.",
    ];
    for target in logout {
        let cookie = site.session_of("alice").await;
        assert_eq!(status(&site, "POST", target, &[&cookie]).await, 200, "{target}");
        assert_eq!(status(&site, "GET", "/admin", &[&cookie]).await, 401, "{target} ends the session");
    }
    for target in
        ["/login", "/LOGIN/", "/%6cogin", "/.exeunt/session", "/.EXEUNT/goodbye", "/%2eexeunt/nothing", "/.exeunt"]
    {
        status(&site, "GET", target, &[]).await;
    }
    assert_eq!(echo.take(), [""; 0]);
}

/// P3, P6, P8, P10, P11, T25, T34-T36: what two programs could read in two ways is read by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_targets_are_refused_and_never_forwarded() {
    let (site, echo) = open_site().await;
    let alice = site.session_of("alice").await;
    let ambiguous = [
        "//logout", "///logout", "/\\logout", "/logout\\", "/logout%2f", "/logout%5c", "/logout%00", "/logout%20",
        "/logout%09", "/logout%3b", "/logout;x=1", "/logout%3fx", "/logout%23", "/log%6fut%", "/logout%zz",
        "/%u006cogout", "/%c0%aflogout", "logout", "admin/x", "../admin", "?x", ";/admin", "@evil/", "app.test:80",
        "/public/..%2fadmin", "/public/..%5cadmin", "/public/..;/admin", "/public/%252e%252e/admin", "/public%2fadmin",
        "/public/%c0%ae%c0%ae/admin", "/public/%u002e/admin", "/public/%", "/public/%zz", "/../admin",
        "/public/../../admin", "/admin%0d%0aX:y", "/admin%7f", "/admin%23/public/", "/admin%3f/public",
        "ftp://app.test/x", "http://evil@app.test/x", "http://app.test@evil.test/", "http:/x", "/admin;/x",
        "/p;x/../admin;y",
    ];
    for target in ambiguous {
        for lines in [&["Accept: */*"][..], &[&alice]] {
            let answer = site.client().await.exchange(&request("GET", target, lines, "")).await;
            assert_eq!(answer.status, 400, "{target}: {}", answer.head);
        }
    }
    assert_eq!(echo.take(), [""; 0]);
}

/// P7, P9, T24, T28, T29, T32, T41: one canonical path, for the rule and for the application.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_judged_is_what_is_forwarded() {
    let (site, echo) = open_site().await;
    let alice = site.session_of("alice").await;
    let protected = [
        ("/admin", "/admin"),
        ("/public/../admin", "/admin"),
        ("/public/%2e%2e/admin", "/admin"),
        ("/public/.%2e/admin", "/admin"),
        ("/static/x.css/../../admin", "/admin"),
        ("/%2e/admin", "/admin"),
        ("/./admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("/.//admin", "/admin"),
        ("/admin/.css", "/admin/.css"),
        ("/admin?/public/", "/admin?/public/"),
        // The engine cuts a fragment before anybody sees it.
        ("/admin#/public/", "/admin"),
        ("/admin/public/", "/admin/public/"),
        ("/admin/./x/", "/admin/x/"),
        ("/admin//x", "/admin/x"),
        ("/admin/%7Ex%3d%c3%a4", "/admin/~x%3D%C3%A4"),
        ("/admin?a=%2f&b=//..%00", "/admin?a=%2f&b=//..%00"),
        ("http://app.test/admin?x", "/admin?x"),
    ];
    for (target, canonical) in protected {
        assert_eq!(status(&site, "GET", target, &[]).await, 401, "{target}");
        assert_eq!(echo.take(), [""; 0], "{target}");
        assert_eq!(status(&site, "GET", target, &[&alice]).await, 200, "{target}");
        let line = format!("GET {canonical} HTTP/1.1\r\n");
        assert!(echo.take().concat().starts_with(&line), "{target}");
    }
    for (target, canonical) in
        [("/publicadmin", "/publicadmin"), ("/administrator", "/administrator"), ("/x;y=z", "/x;y=z")]
    {
        assert_eq!(status(&site, "GET", target, &[]).await, 200, "{target} is another path");
        assert!(echo.take().concat().starts_with(&format!("GET {canonical} HTTP/1.1\r\n")), "{target}");
    }
}

/// P12, T37, G15.
#[tokio::test(flavor = "multi_thread")]
async fn odd_methods_and_forms_are_answered_here() {
    let (site, echo) = open_site().await;
    let cases = [
        ("OPTIONS", "*", 400),
        ("GET", "*", 400),
        ("CONNECT", "app.test:443", 400),
        ("TRACE", "/", 405),
        ("PRI", "*", 400),
        ("FOO", "/", 405),
        ("get", "/", 405),
        ("GET", "http://evil.test/x", 400),
        ("GET", "foo://app.test/x", 400),
        ("HEAD", "/logout", 405),
        ("PUT", "/logout", 405),
        ("DELETE", "/login", 405),
    ];
    for (method, target, want) in cases {
        let got = status(&site, method, target, &[]).await;
        assert!(got == want || (method == "CONNECT" && got == 405), "{method} {target}: {got}");
    }
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(status(&site, "PROPFIND", "/dav", &[]).await, 200);
    assert!(echo.take().concat().starts_with("PROPFIND /dav HTTP/1.1\r\n"));
}

/// P16, T31, G9, G20.
#[tokio::test(flavor = "multi_thread")]
async fn only_own_hosts_are_served() {
    let (site, echo) = open_site().await;
    let ask = async |head: &str| {
        let request = format!("GET /admin {head}\r\n\r\n");
        site.client().await.exchange(&request).await.status
    };
    for own in ["app.test", "APP.TEST", "app.test:443", "App.Test:80"] {
        assert_eq!(ask(&format!("HTTP/1.1\r\nHost: {own}")).await, 401, "{own}");
    }
    for foreign in ["evil.test", "app.test.evil.test", "x.app.test", "[::1]", "127.0.0.1"] {
        assert_eq!(ask(&format!("HTTP/1.1\r\nHost: {foreign}")).await, 421, "{foreign}");
    }
    let none =
        ["", "app.test, x", "app.test/evil", "app.test@evil.test", "app.test:99999", "app.test\r\nHost: app.test"];
    for malformed in none {
        assert_eq!(ask(&format!("HTTP/1.1\r\nHost: {malformed}")).await, 400, "{malformed:?}");
    }
    assert_eq!(ask("HTTP/1.1\r\nX-Forwarded-Host: app.test").await, 400);
    assert_eq!(ask("HTTP/1.0").await, 400);
    assert_eq!(echo.take(), [""; 0]);
}

/// T26, T27: nothing but a session is a session.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_header_opens_a_protected_path() {
    let (site, echo) = open_site().await;
    let attempts = [
        "X-Forwarded-Uri: /public/",
        "X-Original-URL: /public/",
        "User-Agent: kube-probe/1.29",
        "User-Agent: GoogleHC/1.0",
        "Authorization: Basic YWxpY2U6d29uZGVyIGxhbmQ=",
        "X-Forwarded-User: alice",
        "Cookie: exeunt=",
        "Cookie: exeunt_chunks=99999999",
        "Cookie: exeunt=AAAA",
        "Cookie: \u{ff}exeunt=x",
        "X-Forwarded-For: 127.0.0.1",
    ];
    for line in attempts {
        assert_eq!(status(&site, "GET", "/admin", &[line]).await, 401, "{line}");
    }
    assert_eq!(echo.take(), [""; 0]);
}
