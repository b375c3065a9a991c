//! What goes wrong, and that nothing follows from it.

use std::fs;
use std::time::Duration;

use super::{Clients, Gateway, Network, Verdict, Way};
use crate::races::history::Wrongs;
use crate::redis::server::RedisServer;
use crate::restarts::{CONFIGURATION, Program, set_up};

/// How long a trouble lasts: longer than a gateway may believe its table without its server.
const TROUBLE: Duration = Duration::from_millis(1500);
/// How late a slow network is.
const LATE: Duration = Duration::from_millis(40);
/// Operations between two troubles.
pub(super) const BETWEEN: usize = 150;

/// How often all of it comes: EXEUNT_ROUNDS.
pub(super) fn rounds() -> usize {
    std::env::var("EXEUNT_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// A gateway with this store, whose sessions outlive every jump of a clock.
pub(super) fn gateway(store: &str) -> Gateway {
    gateway_with(&format!("store = \"{store}\""))
}

/// The same, whose store these lines of `[session]` describe.
pub(super) fn gateway_with(lines: &str) -> Gateway {
    let folder = set_up();
    let session = format!("[session]\nidle_timeout = \"12h\"\nstaleness = \"1s\"\n{lines}");
    let configuration = CONFIGURATION.replace("\"http://127.0.0.1:9\"", "\"demo\"").replace("[session]", &session);
    fs::write(folder.path().join("config.toml"), configuration).unwrap();
    Gateway::in_folder(folder)
}

pub(super) fn nothing_is_wrong(verdict: &Verdict) {
    println!("{verdict:?}");
    assert_eq!(verdict.wrongs, Wrongs::default(), "{verdict:?}");
    let enough = [verdict.signed_in, verdict.signed_out, verdict.served, verdict.refused, verdict.unclear];
    assert!(enough.into_iter().all(|count| count > 20), "too little to say anything: {verdict:?}");
}

#[test]
fn history_is_consistent_with_sessions_in_a_file() {
    let (one, clients) = (gateway("sqlite:sessions.db"), Clients::default());
    let mut program = Some(one.start());
    clients.run(&[&one], 8, || {
        for _ in 0..rounds() {
            for clock in ["+3600", "-3600", "+0"] {
                clients.go_on(BETWEEN);
                program.take().unwrap().kill();
                program = Some(one.start());
                clients.go_on(BETWEEN);
                one.clock(clock);
                clients.go_on(BETWEEN);
                one.signal("STOP");
                std::thread::sleep(TROUBLE / 3);
                one.signal("CONT");
                clients.go_on(BETWEEN);
                program.take().unwrap().stop();
                program = Some(one.start());
            }
        }
        clients.go_on(BETWEEN);
    });
    nothing_is_wrong(&clients.judge(&[(&one, program.as_ref().unwrap())]));
}

#[test]
fn history_is_consistent_with_sessions_on_a_server() {
    let folder = tempfile::tempdir().unwrap();
    // What it has answered is on its disk.
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = RedisServer::start_with(folder.path(), &durable).unwrap();
    let network = Network::to(server.socket(), folder.path());
    let one = gateway(&format!("redis+unix://{}", network.socket.display()));
    let other = gateway(&format!("redis+unix://{}", server.socket().display()));
    let clients = Clients::default();
    let mut first = Some(one.start());
    for same in ["exeunt.key", "users.htpasswd"] {
        fs::copy(one.path().join(same), other.path().join(same)).unwrap();
    }
    let mut second = Some(other.start());
    clients.run(&[&one, &other], 8, || {
        for _ in 0..rounds() {
            for way in [Way::Slow(LATE), Way::Silent, Way::Cut] {
                clients.go_on(BETWEEN);
                network.set(way);
                std::thread::sleep(TROUBLE);
                network.set(Way::Open);
            }
            clients.go_on(BETWEEN);
            restart(&mut second, &other);
            clients.go_on(BETWEEN);
            one.clock("+3600");
            other.clock("-3600");
            clients.go_on(BETWEEN);
            pause(&|signal| other.signal(signal));
            clients.go_on(BETWEEN);
            // Its options have it write to its disk: it is not empty.
            server.restart_empty();
            clients.go_on(BETWEEN);
            pause(&|signal| server.signal(signal));
            clients.go_on(BETWEEN);
            restart(&mut first, &one);
            one.clock("+0");
            other.clock("+0");
        }
        clients.go_on(BETWEEN);
    });
    nothing_is_wrong(&clients.judge(&[(&one, first.as_ref().unwrap()), (&other, second.as_ref().unwrap())]));
}

/// Kills a gateway, and starts it again.
pub(super) fn restart<'a>(program: &mut Option<Program<'a>>, gateway: &'a Gateway) {
    program.take().unwrap().kill();
    *program = Some(gateway.start());
}

/// Suspends a process for a while.
fn pause(signal: &dyn Fn(&str)) {
    signal("STOP");
    std::thread::sleep(TROUBLE);
    signal("CONT");
}
