//! A gateway for one test: its sockets are real, its clock is turned by the test.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cookie::SameSite;
use exeunt::admission::cross_site::GetPolicy;
use exeunt::admission::identity_headers::IdentityHeaders;
use exeunt::audit::{self, Log};
use exeunt::credentials::hashing::{self, PasswordChecker};
use exeunt::credentials::password::{self, Password};
use exeunt::credentials::user_file::Users;
use exeunt::gateway::{self, Assembled, Gateway};
use exeunt::http1::cookie::SessionCookie;
use exeunt::logout::run::Pipeline;
use exeunt::pages::{Brand, Theme};
use exeunt::proxy::{Proxy, Server, listener, settings::ServerSettings};
use exeunt::routes::access::Access;
use exeunt::routes::methods::Methods;
use exeunt::routes::pass_headers::PassHeaders;
use exeunt::routes::resolver::Upstreams;
use exeunt::routes::settings::RouteSettings;
use exeunt::routes::upstream_trust::UpstreamTrust;
use exeunt::session::lifetime::Lifetime;
use exeunt::session::record::SignIn;
use exeunt::session::table::{self, SessionTable};
use exeunt::values::client_address::{ClientAddress, TrustedProxies};
use exeunt::values::configured_path::ConfiguredPath;
use exeunt::values::device::Device;
use exeunt::values::identity::{Identity, UserKey};
use exeunt::values::listen_address::ListenAddress;
use exeunt::values::mac::MacKeys;
use exeunt::values::origin::{Origin, Scheme};
use exeunt::values::own_hosts::OwnHosts;
use exeunt::values::own_path::{OwnPages, OwnPath};
use exeunt::values::return_to::{AllowedOrigins, OriginPattern, ReturnTo};
use exeunt::values::time::{Clock, ManualClock};
use exeunt::values::upstream_address::UpstreamAddress;

use super::answer::{Answer, request};
use super::echo::Echo;
use super::secrets;
use crate::server::client::{Client, within};

pub const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
pub const PASSWORD: &str = "wonder land";

/// Idle lifetime of the sessions of tests, absolute lifetime, and the grace of a logout.
pub const IDLE: Duration = Duration::from_secs(600);
pub const ABSOLUTE: Duration = Duration::from_secs(3600);
pub const GRACE: Duration = Duration::from_secs(5);
/// How long an application may take to begin an answer.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// All that a test can set before it starts.
pub struct Setup {
    pub gateway: gateway::GatewaySettings,
    pub server: ServerSettings,
    pub log: audit::Format,
    pub max_per_user: usize,
}

/// A running gateway.
pub struct Site {
    pub server: Server,
    pub gateway: Arc<Gateway>,
    pub clock: Clock,
    pub clock_handle: ManualClock,
    lines: Arc<parking_lot::Mutex<Vec<String>>>,
}

/// A route to these upstreams.
pub fn route(path: &str, access: Access, upstreams: &[String]) -> RouteSettings {
    RouteSettings {
        host: None,
        path: ConfiguredPath::parse(path).unwrap(),
        access,
        basic: false,
        upstreams: upstreams.iter().map(|text| UpstreamAddress::parse(text).unwrap()).collect(),
        trust: UpstreamTrust::none(),
        connect_timeout: Duration::from_secs(5),
        response_timeout: RESPONSE_TIMEOUT,
        upstream_host: None,
        opaque: true,
        case_sensitive: false,
        methods: Methods::default(),
        refuse_cross_site: false,
        origins: Vec::new(),
        service_workers: false,
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        pass_headers: PassHeaders::default(),
        keeps_cache_control: false,
        idle_paths: Vec::new(),
    }
}

/// alice and bob; alice has a group, an address and a name.
fn users() -> Arc<Users> {
    static USERS: LazyLock<Arc<Users>> = LazyLock::new(|| {
        let hash = password::hash(&Password::new(PASSWORD.to_owned()).unwrap()).unwrap();
        let text = format!(
            "[users.alice]\npassword = \"{hash}\"\ngroups = [\"staff\"]\nemail = \"alice@app.test\"\nname = \"Alice\"\n\
             [users.bob]\npassword = \"{hash}\"\n"
        );
        Arc::new(Users::parse("users.toml".as_ref(), &text).unwrap())
    });
    Arc::clone(&USERS)
}

fn settings(upstreams: &[String]) -> gateway::GatewaySettings {
    let hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), []);
    let own = hosts.origins().map(OriginPattern::from);
    let path = |text| OwnPath::parse(text).unwrap();
    gateway::GatewaySettings {
        trusted: TrustedProxies::default(),
        own_pages: OwnPages::new(path("/login"), vec![path("/logout")]).unwrap(),
        cookie: SessionCookie::new("exeunt", Scheme::Http, SameSite::Lax),
        identity: IdentityHeaders::preset("x-forwarded").unwrap(),
        routes: vec![
            route("/", Access::SignedIn, upstreams),
            route("/public", Access::Public, upstreams),
            route("/staff", Access::Groups(vec!["staff".into()]), upstreams),
        ],
        users: users(),
        login: exeunt::login::settings::LoginSettings {
            next: ReturnTo::own("/"),
            ban_max: Duration::from_secs(900),
            return_size: 3500,
            body_limit: 16 * 1024,
            change_password: None,
        },
        logout: exeunt::logout::settings::LogoutSettings {
            get: GetPolicy::Navigate,
            next: None,
            allowed: AllowedOrigins::new(own),
            grace: GRACE,
            clear_site_data: None,
        },
        requests_per_session: 500,
        pages: exeunt::pages::PageSettings { brand: Brand::default(), theme: Theme::built_in().unwrap() },
        hosts,
    }
}

impl Site {
    /// In front of an echo: `/` for who is signed in, `/public` for everybody, `/staff` for a group.
    pub async fn with_echo() -> (Self, Echo) {
        Self::with_echo_and(|_| {}).await
    }

    pub async fn with_echo_and(change: impl FnOnce(&mut Setup)) -> (Self, Echo) {
        let echo = Echo::start().await;
        (Self::before(&[echo.url()], change), echo)
    }

    /// In front of one upstream.
    pub fn before_one(upstream: SocketAddr) -> Self {
        Self::before(&[format!("http://{upstream}")], |_| {})
    }

    /// In front of these upstreams, with the same routes.
    pub fn before(upstreams: &[String], change: impl FnOnce(&mut Setup)) -> Self {
        let server = ServerSettings { listen: vec!["127.0.0.1:0".parse().unwrap()], ..ServerSettings::default() };
        let mut setup = Setup { gateway: settings(upstreams), server, log: audit::Format::Text, max_per_user: 1000 };
        change(&mut setup);
        let (clock, clock_handle) = Clock::manual();
        let (log, lines) = Log::to_memory(audit::LogSettings { format: setup.log, access: true });
        let lifetime = Lifetime { idle: IDLE, absolute: ABSOLUTE };
        let limits = table::SessionSettings { lifetime, max_per_user: setup.max_per_user, capacity: 10_000 };
        let known = Upstreams::new(tokio::runtime::Handle::current());
        let gateway = Arc::new(Gateway::new(
            Assembled::new(setup.gateway, Arc::new(MacKeys::generate().unwrap()), &known, &clock).unwrap(),
            PasswordChecker::new(hashing::HashingSettings::default()).unwrap(),
            Pipeline { sessions: Arc::new(SessionTable::new(limits, None)), log, clock: clock.clone() },
        ));
        let listeners = listener::bind(&setup.server.listen).unwrap();
        let proxy = Proxy::new(Arc::clone(&gateway), &setup.server, clock.clone());
        let server = Server::open(setup.server, listeners, proxy, clock.clone());
        Self { server, gateway, clock, clock_handle, lines }
    }

    pub fn address(&self) -> SocketAddr {
        match self.server.addresses()[0] {
            ListenAddress::Tcp(address) => address,
            ListenAddress::Unix(_) => panic!("a unix socket"),
        }
    }

    pub async fn client(&self) -> Client {
        Client::to(self.address()).await
    }

    /// One exchange on a connection of its own.
    pub async fn ask(&self, method: &str, target: &str, lines: &[&str], body: &str) -> Answer {
        secrets::passwords(body);
        self.client().await.exchange(&request(method, target, lines, body)).await
    }

    pub async fn get(&self, target: &str, lines: &[&str]) -> Answer {
        self.ask("GET", target, lines, "").await
    }

    /// Signs in over the wire and gives the `Cookie` line to send from then on.
    pub async fn sign_in(&self, user: &str) -> String {
        let form = format!("username={user}&password={}", PASSWORD.replace(' ', "+"));
        let answer = self.ask("POST", "/login", &[FORM], &form).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.cookie_line()
    }

    /// A session made without a password to be checked, for tests that need hundreds.
    pub async fn session_of(&self, user: &str) -> String {
        self.session_as(Identity::new(user, None, None, &[]).unwrap()).await
    }

    /// The same for somebody with more than a name.
    pub async fn session_as(&self, identity: Identity) -> String {
        let sign_in = SignIn {
            user: Arc::new(UserKey { source: "test".into(), subject: identity.user().into() }),
            identity: Arc::new(identity),
            stamp: None,
            device: Device::from_user_agent(""),
            address: ClientAddress::Unix,
        };
        let opened = self.gateway.sessions().open(sign_in, self.clock.now()).await.unwrap();
        assert!(opened.evicted.is_empty());
        let cookie = opened.id.cookie_value();
        secrets::secret(&cookie);
        format!("Cookie: exeunt={cookie}")
    }

    pub async fn sign_out(&self, cookie: &str) {
        assert_eq!(self.ask("POST", "/logout", &[cookie], "").await.status, 200);
    }

    /// Turns the clock on, and lets the server and the gateway see it.
    pub async fn advance(&self, time: Duration) {
        self.clock_handle.advance(time);
        self.gateway.reap().await;
        self.server.sweep();
    }

    /// Turns the clock on, second by second, until `future` is done.
    pub async fn turning<F: Future>(&self, future: F) -> F::Output {
        let turn = async {
            loop {
                self.advance(Duration::from_secs(1)).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            output = within(future) => output,
            () = turn => unreachable!(),
        }
    }

    /// The lines that were logged.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// Waits until there are so many access lines with this in them, and gives them.
    pub async fn access_lines(&self, count: usize, with: &str) -> Vec<String> {
        let having = || self.lines().into_iter().filter(|line| line.contains("access") && line.contains(with));
        until(|| having().count() >= count).await;
        having().collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        secrets::secret(PASSWORD);
        secrets::lines(&self.lines());
    }
}

/// Waits until something holds that nobody announces.
pub async fn until(holds: impl Fn() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
