//! P1-P16: one canonical target. Rows that are the same as a T row stand with that.

use super::harness::{all_protected, all_refused, all_sign_out, open_site, send, status};
use crate::site::harness::Site;

#[tokio::test(flavor = "multi_thread")]
async fn p01_t38_every_spelling_of_logout_signs_out() {
    all_sign_out(&[
        "/logout", "/logout?x", "/%6cogout", "/%6Cogout", "/./logout", "/a/../logout", "/a/%2e%2e/logout",
        "/.//logout", "/a//../logout", "/logout/.", "/logout/x/..",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p02_trailing_slash_makes_no_difference() {
    all_sign_out(&["/logout/", "/logout//", "/logout/?x", "/%6cogout/"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p03_targets_that_some_parsers_read_as_logout_are_refused() {
    all_refused(&[
        "//logout", "///logout", "/\\logout", "/logout\\", "/logout%2f", "/logout%5c", "/logout%00", "/logout%20",
        "/logout%09", "/logout%3b", "/logout;x=1", "/logout%3fx", "/logout%23", "/log%6fut%", "/logout%zz",
        "/%u006cogout", "/%c0%aflogout", "/logout%20%20", "/logout%20;x",
    ])
    .await;
}

/// Ours in any letter case: an application behind us may fold it.
#[tokio::test(flavor = "multi_thread")]
async fn p04_letter_case_makes_no_difference() {
    all_sign_out(&["/LOGOUT", "/Logout", "/lOgOuT/", "/%4cOGOUT"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p08_encoded_dots_and_slashes_are_refused() {
    all_refused(&[
        "/public/..%2fadmin", "/public/..%5cadmin", "/public/..;/admin", "/public/%252e%252e/admin", "/public%2fadmin",
        "/public/%c0%ae%c0%ae/admin", "/public/%u002e/admin", "/public/%", "/public/%zz", "/public/..%20/admin",
        "/public/.%20./admin/..%20",
    ])
    .await;
}

/// Every other path is protected; nothing in it but its beginning counts.
#[tokio::test(flavor = "multi_thread")]
async fn p09_suffixes_and_queries_do_not_make_a_path_public() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let targets = ["/publicadmin", "/admin/.css", "/admin?/public/", "/admin/public/", "/x/public"];
    for target in targets {
        assert_eq!(status(&site, "GET", target, &[]).await, 401, "{target}");
        assert_eq!(echo.take(), [""; 0], "{target}");
        assert_eq!(status(&site, "GET", target, &[&alice]).await, 200, "{target}");
        assert!(echo.take().concat().starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_paths_above_the_root_are_refused() {
    all_refused(&["/../admin", "/public/../../admin", "/..", "/%2e%2e/admin", "/a/../../admin", "/./../admin"]).await;
    all_protected(&[("/a/../admin", "/admin"), ("/admin/..//admin", "/admin")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p11_control_bytes_in_a_target_are_refused() {
    all_refused(&["/admin%0d%0aX:y", "/admin%0a", "/admin%7f", "/%1b[31m", "/admin%09"]).await;
    let (site, echo) = open_site().await;
    for raw in ["/admin\rX: y", "/admin\0", "/admin\u{e4}", "/admin\u{7f}", "/admin\r\n\r\nGET /smuggled"] {
        let bytes: Vec<u8> =
            format!("GET {raw} HTTP/1.1\r\nHost: app.test\r\n\r\n").chars().map(|at| at as u8).collect();
        let outcome = send(&site, &echo, &bytes).await;
        assert!(outcome.is_refused(), "{raw:?}: {} {:?}", outcome.status(), outcome.seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_odd_methods_and_target_forms_are_not_forwarded() {
    let (site, echo) = open_site().await;
    let cases = [
        ("OPTIONS", "*", 204),
        ("GET", "*", 400),
        ("CONNECT", "a:443", 400),
        ("CONNECT", "/", 405),
        ("TRACE", "/", 405),
        ("PRI", "*", 400),
        ("PRI", "/", 405),
        ("FOO", "/", 405),
        ("get", "/", 405),
    ];
    for (method, target, want) in cases {
        let got = status(&site, method, target, &[]).await;
        assert!(got == want || (method == "CONNECT" && got == 405), "{method} {target}: {got}");
    }
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(status(&site, "PROPFIND", "/dav", &[]).await, 200);
    assert!(echo.take().concat().starts_with("PROPFIND /dav HTTP/1.1\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn p13_preflight_gives_no_access() {
    let (site, echo) = open_site().await;
    let preflight =
        ["Origin: https://evil.test", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x"];
    for target in ["/admin", "/admin/x", "/public/../admin"] {
        let answer = site.ask("OPTIONS", target, &preflight, "").await;
        assert_eq!(answer.status, 401, "{target}");
        assert!(!answer.head.to_ascii_lowercase().contains("access-control-"), "{}", answer.head);
    }
    for target in ["/login", "/logout", "/.exeunt/session"] {
        let answer = site.ask("OPTIONS", target, &preflight, "").await;
        assert_eq!(answer.status, 405, "{target}");
        assert!(!answer.head.to_ascii_lowercase().contains("access-control-"), "{}", answer.head);
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_no_other_method_signs_out() {
    let (site, echo) = open_site().await;
    let alice = site.session_of("alice").await;
    for method in ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW"] {
        let answer = site.ask(method, "/logout", &[&alice], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")), "{method}");
        assert_eq!(status(&site, "GET", "/admin", &[&alice]).await, 200, "{method} has no effect");
    }
    assert_eq!(status(&site, "GET", "/logout", &[&alice]).await, 405, "a program's");
    assert_eq!(echo.take().len(), 7);
    assert_eq!(status(&site, "POST", "/logout", &[&alice]).await, 200);
    assert_eq!(status(&site, "GET", "/admin", &[&alice]).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn p15_our_own_addresses_are_never_forwarded() {
    let (site, echo) = open_site().await;
    let alice = site.session_of("alice").await;
    let names = ["login", "logout", ".exeunt", ".exeunt/session", ".exeunt/goodbye", ".exeunt/oidc/callback"];
    for name in names {
        let escaped = format!("%{:02x}{}", name.as_bytes()[0], &name[1..]);
        let upper = name.to_ascii_uppercase();
        let spellings = [
            format!("/{name}"),
            format!("/{name}/"),
            format!("/{name}?x"),
            format!("/{escaped}"),
            format!("/./{name}"),
            format!("/a/../{name}"),
            format!("/a/%2e%2e/{name}"),
            format!("/.//{name}"),
            format!("/{upper}"),
            format!("//{name}"),
            format!("/{name};x"),
            format!("/{name}%2f"),
            format!("/{name}%20"),
            format!("/{name}\\"),
            format!("/{name}%00"),
            format!("/{name}%3bx"),
            format!("http://app.test/{name}"),
            format!("/{name}//"),
            format!("/{name}#x"),
            format!("/%2e/{name}"),
        ];
        for target in spellings {
            for lines in [&[][..], &[&*alice]] {
                assert!(matches!(status(&site, "GET", &target, lines).await, 200 | 400 | 401 | 404 | 405), "{target}");
            }
        }
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p16_only_own_hosts_are_served() {
    let (site, echo) = open_site().await;
    let ask = async |head: &str| {
        let request = format!("GET /admin {head}\r\n\r\n");
        let answer = site.client().await.exchange(&request).await;
        assert_eq!(answer.header("location"), None, "{head}");
        answer.status
    };
    for own in ["app.test", "APP.TEST", "app.test:443", "App.Test:80", "app.test.", "app.test:", "app.test.:80"] {
        assert_eq!(ask(&format!("HTTP/1.1\r\nHost: {own}")).await, 401, "{own}");
    }
    for foreign in ["evil.test", "app.test.evil.test", "x.app.test", "[::1]", "127.0.0.1"] {
        assert_eq!(ask(&format!("HTTP/1.1\r\nHost: {foreign}")).await, 421, "{foreign}");
    }
    let none = [
        "", "app.test, x", "app.test/evil", "app.test@evil.test", "app.test:99999", "app.test\r\nHost: app.test",
        "app.test..", "a b", "%61pp.test",
    ];
    for malformed in none {
        assert_eq!(ask(&format!("HTTP/1.1\r\nHost: {malformed}")).await, 400, "{malformed:?}");
    }
    assert_eq!(ask("HTTP/1.1\r\nX-Forwarded-Host: app.test").await, 400);
    assert_eq!(ask("HTTP/1.0").await, 400);
    assert_eq!(echo.take(), [""; 0]);
}

/// Every byte of a path and of a query is passed on as it came, or refused with a reason and a line.
#[tokio::test(flavor = "multi_thread")]
async fn p17_every_byte_is_passed_on_or_refused() {
    let (site, echo) = open_site().await;
    for byte in 0x21..=0xff_u8 {
        for (before, in_path) in [("/a", true), ("/a?b", false)] {
            let target = [before.as_bytes(), &[byte], b"c"].concat();
            let head = [b"GET ", &*target, b" HTTP/1.1\r\nHost: app.test\r\n\r\n"].concat();
            let outcome = send(&site, &echo, &head).await;
            let refused = matches!(byte, b'#' | 0x7f) || (in_path && matches!(byte, b'%' | b'\\' | 0x80..));
            let shown = String::from_utf8_lossy(&target);
            if refused {
                assert!(outcome.is_refused() && outcome.status() == 400, "{shown}: {}", outcome.status());
                assert!(!outcome.answers[0].head.to_lowercase().contains("pingora"), "{shown}");
            } else {
                assert_eq!(outcome.status(), 200, "{shown}");
                assert!(
                    !byte.is_ascii() || outcome.seen[0].starts_with(&format!("GET {shown} ")),
                    "{shown}: {:?}",
                    outcome.seen
                );
            }
        }
    }
    let lines = site.access_lines(134, "note=target_ambiguous").await;
    assert!(lines.len() == 134 && lines.iter().all(|line| line.contains("because=")), "{lines:?}");
}
