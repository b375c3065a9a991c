//! One session on several hosts: a browser that is redirected from host to host, and attacks on that.

use std::collections::BTreeMap;

use http::header::{LOCATION, SET_COOKIE};

use super::*;
use crate::session::store::faulty::{FaultMode, FaultyStore};

pub(super) const SHOP: &str = "shop.test";
pub(super) const BLOG: &str = "blog.test";
pub(super) const LOGIN: &str = "app.test";
pub(super) const ALICE: &str = "username=alice&password=wonder+land";

pub(super) fn on_three_hosts(settings: &mut GatewaySettings) {
    let further = [SHOP, BLOG].map(|host| Host::parse(host).unwrap());
    settings.hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), further);
}

fn several() -> Harness {
    harness_with(on_three_hosts)
}

/// A browser: it keeps the cookies of each host, and follows redirects.
#[derive(Clone, Default)]
pub(super) struct Browser {
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// The addresses of the last visit, in order.
    pub(super) way: Vec<String>,
}

/// The last answer of a visit.
#[derive(Debug)]
pub(super) enum Shown {
    Application,
    Page(Reply),
}

impl Shown {
    fn status(&self) -> u16 {
        match self {
            Self::Application => 200,
            Self::Page(reply) => reply.status.as_u16(),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Application => "the application".to_owned(),
            Self::Page(reply) => text(reply),
        }
    }
}

impl Browser {
    pub(super) fn line(&self, host: &str) -> String {
        let pairs = self.cookies.get(host).into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
        format!("Cookie: {}", pairs.collect::<Vec<_>>().join("; "))
    }

    fn keep(&mut self, host: &str, reply: &Reply) {
        let cookies = self.cookies.entry(host.to_owned()).or_default();
        for (_, line) in reply.headers.iter().filter(|(name, _)| name == SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(super) fn has(&self, host: &str, name: &str) -> bool {
        self.cookies.get(host).is_some_and(|cookies| cookies.contains_key(name))
    }

    /// One request; redirects are not followed.
    pub(super) async fn step(&mut self, harness: &Harness, method: &str, url: &str, body: &'static str) -> Shown {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (path, host_line, line) = (format!("/{path}"), format!("Host: {host}"), self.line(host));
        self.way.push(url.to_owned());
        let lines = [&host_line, &line, BROWSER, FORM];
        let reply = match harness.receive_later(method, &path, &lines).await {
            Received::Forward(_) => return Shown::Application,
            Received::Answer(reply) => reply,
            Received::BuiltIn(own) => {
                harness.gateway.sign_in_or_out(own, async { Ok(Bytes::from_static(body.as_bytes())) }).await
            }
            Received::Wait(wait) => panic!("{wait:?}"),
        };
        self.keep(host, &reply);
        Shown::Page(reply)
    }

    async fn go(&mut self, harness: &Harness, method: &str, url: &str, body: &'static str) -> Shown {
        self.way.clear();
        let mut shown = self.step(harness, method, url, body).await;
        for _ in 0..9 {
            let Shown::Page(reply) = &shown else { return shown };
            let Some(next) = header(reply, "location").map(str::to_owned) else { return shown };
            let host = self.way.last().unwrap().split('/').nth(2).unwrap();
            let next = if next.starts_with('/') { format!("http://{host}{next}") } else { next };
            shown = self.step(harness, "GET", &next, "").await;
        }
        panic!("a redirect loop: {:?}", self.way)
    }

    pub(super) async fn visit(&mut self, harness: &Harness, url: &str) -> Shown {
        self.go(harness, "GET", url, "").await
    }

    /// Fills in the shown form and sends it.
    async fn sign_in(&mut self, harness: &Harness, form: &Shown, user: &str) -> Shown {
        let next = form.text().split("name=\"next\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let fields = [("username", user), ("password", "wonder land"), ("next", &next.replace("&amp;", "&"))];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let url = format!("http://{}/login", self.way.last().unwrap().split('/').nth(2).unwrap());
        self.go(harness, "POST", &url, body.leak()).await
    }

    /// Visits a host and signs in at the login form.
    pub(super) async fn arrive(&mut self, harness: &Harness, url: &str, user: &str) {
        let form = self.visit(harness, url).await;
        assert!(form.status() == 200 && self.way.last().unwrap().starts_with("http://app.test/login?"), "{form:?}");
        let shown = self.sign_in(harness, &form, user).await;
        assert!(matches!(shown, Shown::Application), "{:?} {shown:?}", self.way);
        assert_eq!(self.way.last().map(String::as_str), Some(url));
    }

    /// Follows the redirects up to the address with the code, without requesting it.
    async fn code(&mut self, harness: &Harness, url: &str) -> String {
        self.way.clear();
        let Shown::Page(reply) = self.step(harness, "GET", url, "").await else { panic!("no question") };
        let login = header(&reply, "location").unwrap().to_owned();
        let Shown::Page(reply) = self.step(harness, "GET", &login, "").await else { panic!("no answer") };
        let enter = header(&reply, "location").unwrap().to_owned();
        assert!(enter.contains("/.exeunt/enter?code="), "{enter}");
        enter
    }
}

fn is_refused(shown: &Shown) -> bool {
    matches!(shown, Shown::Page(reply) if reply.reason == Some(Reason::HandOverRefused) && reply.status == 403)
}

#[tokio::test]
async fn a_session_is_open_on_all_hosts_and_ends_on_all() {
    let harness = several();
    let mut browser = Browser::default();
    browser.arrive(&harness, "http://shop.test/x?y=z", "alice").await;
    assert!(!browser.has(SHOP, "exeunt-hop"), "the hop is deleted after use");
    for url in ["http://blog.test/", "http://app.test/x"] {
        assert!(matches!(browser.visit(&harness, url).await, Shown::Application), "{:?}", browser.way);
    }
    let sessions = harness.gateway.sessions();
    assert_eq!(sessions.len(), 1);
    let own = browser.line(BLOG);
    let session = json(&harness.ask("GET", "/.exeunt/session", &["Host: blog.test", &own], "").await);
    assert_eq!(session["hosts"], serde_json::json!([LOGIN, SHOP, BLOG]));
    let values: Vec<_> = browser.cookies.values().map(|cookies| cookies["exeunt"].clone()).collect();
    assert!(values[0] != values[1] && values[1] != values[2] && values[0] != values[2], "each host has its own cookie");

    let before = browser.clone();
    let out = browser.go(&harness, "POST", "http://blog.test/logout", "").await;
    assert!(out.text().contains("Goodbye, alice."), "{out:?}");
    assert!(sessions.is_empty());
    for host in [LOGIN, SHOP, BLOG] {
        let lines = [&*format!("Host: {host}"), &*before.line(host)];
        assert_eq!(harness.ask("GET", "/x", &lines, "").await.status, 401, "{host}: a copy of the cookie still works");
    }
    let form = browser.visit(&harness, "http://shop.test/x").await;
    assert!(form.text().contains("name=\"password\""), "{form:?}");
}

#[tokio::test]
async fn every_page_is_returned_to_unchanged() {
    for target in ["/", "/x?y=z&a=b", "/wiki/What%3F%2Fis", "/a//b", "/a?b=%0Ac", "/a?next=//evil.test"] {
        let harness = several();
        let mut browser = Browser::default();
        let url = format!("http://shop.test{target}");
        browser.arrive(&harness, &url, "alice").await;
        browser.cookies.remove(SHOP);
        assert!(matches!(browser.visit(&harness, &url).await, Shown::Application), "{:?}", browser.way);
        assert_eq!(browser.way.last(), Some(&url), "the same without a form");
        assert_eq!(harness.gateway.sessions().sessions_of(None)[0].keys().len(), 2, "one key for each host");
    }
}

/// Each row fails without its guard.
#[tokio::test]
async fn a_code_is_useless_for_another_browser() {
    for attack in ["replay", "other host", "no hop", "other hop", "late", "ended", "changed", "twice"] {
        let harness = several();
        let mut alice = Browser::default();
        assert!(matches!(alice.go(&harness, "POST", "http://app.test/login", ALICE).await, Shown::Application));
        let code = alice.code(&harness, "http://shop.test/x").await;
        let mut thief = Browser::default();
        // The attacker's browser has its own hop.
        let _ = thief.visit(&harness, "http://shop.test/x").await;
        let tried = match attack {
            "replay" => {
                thief.cookies.clone_from(&alice.cookies);
                assert!(matches!(alice.visit(&harness, &code).await, Shown::Application));
                thief.visit(&harness, &code).await
            }
            "other host" => {
                thief.cookies.insert(BLOG.into(), alice.cookies[SHOP].clone());
                thief.visit(&harness, &code.replace(SHOP, BLOG)).await
            }
            "no hop" => Browser::default().visit(&harness, &code).await,
            "other hop" => thief.visit(&harness, &code).await,
            "late" => {
                harness.clock.advance(Duration::from_secs(30));
                alice.visit(&harness, &code).await
            }
            "ended" => {
                let _ = alice.go(&harness, "POST", "http://app.test/logout", "").await;
                alice.visit(&harness, &code).await
            }
            "changed" => alice.visit(&harness, &code.replacen("code=", "code=A", 1)).await,
            _ => alice.visit(&harness, &format!("{code}&code=x")).await,
        };
        assert!(is_refused(&tried), "{attack}: {tried:?}");
        assert!(!thief.has(SHOP, "exeunt") && !thief.has(BLOG, "exeunt"), "{attack}");
        assert!(tried.text().contains("href=\"/.exeunt/enter?next="), "{attack}: no link to try again: {tried:?}");
    }
}

/// An attacker's page sends a browser to a code of the attacker's own session (login CSRF).
#[tokio::test]
async fn a_session_cannot_be_planted_in_another_browser() {
    let harness = several();
    let (mut mallory, mut alice) = (Browser::default(), Browser::default());
    alice.arrive(&harness, "http://shop.test/x", "alice").await;
    assert!(matches!(mallory.go(&harness, "POST", "http://app.test/login", BOB).await, Shown::Application));
    let code = mallory.code(&harness, "http://shop.test/x").await;
    assert!(matches!(alice.visit(&harness, &code).await, Shown::Application), "her own session stays");
    let own = json(&harness.ask("GET", "/.exeunt/session", &["Host: shop.test", &alice.line(SHOP)], "").await);
    assert_eq!(own["user"], "alice");
    let mut carol = Browser::default();
    let code = mallory.code(&harness, "http://shop.test/y").await;
    assert!(is_refused(&carol.visit(&harness, &code).await) && !carol.has(SHOP, "exeunt"));
}

const BOB: &str = "username=bob&password=wonder+land";

#[tokio::test]
async fn the_hand_over_leads_to_served_hosts_only() {
    let harness = several();
    let mut alice = Browser::default();
    let _ = alice.go(&harness, "POST", "http://app.test/login", ALICE).await;
    let hop = "A".repeat(43);
    for next in ["//evil.test/", "http://evil.test/", "https://other.test/", "http://shop.test@evil.test/", "/logout"] {
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        for url in [
            format!("http://app.test/login?hop={hop}&next={next}"),
            format!("http://shop.test/.exeunt/enter?next={next}"),
            format!("http://shop.test/.exeunt/enter?code={hop}&next={next}"),
            format!("http://shop.test/login?next={next}"),
        ] {
            let shown = alice.visit(&harness, &url).await;
            let own = |url: &String| ["http://app.test/", "http://shop.test/"].iter().any(|own| url.starts_with(own));
            assert!(alice.way.iter().all(own) && !shown.text().contains("evil"), "{url}: {:?} {shown:?}", alice.way);
        }
    }
    // No code is made for a host that is not the gateway's, or for a page of the login host.
    for next in ["https://other.test/", "http://app.test/x", "/x"] {
        let url = format!("/login?hop={hop}&next={next}");
        let reply = harness.ask("GET", &url, &[BROWSER, &alice.line(LOGIN)], "").await;
        assert_eq!((reply.status.as_u16(), header(&reply, "location")), (200, None), "{next}");
    }
}

#[tokio::test]
async fn a_browser_without_cookies_gets_an_error_and_no_redirect_loop() {
    let harness = several();
    let mut alice = Browser::default();
    let _ = alice.go(&harness, "POST", "http://app.test/login", ALICE).await;
    let code = alice.code(&harness, "http://shop.test/x").await;
    alice.cookies.remove(SHOP);
    let shown = alice.visit(&harness, &code).await;
    assert!(is_refused(&shown) && shown.text().contains("does not store cookies"), "{shown:?}");
}

#[tokio::test]
async fn both_of_two_tabs_return() {
    let harness = several();
    let mut alice = Browser::default();
    let _ = alice.go(&harness, "POST", "http://app.test/login", ALICE).await;
    let (one, two) =
        (alice.code(&harness, "http://shop.test/1").await, alice.code(&harness, "http://shop.test/2").await);
    let shop = alice.line(SHOP);
    for code in [&one, &two] {
        assert!(matches!(alice.visit(&harness, code).await, Shown::Application));
    }
    assert_eq!(harness.gateway.sessions().sessions_of(None)[0].keys().len(), 2);
    assert!(alice.way.last().unwrap().ends_with("/2") && shop.contains("exeunt-hop="));
}

#[tokio::test]
async fn another_user_signs_in_on_all_hosts() {
    let harness = several();
    let mut browser = Browser::default();
    browser.arrive(&harness, "http://shop.test/x", "alice").await;
    let form = browser.visit(&harness, "http://shop.test/login?switch=1&next=/x").await;
    assert!(browser.way.last().unwrap().starts_with("http://app.test/login?switch=1&"), "{:?}", browser.way);
    assert!(matches!(browser.sign_in(&harness, &form, "bob").await, Shown::Application), "{:?}", browser.way);
    let own = json(&harness.ask("GET", "/.exeunt/session", &["Host: shop.test", &browser.line(SHOP)], "").await);
    assert_eq!((&own["user"], harness.gateway.sessions().len()), (&"bob".into(), 1));
}

/// A session that was opened at another host ends when a new one is opened there.
#[tokio::test]
async fn the_earlier_session_of_a_host_ends() {
    let harness = several();
    let mut browser = Browser::default();
    let _ = browser.step(&harness, "POST", "http://shop.test/login", BOB).await;
    let _ = browser.go(&harness, "POST", "http://app.test/login", ALICE).await;
    assert_eq!(harness.gateway.sessions().len(), 2);
    let before = browser.line(SHOP);
    assert!(matches!(browser.visit(&harness, "http://shop.test/.exeunt/enter?next=/x").await, Shown::Application));
    let own = json(&harness.ask("GET", "/.exeunt/session", &["Host: shop.test", &browser.line(SHOP)], "").await);
    assert_eq!((&own["user"], harness.gateway.sessions().len()), (&"alice".into(), 1));
    assert_eq!(harness.ask("GET", "/x", &["Host: shop.test", &before], "").await.status, 401);
}

#[tokio::test]
async fn programs_sign_in_for_one_host_only() {
    let harness = several();
    let refused = harness.ask("GET", "/x", &["Host: shop.test"], "").await;
    assert_eq!((refused.status.as_u16(), &json(&refused)["login"]), (401, &"/login?next=%2Fx".into()));
    let reply = harness.ask("POST", "/login?next=/x", &["Host: shop.test", FORM], ALICE).await;
    assert_eq!(header(&reply, "location"), Some("/x"));
    let cookie = cookie_line(&reply);
    let received = harness.receive("GET", "/x", &["Host: shop.test", &cookie]);
    assert!(matches!(received, Received::Forward(_)));
    let head = harness.ask("HEAD", "/.exeunt/enter", &["Host: shop.test"], "").await;
    assert_eq!((head.status.as_u16(), header(&head, "allow")), (405, Some("GET")));
    assert_eq!(harness.ask("GET", "/.exeunt/enter", &[], "").await.status, 404, "the login host has no such address");
}

#[tokio::test]
async fn without_sharing_each_host_has_its_own_session() {
    let harness = harness_with(|settings| {
        on_three_hosts(settings);
        settings.share = false;
    });
    let mut browser = Browser::default();
    let form = browser.visit(&harness, "http://shop.test/x").await;
    assert!(browser.way.last().unwrap().starts_with("http://shop.test/login"), "{:?}", browser.way);
    assert!(matches!(browser.sign_in(&harness, &form, "alice").await, Shown::Application));
    assert!(browser.visit(&harness, "http://app.test/x").await.text().contains("name=\"password\""));
    let hop = "A".repeat(43);
    let asked = format!("http://shop.test/login?hop={hop}&next=http://blog.test/");
    assert_eq!(browser.visit(&harness, &asked).await.status(), 200);
    assert_eq!(browser.visit(&harness, "http://shop.test/.exeunt/enter").await.status(), 404);
}

/// Browsers do not send such a cookie after a redirect from another site.
#[tokio::test]
async fn a_strict_cookie_is_sent_from_a_page_of_its_own_host() {
    let harness = harness_with(|settings| {
        on_three_hosts(settings);
        settings.cookie = SessionCookie::new("exeunt", Scheme::Http, SameSite::Strict);
    });
    let mut alice = Browser::default();
    let _ = alice.go(&harness, "POST", "http://app.test/login", ALICE).await;
    let Shown::Page(page) = alice.visit(&harness, "http://shop.test/x").await else { panic!("no page of ours") };
    assert_eq!((page.status.as_u16(), header(&page, "refresh")), (200, Some("0; url=/x")));
    assert!(matches!(alice.visit(&harness, "http://shop.test/x").await, Shown::Application));
}

/// If the store has not confirmed a key, it is not sent to the browser.
#[tokio::test(start_paused = true)]
async fn an_unconfirmed_key_is_not_sent_to_the_browser() {
    for mood in [FaultMode::Down, FaultMode::Deaf, FaultMode::Lagging] {
        let store = FaultyStore::new();
        let harness = harness_over(Some(Arc::clone(&store) as Arc<dyn SessionStore>), on_three_hosts);
        let mut alice = Browser::default();
        let _ = alice.go(&harness, "POST", "http://app.test/login", ALICE).await;
        harness.gateway.sessions().load_all().await.unwrap();
        let code = alice.code(&harness, "http://shop.test/x").await;
        store.set_mode(mood);
        let Shown::Page(page) = alice.step(&harness, "GET", &code, "").await else { panic!("{mood:?}") };
        assert_eq!((page.status.as_u16(), page.reason), (503, Some(Reason::StoreUnavailable)), "{mood:?}");
        assert!(!alice.has(SHOP, "exeunt"));
        store.set_mode(FaultMode::Sound);
        assert!(matches!(alice.visit(&harness, "http://shop.test/x").await, Shown::Application), "{mood:?}");
    }
}

/// Readers of the log must not learn these secrets.
#[tokio::test]
async fn codes_and_hops_are_in_no_log() {
    let harness = several();
    let mut alice = Browser::default();
    let _ = alice.go(&harness, "POST", "http://app.test/login", ALICE).await;
    let code = alice.code(&harness, "http://shop.test/x").await;
    let hop = alice.cookies[SHOP]["exeunt-hop"].clone();
    let _ = alice.visit(&harness, &code).await;
    let secret = code.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let lines = harness.lines.lock().join("\n");
    assert!(lines.contains("event=host_entered user=alice session=") && lines.contains("host=shop.test"), "{lines}");
    assert!(lines.contains("/.exeunt/enter") && !lines.contains(secret) && !lines.contains(&hop), "{lines}");
    let Shown::Page(reply) = alice.step(&harness, "GET", "http://blog.test/x", "").await else { panic!() };
    let login = header(&reply, "location").unwrap().to_owned();
    let Shown::Page(reply) = alice.step(&harness, "GET", &login, "").await else { panic!() };
    let secret = header(&reply, LOCATION.as_str()).unwrap().split("code=").nth(1).unwrap()[..43].to_owned();
    assert!(!format!("{reply:?}").contains(&secret), "the answer's Debug shows it");
}
