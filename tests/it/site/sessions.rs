//! Signed in, known, signed out: over the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use exeunt::session::live::Cut;

use super::answer::request;

use super::harness::{FORM, Site, until};
use crate::server::client::{Client, within};
use crate::upstream::header;

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_identity_and_sign_out() {
    let (site, echo) = Site::with_echo().await;
    assert_eq!(site.get("/cart", &[]).await.status, 401);
    let form = "username=alice&password=wonder+land&next=/cart";
    let signed_in = site.ask("POST", "/login", &[FORM], form).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/cart")));
    let [set, known] = signed_in.headers("set-cookie")[..] else { panic!("{}", signed_in.head) };
    assert!(known.starts_with("exeunt-known=") && known.contains("HttpOnly"), "{known}");
    assert!(set.starts_with("exeunt=") && set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    let cookie = signed_in.cookie_line();

    let page = site.get("/cart", &[&cookie]).await;
    assert_eq!(page.status, 200);
    assert_eq!(header(page.text(), "x-forwarded-user"), Some("alice"));
    assert_eq!(header(page.text(), "x-forwarded-groups"), Some("staff"));
    assert_eq!(echo.take().len(), 1);

    let signed_out = site.ask("POST", "/logout", &[&cookie], "").await;
    assert_eq!((signed_out.status, &signed_out.json()["user"]), (200, &"alice".into()));
    assert!(signed_out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(site.get("/cart", &[&cookie]).await.status, 401);
    assert_eq!(echo.take(), [""; 0]);
}

/// What is sent after the answer to the logout was read never reaches the application, however many requests of the
/// session are under way.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_after_the_answer_reaches_the_application() {
    const ROUNDS: usize = 300;
    const CONNECTIONS: usize = 3;
    let (site, echo) = Site::with_echo().await;
    for _ in 0..ROUNDS {
        let cookie = site.session_of("alice").await;
        let out = Arc::new(AtomicBool::new(false));
        let busy: Vec<_> = (0..CONNECTIONS).map(|_| keep_asking(&site, &cookie, &out)).collect();
        let logout = async {
            let answer = site.ask("POST", "/logout", &[&cookie], "").await;
            out.store(true, Ordering::SeqCst);
            assert_eq!(answer.status, 200);
        };
        within(async { tokio::join!(logout, futures_util::future::join_all(busy)) }).await;
        let late = echo.take().into_iter().find(|request| request.contains("X-Sent: after"));
        assert_eq!(late, None);
    }
}

/// A client that closes the connection right after its sign-out: the session ends all the same, and the end is logged.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_completes_after_its_client_disconnects() {
    let (site, _echo) = Site::with_echo().await;
    let written = || site.lines().iter().filter(|line| line.contains("cause=logout")).count();
    for round in 1..=20 {
        let cookie = site.session_of("alice").await;
        let session = site.gateway.sessions().sessions_of(None).remove(0);
        let hold = Arc::clone(&session).hold(&Cut::new()).unwrap();
        // The logout waits for this write, and its client does not wait for the logout.
        let write_guard = hold.begin_write().unwrap();
        let mut client = site.client().await;
        client.say(&request("POST", "/logout", &[&cookie], "")).await;
        until(|| session.has_ended()).await;
        drop(client);
        assert_eq!(written(), round - 1, "it is still under way");
        drop(write_guard);
        until(|| written() == round).await;
    }
    assert!(site.gateway.sessions().is_empty());
}

/// Asks until three requests were sent after the logout.
async fn keep_asking(site: &Site, cookie: &str, out: &AtomicBool) {
    let mut client: Option<Client> = None;
    let mut after = 0;
    while after < 3 {
        let is_out = out.load(Ordering::SeqCst);
        let sent = if is_out { "X-Sent: after" } else { "X-Sent: before" };
        after += usize::from(is_out);
        let mut open = match client.take() {
            Some(open) => open,
            None => site.client().await,
        };
        let page = request("GET", "/x", &[cookie, sent], "");
        // A connection that is being cut takes nothing more.
        if tokio::io::AsyncWriteExt::write_all(&mut open.stream, page.as_bytes()).await.is_err() {
            continue;
        }
        if let Some(answer) = open.reply_to(&page).await {
            assert!(!is_out || answer.status == 401, "{answer:?}");
            client = Some(open);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_request_creates_no_session() {
    let (site, _echo) = Site::with_echo().await;
    for target in ["/x", "/public/x", "/login", "/logout", "/.exeunt/session", "/.exeunt/goodbye"] {
        let answer = site.get(target, &["Accept: text/html"]).await;
        assert!(answer.headers("set-cookie").is_empty(), "{target}");
    }
    assert!(site.gateway.sessions().is_empty());
}

/// A refused request never reaches the application, and the answer gives the right reason.
#[tokio::test(flavor = "multi_thread")]
async fn refusal_for_a_missing_group_names_the_reason() {
    let (site, echo) = Site::with_echo().await;
    let bob = site.sign_in("bob").await;
    const BROWSER: &str = "Accept: text/html";
    let page = site.get("/cart?x=1", &[BROWSER]).await;
    assert_eq!((page.status, page.header("location")), (303, Some("/login?next=%2Fcart%3Fx%3D1")));
    let program = site.get("/cart?x=1", &[]).await;
    assert_eq!((program.status, &program.json()["error"]), (401, &"sign_in_required".into()));
    assert_eq!(program.header("www-authenticate"), None);
    assert_eq!(program.header("link"), Some("</login?next=%2Fcart%3Fx%3D1>; rel=\"login\""));
    let refused = site.get("/staff/x", &[&bob]).await;
    assert_eq!((refused.status, &refused.json()["error"]), (403, &"group_missing".into()));
    let foreign = site.get("/x", &["Host: evil.test", &bob]).await;
    assert_eq!((foreign.status, &foreign.json()["error"]), (421, &"host_not_served".into()));
    assert!(!foreign.text().contains("app.test") && foreign.text().contains("exeunt check"), "{}", foreign.text());
    let named = |line: &String| line.contains("client=127.0.0.1 ") && line.contains(" served=app.test");
    until(|| site.lines().iter().any(named)).await;
    for version in ["1.0", "1.1"] {
        let missing = site.client().await.exchange(&format!("GET /x HTTP/{version}\r\n\r\n")).await;
        assert_eq!((missing.status, &missing.json()["error"]), (400, &"host_missing".into()));
        assert!(missing.text().contains("no Host header"));
    }
    assert_eq!(echo.take(), [""; 0]);
}
