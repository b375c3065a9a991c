//! The gateways, their clients, and what these note.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::kernel_time::now;
use crate::races::history::{At, Ended, History, Lives, Opened, Outcome, Session, Used, Which, Wrongs};
use crate::random::Random;
use crate::restarts::{Answer, PATIENCE, Program, ask, command};

/// Debian's libfaketime: it shows a program the wall time that a file says.
fn wrong_clock() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    libraries.find(|path| path.exists()).expect("libfaketime is missing: apt-get install libfaketime")
}

/// A gateway in a folder of its own, which is started again and again.
pub struct Gateway {
    pub folder: tempfile::TempDir,
    running: Mutex<Option<u32>>,
}

impl Gateway {
    pub fn in_folder(folder: tempfile::TempDir) -> Self {
        fs::write(folder.path().join("clock"), "+0").unwrap();
        Self { folder, running: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn start(&self) -> Program<'_> {
        let mut command = command(self.path(), env!("CARGO_BIN_EXE_exeunt"));
        command.arg("serve").env("LD_PRELOAD", wrong_clock()).env("FAKETIME_TIMESTAMP_FILE", self.path().join("clock"));
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let program = Program::with(self.path(), command);
        *self.running.lock() = Some(program.id());
        program
    }

    /// Has its wall clock be wrong by so much, such as "+3600".
    pub fn clock(&self, by: &str) {
        // As a whole: the program reads it all the time.
        let path: PathBuf = self.path().join("clock");
        fs::write(path.with_extension("new"), by).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    pub fn signal(&self, signal: &str) {
        let id = self.running.lock().unwrap().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
    }
}

/// What all clients know.
#[derive(Default)]
pub struct Clients {
    history: Mutex<History>,
    /// The cookies of all sessions that were answered.
    cookies: Mutex<Vec<String>>,
    operations: AtomicUsize,
    over: AtomicBool,
}

/// What the history says.
#[derive(Debug)]
pub struct Verdict {
    pub wrongs: Wrongs,
    pub signed_in: usize,
    pub signed_out: usize,
    pub served: usize,
    pub refused: usize,
    /// Requests that got no answer, or one that says neither.
    pub unclear: usize,
}

/// The form of a sign-in.
const SIGN_IN: &str = "username=alice&password=wonder+land";
/// Sessions that are asked for in the end.
const LAST: usize = 60;

/// Sessions live for longer than a test, whatever the clocks show.
const LIVES: Lives = Lives { idle: Duration::from_secs(1 << 30), absolute: Duration::from_secs(1 << 30) };

impl Clients {
    /// Runs this number of clients while `nemesis` runs.
    pub fn run(&self, gateways: &[&Gateway], clients: u64, nemesis: impl FnOnce()) {
        std::thread::scope(|scope| {
            for seed in 1..=clients {
                scope.spawn(move || Client { all: self, gateways, random: Random::seeded(seed) }.work());
            }
            // Also where a test fails: its clients must not go on for ever.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(nemesis));
            self.over.store(true, Ordering::SeqCst);
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    /// Waits until the clients have done this number of further operations, answered or not.
    pub fn go_on(&self, operations: usize) {
        let until = self.operations.load(Ordering::SeqCst) + operations;
        let begun = Instant::now();
        while self.operations.load(Ordering::SeqCst) < until {
            assert!(begun.elapsed() < PATIENCE, "the clients hang");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last sessions once more at every gateway, where all is well again; then the verdict. Not all of them:
    /// gateways limit the rate of lookups of unknown keys.
    pub fn judge(&self, gateways: &[(&Gateway, &Program<'_>)]) -> Verdict {
        for (number, cookie) in self.cookies.lock().iter().enumerate().rev().take(LAST) {
            for (_, program) in gateways {
                let asked = at();
                let status = program.known_status(cookie);
                self.used(number, asked, outcome(Some(status)));
            }
        }
        let history = self.history.lock();
        let count = |outcome| history.used.iter().filter(|used| used.outcome == outcome).count();
        Verdict {
            wrongs: history.check(LIVES),
            signed_in: history.opened.len(),
            signed_out: history.ended.iter().filter(|ended| ended.answered.is_some()).count(),
            served: count(Outcome::Served),
            refused: count(Outcome::Refused),
            unclear: count(Outcome::Unclear),
        }
    }

    fn used(&self, session: Session, asked: At, outcome: Outcome) {
        self.history.lock().used.push(Used { session, asked, answered: at(), outcome });
    }
}

struct Client<'a> {
    all: &'a Clients,
    gateways: &'a [&'a Gateway],
    random: Random,
}

impl Client<'_> {
    fn work(mut self) {
        while !self.all.over.load(Ordering::SeqCst) {
            self.act();
        }
    }

    /// Asks a gateway. One that does not run is asked again a moment later.
    fn exchange(&self, gateway: &Path, method: &str, target: &str, cookie: &str, body: &str) -> Option<Answer> {
        let answer = ask(gateway, method, target, cookie, body);
        match &answer {
            Some(_) => _ = self.all.operations.fetch_add(1, Ordering::SeqCst),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
        answer
    }

    fn act(&mut self) {
        let gateway = self.gateways[self.random.below(self.gateways.len())].path();
        let known = self.all.cookies.lock().len();
        match self.random.below(10) {
            _ if known < 8 => self.sign_in(gateway),
            0..2 => self.sign_in(gateway),
            // Mostly one of the last ones, which another client may be using or ending.
            2..4 => {
                let one = known - 1 - self.random.below(8);
                self.sign_out(gateway, one);
            }
            4..8 => {
                let one = known - 1 - self.random.below(8);
                self.ask(gateway, one);
            }
            _ => {
                let any = self.random.below(known);
                self.ask(gateway, any);
            }
        }
    }

    fn sign_in(&self, gateway: &Path) {
        let asked = at();
        let answer = self.exchange(gateway, "POST", "/login", "", SIGN_IN).filter(|answer| answer.status == 303);
        let Some(cookie) = answer.and_then(|answer| answer.cookie) else { return };
        let mut cookies = self.all.cookies.lock();
        self.all.history.lock().opened.push(Opened { user: 0, asked, answered: at() });
        cookies.push(cookie);
    }

    fn sign_out(&self, gateway: &Path, session: Session) {
        let cookie = self.all.cookies.lock()[session].clone();
        let asked = at();
        let answer = self.exchange(gateway, "POST", "/logout", &cookie, "");
        let answered = answer.is_some_and(|answer| [200, 303].contains(&answer.status)).then(at);
        self.all.history.lock().ended.push(Ended { which: Which::One(session), asked, answered });
    }

    fn ask(&self, gateway: &Path, session: Session) {
        let cookie = self.all.cookies.lock()[session].clone();
        let asked = at();
        let answer = self.exchange(gateway, "GET", "/", &cookie, "");
        self.all.used(session, asked, outcome(answer.map(|answer| answer.status)));
    }
}

fn outcome(status: Option<u16>) -> Outcome {
    match status {
        Some(200) => Outcome::Served,
        Some(303 | 401) => Outcome::Refused,
        _ => Outcome::Unclear,
    }
}

/// Now, by the test's clock, which stands still.
fn at() -> At {
    At { time: now(), clock: Duration::ZERO }
}
