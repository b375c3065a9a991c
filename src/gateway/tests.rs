//! The table of answers (who asks what how, and what comes back), against the whole gateway without the engine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cookie::SameSite;
use http::{HeaderMap, Request, request};
use parking_lot::Mutex;

use super::*;
use crate::admission::identity_headers::IdentityHeaders;
use crate::audit::{self, Log};
use crate::credentials::hashing;
use crate::credentials::password::{self, Password};
use crate::credentials::user_file::Users;
use crate::routes::access::Access;
use crate::routes::methods::Methods;
use crate::routes::path_prefix::PathPrefix;
use crate::routes::resolver::Upstreams;
use crate::routes::settings::RouteSettings;
use crate::routes::upstream_trust::UpstreamTrust;
use crate::session::lifetime::Lifetime;
use crate::session::live::Cut;
use crate::session::store::MemoryStore;
use crate::session::table;
use crate::values::client_address::{Peer, TrustedProxies};
use crate::values::cookie::SessionCookie;
use crate::values::header_edits::HeaderEdit;
use crate::values::origin::{Origin, Scheme};
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::{OwnPages, OwnPath};
use crate::values::reply::Reply;
use crate::values::return_to::{AllowedOrigins, OriginPattern, ReturnTo};
use crate::values::time::{Clock, ManualClock};
use crate::values::upstream_address::UpstreamAddress;

#[path = "property_tests.rs"]
mod property_tests;

/// What a browser says on plain http beyond loopback: no fetch metadata.
const BROWSER: &str = "Accept: text/html,application/xhtml+xml";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

pub(super) struct Bench {
    gateway: Arc<Gateway>,
    clock: ManualClock,
    lines: Arc<Mutex<Vec<String>>>,
}

pub(super) fn route(path: &str, access: Access) -> RouteSettings {
    RouteSettings {
        host: None,
        path: PathPrefix::parse(path).unwrap(),
        access,
        upstreams: vec![UpstreamAddress::parse("http://127.0.0.1:9").unwrap()],
        trust: UpstreamTrust::nobody(),
        connect_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_secs(1),
        upstream_host: None,
        opaque: false,
        methods: Methods::default(),
        refuse_cross_site: false,
        origins: Vec::new(),
        service_workers: false,
        request_headers: Vec::new(),
        response_headers: Vec::new(),
    }
}

fn users() -> Users {
    let hash = password::hash(&Password::new("wonder land".to_owned()).unwrap()).unwrap();
    let user = |name: &str, more: &str| format!("[users.{name}]\npassword = \"{hash}\"\n{more}\n");
    let text = [user("alice", "groups = [\"staff\"]"), user("bob", ""), user("carol", "enabled = false")].concat();
    Users::parse("users.toml".as_ref(), &text).unwrap()
}

pub(super) fn bench_with(change: impl FnOnce(&mut Settings)) -> Bench {
    let hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), []);
    let own = hosts.origins().map(OriginPattern::from);
    let allowed = AllowedOrigins::new(own.chain(OriginPattern::parse("https://other.test")));
    let path = |text| OwnPath::parse(text).unwrap();
    let mut settings = Settings {
        trusted: TrustedProxies::default(),
        own_pages: OwnPages::new(path("/login"), vec![path("/logout")]).unwrap(),
        cookie: SessionCookie::new("exeunt", Scheme::Http, SameSite::Lax),
        identity: IdentityHeaders::preset("x-forwarded").unwrap(),
        routes: vec![
            route("/", Access::SignedIn),
            route("/public", Access::Public),
            route("/staff", Access::Groups(vec!["staff".into()])),
        ],
        users: Arc::new(users()),
        login: crate::login::settings::Settings {
            next: ReturnTo::own("/"),
            ban_max: Duration::from_secs(900),
            body_limit: 16 * 1024,
        },
        logout: crate::logout::settings::Settings {
            get: crate::admission::cross_site::GetPolicy::Navigate,
            next: None,
            allowed,
            grace: Duration::from_secs(5),
            clear_site_data: None,
        },
        requests_per_session: 500,
        pages: crate::pages::Settings { brand: Default::default(), look: crate::pages::Look::built_in().unwrap() },
        hosts,
    };
    change(&mut settings);
    let (clock, hands) = Clock::manual();
    let lifetime = Lifetime { idle: Duration::from_secs(600), absolute: Duration::from_secs(3600) };
    let limits = table::Settings { lifetime, max_per_user: 2, capacity: 3 };
    let (log, lines) = Log::to_memory(audit::Settings { format: audit::Format::Text, access: true });
    let upstreams = Upstreams::new(tokio::runtime::Handle::current());
    let gateway = Gateway::new(
        Assembled::new(settings, &upstreams, &clock).unwrap(),
        SessionTable::new(limits, Arc::new(MemoryStore)),
        PasswordChecker::new(hashing::Settings::default()),
        Pipeline { log, clock },
    );
    Bench { gateway: Arc::new(gateway), clock: hands, lines }
}

fn bench() -> Bench {
    bench_with(|_| {})
}

/// `lines` are header lines; one of them may be a `Host`.
fn head(method: &str, lines: &[&str]) -> request::Parts {
    let mut request = Request::builder().method(method).uri("/");
    if !lines.iter().any(|line| line.starts_with("Host: ")) {
        request = request.header("Host", "app.test");
    }
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

impl Bench {
    pub(super) fn receive(&self, method: &str, target: &str, lines: &[&str]) -> Received {
        self.gateway.receive(&head(method, lines), target.as_bytes(), Peer::Unix, &Cut::new()).1
    }

    /// The gateway's own answer, whatever it takes.
    async fn ask(&self, method: &str, target: &str, lines: &[&str], body: &'static str) -> Reply {
        match self.receive(method, target, lines) {
            Received::Answer(reply) => reply,
            Received::Own(own) => self.gateway.perform(own, Ok(Bytes::from_static(body.as_bytes()))).await,
            Received::Forward(_) => panic!("{method} {target} was forwarded"),
        }
    }

    fn forward(&self, target: &str, lines: &[&str]) -> Box<Forward> {
        match self.receive("GET", target, lines) {
            Received::Forward(forward) => forward,
            other => panic!("{target} was not forwarded: {other:?}"),
        }
    }

    fn is_signed_in(&self, cookie: &str) -> bool {
        matches!(self.receive("GET", "/x", &[cookie]), Received::Forward(_))
    }

    /// Signs in and gives the `Cookie` line to send from then on.
    async fn sign_in(&self, user: &'static str) -> String {
        let body =
            if user == "bob" { "username=bob&password=wonder+land" } else { "username=alice&password=wonder+land" };
        let reply = self.ask("POST", "/login", &[FORM], body).await;
        assert_eq!(reply.status, 303);
        cookie_line(&reply)
    }
}

fn cookie_line(reply: &Reply) -> String {
    let line = header(reply, "set-cookie").unwrap();
    format!("Cookie: {}", line.split(';').next().unwrap())
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.to_str().unwrap())
}

/// The body, with the one escape undone that the templates use for harmless slashes.
fn text(reply: &Reply) -> String {
    std::str::from_utf8(&reply.body).unwrap().replace("&#x2f;", "/")
}

fn json(reply: &Reply) -> serde_json::Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("no JSON: {}", text(reply)))
}

#[tokio::test]
async fn a_protected_address_asks_browsers_to_sign_in_and_tells_programs() {
    let bench = bench();
    let page = bench.ask("GET", "/a/b?c=d", &[BROWSER], "").await;
    assert_eq!((page.status.as_u16(), header(&page, "location")), (303, Some("/login?next=%2Fa%2Fb%3Fc%3Dd")));
    assert_eq!(header(&page, "cache-control"), Some("no-store"));

    let program = bench.ask("GET", "/a/b?c=d", &[], "").await;
    assert_eq!(program.status, 401);
    assert_eq!(header(&program, "www-authenticate"), Some("Exeunt realm=\"app.test\", login=\"/login\""));
    assert_eq!(json(&program)["error"], "sign_in_required");
    assert_eq!(json(&program)["login"], "/login?next=%2Fa%2Fb%3Fc%3Dd");

    let posted = ["POST", "Referer: http://app.test/form?x"];
    let page = bench.ask(posted[0], "/save", &[BROWSER, posted[1]], "").await;
    assert_eq!(header(&page, "location"), Some("/login?next=%2Fform%3Fx"));
    let page = bench.ask("POST", "/save", &[BROWSER, "Referer: http://evil.test/form"], "").await;
    assert_eq!(header(&page, "location"), Some("/login"));
}

#[tokio::test]
async fn a_missing_group_and_a_missing_route_are_told_apart() {
    let bench = bench();
    let bob = bench.sign_in("bob").await;
    let refused = bench.ask("GET", "/staff/x", &[&bob], "").await;
    assert_eq!((refused.status.as_u16(), &json(&refused)["error"]), (403, &"group_missing".into()));
    assert!(text(&bench.ask("GET", "/staff/x", &[&bob, BROWSER], "").await).contains("may not see this"));
    let alice = bench.sign_in("alice").await;
    bench.forward("/staff/x", &[&alice]);

    let bench = bench_with(|settings| settings.routes.truncate(0));
    assert_eq!(bench.ask("GET", "/x", &[], "").await.status, 404);
}

#[tokio::test]
async fn the_sign_in_address_shows_a_form_and_never_redirects() {
    let bench = bench();
    let form = bench.ask("GET", "/login?next=/a%3Fb", &[BROWSER], "").await;
    assert_eq!(form.status, 200);
    assert!(text(&form).contains("name=\"username\"") && text(&form).contains("value=\"/a?b\""));
    let program = bench.ask("GET", "/login", &[], "").await;
    assert_eq!(json(&program)["fields"], serde_json::json!(["username", "password", "next"]));
    let alice = bench.sign_in("alice").await;
    let page = bench.ask("GET", "/login?next=/a", &[BROWSER, &alice], "").await;
    assert_eq!(page.status, 200);
    assert!(text(&page).contains("<h1 class=\"who\">alice</h1>") && text(&page).contains("href=\"/a\""));
    let switch = bench.ask("GET", "/login?switch=1", &[BROWSER, &alice], "").await;
    assert!(text(&switch).contains("name=\"password\""));
    let evil = bench.ask("GET", "/login?next=//evil.test", &[BROWSER], "").await;
    assert!(!text(&evil).contains("evil"));
}

#[tokio::test]
async fn signing_in_leads_to_a_checked_target() {
    let bench = bench();
    let cases = [
        ("/login", "username=alice&password=wonder+land", "/"),
        ("/login", "username=alice&password=wonder+land&next=/a%3Fb", "/a?b"),
        ("/login?next=/q", "username=alice&password=wonder+land&next=/f", "/f"),
        ("/login?next=/q", "username=alice&password=wonder+land", "/q"),
        ("/login?rd=/q", "username=alice&password=wonder+land", "/q"),
        ("/login", "username=alice&password=wonder+land&next=http://app.test/a", "http://app.test/a"),
        ("/login", "username=alice&password=wonder+land&next=//evil.test", "/"),
        ("/login", "username=alice&password=wonder+land&next=https://other.test/", "/"),
        ("/login", "username=alice&password=wonder+land&next=/a&next=/b", "/"),
        ("/login", "username=alice&password=wonder+land&next=/logout", "/"),
        ("/login", "username=alice&password=wonder+land&next=/login", "/"),
    ];
    for (target, body, want) in cases {
        let reply = bench.ask("POST", target, &[FORM], body).await;
        assert_eq!((reply.status.as_u16(), header(&reply, "location")), (303, Some(want)), "{target} {body}");
    }
    let reply = bench
        .ask("POST", "/login", &[FORM, "Accept: application/json"], "username=bob&password=wonder+land&next=/a")
        .await;
    assert_eq!((reply.status.as_u16(), json(&reply)), (200, serde_json::json!({ "user": "bob", "next": "/a" })));
    assert!(bench.is_signed_in(&cookie_line(&reply)));
}

#[tokio::test]
async fn wrong_credentials_and_odd_forms_open_nothing() {
    let bench = bench();
    let cases: [(&[&str], &str, u16, &str); 9] = [
        (&[FORM], "username=alice&password=wrong", 401, "credentials_wrong"),
        (&[FORM], "username=nobody&password=wonder+land", 401, "credentials_wrong"),
        (&[FORM], "username=carol&password=wonder+land", 401, "credentials_wrong"),
        (&[FORM], "username=alice", 400, "form_malformed"),
        (&[FORM], "username=alice&username=bob&password=wonder+land", 400, "form_malformed"),
        (&[FORM], "username=%ff&password=wonder+land", 400, "form_malformed"),
        (&["Content-Type: application/json"], "{}", 400, "form_malformed"),
        (&[FORM, "Origin: http://evil.test"], "username=alice&password=wonder+land", 403, "cross_site"),
        (&[FORM, "Sec-Fetch-Site: cross-site"], "username=alice&password=wonder+land", 403, "cross_site"),
    ];
    for (lines, body, status, reason) in cases {
        let reply = bench.ask("POST", "/login", lines, body).await;
        assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (status, &reason.into()), "{body}");
        assert_eq!(header(&reply, "set-cookie"), None);
    }
    assert!(bench.gateway.sessions().is_empty());
    let page = bench.ask("POST", "/login", &[FORM, BROWSER], "username=al%22ice&password=wrong&next=/a").await;
    assert_eq!(page.status, 401);
    assert!(
        text(&page).contains("are wrong")
            && text(&page).contains("value=\"al&quot;ice\"")
            && text(&page).contains("value=\"/a\"")
    );
    assert!(!text(&page).contains("value=\"wrong\""));
}

#[tokio::test]
async fn a_planted_cookie_does_not_survive_the_sign_in() {
    let bench = bench();
    let planted =
        format!("Cookie: exeunt={}", crate::values::session_id::SessionId::generate().unwrap().cookie_value());
    assert!(!bench.is_signed_in(&planted));
    let reply = bench.ask("POST", "/login", &[FORM, &planted], "username=alice&password=wonder+land").await;
    let own = cookie_line(&reply);
    assert_ne!(own, planted);
    assert!(bench.is_signed_in(&own) && !bench.is_signed_in(&planted));
    let again = bench.ask("POST", "/login", &[FORM, &own], "username=bob&password=wonder+land").await;
    let again = cookie_line(&again);
    assert!(bench.is_signed_in(&again) && !bench.is_signed_in(&own), "the session before it lives on");
}

#[tokio::test]
async fn a_logout_by_post_ends_the_session_before_it_is_answered() {
    let bench = bench();
    let alice = bench.sign_in("alice").await;
    let other = bench.sign_in("alice").await;
    let reply = bench.ask("POST", "/logout", &[&alice], "").await;
    assert_eq!(reply.status, 200);
    let receipt = json(&reply);
    assert_eq!((&receipt["user"], &receipt["target"]), (&"alice".into(), &serde_json::Value::Null));
    assert_eq!(receipt["steps"][0]["step"], "end");
    assert_eq!(receipt["steps"][0]["result"], "done");
    assert!(header(&reply, "set-cookie").unwrap().contains("Max-Age=0"));
    assert!(!bench.is_signed_in(&alice) && bench.is_signed_in(&other));
    let again = bench.ask("POST", "/logout", &[&alice], "").await;
    assert_eq!((again.status.as_u16(), &json(&again)["user"]), (200, &serde_json::Value::Null));
    let page = bench.ask("POST", "/logout", &[&other, BROWSER], "").await;
    let onward = header(&page, "refresh").unwrap();
    assert!(onward.starts_with("0; url=/.exeunt/goodbye?"), "a reload would send the form again: {onward}");
    assert!(text(&page).contains("You are signed out") && text(&page).contains("Goodbye, alice"));
}

#[tokio::test]
async fn a_logout_leads_to_a_checked_target() {
    let cases: [(&str, &str, &str, &[&str], Option<&str>); 10] = [
        ("POST", "/logout?next=/bye", "", &[], Some("/bye")),
        ("POST", "/logout", "next=/bye", &[FORM], Some("/bye")),
        ("POST", "/logout?next=/q", "rd=/bye", &[FORM], Some("/bye")),
        ("POST", "/logout?next=https://other.test/x", "", &[], Some("https://other.test/x")),
        ("POST", "/logout?next=https://evil.test/x", "", &[], None),
        ("POST", "/logout?next=/a&next=/b", "", &[], None),
        ("POST", "/logout?next=/a/../Logout/", "", &[], None),
        ("POST", "/logout?next=/bye", "", &["Accept: application/json"], None),
        ("POST", "/logout?next=/bye", "", &[BROWSER], Some("/bye")),
        ("POST", "/logout", "next=%ff", &[FORM], None),
    ];
    for (method, target, body, lines, want) in cases {
        let bench = bench();
        let reply = bench.ask(method, target, lines, body).await;
        assert_eq!(header(&reply, "location"), want, "{target} {body}");
        assert_eq!(reply.status, if want.is_some() { 303 } else { 200 });
    }
    let bench = bench_with(|settings| settings.logout.next = Some(ReturnTo::own("/public")));
    let reply = bench.ask("POST", "/logout?next=//evil.test", &[], "").await;
    assert_eq!(header(&reply, "location"), Some("/public"));
    let reply = bench.ask("POST", "/logout?next=/logout", &[], "").await;
    assert_eq!(header(&reply, "location"), None, "a target that signs out shows the goodbye page");
}

#[tokio::test]
async fn a_get_of_logout_does_what_a_person_meant() {
    const OWN: [&str; 3] = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
    let bench = bench();
    let alice = bench.sign_in("alice").await;
    let lines = [OWN.as_slice(), &[alice.as_str(), "Sec-Purpose: prefetch"]].concat();
    assert_eq!(bench.ask("GET", "/logout", &lines, "").await.status, 403);
    let image = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", &alice];
    assert_eq!(bench.ask("GET", "/logout", &image, "").await.status, 403);
    let program = bench.ask("GET", "/logout", &[&alice], "").await;
    assert_eq!((program.status.as_u16(), header(&program, "allow")), (405, Some("POST")));
    assert!(text(&program).contains("curl -X POST"));
    let confirm = bench.ask("GET", "/logout?next=/bye", &[&alice, BROWSER], "").await;
    assert_eq!(confirm.status, 200);
    assert!(
        text(&confirm).contains("Sign out?")
            && text(&confirm).contains("value=\"/bye\"")
            && text(&confirm).contains("alice")
    );
    for method in ["HEAD", "PUT", "DELETE"] {
        assert_eq!(bench.ask(method, "/logout", &[&alice], "").await.status, 405);
    }
    assert!(bench.is_signed_in(&alice), "none of these ends anything");

    let lines = [OWN.as_slice(), &[alice.as_str()]].concat();
    let reply = bench.ask("GET", "/Logout/", &lines, "").await;
    let goodbye = header(&reply, "location").unwrap();
    assert!(reply.status == 303 && goodbye.starts_with("/.exeunt/goodbye?receipt="), "{goodbye}");
    assert!(!bench.is_signed_in(&alice));
    let page = bench.ask("GET", goodbye, &[BROWSER], "").await;
    assert!(text(&page).contains("You are signed out") && text(&page).contains("Your session has ended"));
    let bob = bench.sign_in("bob").await;
    let page = bench.ask("GET", goodbye, &[&bob, BROWSER], "").await;
    assert!(text(&page).contains("You are signed in as") && bench.is_signed_in(&bob), "a reload tells what is");
}

#[tokio::test]
async fn another_site_cannot_sign_anybody_out() {
    let bench = bench();
    let alice = bench.sign_in("alice").await;
    for line in ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.test", "Origin: null"]
    {
        let reply = bench.ask("POST", "/logout", &[&alice, line], "").await;
        assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (403, &"cross_site".into()), "{line}");
        assert_eq!(header(&reply, "set-cookie"), None);
    }
    let page = bench.ask("POST", "/logout", &[&alice, BROWSER, "Origin: http://evil.test"], "").await;
    assert_eq!(page.status, 403);
    assert!(text(&page).contains("<form method=\"post\" action=\"/logout\">"));
    assert!(bench.is_signed_in(&alice));
}

#[tokio::test]
async fn two_different_session_cookies_are_none_and_expire() {
    let bench = bench();
    let (alice, bob) = (bench.sign_in("alice").await, bench.sign_in("bob").await);
    let both = format!("{alice}; {}", bob.strip_prefix("Cookie: ").unwrap());
    let reply = bench.ask("GET", "/x", &[&both], "").await;
    assert_eq!(reply.status, 401);
    assert!(header(&reply, "set-cookie").unwrap().contains("Max-Age=0"));
    let public = bench.forward("/public/x", &[&both]);
    assert!(public.session().is_none());
    assert!(matches!(public.response_edits(&HeaderMap::new()).as_slice(), [HeaderEdit::Add(..)]));
    assert!(bench.ask("POST", "/logout", &[&both], "").await.status == 200);
    assert!(bench.is_signed_in(&alice) && bench.is_signed_in(&bob));
}

#[tokio::test]
async fn sessions_end_by_time_and_their_end_is_written() {
    let bench = bench();
    let alice = bench.sign_in("alice").await;
    bench.clock.advance(Duration::from_secs(599));
    assert!(bench.is_signed_in(&alice));
    bench.clock.advance(Duration::from_secs(599));
    assert_eq!(bench.ask("GET", "/.exeunt/session", &[&alice], "").await.status, 200);
    bench.clock.advance(Duration::from_secs(1));
    assert!(!bench.is_signed_in(&alice), "asking who I am prolonged the session");
    bench.clock.advance(Duration::from_secs(10));
    assert_eq!(bench.gateway.reap().await, 1);
    let lines = bench.lines.lock().join("\n");
    assert!(lines.contains("event=session_ended user=alice") && lines.contains("cause=idle"), "{lines}");
}

#[tokio::test]
async fn one_session_too_many_and_a_full_table() {
    let bench = bench();
    let first = bench.sign_in("alice").await;
    let second = bench.sign_in("alice").await;
    let _third = bench.sign_in("alice").await;
    assert!(!bench.is_signed_in(&first) && bench.is_signed_in(&second));
    bench.sign_in("bob").await;
    let reply = bench.ask("POST", "/login", &[FORM], "username=bob&password=wonder+land").await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (503, &"sessions_full".into()));
    assert!(header(&reply, "retry-after").is_some());
}

#[tokio::test]
async fn an_exchange_in_flight_sets_no_cookie_after_the_logout() {
    let bench = bench();
    let alice = bench.sign_in("alice").await;
    let forward = bench.forward("/x", &[&alice]);
    let mut answer = HeaderMap::new();
    answer.insert("set-cookie", "app=1".parse().unwrap());
    assert!(!forward.response_edits(&answer).contains(&HeaderEdit::Remove(http::header::SET_COOKIE)));
    bench.ask("POST", "/logout", &[&alice], "").await;
    assert!(forward.has_ended());
    assert!(forward.response_edits(&answer).contains(&HeaderEdit::Remove(http::header::SET_COOKIE)));
}

#[tokio::test]
async fn the_application_hears_of_the_user_from_us_alone() {
    let bench = bench();
    let alice = bench.sign_in("alice").await;
    let spoof = "X_Forwarded_User: root";
    for target in ["/x", "/public/x"] {
        let forward = bench.forward(target, &[&alice, spoof, "X-Forwarded-Groups: admin"]);
        let sent = head("GET", &[&alice, spoof, "X-Forwarded-Groups: admin"]);
        let mut headers = sent.headers;
        forward.edit_request(&mut headers);
        let told = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!((told("x-forwarded-user"), told("x-forwarded-groups")), (vec!["alice"], vec!["staff"]), "{target}");
        assert!(!headers.contains_key("x_forwarded_user") && !headers.contains_key(http::header::COOKIE));
    }
    let stranger = bench.forward("/public/x", &[spoof]);
    let mut headers = head("GET", &[spoof]).headers;
    stranger.edit_request(&mut headers);
    assert!(!headers.contains_key("x-forwarded-user") && !headers.contains_key("x_forwarded_user"));
}

#[tokio::test]
async fn our_addresses_are_never_forwarded_in_any_spelling() {
    let bench = bench_with(|settings| settings.routes = vec![route("/", Access::Public)]);
    for target in [
        "/logout", "/logout/", "/LOGOUT", "/%6cogout", "/./logout", "/a/../logout", "/login", "/Login/", "/.exeunt/x",
        "/.EXEUNT/session", "/logout;x=1", "/logout;", "/a;b/../logout;x", "/login;x", "/.exeunt;x/session",
        "http://app.test/logout", "/logout%20", "/login%20%20;x", "/.exeunt%20/session",
    ] {
        assert!(!matches!(bench.receive("GET", target, &[]), Received::Forward(_)), "{target}");
    }
    bench.forward("/x;y=z", &[]);
    bench.forward("/a%20name%20", &[]);
}

#[tokio::test]
async fn a_path_parameter_cannot_choose_another_route() {
    let bench =
        bench_with(|settings| settings.routes = vec![route("/", Access::Public), route("/admin", Access::SignedIn)]);
    for target in ["/admin;x/secret", "/admin;/secret", "/a;x/../admin;y"] {
        assert_eq!(bench.ask("GET", target, &[], "").await.status, 400, "{target}");
    }
    assert_eq!(bench.ask("GET", "/admin/x;y", &[], "").await.status, 401);
}

#[tokio::test]
async fn a_service_worker_cannot_answer_for_us() {
    const SCRIPT: &str = "Service-Worker: script";
    let bench = bench_with(|settings| {
        settings.routes = vec![route("/", Access::Public), route("/trusted", Access::Public)];
        settings.routes[1].service_workers = true;
    });
    assert_eq!(bench.ask("GET", "/sw.js", &[SCRIPT], "").await.status, 403);
    bench.forward("/sw.js", &[]);
    bench.forward("/app/sw.js", &[SCRIPT]);
    let widened = |target: &str, scope: &str| {
        let mut answer = HeaderMap::new();
        answer.insert("service-worker-allowed", scope.parse().unwrap());
        let removed = HeaderEdit::Remove("service-worker-allowed".parse().unwrap());
        bench.forward(target, &[SCRIPT]).response_edits(&answer).contains(&removed)
    };
    assert!(widened("/app/sw.js", "/") && !widened("/app/sw.js", "/app/") && !widened("/trusted/sw.js", "/"));
}

#[tokio::test]
async fn nobody_is_created_for_a_stranger() {
    let bench = bench();
    for target in ["/x", "/public/x", "/login", "/.exeunt/session", "/.exeunt/goodbye", "/logout"] {
        drop(bench.receive("GET", target, &[BROWSER]));
    }
    assert!(bench.gateway.sessions().is_empty());
}

#[tokio::test]
async fn the_log_says_what_happened_and_no_secret() {
    let bench = bench();
    let alice = bench.sign_in("alice").await;
    drop(bench.forward("/x?token=geheim", &[&alice, "Referer: http://app.test/y?token=geheim"]));
    bench.ask("POST", "/login", &[FORM], "username=alice%0aevent=signed_in&password=hunter22").await;
    bench.ask("POST", "/logout", &[&alice], "").await;
    let lines = bench.lines.lock().join("\n");
    for want in [
        "event=signed_in user=alice", "event=access", "path=/x ", "event=session_ended",
        "steps=end:done:1,cut:nothing:0",
    ] {
        assert!(lines.contains(want), "{want} is not in\n{lines}");
    }
    let cookie = alice.split('=').next_back().unwrap();
    for secret in [cookie, "geheim", "hunter22", "wonder land"] {
        assert!(!lines.contains(secret), "{secret} is in\n{lines}");
    }
    assert!(lines.contains("user=\"alice\\u{a}event=signed_in\""), "{lines}");
}

#[tokio::test]
async fn people_read_their_language_and_programs_english() {
    let bench = bench();
    let german = "Accept-Language: de-AT,de;q=0.9,en;q=0.5";
    let page = bench.ask("GET", "/login", &[BROWSER, german], "").await;
    assert!(text(&page).contains("Anmelden"));
    let wrong = bench.ask("POST", "/login", &[FORM, BROWSER, german], "username=alice&password=wrong").await;
    assert!(text(&wrong).contains("Benutzername oder Passwort sind falsch"));
    let goodbye = bench.ask("POST", "/logout", &[BROWSER, german], "").await;
    assert!(text(&goodbye).contains("Sie sind abgemeldet"));
    let program = bench.ask("GET", "/x", &[german], "").await;
    assert_eq!(json(&program)["message"], "Sign in to see this.");
}

#[tokio::test]
async fn who_may_not_see_a_page_is_led_to_another_account_and_back() {
    let bench = bench();
    let bob = bench.sign_in("bob").await;
    let page = bench.ask("GET", "/staff/x?y=1", &[&bob, BROWSER], "").await;
    assert_eq!(page.status, 403);
    assert!(text(&page).contains("href=\"/login?switch=1&amp;next=%2Fstaff%2Fx%3Fy%3D1\""), "{}", text(&page));
    let form = bench.ask("GET", "/login?switch=1&next=%2Fstaff%2Fx%3Fy%3D1", &[&bob, BROWSER], "").await;
    assert!(text(&form).contains("type=\"password\"") && text(&form).contains("/staff/x?y=1"));
    assert!(bench.is_signed_in(&bob));
}

#[tokio::test]
async fn style_and_logo_are_for_everybody() {
    let bench = bench();
    for (target, kind) in [("/.exeunt/style.css", "text/css; charset=utf-8"), ("/.exeunt/logo", "image/svg+xml")] {
        let reply = bench.ask("GET", target, &[], "").await;
        assert_eq!((reply.status.as_u16(), header(&reply, "content-type")), (200, Some(kind)));
        assert_eq!(header(&reply, "cache-control"), Some("public, max-age=3600"));
    }
}

const WRONG: &str = "username=alice&password=wrong";
const RIGHT: &str = "username=Alice&password=wonder+land";

#[tokio::test]
async fn a_banned_account_has_one_answer_and_costs_no_hash() {
    let bench = bench();
    for _ in 0..5 {
        assert_eq!(bench.ask("POST", "/login", &[FORM], WRONG).await.status, 401);
    }
    let computed = bench.gateway.passwords.computed();
    let [wrong, right] = [WRONG, "username=alice&password=wonder+land"];
    let wrong = bench.ask("POST", "/login", &[FORM], wrong).await;
    let right = bench.ask("POST", "/login", &[FORM], right).await;
    assert_eq!((right.status.as_u16(), &json(&right)["error"]), (429, &"too_many_attempts".into()));
    assert_eq!((wrong.status, wrong.headers, wrong.body), (right.status, right.headers.clone(), right.body.clone()));
    assert_eq!(header(&right, "retry-after"), Some("5"));
    assert_eq!(bench.gateway.passwords.computed(), computed);
    assert_eq!(bench.ask("POST", "/login", &[FORM], RIGHT).await.status, 429, "in any letter case");
    let page = bench.ask("POST", "/login", &[FORM, BROWSER], WRONG).await;
    assert_eq!((page.status.as_u16(), header(&page, "retry-after")), (429, Some("5")));
    let shown = text(&page);
    assert!(shown.contains("It is possible again in 5 s.") && shown.contains("name=\"password\""), "{shown}");
    let lines = bench.lines.lock().join("\n");
    assert!(lines.contains("event=sign_in_refused client=unix reason=too_many_attempts user=alice"), "{lines}");
    bench.clock.advance(Duration::from_secs(5));
    bench.sign_in("alice").await;
}

#[tokio::test]
async fn bans_touch_no_session_and_no_known_browser() {
    let bench = bench();
    let reply = bench.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await;
    let session = cookie_line(&reply);
    let known = reply.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE).nth(1).unwrap();
    let known = format!("Cookie: {}", known.1.to_str().unwrap().split(';').next().unwrap());
    assert!(known.starts_with("Cookie: exeunt-known="));
    for _ in 0..9 {
        bench.ask("POST", "/login", &[FORM], WRONG).await;
    }
    assert_eq!(bench.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await.status, 429);
    assert!(bench.is_signed_in(&session));
    let reply = bench.ask("POST", "/login", &[FORM, &known], "username=alice&password=wonder+land").await;
    assert_eq!(reply.status, 303);
    let again = reply.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE).nth(1).unwrap();
    assert!(again.1.to_str().unwrap().starts_with(known.strip_prefix("Cookie: ").unwrap()), "it is still the same one");
    assert!(bench.gateway.unban("alice"));
    assert_eq!(bench.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await.status, 303);
}

#[tokio::test]
async fn the_known_cookie_is_no_session_and_stays_with_us() {
    let bench = bench();
    let reply = bench.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await;
    let known = reply.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE).nth(1).unwrap();
    let value = known.1.to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    assert!(!bench.is_signed_in(&format!("Cookie: exeunt={value}")));
    let lines = [format!("Cookie: exeunt-known={value}")];
    let lines = lines.each_ref().map(String::as_str);
    let mut headers = head("GET", &lines).headers;
    bench.forward("/public/x", &lines).edit_request(&mut headers);
    assert!(!headers.contains_key(http::header::COOKIE), "{headers:?}");
    let goodbye = bench.ask("POST", "/logout", &[&cookie_line(&reply)], "").await;
    let expired = goodbye.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE);
    assert!(expired.map(|(_, line)| line.to_str().unwrap()).all(|line| !line.contains("known")));
}

#[tokio::test]
async fn a_proxy_that_nobody_named_is_pointed_out_once() {
    let bench = bench();
    for number in 0..30 {
        let body = format!("username=user{number}&password=wrong");
        bench.ask("POST", "/login", &[FORM], body.leak()).await;
    }
    let lines = bench.lines.lock();
    let advice: Vec<_> = lines.iter().filter(|line| line.contains("event=likely_proxy client=unix ")).collect();
    assert_eq!(advice.len(), 1, "{lines:?}");
    assert!(advice[0].contains("trusted_proxies = ["), "{advice:?}");
}
