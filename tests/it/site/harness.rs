//! A gateway for one test: its sockets are real, its clock is turned by the test.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use exeunt::audit::Log;
use exeunt::config::{self, Settings};
use exeunt::credentials::password::{self, Password};
use exeunt::credentials::user_file::Users;
use exeunt::proxy::listener;
use exeunt::routes::access::Access;
use exeunt::routes::methods::Methods;
use exeunt::routes::pass_headers::PassHeaders;
use exeunt::routes::settings::RouteSettings;
use exeunt::routes::upstream_trust::UpstreamTrust;
use exeunt::service::{Environment, Service};
use exeunt::session::pending::PendingEnds;
use exeunt::session::sign_in::SignIn;
use exeunt::session::store::SessionStore;
use exeunt::values::configured_path::ConfiguredPath;
use exeunt::values::identity::Identity;
use exeunt::values::listen_address::ListenAddress;
use exeunt::values::mac::MacKeys;
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

/// A running gateway.
pub struct Site {
    service: Arc<Service>,
    pub clock: Clock,
    pub clock_handle: ManualClock,
    lines: Lines,
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
        cookies: exeunt::vault::rules::CookieRules::default(),
        idle_paths: Vec::new(),
        logout: Default::default(),
    }
}

/// alice and bob; alice has a group, an address and a name.
fn users() -> Arc<Users> {
    static USERS: LazyLock<Arc<Users>> = LazyLock::new(|| users_of(&users_text()));
    Arc::clone(&USERS)
}

fn users_text() -> String {
    static HASH: LazyLock<String> =
        LazyLock::new(|| password::hash(&Password::new(PASSWORD.to_owned()).unwrap()).unwrap());
    let hash = &*HASH;
    format!(
        "[users.alice]\npassword = \"{hash}\"\ngroups = [\"staff\"]\nemail = \"alice@app.test\"\nname = \"Alice\"\n\
         [users.bob]\npassword = \"{hash}\"\n"
    )
}

/// The same, without this text; without a user from there on where it is a user's header.
pub fn users_without(text: &str) -> Arc<Users> {
    let all = users_text();
    let (before, after) = all.split_once(text).unwrap();
    users_of(&if text.starts_with('[') { before.to_owned() } else { format!("{before}{after}") })
}

fn users_of(text: &str) -> Arc<Users> {
    Arc::new(Users::parse("users.toml".as_ref(), text).unwrap())
}

/// `/` needs a session, `/public` is public, `/staff` needs a group.
pub fn settings(upstreams: &[String]) -> Settings {
    let text = format!(
        "listen = ['127.0.0.1:0']\npublic_url = 'http://app.test'\n[[route]]\nupstream = 'http://127.0.0.1:9'\n\
         [identity]\nheaders = ['x-forwarded']\n[login]\nusers = 'users.toml'\n[logout]\ngrace = '{}s'\n\
         [session]\nidle_timeout = '{}s'\nmax_lifetime = '{}s'\nmax_per_user = 1000\nsessions = 10_000\n",
        GRACE.as_secs(),
        IDLE.as_secs(),
        ABSOLUTE.as_secs(),
    );
    let (mut settings, _) = config::parse("config.toml", &text, "/nowhere".as_ref()).unwrap();
    settings.gateway.users = users();
    settings.gateway.routes = vec![
        route("/", Access::SignedIn, upstreams),
        route("/public", Access::Public, upstreams),
        route("/staff", Access::Groups(vec!["staff".into()]), upstreams),
    ];
    settings
}

/// Logged lines.
type Lines = Arc<parking_lot::Mutex<Vec<String>>>;

/// What a gateway of these settings runs with, the hands of its clock, and what it logs.
fn environment(settings: &Settings) -> (Environment, ManualClock, Lines) {
    let (clock, clock_handle) = Clock::manual();
    let (log, lines) = Log::to_memory(settings.log);
    let listeners = listener::bind(&settings.server.listen).unwrap();
    (Environment { log, clock, keys: MacKeys::generate().unwrap(), listeners }, clock_handle, lines)
}

impl Site {
    /// In front of an echo: `/` needs a session, `/public` is public, `/staff` needs a group.
    pub async fn with_echo() -> (Self, Echo) {
        Self::with_echo_and(|_| {}).await
    }

    pub async fn with_echo_and(change: impl FnOnce(&mut Settings)) -> (Self, Echo) {
        let echo = Echo::start().await;
        (Self::before(&[echo.url()], change), echo)
    }

    /// In front of one upstream.
    pub fn before_one(upstream: SocketAddr) -> Self {
        Self::before(&[format!("http://{upstream}")], |_| {})
    }

    /// In front of these upstreams, with the same routes.
    pub fn before(upstreams: &[String], change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(upstreams);
        change(&mut settings);
        Self::with_settings(settings)
    }

    /// With these settings.
    pub fn with_settings(settings: Settings) -> Self {
        let (environment, clock_handle, lines) = environment(&settings);
        let clock = environment.clock.clone();
        Self { service: Arc::new(Service::start(settings, environment).unwrap()), clock, clock_handle, lines }
    }

    /// The same over a store, with the file of the ends that it has not confirmed.
    pub async fn over(settings: Settings, store: Arc<dyn SessionStore>, pending: &Path) -> Self {
        let (environment, clock_handle, lines) = environment(&settings);
        let (clock, pending) = (environment.clock.clone(), PendingEnds::open(pending).unwrap());
        let service = Service::start_over(settings, environment, (store, pending)).await.unwrap();
        Self { service: Arc::new(service), clock, clock_handle, lines }
    }

    pub fn service(&self) -> Arc<Service> {
        Arc::clone(&self.service)
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

    /// The same for a user with more than a name.
    pub async fn session_as(&self, identity: Identity) -> String {
        let sign_in = SignIn::of("test", identity);
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

    /// Waits until there is this number of access lines with this text, and gives them.
    pub async fn access_lines(&self, count: usize, with: &str) -> Vec<String> {
        let having = || self.lines().into_iter().filter(|line| line.contains("access") && line.contains(with));
        until(|| having().count() >= count).await;
        having().collect()
    }
}

/// The gateway and the server of a site are those of its service.
impl Deref for Site {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        secrets::secret(PASSWORD);
        secrets::lines(&self.lines());
    }
}

/// Waits until a condition holds that causes no event.
pub async fn until(holds: impl Fn() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
