//! T24-T43: which rule a path falls under, however it is written, and that our own addresses are ours.

use exeunt::config;
use exeunt::values::origin::{Host, Origin};
use exeunt::values::own_hosts::OwnHosts;

use super::harness::{all_protected, all_refused, open_site, send, status};
use crate::site::harness::Site;
use crate::upstream::header;

#[tokio::test(flavor = "multi_thread")]
async fn t24_query_does_not_affect_the_path() {
    let (site, echo) = open_site().await;
    for target in ["/admin?/public/", "/admin/x?/public/", "/admin?x=/../public/"] {
        let page = site.get(target, &["Accept: text/html"]).await;
        assert_eq!(page.status, 303, "{target}");
        assert!(page.header("location").unwrap().starts_with("/login?next="), "{target}");
        assert_eq!(status(&site, "GET", target, &[]).await, 401, "{target}");
    }
    assert_eq!(echo.take(), [""; 0]);
}

/// No browser sends a fragment.
#[tokio::test(flavor = "multi_thread")]
async fn t25_targets_with_a_fragment_are_refused() {
    all_refused(&["/admin#/public/", "/admin?x#/public/", "/public#", "/x#y", "http://app.test/x#y"]).await;
    all_refused(&["/admin%23/public/", "/public%23/admin"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t26_headers_cannot_replace_the_path() {
    let (site, echo) = open_site().await;
    for name in ["X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X_Forwarded_Uri"] {
        assert_eq!(status(&site, "GET", "/admin", &[&format!("{name}: /public/")]).await, 401, "{name}");
        assert_eq!(status(&site, "GET", "/x", &[&format!("{name}: /admin")]).await, 200, "{name}");
        assert!(!echo.take().concat().contains("/admin"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t27_user_agent_gives_no_access() {
    let (site, echo) = open_site().await;
    let agents = ["kube-probe/1.29", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "", "Prometheus/2"];
    for agent in agents {
        let line = format!("User-Agent: {agent}");
        for target in ["/admin", "/admin/healthz", "/admin/ping"] {
            assert_eq!(status(&site, "GET", target, &[&line]).await, 401, "{agent} {target}");
            assert_eq!(status(&site, "GET", target, &[]).await, 401);
        }
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t28_p07_every_spelling_of_a_path_is_that_path() {
    all_protected(&[
        ("/admin", "/admin"),
        ("/./admin", "/admin"),
        ("/public/../admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("/public/%2e%2e/admin", "/admin"),
        ("/public/.%2e/admin", "/admin"),
        ("/static/x.css/../../admin", "/admin"),
        ("/%2e/admin", "/admin"),
        ("/.//admin", "/admin"),
        ("/public//../admin", "/admin"),
        ("/admin/./x/", "/admin/x/"),
        ("/admin//x", "/admin//x"),
        ("/admin/%7Ex%3d%c3%a4", "/admin/~x%3D%C3%A4"),
        ("/admin/What%3f%23%5c%2F%e9", "/admin/What%3F%23%5C%2F%E9"),
        ("/admin?a=%2f&b=//..%00", "/admin?a=%2f&b=//..%00"),
    ])
    .await;
    all_refused(&["//admin", "///admin"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t29_escaped_separators_cannot_hide_a_path() {
    let signs = ["%2f", "%2F", "%5c", "%5C", "%00", "%3b", "%3B", "%3f", "%3F", "%23"];
    let twice = signs.map(|sign| sign.replace('%', "%25"));
    let signs: Vec<_> = signs.iter().map(|sign| (*sign).to_owned()).chain(twice).collect();
    let targets = signs
        .iter()
        .flat_map(|sign| [format!("/public{sign}/admin"), format!("/admin{sign}x"), format!("/admin{sign}")]);
    let targets: Vec<_> = targets.chain(["%2f", "%5C", "%252F"].map(|sign| format!("/{sign}admin"))).collect();
    all_refused(&targets.iter().map(String::as_str).collect::<Vec<_>>()).await;
    all_refused(&["/public/x%00"]).await;
    all_protected(&[("/api%2e/../admin", "/admin")]).await;
    let (site, echo) = open_site().await;
    for sign in signs.iter().filter(|sign| !sign.ends_with("00")) {
        let target = format!("/public/x{sign}");
        assert_eq!(status(&site, "GET", &target, &[]).await, 200, "where only one route could be meant: {target}");
        let spelled = target.replace("%2f", "%2F").replace("%5c", "%5C").replace("%3b", "%3B").replace("%3f", "%3F");
        assert!(echo.take().concat().starts_with(&format!("GET {spelled} HTTP/1.1\r\n")), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t30_slashes_and_backslashes_cannot_hide_a_path() {
    all_refused(&[
        "//admin", "/public%2f..%2fadmin", "/public%5c..%5cadmin", "/public\\..\\admin", "/\\admin", "\\admin",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t31_host_names_are_case_insensitive() {
    let others = (0..100).map(|number| Host::parse(&format!("a{number}.b.app.test")).unwrap());
    let hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), others);
    let (site, echo) = Site::with_echo_and(|setup| setup.gateway.hosts = hosts).await;
    for host in ["app.test", "APP.test", "App.Test", "a7.b.app.test", "A99.B.APP.TEST", "a0.b.App.test:80"] {
        let line = format!("Host: {host}");
        assert_eq!(status(&site, "GET", "/x", &[&line]).await, 401, "{host}");
        assert_eq!(status(&site, "GET", "/public/x", &[&line]).await, 200, "{host}");
    }
    assert_eq!(echo.take().len(), 6);
    assert_eq!(status(&site, "GET", "/public/x", &["Host: a100.b.app.test"]).await, 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn t32_routes_match_whole_segments() {
    let (site, echo) = Site::with_echo().await;
    for target in ["/publicadmin", "/public2", "/public.x", "/public%20x", "/publi"] {
        assert_eq!(status(&site, "GET", target, &[]).await, 401, "{target}");
    }
    for target in ["/public.", "/Public", "/PUBLIC/x", "/public%20", "/public::$DATA", "/%EF%BC%B0ublic/x"] {
        assert_eq!(status(&site, "GET", target, &[]).await, 400, "some program takes it for /public: {target}");
    }
    assert_eq!(echo.take(), [""; 0]);
    for target in ["/public", "/public/", "/public/x", "/public?x"] {
        assert_eq!(status(&site, "GET", target, &[]).await, 200, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t33_malformed_targets_are_not_forwarded() {
    all_refused(&[
        "/%", "/public/%", "/public/%4", "/public/%zz", "/public/%u0041", "/%ff%fe", "/%c0%ae", "/%e0%80%af",
        "/%f8%80", "http:/admin", "http:admin", "app.test:80", "http://app.test:x/", "http://", "https://app.test@/",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t34_targets_that_an_upstream_would_encode_again_are_refused() {
    all_refused(&["/admin%3f/public", "/public%3f/../admin", "/public%20%00/admin"]).await;
    let (site, echo) = open_site().await;
    for raw in ["/public \0/admin", "/public\0/admin", "/admin\t/public", "/public\x0b/admin", "/\u{e4}"] {
        let bytes: Vec<u8> =
            format!("GET {raw} HTTP/1.1\r\nHost: app.test\r\n\r\n").chars().map(|at| at as u8).collect();
        let outcome = send(&site, &echo, &bytes).await;
        assert!(outcome.is_refused() && outcome.status() == 400, "{raw:?}: {}", outcome.status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_path_parameters_do_not_change_the_route() {
    all_refused(&[
        "/public/..;/admin", "/public/..;x=y/admin", "/public/.;/admin", "/;/admin", "/logout;x", "/logout;",
        "/admin;x", "/admin;/secret", "/p;x/../admin;y", "/.exeunt;x/session", "/login;jsessionid=1",
    ])
    .await;
    let (site, echo) = open_site().await;
    assert_eq!(status(&site, "GET", "/x;y=z", &[]).await, 200, "elsewhere they are the application's own");
    assert!(echo.take().concat().starts_with("GET /x;y=z HTTP/1.1\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t36_p06_a_target_begins_with_a_slash() {
    all_refused(&[
        "admin/secret", "admin", "logout", "../admin", "?x", ";/admin", "@evil/", "@evil/admin", "app.test:80",
        "\\admin", "public/../admin", ".", "*", "%2fadmin",
    ])
    .await;
    let (site, echo) = open_site().await;
    let empty = send(&site, &echo, b"GET  HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    assert!(empty.is_refused() && empty.status() == 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn t37_p05_absolute_targets_must_match_the_host() {
    let (site, echo) = open_site().await;
    let alice = site.session_of("alice").await;
    assert_eq!(status(&site, "POST", "http://app.test/logout", &[&alice]).await, 200);
    assert_eq!(status(&site, "GET", "/admin", &[&alice]).await, 401, "it signed out");
    for target in [
        "http://evil.test/x", "ftp://app.test/x", "foo://app.test/admin", "ws://app.test/x",
        "http://u@app.test/logout", "http://u:p@app.test/x", "http://app.test@evil.test/",
        "http://app.test.evil.test/x", "http:///x", "http://app.test:81/x",
    ] {
        assert_eq!(status(&site, "GET", target, &[]).await, 400, "{target}");
    }
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(status(&site, "GET", "http://app.test/x?y", &[]).await, 200);
    let request = echo.take().concat();
    assert!(request.starts_with("GET /x?y HTTP/1.1\r\n"), "in origin-form: {request}");
    assert_eq!(header(&request, "host"), Some("app.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t39_a_logout_needs_no_session() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let asked = [&["Accept: text/html"][..], &["Accept: text/html", &alice]];
    let mut pages = Vec::new();
    for lines in asked {
        let page = site.ask("POST", "/logout?next=/public/bye", lines, "").await;
        pages.push((page.status, page.header("location").map(str::to_owned)));
    }
    assert_eq!(pages[0], (303, Some("/public/bye".to_owned())));
    assert_eq!(pages[0], pages[1]);
    let navigation =
        ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html"];
    let page = site.get("/logout", &navigation).await;
    assert!(page.status == 303 && page.header("location").unwrap().starts_with("/.exeunt/goodbye"), "{}", page.head);
    assert_eq!(site.get("/.exeunt/goodbye", &["Accept: text/html"]).await.status, 200, "no loop");
    assert_eq!(echo.take(), [""; 0]);
}

/// The files of tests/corpus/config say more about it.
#[test]
fn t40_a_page_after_logout_that_asks_to_sign_in_is_a_problem() {
    let text = |next: &str, access: &str| {
        format!(
            "listen = [\"127.0.0.1:0\"]\npublic_url = \"http://localhost\"\n[login]\nusers = \"users.toml\"\n[logout]\n\
             next = \"{next}\"\n[[route]]\nupstream = \"http://127.0.0.1:9\"\naccess = \"{access}\"\n"
        )
    };
    let problems = |next: &str, access: &str| {
        let report = config::parse("config.toml", &text(next, access), "/nowhere".as_ref());
        report.err().map(|report| report.to_string())
    };
    assert_eq!(problems("/bye", "public"), None);
    assert!(problems("/bye", "signed-in").unwrap().contains("/bye on localhost requires a sign-in"));
    assert!(problems("/logout", "public").is_some(), "nor may it sign out again");
}
