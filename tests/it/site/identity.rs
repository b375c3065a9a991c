//! No client header speaks for the gateway, whatever its spelling and wherever it stands (TABLE H1-H23, T1-T23).

use exeunt::routes::access::Access;
use exeunt::values::client_address::TrustedProxies;
use exeunt::values::origin::Authority;

use super::answer::request;
use super::echo::Echo;
use super::house::{Setup, Site, route};
use crate::upstream::header;

/// Every spelling that some program behind the gateway could take for one of these names.
const SPELLINGS: [&str; 32] = [
    "X-Forwarded-User", "X-FORWARDED-USER", "x-forwarded-user", "x-FORWARDED-user", "X_Forwarded_User",
    "X-Forwarded_User", "X_Forwarded-User", "x_forwarded_user", "X.Forwarded.User", "X~Forwarded!User",
    "X'Forwarded-User", "X-Forwarded-User-", "-X-Forwarded-User", "X--Forwarded-User", "X-Forwarded~User",
    "X!Forwarded!User", "HTTP_X_FORWARDED_USER", "HTTP-X-Forwarded-User", "REMOTE_USER", "Remote-User", "Remote_User",
    "Remote_Groups", "X-Forwarded-Email", "X_Forwarded_Email", "X-Forwarded-Groups", "X_Forwarded_Groups",
    "X-Forwarded-Preferred-Username", "X-Remote-User", "AUTH_USER", "X_Auth_User", "SSL_CLIENT_S_DN", "X-Exeunt-User",
];

/// Other names by which a client could speak for a proxy or change what is asked for (H17-H21, T10-T17, T42, T43).
const FORBIDDEN: [&str; 38] = [
    "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Real-IP",
    "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "Front-End-Https", "X-Url-Scheme",
    "Via", "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Accel-Redirect", "X-Sendfile",
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Proxy", "Proxy-Authorization", "Proxy-Connection",
    "Keep-Alive", "HTTP2-Settings", "X-SSL-Client-Cert", "X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert",
    "Client-Cert-Chain", "X-Middleware-Subrequest", "X_Forwarded_Proto", "X_Forwarded_Host", "X_Forwarded_For",
    "X_Real_IP", "Content_Length", "TE",
];

/// The names of the gateway that reached the application, folded as CGI, WSGI and PHP fold them.
fn folded(request: &str, owned: &str) -> usize {
    let names = request.lines().skip(1).take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let fold = |name: &str| {
        let parts: Vec<_> =
            name.split(|at: char| !at.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
        let folded = parts.join("-").to_ascii_lowercase();
        folded.strip_prefix("http-").map_or(folded.clone(), str::to_owned)
    };
    names.filter(|(name, _)| fold(name) == owned).count()
}

fn the_one(echo: &Echo) -> String {
    let mut seen = echo.take();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_an_identity_header_gets_through() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let mut client = site.client().await;
    for name in SPELLINGS.iter().chain(&FORBIDDEN) {
        let spoof = format!("{name}: root-of-evil");
        for (target, lines) in
            [("/x", vec![&*alice, &*spoof]), ("/public/x", vec![&*alice, &*spoof]), ("/public/x", vec![&*spoof])]
        {
            let answer = client.exchange(&request("GET", target, &lines, "")).await;
            assert_eq!(answer.status, 200, "{name}");
            let request = the_one(&echo);
            assert!(!request.contains("root-of-evil"), "{request}");
            let told = usize::from(lines.len() == 2);
            for owned in ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups"] {
                assert_eq!(folded(&request, owned), told, "{owned} in {request}");
            }
            assert_eq!(header(&request, "x-forwarded-user"), (told == 1).then_some("alice"));
        }
    }
}

/// H9, T18: every line and every element of a list is the client's, and goes.
#[tokio::test(flavor = "multi_thread")]
async fn repeated_and_listed_values_are_replaced_by_one() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let twice = [&*alice, "X-Forwarded-User: root", "X-Forwarded-User: alice, root", "X_Forwarded_User: root"];
    assert_eq!(site.get("/x", &twice).await.status, 200);
    let request = the_one(&echo);
    assert_eq!(folded(&request, "x-forwarded-user"), 1);
    assert!(!request.contains("root"), "{request}");
}

/// H10, T4: what a user does not have is not taken from the client either.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_groups_has_none() {
    let (site, echo) = Site::with_echo().await;
    let bob = site.sign_in("bob").await;
    site.get("/x", &[&bob, "X-Forwarded-Groups: admin", "X-Forwarded-Email: root@app.test"]).await;
    let request = the_one(&echo);
    assert_eq!(header(&request, "x-forwarded-user"), Some("bob"));
    assert_eq!((folded(&request, "x-forwarded-groups"), folded(&request, "x-forwarded-email")), (0, 0), "{request}");
}

/// H11, H12, T6, R142-R148: what `Connection` names goes before the identity is written.
#[tokio::test(flavor = "multi_thread")]
async fn connection_cannot_nominate_the_identity_away() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    for nominated in ["X-Forwarded-User", "close, x-forwarded-user", "X_Forwarded_User, X-Forwarded-Groups"] {
        let connection = format!("Connection: {nominated}");
        assert_eq!(site.get("/x", &[&alice, &connection, "X_Forwarded_User: root"]).await.status, 200);
        let request = the_one(&echo);
        assert_eq!(header(&request, "x-forwarded-user"), Some("alice"), "{nominated}");
        assert_eq!(header(&request, "x-forwarded-groups"), Some("staff"), "{nominated}");
        assert!(!request.contains("root"));
    }
    for nominated in ["Host", "X-Forwarded-For", ":path", "a, b, c, d, e, f, g, h, i, j, k"] {
        let connection = format!("Connection: {nominated}");
        let answer = site.get("/x", &[&alice, &connection]).await;
        let kept = echo.take().iter().all(|request| header(request, "x-forwarded-for") == Some("127.0.0.1"));
        assert!(kept && matches!(answer.status, 200 | 400), "{nominated}: {}", answer.status);
    }
}

/// H14, T5: trailers end at the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn trailers_never_reach_the_application() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let head =
        request("POST", "/x", &[&alice, "Transfer-Encoding: chunked", "Trailer: X-Forwarded-User", "TE: trailers"], "");
    let answer = site
        .client()
        .await
        .exchange(&format!("{head}5\r\nhello\r\n0\r\nX-Forwarded-User: root\r\nX-T: 1\r\n\r\n"))
        .await;
    assert_eq!(answer.status, 200);
    let request = the_one(&echo);
    assert!(request.contains("hello") && !request.contains("root") && !request.contains("X-T"), "{request}");
    assert_eq!(folded(&request, "x-forwarded-user"), 1);
    assert_eq!((folded(&request, "trailer"), folded(&request, "te")), (0, 0));
}

/// T22, H16, H23: the other cookies arrive as they came, on one line.
#[tokio::test(flavor = "multi_thread")]
async fn our_cookie_stays_here_and_the_others_go_on() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let own = alice.strip_prefix("Cookie: ").unwrap();
    let cases: [(&[&str], Option<&str>); 5] = [
        (&[&alice], None),
        (&[&alice, "Cookie: a=1"], Some("a=1")),
        (&["Cookie: a=1; b=\"x y\"", &alice, "Cookie: c=3"], Some("a=1; b=\"x y\"; c=3")),
        (&[&format!("Cookie: z=%20;  {own}; __Host-exeunt=old; y"), "Cookie: =odd"], Some("z=%20; y; =odd")),
        (&[&format!("Cookie: {own}; exeunted=1; xexeunt=2")], Some("exeunted=1; xexeunt=2")),
    ];
    for (lines, want) in cases {
        for target in ["/x", "/public/x"] {
            assert_eq!(site.get(target, lines).await.status, 200, "{lines:?}");
            let request = the_one(&echo);
            let got = header(&request, "cookie");
            let plain = |cookies: Option<&str>| cookies.map(|cookies| cookies.replace(";  ", "; "));
            assert_eq!(plain(got), plain(want), "{lines:?}");
            assert!(folded(&request, "cookie") <= 1);
            assert!(!request.contains(own.split_once('=').unwrap().1), "{request}");
        }
    }
}

/// T23, H26: an application cannot sign people in or out, nor say who somebody is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_ours_is_not_taken_from_an_application() {
    let echo = Echo::answering(
        "Set-Cookie: exeunt=stolen; Path=/\r\nSet-Cookie: app=1\r\nset-cookie: __Host-exeunt=stolen; Secure; Path=/\r\n\
         Set-Cookie: EXEUNT=other\r\nX-Forwarded-User: root\r\nX-App: yes\r\n",
    )
    .await;
    let site = Site::before_one(echo.address);
    let alice = site.sign_in("alice").await;
    for (target, lines) in [("/x", [&*alice]), ("/public/x", [&*alice]), ("/public/x", ["Accept: */*"])] {
        let answer = site.get(target, &lines).await;
        let cookies = answer.headers("set-cookie");
        assert!(cookies.contains(&"app=1") && !cookies.iter().any(|line| line.contains("stolen")), "{}", answer.head);
        assert_eq!((answer.header("x-forwarded-user"), answer.header("x-app")), (None, Some("yes")));
    }
    assert_eq!(site.get("/x", &[&alice]).await.status, 200, "and alice is still signed in");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_gets_the_clients_host_or_the_one_that_is_configured() {
    let (site, echo) = Site::with_echo_and(|Setup { gateway, .. }| {
        gateway.routes[1].upstream_host = Authority::parse("inner.test:8000");
    })
    .await;
    let alice = site.sign_in("alice").await;
    site.get("/x", &[&alice, "Host: APP.test:8080"]).await;
    let request = the_one(&echo);
    assert_eq!(header(&request, "host"), Some("APP.test:8080"));
    assert_eq!(header(&request, "x-forwarded-host"), Some("APP.test:8080"));
    assert_eq!(header(&request, "x-forwarded-port"), Some("8080"));
    site.get("/public/x", &[]).await;
    let request = the_one(&echo);
    assert_eq!(header(&request, "host"), Some("inner.test:8000"));
    assert_eq!(header(&request, "x-forwarded-host"), Some("app.test"));
}

/// T11-T13, H17: `X-Forwarded-*` is believed of those alone who are named, and rebuilt in any case.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_a_request_is_told_by_us() {
    let claims = [
        "X-Forwarded-For: 10.0.0.1, 192.0.2.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test",
        "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil",
    ];
    let told = |request: &str| {
        ["for", "proto", "host", "port", "prefix"].map(|name| {
            assert!(folded(request, &format!("x-forwarded-{name}")) <= 1, "{request}");
            header(request, &format!("x-forwarded-{name}")).unwrap_or("-").to_owned()
        })
    };
    let (stranger, echo) = Site::with_echo().await;
    stranger.get("/public/x", &claims).await;
    assert_eq!(told(&the_one(&echo)), ["127.0.0.1", "http", "app.test", "80", "-"]);
    assert!(stranger.access_lines(1, "client=127.0.0.1").await.len() == 1);

    let trusted = TrustedProxies { networks: vec!["127.0.0.0/8".parse().unwrap()], unix: false };
    let (trusting, echo) = Site::with_echo_and(|setup| setup.gateway.trusted = trusted).await;
    trusting.get("/public/x", &claims).await;
    assert_eq!(told(&the_one(&echo)), ["192.0.2.7, 127.0.0.1", "https", "app.test", "443", "-"]);
    assert!(trusting.access_lines(1, "client=192.0.2.7").await.len() == 1);
}

/// T7: a preflight is a request like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_no_way_around() {
    let (site, echo) = Site::with_echo().await;
    let preflight = ["Origin: https://evil.test", "Access-Control-Request-Method: PUT", "X-Forwarded-User: root"];
    assert_eq!(site.ask("OPTIONS", "/x", &preflight, "").await.status, 401);
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(site.ask("OPTIONS", "/public/x", &preflight, "").await.status, 200);
    assert!(!the_one(&echo).contains("root"));
}

/// Changes of the operator's own never stand over what the gateway says.
#[tokio::test(flavor = "multi_thread")]
async fn a_routes_own_headers_are_set_both_ways() {
    use exeunt::values::header_edits::HeaderEdit::{Remove, Set};
    use http::{HeaderName, HeaderValue};
    let name = HeaderName::from_static;
    let echo = Echo::answering("Server: app\r\n").await;
    let site = Site::before(&[echo.url()], |setup| {
        let mut route = route("/public", Access::Public, &[echo.url()]);
        route.request_headers = vec![Set(name("x-site"), HeaderValue::from_static("a")), Remove(name("dnt"))];
        route.response_headers =
            vec![Set(name("x-frame-options"), HeaderValue::from_static("DENY")), Remove(name("server"))];
        setup.gateway.routes = vec![route];
    });
    let answer = site.get("/public/x", &["DNT: 1", "X-Site: b"]).await;
    assert_eq!((answer.header("x-frame-options"), answer.header("server")), (Some("DENY"), None));
    let request = the_one(&echo);
    assert_eq!((header(&request, "x-site"), folded(&request, "dnt"), folded(&request, "x-site")), (Some("a"), 0, 1));
}
