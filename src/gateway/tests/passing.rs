//! Which requests are forwarded, and with which identity.

use super::*;

#[tokio::test]
async fn a_protected_address_redirects_browsers_and_answers_programs_401() {
    let harness = harness();
    let page = harness.ask("GET", "/a/b?c=d", &[BROWSER], "").await;
    assert_eq!((page.status.as_u16(), header(&page, "location")), (303, Some("/login?next=%2Fa%2Fb%3Fc%3Dd")));
    assert_eq!(header(&page, "cache-control"), Some("no-store"));

    let program = harness.ask("GET", "/a/b?c=d", &[], "").await;
    assert_eq!(program.status, 401);
    assert_eq!(header(&program, "www-authenticate"), None, "an unknown scheme crashes some clients");
    assert_eq!(header(&program, "link"), Some("</login?next=%2Fa%2Fb%3Fc%3Dd>; rel=\"login\""));
    assert_eq!(json(&program)["error"], "sign_in_required");
    assert_eq!(json(&program)["login"], "/login?next=%2Fa%2Fb%3Fc%3Dd");

    let posted = ["POST", "Referer: http://app.test/form?x"];
    let page = harness.ask(posted[0], "/save", &[BROWSER, posted[1]], "").await;
    assert_eq!(header(&page, "location"), Some("/login?next=%2Fform%3Fx"));
    let page = harness.ask("POST", "/save", &[BROWSER, "Referer: http://evil.test/form"], "").await;
    assert_eq!(header(&page, "location"), Some("/login"));
}

#[tokio::test]
async fn a_missing_group_and_a_missing_route_have_different_reasons() {
    let harness = harness();
    let bob = harness.sign_in("bob").await;
    let refused = harness.ask("GET", "/staff/x", &[&bob], "").await;
    assert_eq!((refused.status.as_u16(), &json(&refused)["error"]), (403, &"group_missing".into()));
    assert!(text(&harness.ask("GET", "/staff/x", &[&bob, BROWSER], "").await).contains("may not see this"));
    let alice = harness.sign_in("alice").await;
    harness.forward("/staff/x", &[&alice]);

    let harness = harness_with(|settings| settings.routes.truncate(0));
    assert_eq!(harness.ask("GET", "/x", &[], "").await.status, 404);
}

#[tokio::test]
async fn identity_headers_come_from_the_gateway_only() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let spoof = "X_Forwarded_User: root";
    for target in ["/x", "/public/x"] {
        let forward = harness.forward(target, &[&alice, spoof, "X-Forwarded-Groups: admin"]);
        let came = head("GET", &[&alice, spoof, "X-Forwarded-Groups: admin"]).headers;
        let headers = sent(&forward, &came);
        let told = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!((told("x-forwarded-user"), told("x-forwarded-groups")), (vec!["alice"], vec!["staff"]), "{target}");
        assert!(!headers.contains_key("x_forwarded_user") && !headers.contains_key(http::header::COOKIE));
    }
    let stranger = harness.forward("/public/x", &[spoof]);
    let headers = sent(&stranger, &head("GET", &[spoof]).headers);
    assert!(!headers.contains_key("x-forwarded-user") && !headers.contains_key("x_forwarded_user"));
}

#[tokio::test]
async fn the_debug_log_has_names_of_removed_headers_and_no_values() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&told);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || LogWriter(Arc::clone(&writer)))
        .finish();
    // With a single subscriber, a test on another thread that reaches the same line first would disable it for all
    // threads.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _logging = tracing::subscriber::set_default(subscriber);
    let harness = harness();
    let forward = harness.forward("/public/x", &[]);
    let came = head("GET", &["X-Original-Host: geheim", "X_Any: geheim", "Accept: */*"]).headers;
    assert_eq!(sent(&forward, &came).get("accept").unwrap(), "*/*");
    let lines = String::from_utf8(told.lock().clone()).unwrap();
    assert!(lines.contains("x-original-host, x_any") && lines.contains("route=/public"), "{lines}");
    assert!(!lines.contains("geheim") && !lines.contains("accept"), "{lines}");
}

struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_request_is_idempotent_if_all_its_methods_are() {
    let harness = harness();
    let cases = [("GET", "X: y", true), ("PUT", "X: y", true), ("POST", "X: y", false)];
    let overrides = [("GET", "X-HTTP-Method-Override: GET", false), ("PUT", "X-Method-Override: PUT", false)];
    for (method, line, want) in cases.into_iter().chain(overrides) {
        match harness.receive(method, "/public/x", &[line]) {
            Received::Forward(forward) => assert_eq!(forward.may_repeat(), want, "{method} {line}"),
            other => panic!("{method} {line}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_gateways_addresses_are_never_forwarded_in_any_spelling() {
    let harness = harness_with(|settings| settings.routes = vec![route("/", Access::Public)]);
    for target in [
        "/logout", "/logout/", "/LOGOUT", "/%6cogout", "/./logout", "/a/../logout", "/login", "/Login/", "/.exeunt/x",
        "/.EXEUNT/session", "/logout;x=1", "/logout;", "/a;b/../logout;x", "/login;x", "/.exeunt;x/session",
        "http://app.test/logout", "/logout%20", "/login%20%20;x", "/.exeunt%20/session",
    ] {
        assert!(!matches!(harness.receive("GET", target, &[]), Received::Forward(_)), "{target}");
    }
    harness.forward("/x;y=z", &[]);
    harness.forward("/a%20name%20", &[]);
}

#[tokio::test]
async fn a_path_parameter_cannot_choose_another_route() {
    let harness =
        harness_with(|settings| settings.routes = vec![route("/", Access::Public), route("/admin", Access::SignedIn)]);
    for target in ["/admin;x/secret", "/admin;/secret", "/a;x/../admin;y"] {
        assert_eq!(harness.ask("GET", target, &[], "").await.status, 400, "{target}");
    }
    assert_eq!(harness.ask("GET", "/admin/x;y", &[], "").await.status, 401);
}

#[tokio::test]
async fn a_service_worker_cannot_cover_the_gateways_pages() {
    const SCRIPT: &str = "Service-Worker: script";
    let harness = harness_with(|settings| {
        settings.routes = vec![route("/", Access::Public), route("/trusted", Access::Public)];
        settings.routes[1].service_workers = true;
    });
    assert_eq!(harness.ask("GET", "/sw.js", &[SCRIPT], "").await.status, 403);
    harness.forward("/sw.js", &[]);
    harness.forward("/app/sw.js", &[SCRIPT]);
    let widened = |target: &str, scope: &str| {
        let mut answer = HeaderMap::new();
        answer.insert("service-worker-allowed", scope.parse().unwrap());
        let removed = HeaderEdit::Remove("service-worker-allowed".parse().unwrap());
        harness.forward(target, &[SCRIPT]).response_edits(StatusCode::OK, &answer).contains(&removed)
    };
    assert!(widened("/app/sw.js", "/") && !widened("/app/sw.js", "/app/") && !widened("/trusted/sw.js", "/"));
}

#[tokio::test]
async fn cross_site_requests_are_refused_if_the_route_says_so() {
    let careful = RouteSettings { refuse_cross_site: true, ..route("/public/form", Access::Public) };
    let harness = harness_with(|settings| settings.routes.push(careful));
    let (own, evil) = ("Origin: http://app.test", "Origin: http://evil.test");
    let cases = [
        ("POST", "/public/form", own, true),
        ("POST", "/public/form", evil, false),
        ("DELETE", "/public/form/x", evil, false),
        ("GET", "/public/form", evil, true),
        ("OPTIONS", "/public/form", evil, true),
        ("POST", "/public/other", evil, true),
    ];
    for (method, path, origin, passes) in cases {
        match harness.receive(method, path, &[origin]) {
            Received::Forward(_) => assert!(passes, "{method} {path} {origin}"),
            Received::Answer(reply) => assert_eq!((passes, reply.reason), (false, Some(Reason::CrossSite)), "{method}"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn another_site_cannot_open_a_websocket_with_a_session() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let (own, evil) = ("Origin: http://app.test", "Origin: http://evil.test");
    let (socket, other) = ("Upgrade: WebSocket", "Upgrade: h2c");
    let cases = [
        (&*alice, own, socket, true),
        (&*alice, evil, socket, false),
        (&*alice, "X: y", socket, true),
        (&*alice, evil, other, true),
        (&*alice, evil, "X: y", true),
        ("X: y", evil, socket, true),
    ];
    for (cookie, origin, upgrade, passes) in cases {
        let received = harness.receive("GET", "/public/socket", &[cookie, origin, upgrade, "Connection: Upgrade"]);
        match received {
            Received::Forward(_) => assert!(passes, "{cookie} {origin} {upgrade}"),
            Received::Answer(reply) => assert_eq!((passes, reply.reason), (false, Some(Reason::SocketOrigin))),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_application_can_have_another_host_name() {
    let inner =
        RouteSettings { upstream_host: Authority::parse("inner.test:81"), ..route("/public/in", Access::Public) };
    let harness = harness_with(|settings| settings.routes.push(inner));
    let headers = head("GET", &[]).headers;
    let headers = sent(&harness.forward("/public/in", &[]), &headers);
    assert_eq!(
        (&headers["host"], &headers["x-forwarded-host"]),
        (&"inner.test:81".parse().unwrap(), &"app.test".parse().unwrap())
    );
}
