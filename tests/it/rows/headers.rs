//! H1-H26: every spelling of a header that a program behind the gateway could take for one of its own. Rows
//! that are the same as a T row are in the file of that row.

use exeunt::admission::identity_headers::Template;
use exeunt::routes::methods::Methods;
use http::Method;

use super::harness::{folded, open_site, send, the_one};
use super::identity::none_gets_through;
use crate::site::answer::request;
use crate::site::echo::Echo;
use crate::site::harness::Site;
use crate::upstream::header;

#[tokio::test(flavor = "multi_thread")]
async fn h02_t01_names_with_underscores_are_removed() {
    none_gets_through(&[
        "X_Forwarded_User", "X-Forwarded_User", "X_Forwarded-User", "x_forwarded_user", "X_Forwarded_Email",
        "X_Forwarded_Groups", "X_Real_IP", "Content_Length",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h03_names_with_dots_are_removed() {
    none_gets_through(&["X.Forwarded.User", "X.Forwarded-User", "x.forwarded_user", "Remote.User"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h04_names_with_other_token_signs_are_removed() {
    let signs = ["~", "!", "'", "#", "$", "%", "&", "*", "+", "^", "`", "|", "--", "-_"];
    let mut names: Vec<_> = signs.iter().map(|sign| format!("X{sign}Forwarded{sign}User")).collect();
    names
        .extend(["X-Forwarded-User-", "-X-Forwarded-User", "X--Forwarded-User", "X'Forwarded-User"].map(str::to_owned));
    none_gets_through(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h05_names_of_cgi_variables_are_removed() {
    none_gets_through(&[
        "HTTP_X_FORWARDED_USER", "HTTP-X-Forwarded-User", "REMOTE_USER", "Remote-User", "Remote_User", "AUTH_USER",
        "X_Auth_User", "SSL_CLIENT_S_DN", "X-Remote-User",
    ])
    .await;
}

async fn all_malformed(lines: &[&str]) {
    let (site, echo) = open_site().await;
    for line in lines {
        // Each character is one byte.
        let bytes: Vec<u8> =
            format!("GET / HTTP/1.1\r\nHost: app.test\r\n{line}\r\n\r\n").chars().map(|at| at as u8).collect();
        let outcome = send(&site, &echo, &bytes).await;
        assert!(
            outcome.status() == 400 && outcome.seen.is_empty(),
            "{line:?}: {} {:?}",
            outcome.status(),
            outcome.seen
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h06_names_with_other_signs_are_refused() {
    all_malformed(&[
        "X-Forwarded-User : root",
        "X-Forwarded-User\t: root",
        "X Forwarded-User: root",
        "X\tForwarded-User: root",
        "X-Forwarded\0-User: root",
        "X\u{e2}\u{80}\u{90}Forwarded-User: root",
        "X-Forwarded-User",
        ": root",
        "X(Forwarded)User: root",
        "X/Forwarded: root",
        "X\u{ff}: root",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h07_folded_lines_are_refused() {
    all_malformed(&["X-A: b\r\n X-Forwarded-User: root", "X-A: b\r\n\tX-Forwarded-User: root", "X-A: b\r\n c"]).await;
    let (site, echo) = open_site().await;
    let outcome = send(&site, &echo, b"GET / HTTP/1.1\r\n X-Forwarded-User: root\r\nHost: app.test\r\n\r\n").await;
    assert!(outcome.status() == 400 && outcome.seen.is_empty(), "{}", outcome.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn h08_lone_cr_and_lf_do_not_inject_a_field() {
    all_malformed(&["X-A: b\rX-Forwarded-User: root", "X-A: b\r", "X-A: b\0c"]).await;
    let (site, echo) = open_site().await;
    let bytes = b"GET / HTTP/1.1\r\nHost: app.test\r\nX-A: b\nX-Forwarded-User: root\r\n\r\n";
    let outcome = send(&site, &echo, bytes).await;
    assert!(matches!(outcome.status(), 200 | 400), "{}", outcome.status());
    assert!(!outcome.seen.concat().contains("root"), "{:?}", outcome.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn h12_names_nominated_by_connection_and_forged_are_removed() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let lines = [&*alice, "Connection: X-Forwarded-User, X_Forwarded_User", "X_Forwarded_User: root"];
    assert_eq!(site.get("/x", &lines).await.status, 200);
    let request = the_one(&echo);
    assert_eq!((header(&request, "x-forwarded-user"), folded(&request, "x-forwarded-user")), (Some("alice"), 1));
    assert!(!request.contains("root"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h13_identity_headers_are_removed_from_websocket_handshakes() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let lines = [
        &*alice,
        "Connection: Upgrade, X-Forwarded-User",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "X-Forwarded-User: root",
        "X_Forwarded_User: root",
        "REMOTE_USER: root",
        "X-Real-IP: 10.0.0.1",
    ];
    // The application declines; what it was asked is what matters here.
    assert_eq!(site.get("/socket", &lines).await.status, 200);
    let request = the_one(&echo);
    assert_eq!((header(&request, "upgrade"), header(&request, "x-forwarded-user")), (Some("websocket"), Some("alice")));
    assert!(!request.contains("root") && !request.contains("10.0.0.1"), "{request}");
    assert_eq!(folded(&request, "cookie"), 0, "{request}");
}

/// Over HTTP/1 several lines; the crumbs of HTTP/2 come with it.
#[tokio::test(flavor = "multi_thread")]
async fn h16_cookie_lines_are_joined_once() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    for lines in [&["Cookie: a=1; b=\"x y\"", &*alice, "Cookie: c=3"][..], &["Cookie: a=1; b=\"x y\"", "Cookie: c=3"]] {
        assert_eq!(site.get("/public/x", lines).await.status, 200);
        let request = the_one(&echo);
        assert_eq!(folded(&request, "cookie"), 1, "{request}");
        assert_eq!(header(&request, "cookie"), Some("a=1; b=\"x y\"; c=3"));
        assert_eq!(folded(&request, "x-forwarded-user"), usize::from(lines.len() == 3), "and read as one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h17_forwarding_headers_are_written_by_the_gateway_only() {
    let names = [
        "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
        "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri", "Forwarded", "X-Real-IP", "True-Client-IP",
        "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "Front-End-Https", "X-Url-Scheme", "Via",
    ];
    none_gets_through(&names).await;
    let (site, echo) = Site::with_echo_and(|setup| {
        setup.gateway.trusted.networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let claims = ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: evil.test", "X-Forwarded-Port: 1", "Via: 1.1 x"];
    site.get("/public/x", &claims).await;
    let request = the_one(&echo);
    let told = ["for", "host", "port"].map(|name| header(&request, &format!("x-forwarded-{name}")).unwrap());
    assert_eq!(told, ["192.0.2.7, 127.0.0.1", "app.test", "80"], "who is trusted is appended to, and believed no more");
    assert_eq!(folded(&request, "via"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_t43_headers_that_name_another_path_are_removed() {
    none_gets_through(&[
        "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Accel-Redirect", "X-Sendfile",
    ])
    .await;
    let echo = Echo::answering("X-Accel-Redirect: /admin/secret\r\nX-Sendfile: /etc/passwd\r\n").await;
    let site = Site::before_one(echo.address);
    assert!(site.get("/public/x", &[]).await.text().starts_with("GET /public/x "), "an answer's own names do nothing");
    assert_eq!(echo.take().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn h19_t42_headers_that_name_another_method_are_removed() {
    none_gets_through(&["X_HTTP_Method_Override", "X.HTTP.Method", "HTTP-X-Method-Override"]).await;
    let (site, echo) = Site::with_echo_and(|setup| {
        let careful = &mut setup.gateway.routes[1];
        careful.methods = Methods::new(vec![Method::GET, Method::POST, Method::PUT]);
        careful.refuse_cross_site = true;
    })
    .await;
    for name in ["X-HTTP-Method-Override", "x-http-method", "X-METHOD-OVERRIDE"] {
        let cases: [(&[&str], u16); 9] = [
            (&["PUT"], 200),
            (&["put"], 200),
            (&["DELETE"], 405),
            (&["delete"], 405),
            (&["TRACE"], 405),
            (&["Connect"], 405),
            (&["PUT", "PUT"], 400),
            (&["PUT, DELETE"], 400),
            (&[""], 400),
        ];
        for (values, want) in cases {
            let lines: Vec<_> = values.iter().map(|value| format!("{name}: {value}")).collect();
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            assert_eq!(site.ask("POST", "/public/x", &lines, "a=b").await.status, want, "{lines:?}");
            let passed = echo.take();
            assert_eq!(passed.len(), usize::from(want == 200), "{passed:?}");
            assert!(passed.iter().all(|request| header(request, &name.to_ascii_lowercase()) == Some(values[0])));
            assert_eq!(site.ask("POST", "/logout", &lines, "").await.status, 200, "own addresses ignore it");
        }
        let line = format!("{name}: POST");
        let foreign = "Origin: http://evil.test";
        assert_eq!(site.ask("GET", "/public/x", &[&line, foreign], "").await.status, 403, "the worse of both");
        assert_eq!(site.ask("POST", "/public/x", &[&line.replace("POST", "GET"), foreign], "").await.status, 403);
        let other = ["X-HTTP-Method-Override: PUT", "X-Method-Override: POST"];
        assert_eq!(site.ask("POST", "/public/x", &other, "").await.status, 400, "they disagree");
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn h20_hop_by_hop_fields_are_removed() {
    none_gets_through(&[
        "Proxy", "Proxy-Authorization", "Proxy-Connection", "Keep-Alive", "TE", "Trailer", "HTTP2-Settings",
    ])
    .await;
}

/// Each is how some other product tells an application who the user is, or where.
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_other_products_are_removed() {
    none_gets_through(&[
        "X-Remote-Group", "X-Original-Host", "X-Original-Forwarded-For", "X-Auth-Request-User", "X-Authentik-Username",
        "Cf-Access-Authenticated-User-Email", "Cf-Access-Jwt-Assertion", "Tailscale-User-Login",
        "X-MS-CLIENT-PRINCIPAL-NAME", "X-MS-CLIENT-PRINCIPAL", "X-Amzn-Oidc-Identity", "X-Vouch-User",
        "X-Pomerium-Jwt-Assertion", "X-Goog-Authenticated-User-Email", "X-Goog-Iap-Jwt-Assertion",
        "X-Envoy-External-Address", "Client-IP", "Fastly-Client-IP", "X-Scheme", "X-Host", "X-Script-Name",
        "X-Webauth-User", "X-Consumer-Username", "Shib-Session-ID", "OIDC_CLAIM_sub", "OIDC-CLAIM-sub", "SM_USER",
        "WL-Proxy-Client-IP", "X-Forwarded", "Forwarded-For", "X_Remote_Group", "Cf_Access_Token", "cf-ACCESS-token",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_alikes_of_a_configured_header_are_removed() {
    let (site, echo) = Site::with_echo_and(|setup| {
        let name = http::HeaderName::from_static("x-shop-user");
        setup.gateway.identity.insert(name, Template::parse("{user}").unwrap());
    })
    .await;
    let alice = site.session_of("alice").await;
    let names = ["User", "Username", "Name", "Login", "Email", "Groups", "Roles", "Id", "User-Email"];
    let lines: Vec<_> = names.iter().map(|name| format!("X-Shop-{name}: root")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).chain([&*alice, "X-Shop-Cart: 7"]).collect();
    site.get("/x", &lines).await;
    let request = the_one(&echo);
    assert!(!request.contains("root"), "{request}");
    assert_eq!((header(&request, "x-shop-user"), header(&request, "x-shop-cart")), (Some("alice"), Some("7")));
}

#[tokio::test(flavor = "multi_thread")]
async fn h21_client_certificate_headers_are_removed() {
    none_gets_through(&[
        "X-SSL-Client-Cert", "X-SSL-Client-S-DN", "X-SSL-Client-Verify", "X-Client-Cert", "X-Forwarded-Client-Cert",
        "Client-Cert", "Client-Cert-Chain", "SSL-Client-Cert", "X-ARR-ClientCert",
    ])
    .await;
}

/// Until credentials in headers are ours to read, they are the application's: as they came, and none beside them.
#[tokio::test(flavor = "multi_thread")]
async fn h22_authorization_of_the_client_is_forwarded_alone() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let cases: [(&str, Option<&str>); 3] = [
        ("Authorization: Basic cm9vdDpyb290", Some("Basic cm9vdDpyb290")),
        ("Authorization: Bearer  x.y", Some("Bearer  x.y")),
        ("Accept: */*", None),
    ];
    for (line, want) in cases {
        assert_eq!(site.get("/x", &[line]).await.status, 401, "it opens nothing here");
        site.get("/x", &[&alice, line]).await;
        let request = the_one(&echo);
        assert_eq!((header(&request, "authorization"), folded(&request, "authorization")), (want, want.iter().len()));
        assert_eq!(header(&request, "x-forwarded-user"), Some("alice"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn password_of_a_gateway_user_is_not_forwarded() {
    let (site, echo) = Site::with_echo_and(|setup| {
        for route in &mut setup.gateway.routes {
            route.basic = true;
        }
    })
    .await;
    let alice = site.sign_in("alice").await;
    // bob:wonder land
    const BOB: &str = "Authorization: Basic Ym9iOndvbmRlciBsYW5k";
    for (lines, user, passed) in [
        (&[BOB][..], "bob", None),
        (&["AUTHORIZATION:\tbasic  Ym9iOndvbmRlciBsYW5k"], "bob", None),
        (&[&alice, BOB], "alice", None),
        (&[&alice, "Authorization: Basic x, Basic y"], "alice", None),
        (&[&alice, "Authorization: Bearer x.y"], "alice", Some("Bearer x.y")),
    ] {
        assert_eq!(site.get("/x", lines).await.status, 200, "{lines:?}");
        let request = the_one(&echo);
        assert_eq!(
            (header(&request, "authorization"), folded(&request, "authorization")),
            (passed, passed.iter().len())
        );
        assert_eq!(header(&request, "x-forwarded-user"), Some(user), "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn application_cannot_delete_the_gateways_cookie() {
    let echo = Echo::answering("Clear-Site-Data: \"cookies\", \"storage\"\r\n").await;
    let site = Site::before_one(echo.address);
    let alice = site.session_of("alice").await;
    let answer = site.client().await.exchange(&request("GET", "/x", &[&alice], "")).await;
    let cleared = answer.header("clear-site-data").unwrap_or_default();
    assert!(!cleared.contains("cookies") && !cleared.contains('*'), "Clear-Site-Data is passed on: {cleared}");
}
