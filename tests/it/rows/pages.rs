//! T115, T120-T124: what our own pages say, what they write down, and what they do not answer.

use exeunt::audit::Format;

use super::harness::{open_site, send, status};
use crate::site::answer::{Answer, request};
use crate::site::harness::{FORM, PASSWORD, Site, until};

const BROWSER: &str = "Accept: text/html";

/// Control characters are escaped, and nothing that opens something is written, in any format.
#[tokio::test(flavor = "multi_thread")]
async fn t115_log_lines_cannot_be_injected_and_have_no_secrets() {
    const SECRETS: [&str; 5] = ["geheim-query", "geheim-password", "geheim-referer", "geheim-cookie", "geheim-basic"];
    for format in [Format::Text, Format::Json, Format::Combined] {
        let (site, _echo) = Site::with_echo_and(|setup| setup.log.format = format).await;
        let alice = site.sign_in("alice").await;
        let cookies = format!("{alice}; app=geheim-cookie");
        let lines = [
            &*cookies,
            "Referer: http://app.test/y?token=geheim-referer",
            "User-Agent: a\"\u{9b}31m\tevent=signed_in",
            "Authorization: Basic geheim-basic",
        ];
        assert_eq!(site.get("/a?token=geheim-query", &lines).await.status, 200);
        assert_eq!(site.get("//c?token=geheim-query", &lines).await.status, 400);
        assert_eq!(site.get("/a", &["User-Agent: a\u{1b}[31m"]).await.status, 400, "not even asked for");
        let form = "username=a%0aevent%3Dsigned_in%20user%3Droot%1b[31m&password=geheim-password&next=/d?geheim-query";
        assert_eq!(site.ask("POST", "/login", &[FORM], form).await.status, 401);
        site.ask("POST", "/logout?next=/e%3Fgeheim-query", &[&cookies], "").await;
        let written = |path: &str| site.lines().iter().filter(|line| line.contains(path)).count();
        until(|| written("/login") >= 2 && written("/logout") >= 1 && written("/a") >= 1 && written("//c") >= 1).await;
        let all = site.lines();
        let cookie = alice.split(['=', ';']).nth(1).unwrap();
        for secret in SECRETS.into_iter().chain([cookie, PASSWORD]) {
            assert!(!all.concat().contains(secret), "{secret} is in {format:?}: {all:?}");
        }
        assert!(all.iter().all(|line| !line.chars().any(char::is_control)), "{all:?}");
    }
}

/// No byte of a header causes a panic, on any address of the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn t120_bytes_beyond_ascii_do_not_panic() {
    let (site, echo) = open_site().await;
    let headers = [
        "Host", "Cookie", "Origin", "Referer", "User-Agent", "Accept", "Accept-Language", "Content-Type",
        "Content-Length", "Transfer-Encoding", "Expect", "Connection", "Upgrade", "Sec-Fetch-Site", "Sec-Fetch-Mode",
        "Sec-Fetch-Dest", "Sec-Purpose", "X-Requested-With", "Authorization", "X-Forwarded-For", "X-Forwarded-Proto",
        "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Service-Worker", "X-Any",
    ];
    let addresses = [
        "GET /login", "POST /login", "GET /logout", "POST /logout", "GET /.exeunt/session", "GET /.exeunt/goodbye",
        "GET /.exeunt/style.css", "GET /.exeunt/logo", "GET /.exeunt/none", "GET /admin", "GET /x", "PUT /login",
    ];
    for header in headers {
        for address in addresses {
            let host = if header == "Host" { "" } else { "Host: app.test\r\n" };
            let mut bytes = format!("{address} HTTP/1.1\r\n{host}{header}: ").into_bytes();
            bytes.extend(b"\xff\xfe\x80a=\xff\r\n\r\n");
            let outcome = send(&site, &echo, &bytes).await;
            let status = outcome.status();
            assert!((200..500).contains(&status), "{address} with {header}: {status}");
        }
    }
    let form = b"username=\xff&password=\xff";
    let mut bytes =
        format!("POST /login HTTP/1.1\r\nHost: app.test\r\n{FORM}\r\nContent-Length: {}\r\n\r\n", form.len());
    bytes.push_str("username=");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(&form[9..]);
    assert_eq!(send(&site, &echo, &bytes).await.status(), 400);
}

/// All spellings of a user name share one ban.
#[tokio::test(flavor = "multi_thread")]
async fn t121_spellings_of_a_name_share_their_attempts() {
    let (site, _echo) = Site::with_echo().await;
    let attempt = async |name: &str| {
        let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        site.ask("POST", "/login", &[FORM], &format!("username={name}&password=wrong")).await.status
    };
    for name in ["john", "John", "JOHN", "john ", " jOHN"] {
        assert_eq!(attempt(name).await, 401, "{name}");
    }
    for name in ["john", "JOHN", "John ", "\tjohn"] {
        assert_eq!(attempt(name).await, 429, "{name}");
    }
    assert_eq!(attempt("jane").await, 401, "and nobody else");
}

/// Whatever is shown of a request is text.
#[tokio::test(flavor = "multi_thread")]
async fn t122_values_of_requests_are_escaped_in_pages() {
    const MARKUP: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}";
    let (site, _echo) = Site::with_echo().await;
    let escaped: String = form_urlencoded::byte_serialize(MARKUP.as_bytes()).collect();
    let named = exeunt::values::identity::Identity::new(MARKUP, None, Some(MARKUP), &[]).unwrap();
    let cookie = site.session_as(named).await;
    let receipt = format!("/.exeunt/goodbye?receipt={escaped}&user={escaped}&steps={escaped}");
    let agent = format!("User-Agent: {MARKUP}");
    let shown: Vec<Answer> = vec![
        site.get(&format!("/login?next={escaped}"), &[BROWSER]).await,
        site.get(&format!("/login?next=/{escaped}"), &[BROWSER]).await,
        site.ask("POST", "/login", &[FORM, BROWSER], &format!("username={escaped}&password=b&next={escaped}")).await,
        site.get("/login", &[BROWSER, &cookie]).await,
        site.get(&format!("/logout?next=/{escaped}"), &[BROWSER, &cookie]).await,
        site.get("/staff/x", &[BROWSER, &cookie]).await,
        site.get(&receipt, &[BROWSER, &agent]).await,
        site.get("/x%00", &[BROWSER, &format!("Accept-Language: {MARKUP}")]).await,
        site.ask("POST", &format!("/logout?next=/{escaped}"), &[BROWSER, &cookie, "Origin: http://x.test"], "").await,
        site.ask("POST", "/logout", &[BROWSER, &cookie], "").await,
    ];
    for answer in shown {
        let page = answer.text();
        assert!(page.contains("<!doctype html>") || page.contains("<!DOCTYPE html>"), "{}\n{page}", answer.head);
        let own = page.matches("<script data-show=").count();
        assert_eq!(
            (page.matches("<script").count(), own),
            (own, usize::from(page.contains("id=\"password\""))),
            "{page}"
        );
        assert!(!page.contains("<img src=x") && !page.contains("49"), "{page}");
        let attributes = page.split("\"><").count();
        assert!(attributes > 0 && !page.contains("onerror=alert(1)>"), "{page}");
    }
}

/// The answers that a browser shows: none runs anything, none is framed.
#[tokio::test(flavor = "multi_thread")]
async fn t123_every_own_page_has_a_content_security_policy() {
    let (site, _echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let pages = [
        site.get("/login", &[BROWSER]).await,
        site.get("/login", &[BROWSER, &alice]).await,
        site.ask("POST", "/login", &[FORM, BROWSER], "username=a&password=b").await,
        site.ask("POST", "/login", &[FORM, BROWSER], "username=a").await,
        site.get("/logout", &[BROWSER, &alice]).await,
        site.get("/.exeunt/goodbye", &[BROWSER]).await,
        site.get("/.exeunt/none", &[BROWSER]).await,
        site.get("/public%2f", &[BROWSER]).await,
        site.get("/staff/x", &[BROWSER, &alice]).await,
        site.get("/x", &[BROWSER, "Host: evil.test"]).await,
        site.ask("PUT", "/logout", &[BROWSER], "").await,
        site.ask("BREW", "/x", &[BROWSER], "").await,
        site.ask("POST", "/logout", &[BROWSER, "Origin: null"], "").await,
        site.ask("POST", "/logout", &[BROWSER, &alice], "").await,
    ];
    for page in pages {
        let policy = page.header("content-security-policy").unwrap_or_else(|| panic!("{}", page.head));
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        let form = page.text().contains("id=\"password\"");
        assert_eq!(policy.contains("script-src 'sha256-"), form, "{policy}");
        assert_eq!(policy.contains("script-src"), form, "{policy}");
        assert_eq!(policy.contains("form-action 'self'"), !page.text().contains("<form"), "{policy}");
        assert!(!policy.contains("unsafe-inline"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t124_operator_endpoints_are_not_public() {
    let (site, echo) = Site::with_echo().await;
    let targets = [
        "/metrics", "/healthz", "/readyz", "/debug", "/debug/pprof/", "/admin", "/sessions", "/status", "/ping",
        "/reload",
    ];
    for target in targets {
        assert_eq!(status(&site, "GET", target, &[]).await, 401, "{target} is the application's");
        // This one is for users, who see only their own sessions.
        let want = if target == "/sessions" { 401 } else { 404 };
        assert_eq!(status(&site, "GET", &format!("/.exeunt{target}"), &[]).await, want, "{target}");
        assert_eq!(status(&site, "POST", &format!("/.exeunt{target}"), &[]).await, want, "{target}");
    }
    assert_eq!(echo.take(), [""; 0]);
    let alice = site.session_of("alice").await;
    for target in targets {
        let answer = site.client().await.exchange(&request("GET", target, &[&alice], "")).await;
        assert!(answer.text().starts_with(&format!("GET {target} HTTP/1.1")), "{target}");
    }
}
