//! The load, and the tests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use exeunt::config::Settings;
use exeunt::credentials::user_file::Users;
use exeunt::credentials::user_file::htpasswd::WeakHashes;
use exeunt::routes::access::Access;
use exeunt::session::store::sqlite::SqliteStore;
use exeunt::values::session_id::SessionKey;
use exeunt::values::time::Moment;
use http::Method;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use super::application::{Application, PUBLIC, name_of, path_of, public_path};
use super::browser::{Browser, Given};
use super::history::{At, Ended, History, Lives, Opened, Outcome, Session, Used, Which, Wrongs};
use crate::admin::Office;
use crate::kernel_time::{Nanos, Timed, now};
use crate::random::Random;
use crate::site::answer::request;
use crate::site::harness::{ABSOLUTE, FORM, IDLE, Site, route, settings};

const USERS: usize = 1000;
const BROWSERS: usize = 600;
const THREADS: usize = 16;
/// The first ones are used as often as all together.
const BUSY: usize = 24;
/// After this number of operations the clock is advanced by this step.
const TURN: usize = 100;
const BY: Duration = Duration::from_secs(30);
/// bcrypt of "open sesame" with its least cost.
const HASH: &str = "$2y$04$kdobx0du3W5uscfIgeVS0uHM65Dfc09xmpm6upiSeD3A5RXBnoNX2";
const PASSWORD: &str = "open+sesame";

struct Load {
    runtime: Runtime,
    site: Site,
    office: Office,
    begun: Moment,
    application: Application,
    browsers: Vec<Browser>,
    history: Mutex<History>,
    /// Sessions that a browser was given, for requests with a copy of its cookie.
    copies: Mutex<Vec<Given>>,
    operations: AtomicUsize,
    requests: AtomicUsize,
    /// The sessions by the handles that the log names.
    handles: Mutex<HashMap<String, Session>>,
    /// How many of each operation were answered as done.
    done: Mutex<BTreeMap<Operation, usize>>,
}

/// What users and operators do to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    SignIn,
    /// The user of the browser signs in again.
    SignInAgain,
    /// Another user signs in.
    Switch,
    SignOut,
    SignOutEverywhere,
    EndOthers,
    Revoke,
}

impl Operation {
    const ALL: [Self; 7] = [
        Self::SignIn,
        Self::SignInAgain,
        Self::Switch,
        Self::SignOut,
        Self::SignOutEverywhere,
        Self::EndOthers,
        Self::Revoke,
    ];
}

/// One thread, with its connection and its random numbers.
struct Client<'a> {
    load: &'a Load,
    connection: Timed,
    random: Random,
}

/// An answer's status and head.
struct Answer {
    status: u16,
    head: String,
    at: At,
}

impl Load {
    fn start(store: Option<SqliteStore>, folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        let application = Application::start();
        let url = [format!("http://{}", application.address)];
        let mut settings = settings(&url);
        settings.gateway.routes = vec![route("/", Access::SignedIn, &url), route(PUBLIC, Access::Public, &url)];
        adapt(&mut settings);
        let (site, office) = runtime.block_on(async {
            let site = match store {
                Some(store) => Site::over(settings, Arc::new(store), &folder.join("pending")).await,
                None => Site::with_settings(settings),
            };
            let office = Office::of(&site);
            (site, office)
        });
        Self {
            begun: site.clock.now(),
            runtime,
            site,
            office,
            application,
            browsers: (0..BROWSERS).map(|number| Browser::new(number % 2 == 0)).collect(),
            history: Mutex::default(),
            copies: Mutex::default(),
            operations: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            handles: Mutex::default(),
            done: Mutex::default(),
        }
    }

    fn clock(&self) -> Duration {
        self.site.clock.now().duration_since(self.begun)
    }

    /// The sessions whose receipts say that a head was still being written.
    fn given_up(&self) -> HashSet<Session> {
        let lines = self.site.lines().into_iter().filter(|line| line.contains("cut:timed_out"));
        let handles = self.handles.lock();
        let handle = |line: String| line.split(" session=").nth(1)?.split(' ').next().map(str::to_owned);
        lines.filter_map(handle).map(|handle| handles[&handle]).collect()
    }

    fn count(&self, operation: Operation) {
        *self.done.lock().entry(operation).or_default() += 1;
    }

    /// Read before something is asked for: the clock first.
    fn before(&self) -> At {
        let clock = self.clock();
        At { clock, time: now() }
    }

    /// An answer came at this time: the clock after.
    fn after(&self, time: Nanos) -> At {
        At { time, clock: self.clock() }
    }

    /// The number of requests of all threads together.
    fn run(&self, requests: usize) {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut client = Client::of(self);
                    while self.requests.load(Ordering::Relaxed) < requests {
                        client.act();
                    }
                });
            }
        });
    }
}

/// 1,000 users with a cheap password, who come through a proxy that is believed, and no deadline but those of sessions.
fn adapt(settings: &mut Settings) {
    let text: String = (0..USERS).map(|user| format!("{}:{HASH}\n", name_of(user))).collect();
    settings.gateway.users = Arc::new(Users::parse_any("htpasswd".as_ref(), &text, WeakHashes::Refuse).unwrap());
    settings.gateway.trusted.networks = vec![IpAddr::from([127, 0, 0, 1]).into()];
    let never = Duration::from_secs(10_000_000);
    let server = &mut settings.server;
    for timeout in [&mut server.head_timeout, &mut server.idle_timeout, &mut server.silent_timeout] {
        *timeout = never;
    }
    (server.send_timeout, server.body_timeout, server.upstream_idle) = (never, never, never);
    settings.gateway.routes.iter_mut().for_each(|route| route.response_timeout = never);
    settings.log.access = false;
}

impl<'a> Client<'a> {
    fn of(load: &'a Load) -> Self {
        Self { load, connection: Timed::to(load.site.address()), random: Random::new() }
    }

    fn act(&mut self) {
        if self.load.operations.fetch_add(1, Ordering::Relaxed) % TURN == TURN - 1 {
            self.load.runtime.block_on(self.load.site.advance(BY));
        }
        let among = if self.random.below(2) == 0 { BUSY } else { BROWSERS };
        let load = self.load;
        let browser = &load.browsers[self.random.below(among)];
        let _turn = browser.turn.as_ref().map(Mutex::lock);
        match self.random.below(1000) {
            0..70 => self.sign_in(browser),
            70..110 => self.sign_out(browser, "/logout"),
            110..115 => self.sign_out(browser, "/logout?everywhere=1"),
            115..120 => self.end_others(browser),
            120..125 => self.revoke(),
            125..150 => self.ask_without_a_session(browser),
            150..230 => self.show_a_copy(),
            _ => self.ask(browser),
        }
    }

    /// Sends a request and reads its answer; `None` where the connection was closed instead.
    fn exchange(&mut self, method: &str, target: &str, lines: &[&str], body: &str) -> Option<Answer> {
        self.load.requests.fetch_add(1, Ordering::Relaxed);
        let form = if body.is_empty() { vec![] } else { vec![FORM] };
        let text = request(method, target, &[lines, &form].concat(), body);
        let answer = self.connection.say(&text).then(|| self.answer()).flatten();
        if answer.is_none() {
            self.connection = Timed::to(self.load.site.address());
        }
        answer
    }

    fn answer(&mut self) -> Option<Answer> {
        let (head, at) = self.connection.head()?;
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |text| text.parse().unwrap());
        self.connection.body(length)?;
        let closes = lower.contains("connection: close");
        if closes {
            self.connection = Timed::to(self.load.site.address());
        }
        Some(Answer { status: head[9..12].parse().unwrap(), head, at: self.load.after(at) })
    }

    fn ask(&mut self, browser: &Browser) {
        let (given, line) = browser.now();
        let Some(given) = given else { return self.sign_in(browser) };
        let answer = self.use_it(&given, &line, browser.turn.is_some());
        answer.iter().for_each(|answer| browser.take(&answer.head, no_sign_in));
        if answer.is_some_and(|answer| answer.status == 401) && self.random.below(2) == 0 {
            self.sign_in(browser);
        }
    }

    /// Another client has the cookie, of a session that is live or has ended.
    fn show_a_copy(&mut self) {
        let copies = self.load.copies.lock();
        if copies.is_empty() {
            return;
        }
        // Mostly one of the last ones.
        let back = if self.random.below(2) == 0 { copies.len().min(100) } else { copies.len() };
        let given = copies[copies.len() - 1 - self.random.below(back)].clone();
        drop(copies);
        self.use_it(&given, &format!("Cookie: exeunt={}", given.value), false);
    }

    /// A request in the name of this session.
    fn use_it(&mut self, given: &Given, line: &str, in_order: bool) -> Option<Answer> {
        let asked = self.load.before();
        let answer = self.exchange("GET", &path_of(given.session, given.user, in_order), &[line], "");
        let outcome = match answer.as_ref().map(|answer| answer.status) {
            Some(200) => Outcome::Served,
            Some(303 | 401) => Outcome::Refused,
            _ => Outcome::Unclear,
        };
        let answered = answer.as_ref().map_or_else(|| self.load.after(now()), |answer| answer.at);
        self.load.history.lock().used.push(Used { session: given.session, asked, answered, outcome });
        answer
    }

    fn ask_without_a_session(&mut self, browser: &Browser) {
        let (None, line) = browser.now() else { return self.ask(browser) };
        self.exchange("GET", public_path(browser.turn.is_some()), &[&line], "");
    }

    /// Signs a user in, who replaces the one that may be signed in.
    fn sign_in(&mut self, browser: &Browser) {
        let (before, line) = browser.now();
        let again = before.as_ref().filter(|_| self.random.below(4) == 0).map(|before| before.user);
        let user = again.unwrap_or_else(|| self.random.below(USERS));
        let from = format!("X-Forwarded-For: 10.0.{}.{}", user / 250, user % 250);
        let asked = self.load.before();
        let body = format!("username={}&password={PASSWORD}", name_of(user));
        let answer = self.exchange("POST", "/login", &[&line, &from], &body);
        // A refusal may tell the browser to delete cookies of an ended session.
        answer.iter().filter(|answer| answer.status != 303).for_each(|answer| browser.take(&answer.head, no_sign_in));
        let answer = answer.filter(|answer| answer.status == 303);
        if let Some(before) = &before {
            self.ended(Which::One(before.session), asked, answer.as_ref().map(|answer| answer.at));
        }
        let Some(answer) = answer else { return };
        self.load.count(match &before {
            None => Operation::SignIn,
            Some(before) if before.user == user => Operation::SignInAgain,
            Some(_) => Operation::Switch,
        });
        browser.take(&answer.head, |value| {
            let mut history = self.load.history.lock();
            history.opened.push(Opened { user, asked, answered: answer.at });
            let given = Given { session: history.opened.len() - 1, user, value: value.to_owned() };
            let earlier = before.as_ref().filter(|before| before.user == user);
            history.successions.extend(earlier.map(|before| (before.session, given.session)));
            drop(history);
            let handle = SessionKey::of_cookie_value(value.as_bytes()).unwrap().handle();
            self.load.handles.lock().insert(handle.as_str().to_owned(), given.session);
            if browser.turn.is_none() {
                self.load.copies.lock().push(given.clone());
            }
            given
        });
    }

    fn sign_out(&mut self, browser: &Browser, target: &str) {
        let (given, line) = browser.now();
        let asked = self.load.before();
        let answer = self.exchange("POST", target, &[&line], "");
        answer.iter().for_each(|answer| browser.take(&answer.head, no_sign_in));
        let answer = answer.filter(|answer| answer.status == 200);
        let Some(given) = given else { return };
        let everywhere = target.contains("everywhere");
        if answer.is_some() {
            self.load.count(if everywhere { Operation::SignOutEverywhere } else { Operation::SignOut });
        }
        self.ended(Which::One(given.session), asked, answer.map(|answer| answer.at));
        if everywhere {
            // Where the session was over already, nothing else has ended.
            self.ended(Which::AllOf(given.user), asked, None);
        }
    }

    /// Ends all sessions of a user but that of this browser.
    fn end_others(&mut self, browser: &Browser) {
        let (Some(given), line) = browser.now() else { return };
        let asked = self.load.before();
        let answer = self.exchange("POST", "/.exeunt/sessions", &[&line], "end=others");
        answer.iter().for_each(|answer| browser.take(&answer.head, no_sign_in));
        let done = answer.filter(|answer| answer.status == 200).map(|answer| answer.at);
        if done.is_some() {
            self.load.count(Operation::EndOthers);
        }
        self.ended(Which::Others(given.user, given.session), asked, done);
        self.used(&given, asked, done);
    }

    /// That asks for something, too: whether it counts as a use does not matter here.
    fn used(&self, given: &Given, asked: At, answered: Option<At>) {
        let answered = answered.unwrap_or_else(|| self.load.after(now()));
        self.load.history.lock().used.push(Used { session: given.session, asked, answered, outcome: Outcome::Unclear });
    }

    /// An operator ends all sessions of a user.
    fn revoke(&mut self) {
        let copies = self.load.copies.lock();
        let Some(given) = copies.last().cloned() else { return };
        drop(copies);
        let asked = self.load.before();
        let target = format!("/users/{}/sessions", name_of(given.user));
        let (status, _) = self.load.runtime.block_on(self.load.office.ask(Method::DELETE, &target));
        if status == 200 {
            self.load.count(Operation::Revoke);
        }
        self.ended(Which::AllOf(given.user), asked, (status == 200).then(|| self.load.after(now())));
    }

    fn ended(&self, which: Which, asked: At, answered: Option<At>) {
        self.load.history.lock().ended.push(Ended { which, asked, answered });
    }
}

/// Only a sign-in gives a session.
fn no_sign_in(_: &str) -> Given {
    panic!("a session without a sign-in")
}

/// As many requests as EXEUNT_REQUESTS says, and nothing that must not be.
fn nothing_goes_wrong(store: Option<SqliteStore>, folder: &Path) {
    let (load, begun) = (Load::start(store, folder), Instant::now());
    let requests = std::env::var("EXEUNT_REQUESTS").map_or(15_000, |requests| requests.parse().unwrap());
    load.run(requests);
    let took = begun.elapsed();
    let mut history = std::mem::take(&mut *load.history.lock());
    let mut seen = load.application.seen.lock();
    history.heads = std::mem::take(&mut seen.heads);
    history.given_up = load.given_up();
    let (wrongs, expired) = (history.check(Lives { idle: IDLE, absolute: ABSOLUTE }), history.expired());
    let count = |outcome| history.used.iter().filter(|used| used.outcome == outcome).count();
    let (served, refused, done) = (count(Outcome::Served), count(Outcome::Refused), load.done.lock());
    let (wrong, foreign, untimed) = (&seen.wrong_identities, &seen.foreign_cookies, seen.untimed);
    println!(
        "{} requests in {took:.0?}: {done:?}, {expired} sessions found expired; {served} served, {refused} refused, \
         {untimed} at an unknown time, {} of nobody, {} with a kept cookie; {} ends did not wait for a head; \
         {wrongs:?}, {} wrong identities, {} foreign cookies",
        load.requests.load(Ordering::Relaxed),
        seen.anonymous,
        seen.with_jar,
        history.given_up.len(),
        wrong.len(),
        foreign.len(),
    );
    assert_eq!((wrong.first(), foreign.first()), (None, None));
    assert_eq!(wrongs, Wrongs::default());
    let enough = [history.opened.len(), history.ended.len(), served, refused, seen.with_jar];
    assert!(enough.into_iter().all(|count| count > requests / 50), "too little of something to say anything");
    let rare = Operation::ALL.map(|operation| done.get(&operation).copied().unwrap_or_default());
    let is_mixed = rare.into_iter().chain([expired]).all(|count| count > requests / 1000);
    assert!(is_mixed && untimed < requests / 100, "too little of an operation to say anything");
}

#[test]
fn concurrent_users_with_sessions_in_memory() {
    nothing_goes_wrong(None, Path::new(""));
}

#[test]
fn concurrent_users_with_sessions_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("sessions.db")).unwrap();
    nothing_goes_wrong(Some(store), folder.path());
}
