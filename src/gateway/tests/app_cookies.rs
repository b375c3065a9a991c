//! The cookies of applications, as a browser and an application behind the gateway see them.

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};

use super::*;
use crate::vault::rules::{AppCookies, CookieLimits, CookieRules, NamePattern};

/// A browser: it keeps cookies by name and path, and sends those whose path matches.
#[derive(Clone, Default)]
pub(super) struct Browser {
    pub(super) cookies: Vec<[String; 3]>,
}

impl Browser {
    pub(super) fn line(&self, target: &str) -> String {
        let pairs = self.cookies.iter().filter(|[_, path, _]| target.starts_with(path.as_str()));
        pairs.map(|[name, _, value]| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn keep<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        for line in lines {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let path = attributes.split("Path=").nth(1).and_then(|rest| rest.split(';').next()).unwrap_or("/");
            self.cookies.retain(|[other, at, _]| other != name || at != path);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push([name, path, value].map(str::to_owned));
            }
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.cookies.iter().any(|[other, _, _]| other == name)
    }

    pub(super) async fn sign_in(&mut self, harness: &Harness, user: &str) {
        let body = if user == "bob" { BOB } else { ALICE };
        let reply = self.ask(harness, "POST", "/login", body).await;
        assert_eq!(reply.status, 303, "{}", text(&reply));
    }

    pub(super) async fn sign_out(&mut self, harness: &Harness) -> serde_json::Value {
        json(&self.ask(harness, "POST", "/logout", "").await)
    }

    pub(super) async fn ask(&mut self, harness: &Harness, method: &str, target: &str, body: &'static str) -> Reply {
        let line = format!("Cookie: {}", self.line(target));
        let reply = harness.ask(method, target, &[FORM, &line], body).await;
        let set = reply.headers.iter().filter(|(name, _)| name == SET_COOKIE);
        self.keep(set.map(|(_, line)| line.to_str().unwrap()).collect::<Vec<_>>());
        reply
    }

    /// Requests a page of the application, which sets these cookies. Returns the cookies that the application received.
    pub(super) fn visit(&mut self, harness: &Harness, target: &str, set: &[&str]) -> String {
        self.visit_with(harness, target, &[], set)
    }

    pub(super) fn visit_with(&mut self, harness: &Harness, target: &str, lines: &[&str], set: &[&str]) -> String {
        let line = format!("Cookie: {}", self.line(target));
        let lines = if self.cookies.is_empty() { lines.to_vec() } else { [lines, &[&line]].concat() };
        let forward = harness.forward(target, &lines);
        let asked = head("GET", &lines);
        let got = sent(&forward, &asked.headers).get(COOKIE).map(|line| line.to_str().unwrap().to_owned());
        let answer = answered(&forward, &asked.headers, target, set);
        let told: Vec<_> = answer.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
        if told.iter().any(|line| line.contains("; Max-Age=0; Path=") && !set.contains(line)) {
            assert_eq!(answer[CACHE_CONTROL], "no-store", "{told:?}");
        }
        self.keep(told);
        got.unwrap_or_default()
    }
}

/// The head of an answer with these cookies, as the browser receives it.
pub(super) fn answered(forward: &Forward, asked: &HeaderMap, target: &str, set: &[&str]) -> HeaderMap {
    let lines = set.iter().map(|line| (SET_COOKIE, line.parse().unwrap()));
    let answer: HeaderMap = lines.chain([("content-type".parse().unwrap(), "image/png".parse().unwrap())]).collect();
    let mut out = BytesMut::new();
    let request = RequestHead { method: &http::Method::GET, target: target.as_bytes(), headers: asked, last_key: None };
    forward.put_response(&mut out, StatusCode::OK, &fields(&answer), request);
    let bytes = [b"GET / HTTP/1.1\r\nHost: x\r\n", &*out, b"\r\n"].concat();
    let read = HeadReader::default().feed(&bytes, &HeadLimits { size: 1 << 20, fields: 1000 }).unwrap().unwrap();
    read.lines.to_map(&bytes.into())
}

const ALICE: &str = "username=alice&password=wonder+land";
const BOB: &str = "username=bob&password=wonder+land";
pub(super) const SESSION: &str = "sid=1; HttpOnly; Path=/";

pub(super) fn with_rules(rules: impl Fn(&mut CookieRules)) -> Harness {
    harness_with(|settings| settings.routes.iter_mut().for_each(|route| rules(&mut route.cookies)))
}

pub(super) fn names(texts: &[&str]) -> Vec<NamePattern> {
    texts.iter().map(|text| NamePattern::parse(text).unwrap()).collect()
}

pub(super) async fn alice(harness: &Harness) -> Browser {
    let mut browser = Browser::default();
    browser.sign_in(harness, "alice").await;
    browser
}

#[tokio::test]
async fn http_only_cookies_stay_in_the_gateway() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    assert_eq!(browser.visit(&harness, "/x", &[SESSION, "theme=dark; Path=/"]), "");
    assert!(!browser.has("sid") && browser.has("theme"));
    assert_eq!(browser.visit(&harness, "/x", &[]), "theme=dark; sid=1");
    assert_eq!(browser.visit(&harness, "/public/x", &["sid=2; HttpOnly; Path=/"]), "theme=dark; sid=1");
    assert_eq!(browser.visit(&harness, "/x", &[]), "theme=dark; sid=2", "public routes share the jar");
    let session = json(&browser.ask(&harness, "GET", "/.exeunt/session", "").await);
    assert_eq!(session["cookies"], serde_json::json!(["sid"]));
    let own = browser.ask(&harness, "GET", "/.exeunt/sessions", "").await;
    assert_eq!(json(&own)["sessions"][0]["cookies"], serde_json::json!(["sid"]));
    let receipt = browser.sign_out(&harness).await;
    assert_eq!((&receipt["steps"][2]["step"], &receipt["steps"][2]["count"]), (&"cookies".into(), &2.into()));
    assert!(!browser.has("theme") && !browser.has("exeunt"), "{:?}", browser.cookies);
    assert_eq!(browser.visit(&harness, "/public/x", &[]), "", "no session, no vault");
    browser.sign_in(&harness, "bob").await;
    assert_eq!(browser.visit(&harness, "/x", &[]), "", "the next user has none of the first user's cookies");
}

#[tokio::test]
async fn a_browser_cannot_override_a_vaulted_cookie() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    browser.visit(&harness, "/x", &[SESSION]);
    browser.keep(["sid=planted; Path=/", "a=b; Path=/"]);
    assert_eq!(browser.visit(&harness, "/x", &[]), "a=b; sid=1");
    assert!(!browser.has("sid"), "the browser deletes it");
    // From a public page before the sign-in, as PHP does without a new id (session fixation).
    let mut victim = Browser::default();
    victim.keep(["sid=planted; Path=/", "a=b; Path=/"]);
    assert_eq!(victim.visit(&harness, "/public/x", &[]), "sid=planted; a=b", "no session, no vault");
    victim.sign_in(&harness, "bob").await;
    assert_eq!(victim.visit(&harness, "/x", &[]), "a=b");
    assert!(!victim.has("sid") && victim.has("a"));
    assert_eq!(victim.visit(&harness, "/x", &["sid=9; HttpOnly; Path=/"]), "a=b");
    assert_eq!(victim.visit(&harness, "/x", &[]), "a=b; sid=9");
}

#[tokio::test]
async fn an_anonymous_cart_survives_the_sign_in_where_it_may() {
    let harness = with_rules(|rules| rules.carry = names(&["sid"]));
    let mut browser = Browser::default();
    browser.visit(&harness, "/public/x", &[SESSION]);
    assert!(browser.has("sid"));
    browser.sign_in(&harness, "alice").await;
    assert_eq!(browser.visit(&harness, "/x", &[]), "sid=1");
    assert!(!browser.has("sid"), "it is in the jar now");
    browser.keep(["sid=planted; Path=/"]);
    assert_eq!(browser.visit(&harness, "/x", &[]), "sid=1", "taken over once in a session");
}

#[tokio::test]
async fn a_name_is_either_in_the_jar_or_in_the_browser() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    browser.visit(&harness, "/x", &["a=readable; Path=/"]);
    assert_eq!(browser.visit(&harness, "/x", &["a=hidden; HttpOnly; Path=/"]), "a=readable");
    assert!(!browser.has("a"));
    assert_eq!(browser.visit(&harness, "/x", &["a=again; Path=/"]), "a=hidden");
    assert!(browser.has("a"));
    assert_eq!(browser.visit(&harness, "/x", &["a=; Max-Age=0; Path=/"]), "a=again");
    assert!(!browser.has("a"), "a deletion reaches the browser that has it");
    browser.visit(&harness, "/x", &[SESSION]);
    let forward = harness.forward("/x", &[&format!("Cookie: {}", browser.line("/x"))]);
    let answer = answered(&forward, &HeaderMap::new(), "/x", &["sid=; Max-Age=0; Path=/"]);
    assert!(!answer.contains_key(SET_COOKIE), "other browsers get no deletion");
    assert_eq!(browser.visit(&harness, "/x", &[]), "");
}

/// WordPress: one name at two paths. Django: a readable token. Single sign-on: a cookie of the parent domain.
#[tokio::test]
async fn cookies_of_real_applications() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    let paths = ["wp=plugins; HttpOnly; Path=/wp-content/plugins", "wp=admin; HttpOnly; Path=/wp-admin"];
    browser.visit(&harness, "/wp-login.php", &paths);
    assert_eq!(browser.visit(&harness, "/wp-admin/", &[]), "wp=admin");
    assert_eq!(browser.visit(&harness, "/wp-content/plugins/x", &[]), "wp=plugins");
    assert_eq!(browser.visit(&harness, "/", &["csrftoken=t; Path=/; Max-Age=9", "sessionid=s; HttpOnly; Path=/"]), "");
    assert_eq!(browser.visit(&harness, "/", &["sso=1; HttpOnly; Domain=test; Path=/"]), "csrftoken=t; sessionid=s");
    assert_eq!(browser.visit(&harness, "/", &[]), "csrftoken=t; sso=1; sessionid=s");
    browser.sign_out(&harness).await;
    assert!(browser.cookies.iter().all(|[name, ..]| name.starts_with("exeunt")), "{:?}", browser.cookies);
}

#[tokio::test]
async fn track_and_pass_leave_cookies_in_the_browser() {
    for (mode, survives) in [(AppCookies::Track, false), (AppCookies::Pass, true)] {
        let harness = with_rules(|rules| {
            rules.mode = mode;
            rules.keep = names(&["language"]);
        });
        let mut browser = alice(&harness).await;
        let set = [SESSION, "theme=dark; Path=/", "language=de; Path=/"];
        browser.visit(&harness, "/x", &set);
        assert_eq!(browser.visit(&harness, "/x", &[]), "sid=1; theme=dark; language=de");
        browser.sign_out(&harness).await;
        assert_eq!((browser.has("sid"), browser.has("theme")), (survives, survives), "{mode:?}");
        assert!(browser.has("language"), "cookies of keep_cookies are kept");
    }
}

/// The causes that end a session before another user of the browser signs in.
pub(super) const ENDS: [&str; 4] = ["switch", "idle", "revoke", "swept"];

/// Ends alice's session by this cause; then bob signs in with her browser.
pub(super) async fn end_and_sign_in_as_bob(harness: &Harness, browser: &mut Browser, end: &str) {
    match end {
        "idle" => harness.clock.advance(Duration::from_secs(601)),
        "swept" => {
            harness.clock.advance(Duration::from_secs(601));
            assert_eq!(harness.gateway.reap().await, 1);
        }
        "revoke" => drop(harness.gateway.revoke_all_of("alice").await),
        _ => {}
    }
    browser.sign_in(harness, "bob").await;
}

/// For every cause that ends the first user's session.
#[tokio::test]
async fn another_user_of_the_browser_never_carries_the_first_ones_cookies() {
    for end in ENDS {
        let harness = with_rules(|rules| rules.mode = AppCookies::Track);
        let mut browser = alice(&harness).await;
        browser.visit(&harness, "/x", &[SESSION]);
        end_and_sign_in_as_bob(&harness, &mut browser, end).await;
        assert!(!browser.has("sid"), "{end}");
        assert_eq!(browser.visit(&harness, "/x", &[]), "", "{end}");
    }
    for page in ["/login", "/x", "/public/x"] {
        let harness = with_rules(|rules| rules.mode = AppCookies::Track);
        let mut browser = alice(&harness).await;
        browser.visit(&harness, "/x", &[SESSION]);
        drop(harness.gateway.revoke_all_of("alice").await);
        if page == "/public/x" {
            assert_eq!(browser.visit(&harness, page, &["sid=anonymous; HttpOnly; Path=/"]), "");
            assert_eq!(browser.visit(&harness, page, &[]), "sid=anonymous", "a fresh anonymous session");
        } else {
            browser.ask(&harness, "GET", page, "").await;
            assert!(!browser.has("sid"), "{page}");
        }
    }
}

#[tokio::test]
async fn the_same_user_signs_in_again_and_keeps_the_cookies() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    browser.visit(&harness, "/x", &[SESSION, "theme=dark; Path=/"]);
    browser.sign_in(&harness, "alice").await;
    assert_eq!(browser.visit(&harness, "/x", &[]), "theme=dark; sid=1");
    browser.sign_in(&harness, "bob").await;
    assert_eq!(browser.visit(&harness, "/x", &[]), "");
}

#[tokio::test]
async fn an_answer_that_comes_after_the_logout_changes_nothing() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    let forward = harness.forward("/x", &[&format!("Cookie: {}", browser.line("/x"))]);
    browser.sign_out(&harness).await;
    let answer = answered(&forward, &HeaderMap::new(), "/x", &[SESSION, "theme=dark"]);
    assert!(!answer.contains_key(SET_COOKIE));
    let session = forward.session().unwrap();
    assert!(session.vault().is_none_or(|vault| vault.names("app.test").is_empty()));
}

#[tokio::test]
async fn limits_of_the_jar_and_of_the_line() {
    let harness = harness_with(|settings| settings.cookies = CookieLimits { max_header: 9000, ..Default::default() });
    let mut browser = alice(&harness).await;
    let large = format!("large={}; HttpOnly; Path=/", "x".repeat(8192));
    browser.visit(&harness, "/x", &[&large]);
    assert!(browser.has("large"), "too large for the jar: it passes");
    browser.cookies.retain(|[name, ..]| name != "large");
    let half = |name: &str| format!("{name}={}; HttpOnly; Path=/", "x".repeat(5000));
    browser.visit(&harness, "/x", &[&half("a"), &half("b")]);
    let lines = [format!("Cookie: {}", browser.line("/x"))];
    let Received::Answer(reply) = harness.receive("GET", "/x", &[&lines[0]]) else { panic!("never truncated") };
    assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (400, &"cookies_too_long".into()));
    let mut browser = alice(&harness).await;
    let many: Vec<_> = (0..60).map(|number| format!("c{number}=1; HttpOnly; Path=/")).collect();
    browser.visit(&harness, "/x", &many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(!browser.has("c49") && browser.has("c50") && browser.has("c59"));
    let metrics = harness.gateway.metrics().to_text(crate::metrics::Gauges::default());
    assert!(metrics.contains("exeunt_vault_overflows_total 11\n"), "{metrics}");
    assert_eq!(browser.visit(&harness, "/x", &[]).matches("c").count(), 60);
}

#[tokio::test]
async fn strict_cookies_are_not_sent_with_cross_site_requests() {
    let harness = harness();
    let mut browser = alice(&harness).await;
    browser.visit(&harness, "/x", &["s=1; HttpOnly; SameSite=Strict; Path=/", "l=2; HttpOnly; Path=/"]);
    let cases: [(&[&str], &str); 8] = [
        (&[], "s=1; l=2"),
        (&["Sec-Fetch-Site: same-origin"], "s=1; l=2"),
        (&["Sec-Fetch-Site: none"], "s=1; l=2"),
        (&["Sec-Fetch-Site: cross-site"], "l=2"),
        (&["Origin: http://evil.test"], "l=2"),
        (&["Origin: null"], "l=2"),
        (&["Referer: http://evil.test/app.test"], "l=2"),
        (&["Referer: http://app.test/x"], "s=1; l=2"),
    ];
    for (lines, want) in cases {
        assert_eq!(browser.visit_with(&harness, "/x", lines, &[]), want, "{lines:?}");
    }
    let socket = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let lines = [&socket[..], &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://app.test"]].concat();
    assert_eq!(browser.visit_with(&harness, "/x", &lines, &[]), "s=1; l=2", "handshakes have them too");
}

#[tokio::test]
async fn a_logout_without_a_session_expires_learned_cookies() {
    let harness = harness();
    let mut browser = Browser::default();
    browser.visit(&harness, "/public/x", &[SESSION, "deep=1; HttpOnly; Path=/public", "readable=1; Path=/"]);
    browser.keep(["script=1; Path=/"]);
    browser.sign_out(&harness).await;
    assert!(!browser.has("sid") && !browser.has("deep"), "{:?}", browser.cookies);
    assert!(browser.has("readable") && browser.has("script"), "cookies that scripts made are left alone");
}
