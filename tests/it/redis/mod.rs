//! Gateways that share their sessions on a Redis server: what ends at one ends at all, and while they cannot know of
//! each other, none lets anybody in.

pub(crate) mod cluster;
mod failover;
mod front;
pub(crate) mod group;
mod hosts;
pub(crate) mod jars;
mod outages;
mod passwords;
mod secured;
pub(crate) mod sentinels;
pub(crate) mod server;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use self::server::RedisServer;
use crate::restarts::{
    CONFIGURATION, PATIENCE, Program, command, set_up, sign_in, sign_out, status, status_of, survives_kills,
};

const SHOP: &str = "upstream = \"demo\"\n[[route]]\npath = \"/public\"\naccess = \"public\"\nupstream = \"demo\"";

/// A folder with the configuration of a gateway on this server.
pub(crate) fn gateway_on(server: &RedisServer, staleness: &str) -> tempfile::TempDir {
    gateway_at(&format!("redis+unix://{}", server.socket().display()), staleness)
}

/// The same on the store at this address.
fn gateway_at(store: &str, staleness: &str) -> tempfile::TempDir {
    gateway_with(&format!("staleness = \"{staleness}\"\nstore = \"{store}\""))
}

/// The same with these lines of `[session]`.
fn gateway_with(session: &str) -> tempfile::TempDir {
    let folder = set_up();
    let session = format!("[session]\n{session}");
    let configuration = CONFIGURATION.replace("upstream = \"http://127.0.0.1:9\"", SHOP).replace("[session]", &session);
    fs::write(folder.path().join("config.toml"), configuration).unwrap();
    folder
}

/// The same, in front of this application.
pub(crate) fn gateway_to(server: &RedisServer, upstream: &str) -> tempfile::TempDir {
    let folder = gateway_on(server, "5s");
    let path = folder.path().join("config.toml");
    let configuration = fs::read_to_string(&path).unwrap();
    fs::write(path, configuration.replace(SHOP, &format!("upstream = \"{upstream}\""))).unwrap();
    folder
}

/// Starts two gateways with the same keys.
pub(crate) fn start<'a>(a: &'a tempfile::TempDir, b: &'a tempfile::TempDir) -> (Program<'a>, Program<'a>) {
    let one = Program::start(a.path());
    fs::copy(a.path().join("exeunt.key"), b.path().join("exeunt.key")).unwrap();
    (one, Program::start(b.path()))
}

/// A server and the folders of two gateways on it.
fn two(staleness: &str) -> (tempfile::TempDir, RedisServer, [tempfile::TempDir; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let gateways = [gateway_on(&server, staleness), gateway_on(&server, staleness)];
    (folder, server, gateways)
}

/// An answer that goes on for as long as the session does.
struct Stream(UnixStream);

impl Stream {
    /// Opens it, and waits for what comes first.
    fn open(folder: &Path, cookie: &str) -> Self {
        let mut stream = UnixStream::connect(folder.join("http.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /ticker/sse HTTP/1.1\r\nHost: localhost:8080\r\nCookie: {cookie}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        Self(stream)
    }

    /// Waits until it ends.
    fn ends(&mut self) {
        let ended = self.0.read_to_end(&mut Vec::new());
        let reset = ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
        assert!(ended.is_ok() || reset, "{ended:?}");
    }
}

/// Asks until the answer is this one.
fn wait_for_status(folder: &Path, cookie: &str, want: u16) {
    let begun = Instant::now();
    while status(folder, cookie) != Some(want) {
        assert!(begun.elapsed() < PATIENCE, "{:?} and not {want}", status(folder, cookie));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn answered_end_holds_at_the_other_gateway() {
    let (_folder, _server, [a, b]) = two("1m");
    let (one, other) = start(&a, &b);
    for _ in 0..20 {
        let cookie = one.sign_in();
        assert_eq!(other.status(&cookie), 200, "who signed in at one is known at the other");
        let mut stream = Stream::open(b.path(), &cookie);
        assert!(sign_out(a.path(), &cookie));
        assert_eq!([other.status(&cookie), one.status(&cookie)], [401, 401]);
        stream.ends();
    }
    // The last one alone: a gateway that has stopped is not waited for. One that hangs would be for a minute.
    let cookie = one.sign_in();
    one.stop();
    let begun = Instant::now();
    assert!(sign_out(b.path(), &cookie));
    assert!(begun.elapsed() < Duration::from_secs(30), "waited for a gateway that had said that it stops");
    other.stop();
}

#[test]
fn the_maximum_of_sessions_of_a_user_applies_to_all_gateways_together() {
    const MAX: usize = 3;
    let (_folder, _server, gateways) = two("1m");
    for folder in &gateways {
        let path = folder.path().join("config.toml");
        let configuration = fs::read_to_string(&path).unwrap();
        fs::write(path, configuration.replace("max_per_user = 10000", &format!("max_per_user = {MAX}"))).unwrap();
    }
    let (one, other) = start(&gateways[0], &gateways[1]);
    let mut cookies = Vec::new();
    for at in [&one, &one, &other, &other, &one, &other, &one] {
        cookies.push(at.sign_in());
        for gateway in [&one, &other] {
            let live = cookies.iter().filter(|cookie| gateway.status(cookie) == 200).count();
            assert_eq!(live, cookies.len().min(MAX), "after {} sign-ins", cookies.len());
        }
    }
}

#[test]
fn killed_gateway_delays_an_end_but_does_not_prevent_it() {
    let (_folder, _server, [a, b]) = two("2s");
    let (one, other) = start(&a, &b);
    let cookie = other.sign_in();
    assert_eq!(one.status(&cookie), 200);
    other.kill();
    assert!(sign_out(a.path(), &cookie), "it is answered as confirmed, once the other one cannot serve it any more");
    let late = one.sign_in();
    one.stop();
    // It starts again, alone.
    let one = Program::start(a.path());
    assert_eq!([one.status(&cookie), one.status(&late)], [401, 200]);
    one.stop();
}

#[test]
fn hanging_server_causes_503_and_ends_no_session() {
    let (_folder, server, [a, b]) = two("1s");
    let (one, other) = start(&a, &b);
    let cookie = one.sign_in();
    assert_eq!(other.status(&cookie), 200);
    let mut stream = Stream::open(b.path(), &cookie);
    server.signal("STOP");
    let begun = Instant::now();
    wait_for_status(a.path(), &cookie, 503);
    wait_for_status(b.path(), &cookie, 503);
    assert!(!sign_out(a.path(), &cookie), "an end that nobody has confirmed is answered as done");
    assert_eq!(sign_in(a.path()), None);
    assert_eq!(status_of(b.path(), "/public", &cookie), Some(200), "public routes go on");
    stream.ends();
    assert!(begun.elapsed() >= Duration::from_secs(1), "at once");
    server.signal("CONT");
    // Who wanted to sign out has, as soon as that is possible; who had not, is there again.
    wait_for_status(b.path(), &cookie, 401);
    wait_for_status(a.path(), &cookie, 401);
    let again = one.sign_in();
    assert_eq!(other.status(&again), 200);
    server.signal("STOP");
    wait_for_status(b.path(), &again, 503);
    server.signal("CONT");
    wait_for_status(b.path(), &again, 200);
}

#[test]
fn empty_server_ends_all_sessions() {
    let (_folder, mut server, [a, b]) = two("2s");
    let (one, other) = start(&a, &b);
    let cookie = one.sign_in();
    assert_eq!(other.status(&cookie), 200);
    let mut stream = Stream::open(b.path(), &cookie);
    server.restart_empty();
    wait_for_status(a.path(), &cookie, 401);
    wait_for_status(b.path(), &cookie, 401);
    stream.ends();
    let again = other.sign_in();
    wait_for_status(a.path(), &again, 200);
}

#[test]
fn what_was_answered_survives_a_kill_of_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    survives_kills(&gateway_on(&server, "1s"));
}

#[test]
fn warns_of_an_eviction_policy_that_deletes_keys() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let gateway = gateway_on(&server, "5s");
    for (policy, warns) in [("noeviction", false), ("allkeys-lru", true)] {
        server.ask(&format!("CONFIG SET maxmemory-policy {policy}"));
        Program::start(gateway.path()).stop();
        let log = fs::read_to_string(gateway.path().join("log")).unwrap();
        assert_eq!(log.contains("write maxmemory-policy noeviction"), warns, "{log}");
    }
}

/// What `exeunt check` says of the configuration in this folder, which it accepts.
fn checked(folder: &Path) -> String {
    let mut command = command(folder, env!("CARGO_BIN_EXE_exeunt"));
    let output = command.arg("check").stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8([output.stderr, output.stdout].concat()).unwrap()
}

#[test]
fn a_check_asks_the_server_whether_it_deletes_keys_and_changes_nothing_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let gateway = gateway_on(&server, "5s");
    let warns = || {
        let said = checked(gateway.path());
        assert_eq!(said.contains("session.store"), said.contains("accepted, with 1 warning"), "{said}");
        said.contains("maxmemory-policy allkeys-lru")
            && said.contains("write maxmemory-policy noeviction in the server")
    };
    assert!(!warns());
    server.ask("CONFIG SET maxmemory-policy allkeys-lru");
    assert!(warns());
    assert!(server.ask("DBSIZE").starts_with(":0"), "it has written to the server");
    // Who may not ask is not told, and neither is who gets no answer, for long.
    server.ask("ACL SETUSER default -info");
    assert!(!warns());
    server.ask("ACL SETUSER default +info");
    server.signal("STOP");
    let begun = Instant::now();
    assert!(!warns());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    server.signal("CONT");
    assert!(warns());
    drop(server);
    assert!(!warns());
}
