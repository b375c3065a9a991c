//! How soon another gateway knows of a sign-out: two gateways on one Redis server, which writes each change to disk as
//! the documents ask for. Clients sign in at the first one and sign out there, while each of them asks the second one
//! again and again. Fails if that accepts a request that began after the first one's answer, or if it refuses later
//! than 50 ms in more than one of a hundred cases. `cargo bench --bench shared_end [-- SESSIONS]`; needs redis-server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should stop"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const SESSIONS: usize = 2000;
/// Clients at the same time, in one run each.
const CLIENTS: [usize; 2] = [1, 8];
/// Between an answer of the second gateway and the next request to it. It is a part of what is measured.
const PAUSE: Duration = Duration::from_micros(200);
/// At 99 %.
const LIMIT: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);

const SIGN_IN: &str = "username=alice&password=wonderland";
const CONFIGURATION: &str = "\
listen = ['unix:http.sock']
public_url = 'http://localhost'
trusted_proxies = ['unix']
[[route]]
upstream = 'http://127.0.0.1:9'
[login]
users = 'users.htpasswd'
[session]
max_per_user = 10_000
store = 'redis+unix://";
const REST: &str = "'
[admin]
listen = ''
[log]
access = false
";

/// Killed with the measurement.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn redis(folder: &Path) -> Part {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "yes"]);
    command.args(["--appendfsync", "always"]).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("redis-server is missing: apt-get install redis-server");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let part = Part(child);
    assert!(lines.any(|line| line.unwrap().contains("ready to accept connections at")), "redis-server does not start");
    thread::spawn(move || lines.count());
    part
}

/// Starts a gateway with the users of the folder, and waits until somebody can sign in.
fn gateway(folder: &Path) -> Part {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exeunt"));
    let log = File::create(folder.join("log")).unwrap();
    command.arg("serve").current_dir(folder).env_remove("STATE_DIRECTORY").stdin(Stdio::null()).stderr(log);
    let part = Part(command.spawn().unwrap());
    let begun = Instant::now();
    let serves = || {
        let mut client = Client::connect(&folder.join("http.sock")).ok()?;
        (client.ask("POST", "/login", None, SIGN_IN).0 == 303).then_some(())
    };
    while serves().is_none() {
        assert!(begun.elapsed() < PATIENCE, "{}", fs::read_to_string(folder.join("log")).unwrap());
        thread::sleep(Duration::from_millis(20));
    }
    part
}

/// A kept connection to a gateway, as a proxy in front has.
struct Client {
    stream: BufReader<UnixStream>,
    /// Whose requests it brings. A gateway limits how many unknown keys one address may present.
    address: Ipv4Addr,
}

impl Client {
    fn connect(socket: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), address: Ipv4Addr::LOCALHOST })
    }

    /// The status, and the session cookie that the answer sets.
    fn ask(&mut self, method: &str, target: &str, cookie: Option<&str>, form: &str) -> (u16, Option<String>) {
        let cookie = cookie.map(|cookie| format!("Cookie: exeunt={cookie}\r\n")).unwrap_or_default();
        let body = if method == "POST" {
            let length = form.len();
            format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}")
        } else {
            "\r\n".to_owned()
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {}\r\n", self.address);
        let request = [&*head, &*cookie, &*body].concat();
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> (u16, Option<String>) {
        let (mut status, mut length, mut cookie) = (0, 0, None);
        for number in 0.. {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "the connection ended");
            let line = line.trim_end();
            match line.split_once(": ") {
                _ if number == 0 => status = line.split(' ').nth(1).unwrap().parse().unwrap(),
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                Some((_, value)) => {
                    let set = value.strip_prefix("exeunt=").and_then(|value| value.split(';').next());
                    cookie = cookie.or(set.map(str::to_owned));
                }
            }
        }
        self.stream.read_exact(&mut vec![0; length]).unwrap();
        (status, cookie)
    }

    fn accepts(&mut self, cookie: &str) -> bool {
        match self.ask("GET", "/.exeunt/session", Some(cookie), "").0 {
            200 => true,
            401 => false,
            status => panic!("status {status}"),
        }
    }
}

/// What the second gateway answered.
struct Watched {
    /// When the last request began that it accepted.
    accepted: Instant,
    /// When the first refusal was there.
    refused: Instant,
}

/// Asks until a request was refused that began after the first gateway's answer.
fn watch(client: &mut Client, cookie: &str, answered: &AtomicBool, known: &mpsc::Sender<()>) -> Watched {
    let (since, mut accepted, mut refused) = (Instant::now(), None, None);
    loop {
        let (last, begun) = (answered.load(Ordering::Acquire), Instant::now());
        match client.accepts(cookie) {
            true => {
                accepted = Some(begun);
                known.send(()).unwrap();
            }
            false => refused = refused.or(Some(Instant::now())),
        }
        match (accepted, refused) {
            (Some(accepted), Some(refused)) if last => return Watched { accepted, refused },
            _ => assert!(since.elapsed() < PATIENCE, "the session is still accepted"),
        }
        thread::sleep(PAUSE);
    }
}

/// One session.
struct End {
    /// From the request to sign out to its answer.
    answered: Duration,
    /// To the second gateway's first refusal.
    refused: Duration,
    /// How late it accepted a request, after the answer.
    late: Option<Duration>,
}

/// Of so many sign-ins with one name at the same time some are refused for the moment.
fn sign_in(client: &mut Client) -> String {
    let begun = Instant::now();
    loop {
        match client.ask("POST", "/login", None, SIGN_IN) {
            (303, cookie) => return cookie.unwrap(),
            (status, _) => assert!(status == 429 && begun.elapsed() < PATIENCE, "status {status}"),
        }
        thread::sleep(PAUSE);
    }
}

fn end_one(one: &mut Client, other: &mut Client, address: Ipv4Addr) -> End {
    (one.address, other.address) = (address, address);
    let cookie = sign_in(one);
    let (answered, (known, knows)) = (AtomicBool::new(false), mpsc::channel());
    thread::scope(|scope| {
        let watching = scope.spawn(|| watch(other, &cookie, &answered, &known));
        knows.recv_timeout(PATIENCE).unwrap();
        let begun = Instant::now();
        let (status, _) = one.ask("POST", "/logout", Some(&cookie), "");
        let done = Instant::now();
        answered.store(true, Ordering::Release);
        assert_eq!(status, 200);
        let Watched { accepted, refused } = watching.join().unwrap();
        let late = accepted.checked_duration_since(done).filter(|late| !late.is_zero());
        End { answered: done - begun, refused: refused - begun, late }
    })
}

fn report(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let ms = |part: f64| at(part).as_secs_f64() * 1000.0;
    println!("  {what}: {:.2} ms in the median, {:.2} at 99 %, {:.2} at most", ms(0.5), ms(0.99), ms(1.0));
    at(0.99)
}

/// Whether all is as it should be.
fn measure(clients: usize, sessions: usize, sockets: &[PathBuf; 2]) -> bool {
    let each = sessions.div_ceil(clients);
    let run = |client: usize| {
        let [mut one, mut other] = [0, 1].map(|number: usize| Client::connect(&sockets[number]).unwrap());
        let address = |number: usize| Ipv4Addr::from(0x0a00_0000 | (client * each + number) as u32);
        (0..each).map(|number| end_one(&mut one, &mut other, address(number))).collect::<Vec<_>>()
    };
    let ends: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = (0..clients).map(|client| scope.spawn(move || run(client))).collect();
        all.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    println!("{} sign-outs, {clients} at the same time:", ends.len());
    let refused = report("the other gateway refuses", ends.iter().map(|end| end.refused).collect());
    report("the sign-out is answered", ends.iter().map(|end| end.answered).collect());
    let late = ends.iter().filter_map(|end| end.late).max();
    if let Some(late) = late {
        println!("  TOO LATE: a request was accepted that began {late:?} after the answer");
    }
    if refused > LIMIT {
        println!("  TOO MUCH: at most {LIMIT:?} at 99 %");
    }
    late.is_none() && refused <= LIMIT
}

fn main() -> ExitCode {
    let sessions = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(SESSIONS);
    let (server, folders) = (tempfile::tempdir().unwrap(), [(); 2].map(|()| tempfile::tempdir().unwrap()));
    let _redis = redis(server.path());
    let users = format!("alice:{}\n", bcrypt::hash("wonderland", 4).unwrap());
    let mut gateways = Vec::new();
    for folder in &folders {
        let place = |name: &str| folder.path().join(name);
        let store = server.path().join("redis.sock");
        fs::write(place("config.toml"), format!("{CONFIGURATION}{}{REST}", store.display())).unwrap();
        fs::write(place("users.htpasswd"), &users).unwrap();
        fs::set_permissions(place("users.htpasswd"), fs::Permissions::from_mode(0o600)).unwrap();
        if !gateways.is_empty() {
            fs::copy(folders[0].path().join("exeunt.key"), place("exeunt.key")).unwrap();
        }
        gateways.push(gateway(folder.path()));
    }
    let sockets = [0, 1].map(|number: usize| folders[number].path().join("http.sock"));
    let fine = CLIENTS.map(|clients| measure(clients, sessions, &sockets));
    if fine.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
