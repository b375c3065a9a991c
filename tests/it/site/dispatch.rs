//! The way to the upstream: who shares connections, how long they are kept, what is sent twice, what is answered.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exeunt::routes::access::Access;
use exeunt::routes::upstream_trust::UpstreamTrust;

use super::answer::request;
use super::harness::{Site, route};
use crate::upstream::{self, Identity, dead_port, header};

fn http(address: SocketAddr) -> Vec<String> {
    vec![format!("http://{address}")]
}

/// One exchange with the public route, on a client connection of its own.
async fn once(site: &Site, method: &str, lines: &[&str]) -> (u16, String) {
    let body = if method == "POST" { "hello" } else { "" };
    let answer = site.ask(method, "/public/x", lines, body).await;
    (answer.status, answer.text().to_owned())
}

/// An upstream that authenticates connections: after one request with credentials, in `Authorization` or in a way
/// of its own that only its response shows, every request on that connection is alice's.
async fn connection_authenticator() -> SocketAddr {
    upstream::start(async |mut connection, number| {
        let mut user = "nobody";
        while let Some(head) = connection.request().await {
            let by_request = header(&head, "authorization").is_some();
            let by_its_own_way = header(&head, "x-ticket").is_some();
            if by_request || by_its_own_way {
                user = "alice";
            }
            let answer = if by_its_own_way { "WWW-Authenticate: Negotiate oRQw\r\n" } else { "" };
            connection.answer(200, &format!("{answer}X-Number: {number}\r\n"), user).await;
        }
    })
    .await
}

const CREDENTIALS: [&[&str]; 4] = [
    &["Authorization: NTLM TlRMTVNTUAAD"],
    &["authorization: negotiate YIIZ"],
    &["Proxy-Authorization: x", "Authorization: Negotiate YIIZ"],
    &["X-Ticket: alice"],
];

#[tokio::test(flavor = "multi_thread")]
async fn ntlm_connections_are_not_shared_between_clients() {
    let site = Site::before_one(connection_authenticator().await);
    let plain = async || once(&site, "GET", &[]).await.1;
    for credentials in CREDENTIALS {
        assert_eq!(once(&site, "GET", credentials).await, (200, "alice".to_owned()));
        assert_eq!(plain().await, "nobody", "{credentials:?}");
    }
    // Nor is an authentication begun on a connection that others have used, and will use again.
    assert_eq!(plain().await, "nobody");
    assert_eq!(once(&site, "GET", CREDENTIALS[0]).await.1, "alice");
    assert_eq!(plain().await, "nobody");
}

/// A connection that was authenticated stays its owner's: the same session on the same client connection. NTLM takes
/// three requests on one.
#[tokio::test(flavor = "multi_thread")]
async fn an_authenticated_connection_is_kept_for_its_owner_alone() {
    let site = Site::before_one(connection_authenticator().await);
    let (alice, bob) = (site.session_of("alice").await, site.session_of("bob").await);
    let (mut first, mut second) = (site.client().await, site.client().await);
    let ask = |target, lines: &[&str]| request("GET", target, lines, "");
    for credentials in [&CREDENTIALS[0][0], &CREDENTIALS[3][0]] {
        let begun = first.exchange(&ask("/x", &[&alice, credentials])).await;
        let number = begun.header("x-number").unwrap().to_owned();
        let next = first.exchange(&ask("/x", &[&alice])).await;
        assert_eq!((next.text(), next.header("x-number")), ("alice", Some(&*number)));
        assert_eq!(first.exchange(&ask("/x", &[&bob])).await.text(), "nobody");
        for cookie in [&alice, &bob] {
            assert_eq!(second.exchange(&ask("/x", &[cookie])).await.text(), "nobody");
        }
        assert_eq!(first.exchange(&ask("/public/x", &[])).await.text(), "nobody");
        assert_eq!(first.exchange(&ask("/x", &[&alice])).await.header("x-number"), Some(&*number));
    }
}

/// An upstream that answers the first request of each connection and closes at the second, once it has read it.
async fn closes_at_the_second(reset: bool) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let address = upstream::start(move |mut connection, _| {
        let log = Arc::clone(&log);
        async move {
            for round in 0..2 {
                let Some(head) = connection.request().await else { return };
                log.lock().unwrap().push(head.split(' ').next().unwrap().to_owned());
                if round == 0 {
                    connection.answer(200, "", "ok").await;
                } else if reset {
                    connection.stream.reset_when_dropped();
                }
            }
        }
    })
    .await;
    (address, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_never_sent_twice_and_a_get_is() {
    for reset in [false, true] {
        let (address, seen) = closes_at_the_second(reset).await;
        let site = Site::before_one(address);
        assert_eq!(once(&site, "GET", &[]).await.0, 200);
        assert_eq!(once(&site, "POST", &[]).await.0, 502, "the connection died with the request on it");
        assert_eq!(*seen.lock().unwrap(), ["GET", "POST"]);
        assert_eq!(once(&site, "POST", &[]).await.0, 200);
        assert_eq!(once(&site, "GET", &[]).await.0, 200);
        assert_eq!(*seen.lock().unwrap(), ["GET", "POST", "POST", "GET", "GET"]);
    }
}

/// What may be repeated is repeated with its body, as long as all of that is at hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_is_sent_twice_with_all_of_its_body() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&bodies);
    let app = upstream::start(move |mut connection, _| {
        let log = Arc::clone(&log);
        async move {
            for round in 0..2 {
                let Some(raw) = connection.raw_request().await else { return };
                log.lock().unwrap().push(raw.split_once("\r\n\r\n").unwrap().1.len());
                if round == 0 {
                    connection.answer(200, "", "ok").await;
                }
            }
        }
    })
    .await;
    let site = Site::before_one(app);
    for (length, status, seen) in
        [(5, 200, vec![0, 5, 5]), (60_000, 200, vec![60_000, 60_000]), (300_000, 502, vec![300_000])]
    {
        if length == 5 {
            assert_eq!(once(&site, "GET", &[]).await.0, 200);
        }
        let put = site.ask("PUT", "/public/x", &[], &"x".repeat(length)).await;
        assert_eq!((put.status, std::mem::take(&mut *bodies.lock().unwrap())), (status, seen), "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_is_sent_twice_at_most_and_only_after_a_kept_connection() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let address = upstream::start(move |mut connection, number| {
        let counter = Arc::clone(&counter);
        async move {
            while connection.request().await.is_some() {
                if counter.fetch_add(1, Ordering::SeqCst) > 0 || number > 0 {
                    return;
                }
                connection.answer(200, "", "ok").await;
            }
        }
    })
    .await;
    let site = Site::before_one(address);
    assert_eq!(once(&site, "GET", &[]).await.0, 200);
    assert_eq!(once(&site, "GET", &[]).await.0, 502);
    assert_eq!(count.load(Ordering::SeqCst), 3, "one kept connection, one new one");
    assert_eq!(once(&site, "GET", &[]).await.0, 502);
    assert_eq!(count.load(Ordering::SeqCst), 4, "a new connection that dies is not tried again");
}

/// An upstream that says on which of its connections a request came.
async fn numbering(lines: &'static str) -> SocketAddr {
    upstream::start(move |mut connection, number| async move {
        while connection.request().await.is_some() {
            connection.answer(200, lines, &number.to_string()).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_connection_is_reused_across_users() {
    let site = Site::before_one(numbering("").await);
    for method in ["GET", "POST", "GET", "DELETE", "POST"] {
        assert_eq!(once(&site, method, &[]).await, (200, "0".to_owned()), "{method}");
    }
}

/// It may be closing at any moment: what cannot be sent again takes only one that was just used.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_takes_a_kept_connection_only_if_it_was_just_used() {
    let site = Site::before_one(numbering("").await);
    let number = async |method: &str| once(&site, method, &[]).await.1;
    assert_eq!(number("GET").await, "0");
    site.clock_handle.advance(Duration::from_millis(1_001));
    assert_eq!(number("POST").await, "1");
    site.clock_handle.advance(Duration::from_millis(1_001));
    assert_eq!(number("GET").await, "1", "the one that was used last");
    assert_eq!(number("POST").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_is_closed_after_a_while_or_when_the_upstream_said_so() {
    for (lines, seconds) in [("", 60), ("Keep-Alive: timeout=5, max=100\r\n", 4), ("Keep-Alive: timeout=1\r\n", 0)] {
        let site = Site::before_one(numbering(lines).await);
        assert_eq!(once(&site, "GET", &[]).await.1, "0");
        if seconds > 0 {
            site.clock_handle.advance(Duration::from_millis(seconds * 1000 - 1));
            assert_eq!(once(&site, "GET", &[]).await.1, "0", "{lines}");
        }
        site.clock_handle.advance(Duration::from_secs(seconds));
        assert_eq!(once(&site, "GET", &[]).await.1, "1", "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_connect_moves_on_for_every_method() {
    let live = upstream::start(|connection, _| upstream::answer_all(connection, "live")).await;
    let addresses = [dead_port().await, live, dead_port().await].map(|address| format!("http://{address}"));
    let site = Site::before(&addresses, |_| {});
    for method in ["POST", "GET", "PATCH"] {
        assert_eq!(once(&site, method, &[]).await, (200, "live".to_owned()), "{method}");
    }
}

async fn over_tls(identity: &Identity, host: &str, authority_pem: &str) -> (u16, String) {
    let address = upstream::start_tls(identity, |connection| upstream::answer_all(connection, "secure")).await;
    let trust = UpstreamTrust::from_pem(authority_pem.as_bytes()).unwrap();
    let site = Site::before(&[format!("https://{host}:{}", address.port())], |setup| {
        setup.gateway.routes.iter_mut().for_each(|route| route.trust = Arc::clone(&trust));
    });
    once(&site, "GET", &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked_for_authority_and_name() {
    let named = Identity::of(&["localhost"]);
    let addressed = Identity::of(&["127.0.0.1"]);
    let own = |identity: &Identity| identity.authority_pem.clone();
    assert_eq!(over_tls(&named, "localhost", &own(&named)).await, (200, "secure".to_owned()));
    assert_eq!(over_tls(&addressed, "127.0.0.1", &own(&addressed)).await, (200, "secure".to_owned()));
    assert_eq!(over_tls(&named, "localhost", &own(&addressed)).await.0, 502, "another authority");
    assert_eq!(over_tls(&named, "127.0.0.1", &own(&named)).await.0, 502, "a name is no address");
    assert_eq!(over_tls(&addressed, "localhost", &own(&addressed)).await.0, 502, "an address is no name");
}

/// Routes with different trust settings do not share connections.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_not_shared_between_trust_settings() {
    let identity = Identity::of(&["localhost"]);
    let address = upstream::start_tls(&identity, |connection| upstream::answer_all(connection, "secure")).await;
    let url = [format!("https://localhost:{}", address.port())];
    let (right, wrong) = (identity.authority_pem.clone(), Identity::of(&["localhost"]).authority_pem.clone());
    let trusting = |path, pem: &str| {
        let mut route = route(path, Access::Public, &url);
        route.trust = UpstreamTrust::from_pem(pem.as_bytes()).unwrap();
        route
    };
    let site = Site::before(&url, |setup| {
        setup.gateway.routes = vec![trusting("/right", &right), trusting("/wrong", &wrong)];
    });
    for _ in 0..2 {
        assert_eq!(site.get("/right", &[]).await.text(), "secure");
        assert_eq!(site.get("/wrong", &[]).await.status, 502);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unix_sockets_are_upstreams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    upstream::start_unix(&path, "unix");
    let site = Site::before(&[format!("unix:{}", path.display())], |_| {});
    for _ in 0..2 {
        assert_eq!(once(&site, "POST", &[]).await, (200, "unix".to_owned()));
    }
    let nobody = [format!("unix:{}/nobody.sock", folder.path().display())];
    assert_eq!(once(&Site::before(&nobody, |_| {}), "GET", &[]).await.0, 502);
    assert_eq!(once(&Site::before(&http(dead_port().await), |_| {}), "GET", &[]).await.0, 502);
}
