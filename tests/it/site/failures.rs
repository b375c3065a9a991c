//! Applications that are down, slow, broken, many, elsewhere: always an answer, never a hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use exeunt::routes::settings::RouteSettings;
use exeunt::routes::upstream_trust::UpstreamTrust;
use http::StatusCode;
use tokio::io::AsyncWriteExt;

use super::answer::request;
use super::echo::Echo;
use super::harness::Site;
use crate::upstream::{self, Identity, dead_port, header};

const BROWSER: &str = "Accept: text/html";

/// Answers a program and a browser with this status, and the program with this reason; and the gateway goes on.
async fn fails_with(site: &Site, status: u16, reason: &str) {
    let alice = site.session_of("alice").await;
    for (method, body) in [("GET", ""), ("POST", "hello")] {
        let answer = site.ask(method, "/x", &[&alice], body).await;
        assert_eq!((answer.status, &answer.json()["error"]), (status, &reason.into()), "{method}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let page = site.ask(method, "/x", &[&alice, BROWSER], body).await;
        assert_eq!((page.status, page.header("content-type")), (status, Some("text/html; charset=utf-8")));
    }
    let (want, note) = (format!("status={status}"), format!("note={reason}"));
    let lines = site.access_lines(4, "path=/x ").await;
    assert!(lines.len() == 4 && lines.iter().all(|line| line.contains(&want) && line.contains(&note)), "{lines:?}");
    assert_eq!(site.get("/.exeunt/session", &[&alice]).await.status, 200);
}

fn http(address: std::net::SocketAddr) -> String {
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_application_is_502() {
    fails_with(&Site::before(&[http(dead_port().await)], |_| {}), 502, "upstream_unreachable").await;
    fails_with(&Site::before(&["http://no-such-name.invalid".to_owned()], |_| {}), 502, "upstream_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_application_is_504() {
    // Some say nothing, and some do not stop.
    let silent = upstream::start(async |mut connection, _| {
        while let Some(head) = connection.request().await {
            let begun = if head.contains("text/html") { "HTTP/1.1 200 OK\r\nX-Slow: " } else { "" };
            connection.write(begun).await;
        }
    })
    .await;
    let site = Site::before_one(silent);
    site.turning(fails_with(&site, 504, "upstream_too_slow")).await;
}

/// An application that owes both answers: the route that waits less gives up, the other one goes on waiting.
#[tokio::test(flavor = "multi_thread")]
async fn each_route_waits_for_its_own_response_timeout() {
    let silent = upstream::start(async |mut connection, _| while connection.request().await.is_some() {}).await;
    let site = Site::before(&[http(silent)], |setup| {
        let is_short = |route: &&mut RouteSettings| route.path.to_string() == "/public";
        let short = setup.gateway.routes.iter_mut().find(is_short).unwrap();
        short.response_timeout = Duration::from_secs(3);
    });
    let alice = site.session_of("alice").await;
    let mut patient = site.client().await;
    let page = request("GET", "/x", &[&alice], "");
    patient.say(&page).await;
    let answer = site.turning(site.get("/public/x", &[])).await;
    assert_eq!((answer.status, &answer.json()["error"]), (504, &"upstream_too_slow".into()));
    assert!(site.lines().iter().all(|line| !line.contains("path=/x ")), "that one is still awaited");
    assert_eq!(site.turning(patient.reply_to(&page)).await.unwrap().status, 504);
}

/// T117: a malformed answer is 502, and its connection is not used again.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_answer_is_502() {
    let nonsense = [
        "220 mail.example.com ESMTP\r\n\r\n",
        "HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "",
    ];
    for bytes in nonsense {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let app = upstream::start(move |mut connection, _| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                connection.request().await;
                connection.write(bytes).await;
                let _ = connection.stream.shutdown().await;
            }
        })
        .await;
        fails_with(&Site::before(&[http(app)], |_| {}), 502, "upstream_broken").await;
        assert_eq!(connections.load(Ordering::SeqCst), 4, "{bytes:?}");
    }
}

/// An answer that breaks off after its head was passed on closes the connection, so that it is not taken for complete.
#[tokio::test(flavor = "multi_thread")]
async fn incomplete_answer_is_not_forwarded_as_complete() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let app = upstream::start(move |mut connection, _| async move {
            connection.request().await;
            connection.write(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nhalf\r\n")).await;
        })
        .await;
        let site = Site::before_one(app);
        let mut client = site.client().await;
        let page = request("GET", "/public/x", &[], "");
        client.say(&page).await;
        assert!(client.reply_to(&page).await.is_none(), "{head}");
    }
}

/// CL and TE in one answer, 1xx in numbers, and gateway words in an answer.
#[tokio::test(flavor = "multi_thread")]
async fn odd_answers_are_cleaned_or_refused() {
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let many: &'static str =
        Box::leak(("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(50) + OK).into_boxed_str());
    for (bytes, bodies) in [(both, ["hello", ""]), (many, ["hello", ""])] {
        let app = upstream::start(move |mut connection, _| async move {
            connection.request().await;
            connection.write(bytes).await;
            let _ = connection.stream.shutdown().await;
        })
        .await;
        let answer = Site::before_one(app).get("/public/x", &[]).await;
        assert!(matches!(answer.status, 200 | 502), "{}", answer.head);
        assert!(answer.status == 502 || bodies.contains(&answer.text()), "{answer:?}");
        assert!(answer.header("content-length").is_none() || answer.header("transfer-encoding").is_none());
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test(flavor = "multi_thread")]
async fn several_applications_share_the_work_and_each_keeps_its_sessions() {
    let echoes = [Echo::start().await, Echo::start().await, Echo::start().await];
    let site = Site::before(&echoes.each_ref().map(Echo::url), |_| {});
    for _ in 0..24 {
        let cookie = site.session_of("alice").await;
        for _ in 0..3 {
            assert_eq!(site.get("/x", &[&cookie]).await.status, 200);
        }
        let mut shares = echoes.each_ref().map(|echo| echo.take().len());
        shares.sort_unstable();
        assert_eq!(shares, [0, 0, 3], "one session, one application");
    }
    let used = async |echo: &Echo| {
        for _ in 0..64 {
            let cookie = site.session_of("bob").await;
            site.get("/x", &[&cookie]).await;
            if !echo.take().is_empty() {
                return true;
            }
        }
        false
    };
    for echo in &echoes {
        assert!(used(echo).await, "all of them have work");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_one_of_several_is_passed_over_and_tried_again_later() {
    const SESSIONS: usize = 40;
    let live = Echo::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let site = Site::before(&[format!("unix:{}", path.display()), live.url()], |_| {});
    let cookies = futures_util::future::join_all((0..SESSIONS).map(|_| site.session_of("alice"))).await;
    for cookie in &cookies {
        for (method, body) in [("GET", ""), ("POST", "hello")] {
            assert_eq!(site.ask(method, "/x", &[cookie], body).await.status, 200, "{method}");
        }
    }
    assert_eq!(live.take().len(), SESSIONS * 2, "each once");
    upstream::start_unix(&path, "back");
    let any_back = async || {
        let asked = cookies.iter().map(|cookie| async { site.get("/x", &[cookie]).await });
        futures_util::future::join_all(asked).await.iter().any(|answer| answer.text() == "back")
    };
    assert!(!any_back().await, "it rests");
    site.clock_handle.advance(Duration::from_secs(11));
    assert!(any_back().await, "some sessions belong to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_on_unix_sockets_and_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    upstream::start_unix(&path, "unix");
    let site = Site::before(&[format!("unix:{}", path.display())], |_| {});
    assert_eq!(site.get("/public/x", &[]).await.text(), "unix");

    let identity = Identity::of(&["localhost"]);
    let app = upstream::start_tls(&identity, |connection| upstream::answer_all(connection, "tls")).await;
    let trusting = |host: &str, pem: &str| {
        let trust = UpstreamTrust::from_pem(pem.as_bytes()).unwrap();
        Site::before(&[format!("https://{host}:{}", app.port())], |setup| {
            setup.gateway.routes.iter_mut().for_each(|route| route.trust = Arc::clone(&trust));
        })
    };
    let other = Identity::of(&["localhost"]);
    assert_eq!(trusting("localhost", &identity.authority_pem).get("/public/x", &[]).await.text(), "tls");
    for (host, pem) in [("127.0.0.1", &identity.authority_pem), ("localhost", &other.authority_pem)] {
        let refused = trusting(host, pem).get("/public/x", &[]).await;
        assert_eq!((refused.status, &refused.json()["error"]), (502, &"upstream_unreachable".into()), "T119: {host}");
    }
}

/// Invariant 11: an application that authenticates connections sees every user alone.
#[tokio::test(flavor = "multi_thread")]
async fn user_cannot_get_the_connection_of_another() {
    let app = upstream::start(async |mut connection, _| {
        let mut user = "nobody".to_owned();
        while let Some(head) = connection.request().await {
            if header(&head, "authorization").is_some() || header(&head, "x-ticket").is_some() {
                user = header(&head, "x-forwarded-user").unwrap().to_owned();
            }
            let line = if header(&head, "x-ticket").is_some() { "WWW-Authenticate: Negotiate oRQw\r\n" } else { "" };
            connection.answer(200, line, &user).await;
        }
    })
    .await;
    let site = Site::before_one(app);
    let (alice, bob) = (site.session_of("alice").await, site.session_of("bob").await);
    let (mut alices, mut bobs) = (site.client().await, site.client().await);
    for credentials in ["Authorization: NTLM TlRMTVNTUAAD", "Authorization: Negotiate YIIZ", "X-Ticket: 1"] {
        let authenticated = alices.exchange(&request("GET", "/x", &[&alice, credentials], "")).await;
        assert_eq!(authenticated.text(), "alice");
        assert_eq!(bobs.exchange(&request("GET", "/x", &[&bob], "")).await.text(), "nobody", "{credentials}");
        assert_eq!(bobs.exchange(&request("GET", "/public/x", &[], "")).await.text(), "nobody", "{credentials}");
    }
}

/// What may do something twice is done once.
#[tokio::test(flavor = "multi_thread")]
async fn t126_a_post_is_never_sent_twice() {
    let posts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&posts);
    let app = upstream::start(move |mut connection, _| {
        let count = Arc::clone(&count);
        async move {
            while let Some(head) = connection.request().await {
                if head.starts_with("POST") {
                    count.fetch_add(1, Ordering::SeqCst);
                    return connection.stream.reset_when_dropped();
                }
                connection.answer(200, "", "ok").await;
            }
        }
    })
    .await;
    let site = Site::before_one(app);
    for sent in 1..=20 {
        assert_eq!(site.get("/public/x", &[]).await.status, StatusCode::OK.as_u16(), "a connection to be kept");
        assert_eq!(site.ask("POST", "/public/x", &[], "hello").await.status, 502);
        assert_eq!(posts.load(Ordering::SeqCst), sent);
    }
}
