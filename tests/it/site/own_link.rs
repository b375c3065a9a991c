//! The application's own logout link: it ends the gateway's session, under the rules of the gateway's own address, and
//! reaches the application after that, once.

use exeunt::values::identity::Identity;

use super::application_logout::{App, site, visit, with_logout};
use super::harness::{FORM, Site, until};
use crate::server::client::within;
use crate::upstream::header;

const PASSED_ON: &str = "paths = ['/bye', { path = '/index', query = { do = 'logout' } }]\nalso = 'application'";
const CLICK: [&str; 3] = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
const BROWSER: &str = "Accept: text/html";
const FOREIGN: &str = "Origin: http://evil.test";
/// The application signs out, deletes what it has set, and begins something new.
const BYE: (&str, u16, &str, &str) = (
    "/bye",
    302,
    "Location: http://app.test/start\r\nX-App: 1\r\nCache-Control: max-age=60\r\n\
     Set-Cookie: theme=; Max-Age=0; Path=/\r\nSet-Cookie: sid=anonymous; HttpOnly; Path=/\r\n\
     Set-Cookie: exeunt=planted; Path=/\r\n",
    "gone",
);

/// A click on a link, with these cookies.
async fn click(site: &Site, target: &str, cookie: &str) -> super::answer::Answer {
    site.get(target, &[&CLICK[..], &[BROWSER, cookie]].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_ends_the_session_and_reaches_the_application_with_its_jar() {
    let (site, app) = site(&[BYE], &format!("{PASSED_ON}\ncall = 'POST /logout'")).await;
    let cookie = visit(&site).await;
    let answer = click(&site, "/bye?token=5eaf", &format!("{cookie}; theme=dark")).await;
    let [request] = &app.asked("/bye")[..] else { panic!("{:?}", app.asked("/bye")) };
    assert!(request.starts_with("GET /bye?token=5eaf HTTP/1.1\r\n"), "{request}");
    for (name, value) in [("cookie", "theme=dark; sid=secret"), ("x-forwarded-user", "alice"), ("host", "app.test")] {
        assert_eq!(header(request, name), Some(value), "{request}");
    }
    assert!(app.asked("/logout").is_empty(), "the link takes the place of the call");
    assert_eq!((answer.status, answer.text()), (302, "gone"));
    assert_eq!(answer.header("location"), Some("http://app.test/start"));
    assert_eq!((answer.header("x-app"), answer.header("cache-control")), (Some("1"), Some("no-store")));
    let set = answer.headers("set-cookie");
    assert!(set.iter().any(|line| line.starts_with("theme=; Max-Age=0")), "its own deletions: {set:?}");
    assert!(set.iter().any(|line| line.starts_with("exeunt=; ")), "and ours: {set:?}");
    assert!(!set.iter().any(|line| line.contains("anonymous") || line.contains("planted")), "{set:?}");
    assert_eq!(site.get("/x", &[&cookie]).await.status, 401);
    let told = |line: &String| line.contains("event=application_logout") && line.contains("ended by call");
    assert_eq!(site.lines().iter().filter(|line| told(line)).count(), 1);
    click(&site, "/bye", &cookie).await;
    assert_eq!(app.asked("/bye").len(), 1, "nothing leaves in the name of a session that ended before");
}

/// What becomes of a request: the status, whether the session is over, and whether the application was asked.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], (u16, bool, bool));

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_are_those_of_the_gateways_own_address() {
    let [site_, mode, dest] = CLICK;
    let cases: [Case<'_>; 17] = [
        ("GET", "/bye", &[site_, mode, dest, BROWSER], (302, true, true)),
        ("GET", "/Bye/", &[site_, mode, dest, BROWSER], (200, true, true)),
        ("POST", "/bye", &[], (302, true, true)),
        ("POST", "/bye", &["Accept: application/json"], (302, true, true)),
        ("POST", "/bye", &[BROWSER, "Origin: http://app.test"], (302, true, true)),
        ("GET", "/index?x=y&do=logout", &[site_, mode, dest, BROWSER], (200, true, true)),
        // Of another site, of a page that is not shown (prefetch), or of a program that may have guessed an address.
        ("GET", "/bye", &["Sec-Fetch-Site: cross-site", mode, dest, BROWSER], (200, false, false)),
        (
            "GET",
            "/bye",
            &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"],
            (403, false, false),
        ),
        ("GET", "/bye", &[site_, "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"], (403, false, false)),
        ("GET", "/bye", &[site_, mode, dest, BROWSER, "Sec-Purpose: prefetch"], (403, false, false)),
        ("GET", "/bye", &[BROWSER], (200, false, false)),
        ("GET", "/bye", &[], (405, false, false)),
        ("POST", "/bye", &[FOREIGN], (403, false, false)),
        ("POST", "/bye", &[BROWSER, FOREIGN], (403, false, false)),
        ("PUT", "/bye", &[], (405, false, false)),
        // Other addresses are the application's affair, for as long as there is a session.
        ("GET", "/index?do=edit", &[FOREIGN], (200, false, true)),
        ("GET", "/bye/bye", &[FOREIGN], (302, false, true)),
    ];
    let (site, app) = site(&[BYE], PASSED_ON).await;
    for (method, target, lines, want) in cases {
        let cookie = visit(&site).await;
        let path = target.split('?').next().unwrap();
        let before = app.asked(path).len();
        let answer = site.ask(method, target, &[lines, &[&*cookie]].concat(), "").await;
        let asked = app.asked(path).len() - before;
        let over = site.get("/x", &[&cookie]).await.status == 401;
        assert_eq!((answer.status, over, asked), (want.0, want.1, usize::from(want.2)), "{method} {target} {lines:?}");
    }
}

/// Where a browser does not say that it was a click, the button of the question is for the gateway's own address.
#[tokio::test(flavor = "multi_thread")]
async fn the_question_leads_to_the_gateways_own_address() {
    let (site, app) = site(&[BYE], PASSED_ON).await;
    let cookie = visit(&site).await;
    let page = site.get("/bye", &[BROWSER, &cookie]).await;
    let page = page.text();
    assert!(page.contains("action=\"&#x2f;logout\"") && app.asked("/bye").is_empty(), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_goes_on_with_its_body() {
    let (site, app) = site(&[BYE], PASSED_ON).await;
    let cookie = visit(&site).await;
    let lines = [FORM, "X-CSRFToken: 5eaf", "Sec-Fetch-Site: same-origin", &cookie];
    assert_eq!(site.ask("POST", "/bye", &lines, "csrf=5eaf&all=1").await.status, 302);
    let [request] = &app.asked("/bye")[..] else { panic!("{:?}", app.asked("/bye")) };
    assert!(request.ends_with("\r\n\r\ncsrf=5eaf&all=1"), "{request}");
    assert_eq!((header(request, "content-length"), header(request, "x-csrftoken")), (Some("15"), Some("5eaf")));
}

/// The session ends without the body, and with it the request that the body belongs to.
#[tokio::test(flavor = "multi_thread")]
async fn no_end_waits_for_a_body() {
    let (site, app) = site(&[BYE], PASSED_ON).await;
    let cookie = visit(&site).await;
    let mut slow = site.client().await;
    slow.say(&format!("POST /bye HTTP/1.1\r\nHost: app.test\r\n{cookie}\r\nContent-Length: 9\r\n\r\nhalf")).await;
    until(|| site.lines().iter().any(|line| line.contains("event=session_ended"))).await;
    assert_eq!(site.get("/x", &[&cookie]).await.status, 401);
    drop(slow);
    assert!(app.asked("/bye").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn own_page_replaces_the_answer_of_a_failed_application_logout() {
    let large: &'static str = String::leak("x".repeat(2 * 1024 * 1024));
    let cases: [(u16, &'static str, &str); 3] = [
        (403, "", "did not confirm it (status 403)"),
        (0, "", "no answer in time"),
        (200, large, "You are signed out"),
    ];
    for (status, body, want) in cases {
        let (site, _) = site(&[("/bye", status, "", body)], PASSED_ON).await;
        let cookie = visit(&site).await;
        let answer = within(site.ask("POST", "/bye", &[BROWSER, &cookie], "")).await;
        assert!(answer.status == 200 && answer.text().contains(want), "{want}: {}", answer.text());
        assert_eq!(site.get("/x", &[&cookie]).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_also_the_gateway_answers_and_makes_its_call() {
    let (site, app) = site(&[BYE, ("/logout", 200, "", "")], "paths = ['/bye']\ncall = 'POST /logout'").await;
    let cookie = visit(&site).await;
    let answer = click(&site, "/bye", &cookie).await;
    assert!(answer.status == 303 && answer.header("location").unwrap().starts_with("/.exeunt/goodbye?"));
    assert!(app.asked("/bye").is_empty() && app.asked("/logout").len() == 1);
    assert_eq!(site.get("/x", &[&cookie]).await.status, 401);
}

/// Two clicks at the same time: one of them ends the session, and only that one reaches the application.
#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_two_concurrent_logouts_reaches_the_application() {
    let (site, app) = site(&[BYE], PASSED_ON).await;
    for round in 1..=20 {
        let cookie = visit(&site).await;
        let (one, other) = tokio::join!(click(&site, "/bye", &cookie), click(&site, "/bye", &cookie));
        assert_eq!(app.asked("/bye").len(), round, "{one:?} {other:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_link_without_a_session_shows_the_goodbye_page() {
    let (site, app) = site(&[BYE], PASSED_ON).await;
    let answer = click(&site, "/bye", "Cookie: exeunt=dead").await;
    assert!(answer.header("location").unwrap().starts_with("/.exeunt/goodbye"), "{answer:?}");
    assert!(app.asked("/bye").is_empty());
}

/// A public application may have users of its own. Who may not use a route does not reach it by its link, and is out.
#[tokio::test(flavor = "multi_thread")]
async fn access_to_the_route_holds_for_its_link() {
    let (app, address) = App::start(&[]).await;
    let site = Site::before(&[address], |settings| {
        with_logout(settings, "paths = ['/public/bye', '/staff/bye']\nalso = 'application'");
        let logout = settings.gateway.routes[0].logout.clone();
        settings.gateway.routes.iter_mut().for_each(|route| route.logout = logout.clone());
    });
    assert_eq!(site.get("/public/bye", &[]).await.status, 200);
    assert_eq!(app.asked("/public/bye").len(), 1);
    let cookie = site.session_of("bob").await;
    assert_eq!(click(&site, "/staff/bye", &cookie).await.status, 303);
    assert!(app.asked("/staff/bye").is_empty() && site.get("/x", &[&cookie]).await.status == 401);
    let staff = Identity::new("alice", None, None, &["staff".into()]).unwrap();
    let cookie = site.session_as(staff).await;
    assert_eq!(click(&site, "/staff/bye", &cookie).await.status, 200);
    assert_eq!(app.asked("/staff/bye").len(), 1);
}

/// Behind such a sign-in the session would be over at once.
#[tokio::test(flavor = "multi_thread")]
async fn no_sign_in_leads_to_the_link() {
    let (site, _) = site(&[BYE], PASSED_ON).await;
    for (next, want) in
        [("/index?do=edit", "/index?do=edit"), ("/index?do=logout", "/"), ("http://app.test/bye%23x", "/")]
    {
        let form = format!("username=alice&password={}&next={next}", super::harness::PASSWORD.replace(' ', "+"));
        let answer = site.ask("POST", "/login", &[FORM], &form).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(want)), "{next}");
    }
}
