//! What the rows share: the site they are asked at, ways to ask, and ways to look at what came of it.

use std::time::Duration;

use exeunt::routes::access::Access;
use tokio::io::AsyncWriteExt;

use crate::site::answer::{Answer, request};
use crate::site::echo::Echo;
use crate::site::harness::{Site, route};

/// `/` and `/public` are public, `/admin` needs a session: so a path that is read as another one shows.
pub async fn open_site() -> (Site, Echo) {
    open_site_with(Duration::from_secs(60)).await
}

/// The same, that waits only so long for a body to go on.
pub async fn open_site_with(body_timeout: Duration) -> (Site, Echo) {
    let echo = Echo::start().await;
    let routes = [("/", Access::Public), ("/public", Access::Public), ("/admin", Access::SignedIn)]
        .map(|(path, access)| route(path, access, &[echo.url()]));
    let site = Site::before(&[echo.url()], |setup| {
        setup.gateway.routes = routes.into();
        setup.server.body_timeout = body_timeout;
    });
    (site, echo)
}

/// The one request that reached the application.
pub fn the_one(echo: &Echo) -> String {
    let mut seen = echo.take();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

/// How many header names of a request are this one to a program that folds names as CGI, WSGI and PHP do.
pub fn folded(request: &str, owned: &str) -> usize {
    let names = request.lines().skip(1).take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let fold = |name: &str| {
        let parts: Vec<_> =
            name.split(|at: char| !at.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
        let folded = parts.join("-").to_ascii_lowercase();
        folded.strip_prefix("http-").map_or(folded.clone(), str::to_owned)
    };
    names.filter(|(name, _)| fold(name) == owned).count()
}

/// The status of one exchange on a connection of its own.
pub async fn status(site: &Site, method: &str, target: &str, lines: &[&str]) -> u16 {
    site.client().await.exchange(&request(method, target, lines, "")).await.status
}

/// Each target is answered 400, with and without a session, and never forwarded.
pub async fn all_refused(targets: &[&str]) {
    let (site, echo) = open_site().await;
    let alice = site.session_of("alice").await;
    for target in targets {
        for lines in [&["Accept: */*"][..], &[&alice], &["Accept: text/html", &alice]] {
            assert_eq!(status(&site, "GET", target, lines).await, 400, "{target}");
        }
    }
    assert_eq!(echo.take(), [""; 0]);
}

/// Each target leads to a protected path: it is refused without a session, and with one the application gets the
/// second of the pair.
pub async fn all_protected(targets: &[(&str, &str)]) {
    let (site, echo) = open_site().await;
    let alice = site.session_of("alice").await;
    for (target, canonical) in targets {
        assert_eq!(status(&site, "GET", target, &[]).await, 401, "{target}");
        assert_eq!(echo.take(), [""; 0], "{target}");
        assert_eq!(status(&site, "GET", target, &[&alice]).await, 200, "{target}");
        assert!(the_one(&echo).starts_with(&format!("GET {canonical} HTTP/1.1\r\n")), "{target}");
    }
}

/// Each target signs out.
pub async fn all_sign_out(targets: &[&str]) {
    let (site, echo) = open_site().await;
    for target in targets {
        let cookie = site.session_of("alice").await;
        assert_eq!(status(&site, "POST", target, &[&cookie]).await, 200, "{target}");
        assert_eq!(status(&site, "GET", "/admin", &[&cookie]).await, 401, "{target} ends the session");
    }
    assert_eq!(echo.take(), [""; 0]);
}

/// What came of raw bytes: the answers until the connection was closed, and what the application saw.
pub struct Outcome {
    pub answers: Vec<Answer>,
    pub seen: Vec<String>,
}

/// Sends bytes, and an honest request behind them if the connection is kept.
pub async fn send(site: &Site, echo: &Echo, bytes: &[u8]) -> Outcome {
    let mut client = site.client().await;
    // The connection may be closed before the last byte of a refused request is taken.
    let _ = client.stream.write_all(bytes).await;
    let mut answers = Vec::new();
    let first = site.turning(client.one_answer(bytes.starts_with(b"HEAD "))).await;
    let kept = first.as_ref().is_some_and(|first| first.status >= 200 && first.header("connection") != Some("close"));
    answers.extend(first);
    if kept {
        let _ = client.stream.write_all(b"GET /after HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
        answers.extend(site.turning(client.one_answer(false)).await);
    }
    assert_eq!(status(site, "GET", "/.exeunt/session", &[]).await, 401, "the gateway lives");
    Outcome { answers, seen: echo.take().into_iter().filter(|request| !request.starts_with("GET /after ")).collect() }
}

impl Outcome {
    pub fn status(&self) -> u16 {
        self.answers.first().map_or(0, |answer| answer.status)
    }

    /// Answered with an error, or not at all; and nothing reached the application.
    pub fn is_refused(&self) -> bool {
        self.seen.is_empty() && (self.answers.is_empty() || (400..600).contains(&self.status()))
    }

    /// Nothing that was a body, or stood behind an upgrade, was taken for a request; and what was answered second is
    /// the honest one.
    pub fn is_in_step(&self) -> bool {
        let smuggled =
            self.seen.iter().any(|request| request.contains("/smuggled HTTP/") && request.starts_with("GET /s"));
        !smuggled && self.answers.get(1).is_none_or(|second| second.text().starts_with("GET /after "))
    }
}
