//! What others notice while an operator ends all sessions of one user: a gateway with a million sessions in memory, one
//! user with ten thousand of them, and clients of other users who ask all the time.
//! `cargo bench --bench revoke [-- SESSIONS]`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should stop"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use exeunt::admin::client::ask;
use exeunt::admin::{AdminSettings, AdminSocket, Reload, ReloadRefused, ReloadReport};
use exeunt::audit::Log;
use exeunt::config;
use exeunt::proxy::listener;
use exeunt::service::{Environment, Service};
use exeunt::session::sign_in::SignIn;
use exeunt::values::identity::Identity;
use exeunt::values::listen_address::ListenAddress;
use exeunt::values::mac::MacKeys;
use exeunt::values::time::Clock;
use http::Method;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SESSIONS: usize = 1_000_000;
/// Those of the one user: as many as `max_per_user` allows at most.
const OF_THE_ONE: usize = 10_000;
/// Other users who ask, each over a connection of its own.
const CLIENTS: usize = 4;
/// The quiet time that is compared with, and the longest that is waited for the end.
const QUIET: Duration = Duration::from_secs(5);

const CONFIGURATION: &str = "\
listen = ['127.0.0.1:0']
public_url = 'http://localhost'
[[route]]
upstream = 'http://127.0.0.1:9'
[login]
users = 'users.toml'
[session]
max_per_user = 10_000
sessions = 2_000_000
store = 'memory'
[log]
access = false
[audit]
file = 'audit.jsonl'
";

#[derive(Debug)]
struct NoReload;

#[async_trait]
impl Reload for NoReload {
    async fn reload(self: Arc<Self>) -> Result<ReloadReport, ReloadRefused> {
        Err(ReloadRefused { report: String::new() })
    }
}

/// The value of the new session's cookie.
async fn open(service: &Service, name: &str, clock: &Clock) -> String {
    let sign_in = SignIn::of("file", Identity::new(name, None, None, &[]).unwrap());
    service.gateway.sessions().open(sign_in, clock.now()).await.unwrap().id.cookie_value()
}

/// Asks who is signed in, again and again, and notes when each answer came and how long it took.
fn client(address: &str, cookie: &str, done: &AtomicBool) -> Vec<(Instant, Duration)> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET /.exeunt/session HTTP/1.1\r\nHost: localhost\r\nCookie: exeunt={cookie}\r\n\r\n");
    let (mut buffer, mut times) = ([0; 8192], Vec::new());
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        let count = stream.read(&mut buffer).unwrap();
        assert!(buffer[..count].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer[..count]));
        times.push((begun, begun.elapsed()));
        std::thread::sleep(Duration::from_millis(1));
    }
    times
}

fn report(what: &str, times: impl Iterator<Item = Duration>, took: Duration) {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    let rate = times.len() as f64 / took.as_secs_f64();
    println!(
        "{what}: {rate:.0} answers a second, {:.2} ms in the median, {:.2} at 99 %, {:.2} at most",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

async fn measure(folder: &Path, sessions: usize) {
    let (settings, _) = config::parse("config.toml", CONFIGURATION, folder).unwrap();
    let (log, clock) = (Log::to_memory(settings.log).0, Clock::system());
    let listeners = listener::bind(&settings.server.listen).unwrap();
    let environment = Environment { log, clock: clock.clone(), keys: MacKeys::generate().unwrap(), listeners };
    let service = Service::start(settings, environment).unwrap();
    let ListenAddress::Tcp(address) = service.server.addresses()[0].clone() else { panic!("not over TCP") };
    for number in 0..sessions - OF_THE_ONE {
        open(&service, &format!("user{}", number / 10), &clock).await;
    }
    for _ in 0..OF_THE_ONE {
        open(&service, "one", &clock).await;
    }
    let path = folder.join("admin.sock");
    let socket = AdminSocket::bind(&AdminSettings { path: path.clone(), group: None }).unwrap();
    tokio::spawn(socket.serve(Arc::clone(&service.gateway), Arc::new(NoReload), std::future::pending()));
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (cookie, done) = (open(&service, &format!("client{number}"), &clock).await, Arc::clone(&done));
        clients.push(std::thread::spawn(move || client(&address.to_string(), &cookie, &done)));
    }
    tokio::time::sleep(QUIET).await;
    let begun = Instant::now();
    let (status, receipts) = ask(&path, Method::DELETE, "/users/one/sessions").await.unwrap();
    let ended = Instant::now();
    done.store(true, Ordering::Relaxed);
    assert_eq!((status.as_u16(), receipts.as_array().unwrap().len()), (200, OF_THE_ONE));
    let times: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let during = |(at, took): &(Instant, Duration)| *at + *took > begun && *at < ended;
    println!("{OF_THE_ONE} of {sessions} sessions ended in {:.2} s, receipts included", (ended - begun).as_secs_f64());
    report("others before", times.iter().filter(|time| !during(time)).map(|(_, took)| *took), QUIET);
    report("others meanwhile", times.iter().filter(|time| during(time)).map(|(_, took)| *took), ended - begun);
}

#[tokio::main]
async fn main() {
    let given = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let sessions = given.unwrap_or(SESSIONS).max(2 * OF_THE_ONE);
    let folder = tempfile::tempdir().unwrap();
    tokio::time::timeout(Duration::from_secs(600), measure(folder.path(), sessions)).await.unwrap();
}
