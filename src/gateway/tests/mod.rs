//! Requests and their answers, with the whole gateway except the network.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cookie::SameSite;
use futures_util::FutureExt;
use http::{HeaderMap, Request, StatusCode, request};
use parking_lot::Mutex;

use super::*;
use crate::admission::identity_headers::IdentityHeaders;
use crate::audit::{self, Log};
use crate::credentials::password::{self, Password};
use crate::credentials::user_file::Users;
use crate::http1::cookie::SessionCookie;
use crate::http1::head_lines::HeadFields;
use crate::http1::header_edits::HeaderEdit;
use crate::http1::headers::RequestHead;
use crate::http1::request_head::{HeadLimits, HeadReader};
use crate::routes::access::Access;
use crate::routes::resolver::Upstreams;
use crate::routes::settings::RouteSettings;
use crate::routes::settings::tests::route;
use crate::session::lifetime::Lifetime;
use crate::session::live::Cut;
use crate::session::sign_in::SignIn;
use crate::session::store::SessionStore;
use crate::values::client_address::{Peer, TrustedProxies};
use crate::values::identity::Identity;
use crate::values::mac::MacKeys;
use crate::values::origin::{Authority, Host, Origin, Scheme};
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::{OwnPages, OwnPath};
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::values::return_to::{AllowedOrigins, OriginPattern, ReturnTo};
use crate::values::time::{Clock, ManualClock};

mod app_cookies;
mod app_cookies_kept;
mod app_cookies_many;
mod app_cookies_real;
mod app_cookies_script;
mod basic;
mod clearing;
mod cookies;
mod hand_over;
mod key_rotation;
mod landing;
mod own_link;
mod own_sessions;
mod passing;
mod passwords;
mod properties;
mod reload;
mod resources;
mod sessions;
mod sign_in;
mod sign_out;
mod spellings;
mod stores;
mod tabs;
mod telling;
mod throttling;

/// A browser on plain http beyond loopback, which sends no fetch metadata.
const BROWSER: &str = "Accept: text/html,application/xhtml+xml";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

struct Harness {
    gateway: Arc<Gateway>,
    clock: ManualClock,
    lines: Arc<Mutex<Vec<String>>>,
}

fn users() -> Users {
    let hash = password::hash(&Password::new("wonder land".to_owned()).unwrap()).unwrap();
    let user = |name: &str, more: &str| format!("[users.{name}]\npassword = \"{hash}\"\n{more}\n");
    let text = [user("alice", "groups = [\"staff\"]"), user("bob", ""), user("carol", "enabled = false")].concat();
    Users::parse("users.toml".as_ref(), &text).unwrap()
}

/// The configuration of [`harness`].
fn settings() -> GatewaySettings {
    let hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), []);
    let own = hosts.origins().map(OriginPattern::from);
    let allowed = AllowedOrigins::new(own.chain(OriginPattern::parse("https://other.test")));
    let path = |text| OwnPath::parse(text).unwrap();
    GatewaySettings {
        trusted: TrustedProxies::default(),
        own_pages: OwnPages::new(path("/login"), vec![path("/logout")]).unwrap(),
        cookie: SessionCookie::new("exeunt", Scheme::Http, SameSite::Lax),
        share: true,
        identity: IdentityHeaders::preset("x-forwarded").unwrap(),
        routes: vec![
            route("/", Access::SignedIn),
            route("/public", Access::Public),
            route("/staff", Access::Groups(vec!["staff".into()])),
        ],
        users: Arc::new(users()),
        login: crate::login::settings::LoginSettings {
            next: ReturnTo::own("/"),
            ban_max: Duration::from_secs(900),
            return_size: 3500,
            body_limit: 16 * 1024,
            change_password: None,
        },
        logout: crate::logout::settings::LogoutSettings {
            get: crate::admission::cross_site::GetPolicy::Navigate,
            next: None,
            allowed,
            grace: Duration::from_secs(5),
            clear_site_data: None,
            close_tabs: false,
        },
        requests_per_session: 500,
        cookies: Default::default(),
        pages: crate::pages::PageSettings {
            brand: Default::default(),
            theme: crate::pages::Theme::built_in().unwrap(),
        },
        hosts,
    }
}

const LIMITS: SessionSettings = SessionSettings {
    lifetime: Lifetime { idle: Duration::from_secs(600), absolute: Duration::from_secs(3600) },
    max_per_user: 2,
    capacity: 3,
};

fn harness_with(change: impl FnOnce(&mut GatewaySettings)) -> Harness {
    harness_over(None, change)
}

/// A gateway with this session store.
fn harness_over(store: Option<Arc<dyn SessionStore>>, change: impl FnOnce(&mut GatewaySettings)) -> Harness {
    harness_with_keys(Arc::new(MacKeys::generate().unwrap()), store, change)
}

fn harness_with_keys(
    keys: Arc<MacKeys>,
    store: Option<Arc<dyn SessionStore>>,
    change: impl FnOnce(&mut GatewaySettings),
) -> Harness {
    let mut settings = settings();
    change(&mut settings);
    let (clock, clock_handle) = Clock::manual();
    let (log, lines) = Log::to_memory(audit::LogSettings { format: audit::Format::Text, access: true });
    let parts = GatewayParts {
        log,
        clock,
        keys,
        store,
        upstreams: Arc::new(Upstreams::new(tokio::runtime::Handle::current())),
    };
    let gateway = Gateway::new(settings, LIMITS, parts).unwrap();
    Harness { gateway: Arc::new(gateway), clock: clock_handle, lines }
}

fn harness() -> Harness {
    harness_with(|_| {})
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

/// A head with these lines, as it is read from a connection.
fn fields(headers: &HeaderMap) -> HeadFields {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    for (name, value) in headers {
        head.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let bytes = Bytes::from([head.as_slice(), b"\r\n"].concat());
    let read = HeadReader::default().feed(&bytes, &HeadLimits { size: 1 << 20, fields: 1000 }).unwrap().unwrap();
    HeadFields::new(bytes, read.lines)
}

/// The header lines that the application receives for a request with these.
fn sent(forward: &Forward, headers: &HeaderMap) -> HeaderMap {
    let mut lines = BytesMut::new();
    forward.put_request(&mut lines, &fields(headers));
    let bytes = [b"GET / HTTP/1.1\r\n", &*lines, b"\r\n"].concat();
    let read = HeadReader::default().feed(&bytes, &HeadLimits { size: 1 << 20, fields: 1000 }).unwrap().unwrap();
    assert_eq!(read.end, bytes.len(), "only header lines: {:?}", String::from_utf8_lossy(&bytes));
    read.lines.to_map(&bytes.into())
}

impl Harness {
    fn receive(&self, method: &str, target: &str, lines: &[&str]) -> Received {
        self.receive_later(method, target, lines).now_or_never().expect("nothing has to end first")
    }

    async fn receive_later(&self, method: &str, target: &str, lines: &[&str]) -> Received {
        self.receive_on(&Cut::new(), method, target, lines).await
    }

    /// The decision about a request on this connection, after everything that it waits for.
    async fn receive_on(&self, cut: &Arc<Cut>, method: &str, target: &str, lines: &[&str]) -> Received {
        let (lines, peer) = (head(method, lines), Peer::Unix);
        let head = RequestHead::of(&lines, target.as_bytes());
        let (mut exchange, mut received) = self.gateway.receive(head, peer, cut);
        while let Received::Wait(wait) = received {
            received = self.gateway.resume(wait, head, peer, cut, &mut exchange).await;
        }
        received
    }

    /// The gateway's own answer, after everything that it waits for.
    async fn ask(&self, method: &str, target: &str, lines: &[&str], body: &'static str) -> Reply {
        match self.receive_later(method, target, lines).await {
            Received::Answer(reply) => reply,
            Received::BuiltIn(own) => {
                self.gateway.sign_in_or_out(own, async { Ok(Bytes::from_static(body.as_bytes())) }).await
            }
            other => panic!("{method} {target}: {other:?}"),
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

    /// Opens a session without checking a password, and returns its `Cookie` line.
    async fn session_of(&self, user: &str) -> String {
        let sign_in = SignIn::of("test", Identity::new(user, None, None, &[]).unwrap());
        let opened = self.gateway.sessions().open(sign_in, self.gateway.pipeline.clock.now()).await.unwrap();
        format!("Cookie: exeunt={}", opened.id.cookie_value())
    }

    /// Signs in and returns the `Cookie` line.
    async fn sign_in(&self, user: &'static str) -> String {
        let body =
            if user == "bob" { "username=bob&password=wonder+land" } else { "username=alice&password=wonder+land" };
        let reply = self.ask("POST", "/login", &[FORM], body).await;
        assert_eq!(reply.status, 303);
        cookie_line(&reply)
    }
}

/// Lets all tasks run that can.
async fn until_idle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn cookie_line(reply: &Reply) -> String {
    let line = header(reply, "set-cookie").unwrap();
    format!("Cookie: {}", line.split(';').next().unwrap())
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.to_str().unwrap())
}

/// The body, with the templates' escape of slashes undone.
fn text(reply: &Reply) -> String {
    std::str::from_utf8(&reply.body).unwrap().replace("&#x2f;", "/")
}

fn json(reply: &Reply) -> serde_json::Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("no JSON: {}", text(reply)))
}
