//! The call that asks an application to end its own session: what reaches it, and what a logout tells of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use exeunt::config::{self, Settings};

use super::harness::{FORM, GRACE, IDLE, Site, until};
use crate::server::client::within;
use crate::upstream::{self, Connection, header};

/// An application with sessions of its own: any request without a cookie gets one, `/logout` ends it.
#[derive(Clone, Default)]
pub(super) struct App {
    asked: Arc<Mutex<Vec<String>>>,
    /// The beginning of targets, and what is answered there: status, headers, body. Status 0: nothing, ever.
    answers: Vec<(&'static str, u16, &'static str, &'static str)>,
}

impl App {
    pub(super) async fn start(answers: &[(&'static str, u16, &'static str, &'static str)]) -> (Self, String) {
        let app = Self { answers: answers.to_vec(), ..Self::default() };
        let serving = app.clone();
        let address = upstream::start(move |connection, _| serving.clone().serve(connection)).await;
        (app, format!("http://{address}"))
    }

    async fn serve(self, mut connection: Connection) {
        while let Some(request) = connection.raw_request().await {
            self.asked.lock().unwrap().push(request.clone());
            let target = request.split(' ').nth(1).unwrap_or_default();
            match self.answers.iter().find(|(begins, ..)| target.starts_with(begins)) {
                Some((_, 0, ..)) => std::future::pending().await,
                Some((_, status, headers, body)) => connection.answer(*status, headers, body).await,
                None => connection.answer(200, "Set-Cookie: sid=secret; HttpOnly; Path=/\r\n", "").await,
            }
        }
    }

    /// The requests to this path.
    pub(super) fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let is_there = |request: &&String| request.split([' ', '?']).nth(1) == Some(path);
        asked.iter().filter(is_there).cloned().collect()
    }
}

/// What `[route.logout]` with these lines means.
pub(super) fn with_logout(settings: &mut Settings, lines: &str) {
    let text = format!(
        "listen = ['127.0.0.1:80']\npublic_url = 'http://app.test'\n[login]\nusers = 'u.toml'\n[[route]]\n\
         upstream = 'http://127.0.0.1:9'\n[route.logout]\n{lines}"
    );
    let (read, _) =
        config::parse("config.toml", &text, "/nowhere".as_ref()).unwrap_or_else(|report| panic!("{report}"));
    settings.gateway.routes[0].logout = read.gateway.routes[0].logout.clone();
}

pub(super) async fn site(answers: &[(&'static str, u16, &'static str, &'static str)], lines: &str) -> (Site, App) {
    let (app, address) = App::start(answers).await;
    (Site::before(&[address], |settings| with_logout(settings, lines)), app)
}

/// Signs in and visits the application, which gives its own session.
pub(super) async fn visit(site: &Site) -> String {
    let cookie = site.session_of("alice").await;
    assert_eq!(site.get("/x", &[&cookie]).await.status, 200);
    cookie
}

async fn sign_out(site: &Site, lines: &[&str]) -> serde_json::Value {
    let answer = site.ask("POST", "/logout", lines, "").await;
    assert_eq!(answer.status, 200, "an application does not keep a session alive");
    answer.json()
}

const CALL: &str = "call = 'POST /logout'\ncsrf = { cookie = 'csrftoken', header = 'X-CSRFToken', field = 'token' }";

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_applications_session_once_with_its_cookie() {
    let (site, app) = site(&[("/logout", 302, "Location: /elsewhere\r\n", "")], CALL).await;
    let cookie = format!("{}; csrftoken=abc; theme=dark", visit(&site).await);
    let receipt = sign_out(&site, &[&cookie, FORM]).await;
    assert_eq!(receipt["applications"], serde_json::json!([{ "application": "/", "result": "ended by call" }]));
    let step = receipt["steps"].as_array().unwrap().iter().find(|step| step["step"] == "application").unwrap();
    assert_eq!((&step["result"], &step["count"]), (&"done".into(), &1.into()));
    let [request] = &app.asked("/logout")[..] else { panic!("{:?}", app.asked("/logout")) };
    assert!(request.ends_with("\r\n\r\ntoken=abc"), "{request}");
    for (name, value) in [
        ("host", "app.test"),
        ("origin", "http://app.test"),
        ("x-csrftoken", "abc"),
        ("x-forwarded-user", "alice"),
        ("x-forwarded-for", "127.0.0.1"),
        ("cookie", "csrftoken=abc; theme=dark; sid=secret"),
    ] {
        assert_eq!(header(request, name), Some(value), "{request}");
    }
    assert!(app.asked("/elsewhere").is_empty(), "no redirect is followed");
    sign_out(&site, &[&cookie, FORM]).await;
    assert_eq!(app.asked("/logout").len(), 1, "once");
    let told: Vec<_> = site.lines().into_iter().filter(|line| line.contains("event=application_logout")).collect();
    assert!(
        told.len() == 1 && told[0].contains("user=alice") && told[0].contains("result=\"ended by call\""),
        "{told:?}"
    );
    assert!(!site.lines().iter().any(|line| line.contains("secret")), "no cookie is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_logout_call_without_a_cookie_of_the_application() {
    let (site, app) = site(&[], CALL).await;
    let cookie = site.session_of("alice").await;
    let receipt = sign_out(&site, &[&cookie, FORM]).await;
    assert!(receipt["applications"].is_null() && app.asked("/logout").is_empty(), "{receipt}");
    let planted = format!("{}; sid=planted", site.session_of("bob").await);
    let receipt = sign_out(&site, &[&planted, FORM]).await;
    assert!(receipt["applications"].is_null() && app.asked("/logout").is_empty(), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn result_of_the_logout_call_is_reported_and_changes_nothing() {
    let cases: [(&str, u16, &str, &str); 4] = [
        ("/logout", 204, "", "ended by call"),
        ("/logout", 403, "", "failed: status 403"),
        ("/logout", 500, "", "failed: status 500"),
        ("/logout", 0, "", "failed: no answer in time"),
    ];
    for (path, status, headers, want) in cases {
        let (site, _app) = site(&[(path, status, headers, "")], CALL).await;
        let cookie = visit(&site).await;
        let receipt = within(sign_out(&site, &[&cookie])).await;
        assert_eq!(receipt["applications"][0]["result"], want);
        assert_eq!(site.get("/x", &[&cookie]).await.status, 401);
    }
    let (site, _app) = site(&[("/logout", 403, "", "")], CALL).await;
    let cookie = visit(&site).await;
    let browser = ["Accept: text/html", &cookie];
    let page = site.ask("POST", "/logout", &browser, "").await;
    assert!(page.text().contains("Not every application could be asked"), "{}", page.text());
    assert!(page.text().contains("did not confirm it (status 403)"), "{}", page.text());
    let goodbye = page.header("refresh").unwrap().split_once("url=").unwrap().1.to_owned();
    let again = site.get(&goodbye, &["Accept: text/html"]).await;
    assert!(again.text().contains("did not confirm it (status 403)"), "{}", again.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_application_is_reported() {
    let (site, _) = site(&[], CALL).await;
    // Signed in for real: a reload checks every session again.
    let cookie = site.sign_in("alice").await;
    assert_eq!(site.get("/x", &[&cookie]).await.status, 200);
    let gone = format!("http://{}", upstream::dead_port().await);
    let mut settings = super::harness::settings(&[gone]);
    with_logout(&mut settings, CALL);
    site.apply(settings, None).await.unwrap();
    let receipt = sign_out(&site, &[&cookie]).await;
    assert_eq!(receipt["applications"][0]["result"], "failed: no connection");
}

/// As DokuWiki does it: by an address with a token, which a page of the user has. The page may give another cookie.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_from_a_page_of_the_user() {
    let lines = "call = 'GET /logout?do=logout&sectok={token}'\n\
                 token_from = { get = '/token?x=1', find = 'sectok=([0-9a-f]+)' }";
    let page = ("/token", 200, "Set-Cookie: nonce=7; HttpOnly; Path=/\r\n", "<a href='?do=logout&amp;sectok=5eaf'>");
    let (one, app) = site(&[page, ("/logout", 200, "", "")], lines).await;
    let cookie = visit(&one).await;
    let receipt = sign_out(&one, &[&cookie]).await;
    assert_eq!(receipt["applications"][0]["result"], "ended by call");
    let [asked, called] = [app.asked("/token"), app.asked("/logout")].map(|asked| asked[0].clone());
    assert!(
        asked.starts_with("GET /token?x=1 ") && called.starts_with("GET /logout?do=logout&sectok=5eaf "),
        "{called}"
    );
    assert_eq!(header(&asked, "cookie"), Some("sid=secret"));
    assert_eq!(header(&called, "cookie"), Some("sid=secret; nonce=7"));

    let (site, app) = site(&[("/token", 200, "", "please sign in")], lines).await;
    let cookie = visit(&site).await;
    let receipt = sign_out(&site, &[&cookie]).await;
    assert_eq!(receipt["applications"][0]["result"], "failed: no token in its answer");
    assert!(app.asked("/logout").is_empty());
}

/// As MediaWiki does it: an API gives a token, in JSON, and a form takes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_from_an_api() {
    let lines = r#"call = 'POST /api?action=logout'
        token_from = { get = '/api?action=tokens', find = '"csrftoken":"([^"]+)"', field = "token" }"#;
    let json = "Content-Type: application/json\r\n";
    let answers =
        [("/api?action=tokens", 200, json, r#"{"csrftoken":"5eaf+\\"}"#), ("/api?action=logout", 200, "", "")];
    let (site, app) = site(&answers, lines).await;
    let cookie = visit(&site).await;
    assert_eq!(sign_out(&site, &[&cookie]).await["applications"][0]["result"], "ended by call");
    assert!(app.asked("/api")[1].ends_with("\r\n\r\ntoken=5eaf%2B%5C"), "{:?}", app.asked("/api"));
}

/// When a session expires, its live connections are cut without waiting for the application.
#[tokio::test(flavor = "multi_thread")]
async fn logout_call_after_an_expiry_runs_in_the_background() {
    let (site, app) = site(&[("/logout", 200, "", "")], CALL).await;
    visit(&site).await;
    site.clock_handle.advance(IDLE + GRACE);
    site.gateway.reap().await;
    let ended = |line: &String| line.contains("event=application_logout") && line.contains("ended by call");
    until(|| site.lines().iter().any(ended)).await;
    let [request] = &app.asked("/logout")[..] else { panic!("{:?}", app.asked("/logout")) };
    let token = header(request, "x-csrftoken").unwrap();
    assert_eq!(header(request, "cookie"), Some(&*format!("sid=secret; csrftoken={token}")));
    assert_eq!(header(request, "x-forwarded-for"), None, "a session made by no request");
}

/// No end waits for applications, which are asked several at a time. (That they are 8: `logout::calls`.)
#[tokio::test(flavor = "multi_thread")]
async fn no_end_waits_for_applications_and_each_is_asked() {
    const AT_ONCE: usize = 8;
    let asked = Arc::new(AtomicUsize::new(0));
    let address = upstream::start(move |mut connection, _| {
        let asked = Arc::clone(&asked);
        async move {
            while let Some(request) = connection.raw_request().await {
                if request.starts_with("POST /logout ") {
                    asked.fetch_add(1, Ordering::SeqCst);
                    // No request is answered before this number has arrived.
                    until(|| asked.load(Ordering::SeqCst) >= AT_ONCE).await;
                }
                connection.answer(200, "Set-Cookie: sid=secret; HttpOnly; Path=/\r\n", "").await;
            }
        }
    });
    let url = format!("http://{}", address.await);
    let site = Site::before(&[url], |settings| with_logout(settings, CALL));
    for _ in 0..5 * AT_ONCE {
        visit(&site).await;
    }
    site.clock_handle.advance(IDLE + GRACE);
    assert_eq!(within(site.gateway.reap()).await, 5 * AT_ONCE);
    let ended = |line: &String| line.contains("event=application_logout") && line.contains("ended by call");
    until(|| site.lines().into_iter().filter(ended).count() == 5 * AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_on_says_after_which_ends() {
    let (site, app) = site(&[("/logout", 200, "", "")], &format!("{CALL}\ncall_on = ['idle']")).await;
    let cookie = visit(&site).await;
    let receipt = sign_out(&site, &[&cookie]).await;
    assert_eq!(receipt["applications"][0]["result"], "cookies dropped");
    assert!(app.asked("/logout").is_empty());
}
