//! What the gateway changes in heads by its own rules, as it shows on the wire.

use std::sync::{Arc, OnceLock};

use exeunt::http1::header_edits::HeaderEdit;
use exeunt::routes::access::Access;
use exeunt::routes::pass_headers::{PassHeaders, Sender};
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue};
use tokio::net::TcpStream;

use super::echo::Echo;
use super::harness::{Site, route, until};
use crate::rows::harness::{folded, the_one};
use crate::upstream::{self, header};

const NAVIGATION: &str = "Sec-Fetch-Mode: navigate";

async fn site_answering(lines: &'static str) -> (Site, String) {
    let site = Site::before_one(Echo::answering(lines).await.address);
    let alice = site.session_of("alice").await;
    (site, alice)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_session_are_private_in_caches() {
    let (site, alice) = site_answering("Content-Type: text/css\r\nCache-Control: max-age=60\r\nVary: Origin\r\n").await;
    let kept = |answer: &super::answer::Answer| {
        [answer.header("cache-control"), answer.header("vary")].map(|value| value.unwrap_or_default().to_owned())
    };
    assert_eq!(kept(&site.get("/x", &[&alice]).await), ["private, no-cache", "Origin, Cookie"]);
    assert_eq!(kept(&site.get("/x", &[&alice, NAVIGATION]).await), ["no-store", "Origin"]);
    assert_eq!(kept(&site.get("/x", &[&alice, "Accept: text/html"]).await), ["no-store", "Origin"]);
    let mode = "Sec-Fetch-Mode: no-cors";
    assert_eq!(kept(&site.get("/x", &[&alice, mode, "Accept: text/html"]).await)[0], "private, no-cache");
    assert_eq!(kept(&site.get("/public/x", &[&alice, NAVIGATION]).await)[0], "no-store");
    assert_eq!(kept(&site.get("/public/x", &[NAVIGATION]).await), ["max-age=60", "Origin"], "nobody is signed in");

    let (site, alice) =
        site_answering("Content-Type: text/css\r\nX-Accel-Expires: 60\r\nCDN-Cache-Control: a\r\n").await;
    let answer = site.get("/x", &[&alice]).await;
    assert_eq!((answer.header("x-accel-expires"), answer.header("cdn-cache-control")), (None, None));
    assert_eq!(site.get("/public/x", &[]).await.header("x-accel-expires"), Some("60"));

    let (site, alice) = site_answering("Content-Type: text/css\r\nCache-Control: public, max-age=60\r\n").await;
    assert_eq!(kept(&site.get("/x", &[&alice]).await)[0], "private, max-age=60");
    assert_eq!(kept(&site.get("/public/x", &[&alice]).await)[0], "public, max-age=60");
    assert_eq!(kept(&site.get("/public/x", &[&alice, NAVIGATION]).await)[0], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_cache_control_wins() {
    let echo = Echo::answering("Content-Type: text/html\r\nCache-Control: public\r\n").await;
    let site = Site::before(&[echo.url()], |setup| {
        let strict = HeaderEdit::Set(CACHE_CONTROL, HeaderValue::from_static("no-store, max-age=0"));
        setup.gateway.routes[0].response_headers = vec![strict];
        setup.gateway.routes[1].keeps_cache_control = true;
    });
    let alice = site.session_of("alice").await;
    assert_eq!(site.get("/x", &[&alice]).await.header("cache-control"), Some("no-store, max-age=0"));
    let left = site.get("/public/x", &[&alice, NAVIGATION]).await;
    assert_eq!((left.header("cache-control"), left.header("vary")), (Some("public"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_use_the_public_address_and_alternative_services_are_removed() {
    let answering = "Location: http://inner.test:9000/dir/\r\nContent-Location: HTTP://Inner.test:9000\r\n\
                     Refresh: 0; URL='http://inner.test:9000/x'\r\nAlt-Svc: h2=\"evil.test:443\"\r\n\
                     NEL: {\"report_to\":\"x\"}\r\nReport-To: {\"group\":\"x\"}\r\nReporting-Endpoints: x=\"/r\"\r\n";
    let echo = Echo::answering(answering).await;
    let site = Site::before(&[echo.url()], |setup| {
        let inner = exeunt::values::origin::Authority::parse("inner.test:9000");
        setup.gateway.routes.iter_mut().for_each(|route| route.upstream_host = inner.clone());
    });
    let alice = site.session_of("alice").await;
    for (target, lines) in [("/x", &[&*alice][..]), ("/public/x", &[])] {
        let answer = site.get(target, lines).await;
        assert_eq!(answer.header("location"), Some("http://app.test/dir/"));
        assert_eq!(answer.header("content-location"), Some("http://app.test"));
        assert_eq!(answer.header("refresh"), Some("0; URL='http://app.test/x'"));
        assert_eq!(["alt-svc", "nel", "report-to"].map(|name| answer.header(name)), [None; 3], "{}", answer.head);
        assert_eq!(answer.header("reporting-endpoints"), Some("x=\"/r\""), "it is for one document");
    }
    let asked = site.get("/public/x", &["Host: app.test:8080"]).await;
    assert_eq!(asked.header("location"), Some("http://app.test:8080/dir/"), "the browser stays where it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_no_scope_by_two_lines_or_a_comma() {
    for lines in [
        "Service-Worker-Allowed: /,\r\n",
        "Service-Worker-Allowed: /app/\r\nService-Worker-Allowed: /\r\n",
        "Service-Worker-Allowed: /\r\n",
        "Service-Worker-Allowed: /app/, /\r\n",
        "Service-Worker-Allowed: /app/%2e%2e\r\n",
    ] {
        let (site, alice) = site_answering(lines).await;
        let answer = site.get("/app/sw.js", &[&alice]).await;
        assert_eq!(answer.headers("service-worker-allowed"), [""; 0], "{lines}");
    }
    let (site, alice) = site_answering("Service-Worker-Allowed: /app/\r\n").await;
    assert_eq!(site.get("/app/sw.js", &[&alice]).await.header("service-worker-allowed"), Some("/app/"));
}

/// An upstream that leads here, as a name or a proxy in between may: found by what comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_back_is_answered() {
    let home: Arc<OnceLock<std::net::SocketAddr>> = Arc::default();
    let to = Arc::clone(&home);
    let relay = upstream::start(move |mut connection, _| {
        let to = Arc::clone(&to);
        async move {
            let mut back = TcpStream::connect(to.get().unwrap()).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut connection.stream, &mut back).await;
        }
    })
    .await;
    let site = Site::before_one(relay);
    home.set(site.address()).unwrap();
    let answer = site.get("/public/x", &[]).await;
    assert_eq!((answer.status, &answer.json()["error"]), (508, &"upstream_loop".into()));
    until(|| site.lines().iter().filter(|line| line.contains("upstream_loop")).count() == 1).await;

    let (site, echo) = Site::with_echo().await;
    assert_eq!(site.get("/public/x", &["X-Exeunt-Instance: made-up", "Via: 1.1 x"]).await.status, 200);
    let request = the_one(&echo);
    assert_eq!((folded(&request, "x-exeunt-instance"), folded(&request, "via")), (1, 0));
    assert!(!request.contains("made-up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_told_where_to_sign_in_and_challenged_only_if_they_know_the_scheme() {
    let (site, _echo) = Site::with_echo().await;
    for (line, want) in [
        ("Accept: */*", None),
        ("Authorization: Basic YTpi", None),
        ("Authorization: Bearers x", None),
        ("Authorization: Bearer x.y", Some("Bearer")),
        ("Authorization: bEARER x", Some("Bearer")),
    ] {
        let answer = site.get("/x?a=b", &[line]).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, want), "{line}");
        assert_eq!(answer.header("link"), Some("</login?next=%2Fx%3Fa%3Db>; rel=\"login\""));
        assert_eq!(answer.json()["login"], "/login?next=%2Fx%3Fa%3Db");
    }
    let session = site.get("/.exeunt/session", &[]).await;
    assert_eq!((session.status, session.header("link")), (401, Some("</login>; rel=\"login\"")));
    assert_eq!(session.header("www-authenticate"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn pass_headers_forwards_headers_of_trusted_proxies_only() {
    for trusts in [false, true] {
        let echo = Echo::start().await;
        let site = Site::before(&[echo.url()], |setup| {
            let name = HeaderName::from_static;
            let passed = vec![
                (name("x-original-host"), Sender::TrustedProxy),
                (name("cf-access-jwt-assertion"), Sender::Anybody),
            ];
            let mut open = route("/open", Access::Public, &[echo.url()]);
            open.pass_headers = PassHeaders::new(passed);
            setup.gateway.routes.push(open);
            setup.gateway.trusted.networks = trusts.then(|| "127.0.0.0/8".parse().unwrap()).into_iter().collect();
        });
        let lines = ["X-Original-Host: a", "X_Original_Host: b", "Cf-Access-Jwt-Assertion: c", "X-Remote-Group: d"];
        site.get("/open/x", &lines).await;
        let request = the_one(&echo);
        assert_eq!(header(&request, "x-original-host"), trusts.then_some("a"), "{request}");
        assert_eq!(folded(&request, "x-original-host"), usize::from(trusts), "{request}");
        assert_eq!(header(&request, "cf-access-jwt-assertion"), Some("c"));
        assert_eq!(folded(&request, "x-remote-group"), 0);
        site.get("/public/x", &lines).await;
        let request = the_one(&echo);
        let others = ["x-original-host", "cf-access-jwt-assertion", "x-remote-group"];
        assert_eq!(others.map(|name| folded(&request, name)), [0; 3], "{request}");
    }
}

/// The whole head is judged, so that nothing of it may go on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_line_names_nothing_that_is_judged() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let named = [
        "Host", "Cookie", "Origin", "Authorization", "Content-Type", "Content-Length", "Sec-Fetch-Site",
        "Sec-WebSocket-Key", "Referer", "Accept", "If-Match", "X-HTTP-Method-Override",
    ];
    for name in named {
        for line in [format!("Connection: {name}"), format!("Connection: keep-alive, {}", name.to_lowercase())] {
            for target in ["/x", "/public/x", "/login", "/logout", "/.exeunt/session", "/.exeunt/goodbye"] {
                let answer = site.get(target, &[&alice, &line]).await;
                assert_eq!(
                    (answer.status, &answer.json()["error"]),
                    (400, &"head_malformed".into()),
                    "{target} {line}"
                );
            }
        }
        let handshake = [
            &*alice,
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Connection: Upgrade",
            &format!("Connection: {name}"),
        ];
        assert_eq!(site.get("/socket", &handshake).await.status, 400, "{name}");
    }
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(site.get("/x", &[&alice]).await.status, 200, "and the session goes on");
}
