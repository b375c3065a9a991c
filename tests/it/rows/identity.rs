//! T1-T23: no client header speaks for the gateway, whatever its name and wherever it stands.

use exeunt::config;
use exeunt::credentials::user_file::Users;
use exeunt::values::client_address::TrustedProxies;
use exeunt::values::identity::Identity;

use super::harness::{folded, the_one};
use crate::site::answer::request;
use crate::site::echo::Echo;
use crate::site::harness::{FORM, Site};
use crate::upstream::header;

/// Requests of alice on a protected and a public route, and an anonymous one on the public route, with these names:
/// none of them reaches the application, which gets her identity from the gateway only.
pub async fn none_gets_through(names: &[&str]) {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let mut client = site.client().await;
    for name in names {
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

#[tokio::test(flavor = "multi_thread")]
async fn t02_underscore_spelling_does_not_change_the_scheme() {
    let (site, echo) = Site::with_echo().await;
    for claim in ["X_Forwarded_Proto: https", "X_Forwarded_Host: evil.test", "X-Forwarded_Proto: https"] {
        site.get("/public/x", &[claim]).await;
        let request = the_one(&echo);
        assert_eq!((folded(&request, "x-forwarded-proto"), folded(&request, "x-forwarded-host")), (1, 1), "{request}");
        assert_eq!(header(&request, "x-forwarded-proto"), Some("http"));
        assert_eq!(header(&request, "x-forwarded-host"), Some("app.test"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t03_names_that_fastcgi_folds_are_removed() {
    none_gets_through(&["Remote_Groups", "Remote_User", "remote_email", "Remote-Groups"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t04_h10_missing_attributes_are_not_taken_from_the_client() {
    let (site, echo) = Site::with_echo().await;
    let bob = site.sign_in("bob").await;
    let claims = ["X-Forwarded-Groups: admin", "X-Forwarded-Email: root@app.test", "X-Forwarded-Groups:"];
    site.get("/x", &[&*bob, claims[0], claims[1], claims[2]]).await;
    let request = the_one(&echo);
    assert_eq!(header(&request, "x-forwarded-user"), Some("bob"));
    assert_eq!((folded(&request, "x-forwarded-groups"), folded(&request, "x-forwarded-email")), (0, 0), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_h14_trailers_are_not_forwarded() {
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

#[tokio::test(flavor = "multi_thread")]
async fn t06_h11_connection_cannot_remove_identity_headers() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    for nominated in ["X-Forwarded-User", "close, x-forwarded-user", "X-Forwarded-Groups, X-Forwarded-User"] {
        let connection = format!("Connection: {nominated}");
        assert_eq!(site.get("/x", &[&alice, &connection]).await.status, 200);
        let request = the_one(&echo);
        assert_eq!(header(&request, "x-forwarded-user"), Some("alice"), "{nominated}");
        assert_eq!(header(&request, "x-forwarded-groups"), Some("staff"), "{nominated}");
    }
    for nominated in ["Host", "X-Forwarded-For", ":path", "a, b, c, d, e, f, g, h, i, j, k"] {
        let connection = format!("Connection: {nominated}");
        assert_eq!(site.get("/x", &[&alice, &connection]).await.status, 400, "{nominated}");
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t07_preflight_has_no_identity() {
    let (site, echo) = Site::with_echo().await;
    let preflight = ["Origin: https://evil.test", "Access-Control-Request-Method: PUT", "X-Forwarded-User: root"];
    assert_eq!(site.ask("OPTIONS", "/x", &preflight, "").await.status, 401);
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(site.ask("OPTIONS", "/public/x", &preflight, "").await.status, 200);
    let request = the_one(&echo);
    assert!(!request.contains("root") && folded(&request, "x-forwarded-user") == 0, "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t08_identity_headers_are_removed_on_public_routes() {
    let (site, echo) = Site::with_echo().await;
    for claim in ["X-Forwarded-User: root", "X-Forwarded-Groups: admin", "Remote-User: root", "X-Remote-User: root"] {
        assert_eq!(site.get("/public/", &[claim]).await.status, 200);
        let request = the_one(&echo);
        assert!(!request.contains("root") && !request.contains("admin"), "{request}");
    }
}

/// All of R121-R137 at once.
#[tokio::test(flavor = "multi_thread")]
async fn t09_every_spelling_together_leaves_one_name() {
    let names = [
        "X-Forwarded-User", "X-FORWARDED-USER", "x-forwarded-user", "X_Forwarded_User", "X-Forwarded_User",
        "X_Forwarded-User", "x_forwarded_user", "X.Forwarded.User", "X-Forwarded-User-", "X--Forwarded-User",
        "X-Forwarded~User", "X!Forwarded!User", "HTTP_X_FORWARDED_USER", "REMOTE_USER", "Remote-User", "X_Auth_User",
        "X_Forwarded_Groups",
    ];
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let lines: Vec<_> = names.iter().map(|name| format!("{name}: root")).chain([alice]).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    site.get("/x", &lines).await;
    let request = the_one(&echo);
    assert!(!request.contains("root"), "{request}");
    assert_eq!((folded(&request, "x-forwarded-user"), folded(&request, "remote-user")), (1, 0), "{request}");
    assert_eq!(header(&request, "x-forwarded-user"), Some("alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_forwarded_prefix_is_removed() {
    none_gets_through(&["X-Forwarded-Prefix", "X_Forwarded_Prefix", "X-Forwarded-Anything"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_the_port_does_not_follow_a_claimed_scheme() {
    let (site, echo) = Site::with_echo().await;
    site.get("/public/x", &["X-Forwarded-Proto: https", "X-Forwarded-Port: 443"]).await;
    let request = the_one(&echo);
    assert_eq!(
        (header(&request, "x-forwarded-proto"), header(&request, "x-forwarded-port")),
        (Some("http"), Some("80"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t12_address_claimed_by_a_client_is_not_forwarded() {
    let (site, echo) = Site::with_echo().await;
    let claims =
        ["X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1", "True-Client-IP: 10.0.0.1"];
    site.get("/public/x", &claims).await;
    let request = the_one(&echo);
    assert!(!request.contains("10.0.0.1"), "{request}");
    assert_eq!(header(&request, "x-forwarded-for"), Some("127.0.0.1"));
    assert!(!site.access_lines(1, "client=127.0.0.1").await.concat().contains("10.0.0.1"));
    assert_eq!(site.get("/x", &["X-Forwarded-For: 127.0.0.1"]).await.status, 401, "no address is a session");
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_only_named_proxies_are_trusted() {
    let claims = ["X-Forwarded-For: 10.0.0.1, 192.0.2.7", "X-Forwarded-Proto: https"];
    for (network, told) in [("10.0.0.0/8", ["127.0.0.1", "http"]), ("127.0.0.0/8", ["192.0.2.7, 127.0.0.1", "https"])] {
        let trusted = TrustedProxies { networks: vec![network.parse().unwrap()], unix: false };
        let (site, echo) = Site::with_echo_and(|setup| setup.gateway.trusted = trusted).await;
        site.get("/public/x", &claims).await;
        let request = the_one(&echo);
        let seen = ["for", "proto"].map(|name| header(&request, &format!("x-forwarded-{name}")).unwrap());
        assert_eq!(seen, told, "{network}");
    }
    let text = "listen = [\"127.0.0.1:0\"]\npublic_url = \"http://localhost\"\n[login]\nusers = \"users.toml\"\n\
                [[route]]\nupstream = \"http://127.0.0.1:9\"\n";
    let (settings, _) = config::parse("config.toml", text, "/nowhere".as_ref()).unwrap();
    assert!(settings.gateway.trusted.networks.is_empty() && !settings.gateway.trusted.unix);
}

#[tokio::test(flavor = "multi_thread")]
async fn t14_h01_letter_case_makes_no_difference() {
    none_gets_through(&[
        "X-Forwarded-User", "x-forwarded-user", "X-FORWARDED-USER", "x-FORWARDED-user", "X-Forwarded-EMAIL",
        "x-forwarded-groups", "REMOTE-USER",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t15_proxy_header_is_removed() {
    none_gets_through(&["Proxy", "PROXY", "HTTP_PROXY"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t16_control_headers_of_clients_are_removed() {
    none_gets_through(&["X-Middleware-Subrequest", "X_Middleware_Subrequest"]).await;
    let (site, echo) = Site::with_echo().await;
    for claim in [
        "X-Exeunt-User: alice", "X-Forwarded-User: alice", "Remote-User: alice", "X-Exeunt-Bypass: 1",
        "X-Exeunt-Debug: 1", "X-Middleware-Subrequest: x",
    ] {
        assert_eq!(site.get("/x", &[claim]).await.status, 401, "{claim}");
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t17_the_gateways_own_families_are_removed() {
    none_gets_through(&["X-Exeunt-User", "X-Exeunt-Assertion", "X-Exeunt-Anything", "X_Exeunt_User"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t18_h09_repeated_and_listed_values_are_replaced_by_one() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let twice = [&*alice, "X-Forwarded-User: root", "X-Forwarded-User: alice, root", "X-Forwarded-User: root"];
    assert_eq!(site.get("/x", &twice).await.status, 200);
    let request = the_one(&echo);
    assert_eq!(folded(&request, "x-forwarded-user"), 1);
    assert!(!request.contains("root"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t19_h24_values_cannot_inject_values_or_lines() {
    let (site, echo) = Site::with_echo().await;
    let groups = ["a,b".to_owned(), "c%".to_owned()];
    let cookie = site.session_as(Identity::new("ä, b%", None, None, &groups).unwrap()).await;
    site.get("/x", &[&cookie]).await;
    let request = the_one(&echo);
    assert_eq!(header(&request, "x-forwarded-user"), Some("%C3%A4, b%25"));
    assert_eq!(header(&request, "x-forwarded-groups"), Some("a%2Cb,c%25"));
    for user in ["a\r\nX-Forwarded-Groups: admin", "a\nb", "a\0b", &"x".repeat(8 * 1024)] {
        assert!(Identity::new(user, None, None, &[]).is_err(), "{user:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t20_lone_carriage_return_is_refused() {
    for value in ["a\rb", "a\r", "\ra", "a\u{b}b", "a\u{85}b", "a\u{7f}"] {
        let lone = [value.to_owned()];
        let identities = [
            Identity::new(value, None, None, &[]),
            Identity::new("a", Some(value), None, &[]),
            Identity::new("a", None, Some(value), &[]),
            Identity::new("a", None, None, &lone),
        ];
        assert!(identities.iter().all(Result::is_err), "{value:?}");
        let file =
            format!("[users.a]\npassword = \"$2b$04$x\"\nname = {value:?}\n").replace("\\u{", "\\u00").replace('}', "");
        assert!(Users::parse("users.toml".as_ref(), &file).is_err(), "{file}");
    }
    let (site, _echo) = Site::with_echo().await;
    let form = "username=alice%0dX-Forwarded-Groups:%20admin&password=wonder+land";
    let answer = site.ask("POST", "/login", &[FORM], form).await;
    assert!(answer.status == 401 && answer.headers("set-cookie").is_empty(), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn t22_h23_session_cookie_is_removed_and_others_are_forwarded() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.sign_in("alice").await;
    let own = alice.strip_prefix("Cookie: ").unwrap();
    let cases: [(&[&str], Option<&str>); 4] = [
        (&[&alice], None),
        (&[&alice, "Cookie: a=1"], Some("a=1")),
        (&[&format!("Cookie: z=%20;  {own}; __Host-exeunt=old; y"), "Cookie: =odd"], Some("z=%20; y; =odd")),
        (&[&format!("Cookie: {own}; exeunted=1; xexeunt=2")], Some("exeunted=1; xexeunt=2")),
    ];
    for (lines, want) in cases {
        assert_eq!(site.get("/x", lines).await.status, 200, "{lines:?}");
        let request = the_one(&echo);
        assert_eq!(header(&request, "cookie"), want, "{lines:?}");
        assert!(!request.contains(own.split_once('=').unwrap().1), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t23_h26_application_cannot_set_the_gateways_cookie() {
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
