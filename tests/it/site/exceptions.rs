//! What a legacy application gets by name, route by route: escapes kept literally, other methods, no changes by other
//! sites.

use exeunt::config::Settings;
use exeunt::routes::access::Access;
use exeunt::routes::methods::Methods;
use exeunt::values::origin::Host;

use super::echo::Echo;
use super::harness::{Site, route};

async fn open_site(change: impl FnOnce(&mut Settings)) -> (Site, Echo) {
    Site::with_echo_and(change).await
}

/// `/` and `/git` for applications that want paths literally, `/staff` and `/public` for others.
async fn literal_site() -> (Site, Echo) {
    let echo = Echo::start().await;
    let routes = [("/", true), ("/git", true), ("/staff", false), ("/public", false), ("/a%20b", true)];
    let url = echo.url();
    let site = Site::before(std::slice::from_ref(&url), |setup| {
        setup.gateway.routes = routes
            .into_iter()
            .map(|(path, opaque)| {
                let mut route = route(path, Access::Public, std::slice::from_ref(&url));
                route.opaque = opaque;
                route
            })
            .collect();
    });
    (site, echo)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_route_passes_escapes_and_slashes_on_as_they_came() {
    let (site, echo) = literal_site().await;
    let targets = [
        ("/api/queues/%2F/name", "/api/queues/%2F/name"),
        ("/git/api/v4/projects/group%2Fproject?x=%2f", "/git/api/v4/projects/group%2Fproject?x=%2f"),
        ("/job/a/job/feature%252Fx/", "/job/a/job/feature%252Fx/"),
        ("/blue/a%25252Fb", "/blue/a%25252Fb"),
        ("/x%3By%3Bz", "/x%3By%3Bz"),
        ("/100%25/x", "/100%25/x"),
        ("/x//y///z//", "/x//y///z//"),
        ("/x//y%2F//z", "/x//y%2F//z"),
        ("/a%20b/x%2Fy", "/a%20b/x%2Fy"),
        ("/git//x", "/git//x"),
        // Everything else has its one spelling here too.
        ("/%67it/a%2fb", "/git/a%2Fb"),
        ("/x/./y/../z", "/x/z"),
        ("/x//../y", "/y"),
        ("/wiki/What%3F%23", "/wiki/What%3F%23"),
        ("/svn/%5Ctmp/caf%e9", "/svn/%5Ctmp/caf%E9"),
        ("/x%255Cy%253F", "/x%255Cy%253F"),
        ("http://app.test/x%2Fy", "/x%2Fy"),
    ];
    for (target, forwarded) in targets {
        assert_eq!(site.get(target, &[]).await.status, 200, "{target}");
        let line = format!("GET {forwarded} HTTP/1.1\r\n");
        assert!(echo.take().concat().starts_with(&line), "{target}");
    }
    let lines = site.access_lines(1, "a%25252Fb").await;
    assert!(lines[0].contains("path=/blue/a%25252Fb "), "the log says what was judged: {lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opaque_route_refuses_ambiguous_targets() {
    let (site, echo) = literal_site().await;
    let ambiguous = [
        // Our own addresses, decoded once, twice, cut or merged.
        "/%2Flogout", "/x/../%2Flogout", "/logout%2F", "/logout%3Bx", "/logout%253Bx", "/logout%252F",
        "/.exeunt%2Fsession", "/.exeunt%252Fsession", "/LOGOUT%2F", "/logout%2520", "/login;x%2F", "/logout.//",
        // Another route.
        "/staff%2Fx", "/staff%252Fx", "/staff%3Bx", "/staff//%2Fx", "/git%2Fx", "/git%252Fx", "/git%3Bx", "/%2Fgit",
        "/public%2Fx", "/public/a%2Fb", "/public/100%25", "/staff/a%3Bb", "/staff/a%2Fb//",
        // Dot segments behind an escape, or around one.
        "/x/..%2fy", "/x/%2e%2e%2fy", "/x/%252e%252e/y", "/x%2F..%2F..%2Fy", "/x/..%3By/z", "/x/.%2Fy", "/x%2Fy/../z",
        "/x/..%2520/y", "/x/..;/y%2F", "/x%2F%2E%2E", "/%252e%252e%252fadmin",
        // What could begin an authority.
        "//x", "//x%2Fy", "/%2Fevil.test/x", "/%252F%252Fevil.test", // What no route gets.
        "/x%00", "/x%2500%2F", "/x%250d%250ay", "/x%2", "/x%zz", "/x%25C0%25AFy", "/x%E0%80%AF", "/x%F8", "/x\\y",
        "/x%25u0041",
    ];
    for target in ambiguous {
        let answer = site.get(target, &[]).await;
        assert_eq!(answer.status, 400, "{target}");
        assert_eq!(answer.json()["error"], "target_ambiguous", "{target}");
    }
    // Page, JSON and log name the escape.
    assert!(site.get("/staff%2Fx", &[]).await.json()["message"].as_str().unwrap().contains("because of %2F,"));
    assert!(site.get("/x%E0%80%AF", &["Accept: text/html"]).await.text().contains("because of %E0%80,"));
    let lines = site.access_lines(1, "path=/git%3Bx ").await;
    assert!(lines[0].contains("note=target_ambiguous") && lines[0].contains("because=%3B"), "{lines:?}");
    let lines = site.access_lines(1, "path=/staff%252Fx ").await;
    assert!(lines[0].contains("because=%25"), "{lines:?}");
    assert_eq!(site.get("/.exeunt//session", &[]).await.status, 401, "ours in every reading");
    assert_eq!(site.get("/login//", &[]).await.status, 200, "this too");
    let deep = format!("/staff%{}2Fx", "25".repeat(100));
    assert_eq!(site.get(&deep, &[]).await.status, 400, "however often it is encoded");
    assert_eq!(echo.take(), [""; 0]);
    assert_eq!(site.get("/staff//x", &[]).await.status, 200, "elsewhere slashes are merged as ever");
    assert!(echo.take().concat().starts_with("GET /staff/x HTTP/1.1\r\n"));
}

/// A route of another host is another route, and says nothing about this one.
#[tokio::test(flavor = "multi_thread")]
async fn another_hosts_routes_do_not_matter() {
    let echo = Echo::start().await;
    let url = [echo.url()];
    let site = Site::before(&url, |setup| {
        let public = exeunt::values::origin::Origin::parse("http://app.test").unwrap();
        let git = Host::parse("git.test").unwrap();
        setup.gateway.hosts = exeunt::values::own_hosts::OwnHosts::new(&public, [git.clone()]);
        let mut literal = route("/", Access::Public, &url);
        (literal.opaque, literal.host) = (true, Some(git));
        setup.gateway.routes = vec![literal, route("/", Access::Public, &url), route("/staff", Access::SignedIn, &url)];
        setup.gateway.routes[1].opaque = false;
    });
    for target in ["/a%2Fx", "/staff%2Fx"] {
        assert_eq!(site.get(target, &["Host: git.test"]).await.status, 200, "a route of the host wins: {target}");
        assert_eq!(site.get(target, &[]).await.status, 400, "{target}");
    }
    assert_eq!(echo.take().len(), 2);
}

const NEVER: [&str; 3] = ["TRACE", "CONNECT", "PRI"];

/// What is not named is not passed on, and what is passed on is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_passes_the_methods_that_it_names() {
    let (site, echo) = open_site(|setup| {
        let names = ["GET", "BREW", "M-SEARCH"].map(|name| Methods::parse(name).unwrap());
        setup.gateway.routes[1].methods = Methods::new(names.into());
        // No configuration gets that far.
        setup.gateway.routes[2].methods = Methods::new(NEVER.map(|name| name.parse().unwrap()).into());
    })
    .await;
    for method in ["GET", "BREW", "M-SEARCH"] {
        assert_eq!(site.ask(method, "/public/x", &[], "").await.status, 200, "{method}");
        assert!(echo.take().concat().starts_with(&format!("{method} /public/x HTTP/1.1\r\n")));
    }
    for method in ["HEAD", "POST", "OPTIONS", "PROPFIND", "brew", "WHEN"] {
        let answer = site.ask(method, "/public/x", &["Accept: text/html"], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, BREW, M-SEARCH")), "{method}");
    }
    for method in NEVER {
        assert_eq!(site.ask(method, "/staff/x", &[], "").await.status, 405, "{method}");
    }
    // Before anybody is asked to sign in; and own addresses know their own methods alone.
    let elsewhere = site.ask("BREW", "/x", &[], "").await;
    assert_eq!(elsewhere.status, 405);
    let allowed = elsewhere.header("allow").unwrap();
    assert!(allowed.starts_with("GET, HEAD, POST, ") && allowed.contains("PROPFIND") && !allowed.contains("TRACE"));
    for (target, allow) in [("/login", "GET, HEAD, POST"), ("/logout", "GET, POST"), ("/.exeunt/session", "GET, HEAD")]
    {
        let answer = site.ask("BREW", target, &[], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{target}");
    }
    assert_eq!(echo.take(), [""; 0]);
    let lines = site.access_lines(1, "method=WHEN ").await;
    assert!(lines[0].contains("status=405") && lines[0].contains("method_not_allowed"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_can_refuse_changes_by_other_sites() {
    let (site, echo) = open_site(|setup| {
        setup.gateway.routes[1].refuse_cross_site = true;
        setup.gateway.routes[0].methods = Methods::new(vec![Methods::parse("POST").unwrap()]);
    })
    .await;
    let alice = site.session_of("alice").await;
    let foreign = [
        &["Sec-Fetch-Site: cross-site"][..],
        &["Sec-Fetch-Site: same-site"],
        &["Origin: http://evil.test"],
        &["Origin: null"],
        &["Origin: https://app.test"],
        &["Sec-Fetch-Mode: navigate"],
        &["Sec-Fetch-Site: cross-site", "Origin: http://app.test"],
    ];
    for lines in foreign {
        for method in ["POST", "PUT", "DELETE", "MKCOL"] {
            for session in [&[][..], &[&*alice]] {
                let answer = site.ask(method, "/public/x", &[lines, session].concat(), "").await;
                let error =
                    if lines[0].contains("navigate") { answer.text().into() } else { answer.json()["error"].clone() };
                assert_eq!(answer.status, 403, "{method} {lines:?}");
                assert!(error == "cross_site" || answer.text().contains("Another web site"), "{error}");
            }
        }
        assert_eq!(echo.take(), [""; 0], "{lines:?}");
        for method in ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH", "QUERY"] {
            assert_eq!(site.ask(method, "/public/x", lines, "").await.status, 200, "{method} {lines:?}");
        }
        assert_eq!(echo.take().len(), 7);
        assert_eq!(site.ask("POST", "/x", &[lines, &[&*alice]].concat(), "").await.status, 200, "another route passes");
        assert_eq!(echo.take().len(), 1);
    }
    for lines in [&[][..], &["Sec-Fetch-Site: same-origin"], &["Sec-Fetch-Site: none"], &["Origin: http://app.test"]] {
        assert_eq!(site.ask("POST", "/public/x", lines, "").await.status, 200, "{lines:?}");
    }
    assert_eq!(echo.take().len(), 4);
}
