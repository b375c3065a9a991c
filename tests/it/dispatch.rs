//! The way to the upstream through the real engine: who shares connections, what is sent twice, what is answered.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use exeunt::proxy::dispatch::Dispatch;
use exeunt::proxy::failure::UpstreamFailure;
use exeunt::proxy::peer::{OwnAuthorities, Sharing, http_peer};
use exeunt::routes::endpoint::Tried;
use exeunt::routes::pool::{Pool, UpstreamSettings};
use exeunt::routes::resolver::Upstreams;
use exeunt::routes::upstream_trust::UpstreamTrust;
use exeunt::values::time::Clock;
use exeunt::values::upstream_address::UpstreamAddress;
use pingora::apps::ServerApp;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::l4::stream::Stream;
use pingora::proxy::{FailToProxy, ProxyHttp, Session, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::upstream::{self, Identity, content_length, dead_port, header};

/// Forwards everything. `guarded: false` is the engine as it comes: what the guard is for.
struct Forward {
    pool: Arc<Pool>,
    own: OwnAuthorities,
    guarded: bool,
}

#[async_trait]
impl ProxyHttp for Forward {
    type CTX = Option<Dispatch>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        if !self.guarded {
            let endpoint = self.pool.pick(0, &Tried::NOTHING).unwrap();
            return http_peer(&endpoint, self.pool.settings(), Sharing::Everybody, &self.own).map(Box::new);
        }
        let owner = session.get_header("x-owner").map(|owner| u64::from(owner.as_bytes()[0]));
        let new = || Dispatch::new(Arc::clone(&self.pool), 0, owner, session.req_header());
        ctx.get_or_insert_with(new).upstream_peer(&self.own).await
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _: bool,
        _: &HttpPeer,
        _: std::os::unix::io::RawFd,
        _: Option<&Digest>,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.iter().for_each(Dispatch::connected);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.as_ref().map_or(Ok(()), |dispatch| dispatch.upstream_request(request))
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.iter().for_each(|dispatch| dispatch.upstream_response(response));
        Ok(())
    }

    fn fail_to_connect(&self, _: &mut Session, _: &HttpPeer, ctx: &mut Self::CTX, error: Box<Error>) -> Box<Error> {
        ctx.as_mut().unwrap().fail_to_connect(error)
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        ctx.as_mut().unwrap().error_while_proxy(session, error, reused)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, _: &mut Self::CTX) -> FailToProxy {
        let status = UpstreamFailure::of(error).status();
        if let Some(status) = status {
            session.respond_error(status).await.unwrap();
        }
        FailToProxy { error_code: status.unwrap_or(0), can_reuse_downstream: false }
    }
}

struct Gateway(SocketAddr);

impl Gateway {
    async fn before(upstreams: &[String]) -> Self {
        Self::with(upstreams, |_| (), true).await
    }

    async fn with(texts: &[String], edit: impl FnOnce(&mut UpstreamSettings), guarded: bool) -> Self {
        let known = Upstreams::new(Handle::current());
        let upstreams = texts.iter().map(|text| known.get(&UpstreamAddress::parse(text).unwrap()));
        let mut settings = UpstreamSettings::new(UpstreamTrust::nobody());
        edit(&mut settings);
        let pool = Arc::new(Pool::new(upstreams.collect(), settings, Clock::system()));
        let app = Forward { pool, own: OwnAuthorities::default(), guarded };
        let conf = ServerConf { max_retries: 4, ..ServerConf::default() };
        let proxy = Arc::new(http_proxy(&Arc::new(conf), app));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = Arc::clone(&proxy);
                tokio::spawn(async move {
                    let (_keep, shutdown) = watch::channel(false);
                    let mut stream: Option<pingora::protocols::Stream> = Some(Box::new(Stream::from(stream)));
                    while let Some(open) = stream {
                        stream = proxy.process_new(open, &shutdown).await;
                    }
                });
            }
        });
        Self(address)
    }

    async fn client(&self) -> Client {
        Client(TcpStream::connect(self.0).await.unwrap())
    }

    /// One exchange on a client connection of its own.
    async fn once(&self, method: &str, headers: &str) -> (u16, String) {
        self.client().await.exchange(method, headers).await
    }
}

struct Client(TcpStream);

impl Client {
    async fn exchange(&mut self, method: &str, headers: &str) -> (u16, String) {
        let body = if method == "POST" { "Content-Length: 5\r\n\r\nhello" } else { "\r\n" };
        let request = format!("{method} / HTTP/1.1\r\nHost: app.test\r\n{headers}{body}");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        loop {
            if let Some(at) = got.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(got[..at + 4].to_vec()).unwrap();
                let end = at + 4 + content_length(&head);
                if header(&head, "transfer-encoding").is_none() && got.len() >= end {
                    let body = String::from_utf8(got[at + 4..end].to_vec()).unwrap();
                    return (head[9..12].parse().unwrap(), body);
                }
                if got.ends_with(b"0\r\n\r\n") {
                    return (head[9..12].parse().unwrap(), String::from_utf8(got[at + 4..].to_vec()).unwrap());
                }
            }
            let mut piece = [0; 4096];
            let count = tokio::time::timeout(Duration::from_secs(30), self.0.read(&mut piece)).await;
            let count = count.expect("an answer").unwrap();
            assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&got));
            got.extend_from_slice(&piece[..count]);
        }
    }
}

fn http(address: SocketAddr) -> Vec<String> {
    vec![format!("http://{address}")]
}

/// An upstream that authenticates connections: after one request with credentials, in `Authorization` or in a way
/// of its own that only its response shows, every request on that connection is alice's.
async fn connection_authenticator() -> SocketAddr {
    upstream::start(async |mut connection, _| {
        let mut user = "nobody";
        while let Some(head) = connection.request().await {
            let by_request = header(&head, "authorization").is_some();
            let by_its_own_way = header(&head, "x-ticket").is_some();
            if by_request || by_its_own_way {
                user = "alice";
            }
            let answer = if by_its_own_way { "WWW-Authenticate: Negotiate oRQw\r\n" } else { "" };
            connection.answer(200, answer, user).await;
        }
    })
    .await
}

async fn is_after(gateway: &Gateway, credentials: &str) -> String {
    assert_eq!(gateway.once("GET", credentials).await, (200, "alice".to_owned()));
    gateway.once("GET", "").await.1
}

const CREDENTIALS: [&str; 4] = [
    "Authorization: NTLM TlRMTVNTUAAD\r\n",
    "authorization: negotiate YIIZ\r\n",
    "Proxy-Authorization: x\r\nAuthorization: Negotiate YIIZ\r\n",
    "X-Ticket: alice\r\n",
];

#[tokio::test]
async fn no_client_becomes_another_by_its_connection() {
    let gateway = Gateway::before(&http(connection_authenticator().await)).await;
    for credentials in CREDENTIALS {
        assert_eq!(is_after(&gateway, credentials).await, "nobody", "{credentials}");
    }
    // Nor is an authentication begun on a connection that others have used, and will use again.
    assert_eq!(gateway.once("GET", "").await.1, "nobody");
    assert_eq!(is_after(&gateway, CREDENTIALS[0]).await, "nobody");
}

#[tokio::test]
async fn without_the_guard_the_next_client_is_alice() {
    for credentials in CREDENTIALS {
        let gateway = Gateway::with(&http(connection_authenticator().await), |_| (), false).await;
        assert_eq!(is_after(&gateway, credentials).await, "alice", "{credentials}");
    }
}

#[tokio::test]
async fn a_route_for_connection_authentication_keeps_the_connection_for_its_owner() {
    let gateway = Gateway::before(&http(connection_authenticator().await)).await;
    let credentials = format!("X-Owner: A\r\n{}", CREDENTIALS[0]);
    assert_eq!(gateway.once("GET", &credentials).await.1, "alice");
    assert_eq!(gateway.once("GET", "X-Owner: B\r\n").await.1, "nobody");
    assert_eq!(gateway.once("GET", "").await.1, "nobody");
    assert_eq!(gateway.once("GET", "X-Owner: A\r\n").await.1, "alice");
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

#[tokio::test]
async fn a_post_is_never_sent_twice_and_a_get_is() {
    for reset in [false, true] {
        let (address, seen) = closes_at_the_second(reset).await;
        let gateway = Gateway::before(&http(address)).await;
        assert_eq!(gateway.once("GET", "").await.0, 200);
        assert_eq!(gateway.once("POST", "").await.0, 502, "the connection died with the request on it");
        assert_eq!(*seen.lock().unwrap(), ["GET", "POST"]);
        assert_eq!(gateway.once("POST", "").await.0, 200);
        assert_eq!(gateway.once("GET", "").await.0, 200);
        assert_eq!(*seen.lock().unwrap(), ["GET", "POST", "POST", "GET", "GET"]);
    }
}

#[tokio::test]
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
    let gateway = Gateway::before(&http(address)).await;
    assert_eq!(gateway.once("GET", "").await.0, 200);
    assert_eq!(gateway.once("GET", "").await.0, 502);
    assert_eq!(count.load(Ordering::SeqCst), 3, "one kept connection, one new one");
    assert_eq!(gateway.once("GET", "").await.0, 502);
    assert_eq!(count.load(Ordering::SeqCst), 4, "a new connection that dies is not tried again");
}

#[tokio::test]
async fn a_failed_connect_moves_on_for_every_method() {
    let live = upstream::start(async |mut connection, _| {
        while connection.request().await.is_some() {
            connection.answer(200, "", "live").await;
        }
    })
    .await;
    let addresses = [dead_port().await, live, dead_port().await].map(|address| format!("http://{address}"));
    let gateway = Gateway::before(&addresses).await;
    for method in ["POST", "GET", "PATCH"] {
        assert_eq!(gateway.once(method, "").await, (200, "live".to_owned()), "{method}");
    }
    let dead = [dead_port().await, dead_port().await].map(|address| format!("http://{address}"));
    let gateway = Gateway::before(&dead).await;
    assert_eq!(gateway.once("GET", "").await.0, 502);
    assert_eq!(Gateway::before(&["http://no-such-name.invalid".into()]).await.once("GET", "").await.0, 502);
}

#[tokio::test]
async fn nonsense_is_502() {
    let nonsense = upstream::start(async |mut connection, _| {
        while connection.request().await.is_some() {
            connection.write("220 mail.example.com ESMTP\r\n\r\n").await;
        }
    })
    .await;
    assert_eq!(Gateway::before(&http(nonsense)).await.once("GET", "").await.0, 502);
}

#[tokio::test]
async fn the_engine_forwards_no_upgrade() {
    let mirror = upstream::start(async |mut connection, _| {
        while let Some(head) = connection.request().await {
            connection.answer(200, "", &head.to_ascii_lowercase()).await;
        }
    })
    .await;
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (status, head) = Gateway::before(&http(mirror)).await.once("GET", websocket).await;
    assert_eq!(status, 200);
    assert!(head.contains("host: app.test") && !head.contains("upgrade"), "{head}");
}

async fn over_tls(identity: &Identity, host: &str, authority_pem: &str) -> (u16, String) {
    let address = upstream::start_tls(identity, |connection| upstream::answer_all(connection, "secure")).await;
    let trust = UpstreamTrust::from_pem(authority_pem.as_bytes()).unwrap();
    let upstreams = [format!("https://{host}:{}", address.port())];
    let gateway = Gateway::with(&upstreams, |settings| settings.trust = trust, true).await;
    gateway.once("GET", "").await
}

#[tokio::test]
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

#[tokio::test]
async fn unix_sockets_are_upstreams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    upstream::start_unix(&path, "unix");
    let upstreams = [format!("unix:{}", path.display())];
    let gateway = Gateway::before(&upstreams).await;
    for _ in 0..2 {
        assert_eq!(gateway.once("POST", "").await, (200, "unix".to_owned()));
    }
    let nobody = [format!("unix:{}/nobody.sock", folder.path().display())];
    assert_eq!(Gateway::before(&nobody).await.once("GET", "").await.0, 502);
}
