//! The program under a service manager: a datagram socket listens where systemd would.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use crate::redis::gateway_on;
use crate::redis::server::RedisServer;
use crate::restarts::{PATIENCE, Program, command, set_up};

const CONFIGURATION: &str = "\
listen = [\"unix:http.sock\"]
public_url = \"http://localhost:8080\"
[[route]]
upstream = \"http://127.0.0.1:9000\"
[login]
users = \"users.toml\"
";

/// What is there while the program runs. It is killed with the test.
struct Service {
    manager: UnixDatagram,
    program: Child,
    log: PathBuf,
}

impl Service {
    fn start(folder: &Path, watchdog: Duration) -> Self {
        let manager = UnixDatagram::bind(folder.join("notify")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        fs::write(folder.join("config.toml"), CONFIGURATION).unwrap();
        let log = folder.join("log");
        let mut program = Command::new(env!("CARGO_BIN_EXE_exeunt"));
        program.arg("serve").current_dir(folder).stderr(File::create(&log).unwrap());
        program.env("NOTIFY_SOCKET", folder.join("notify")).env_remove("WATCHDOG_PID");
        program.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Self { manager, program: program.spawn().unwrap(), log }
    }

    fn next_message(&self) -> String {
        let mut message = [0; 256];
        let received = self.manager.recv(&mut message);
        let length = received.unwrap_or_else(|error| panic!("{error}: {}", fs::read_to_string(&self.log).unwrap()));
        String::from_utf8(message[..length].to_vec()).unwrap().trim_end().to_owned()
    }

    /// The next message, pings aside.
    fn next_besides_pings(&self) -> String {
        std::iter::repeat_with(|| self.next_message()).find(|message| message != "WATCHDOG=1").unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.program.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn service_manager_is_notified_of_readiness_watchdog_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), Duration::from_millis(20));
    assert_eq!(service.next_message(), "READY=1");
    UnixStream::connect(folder.path().join("http.sock")).expect("ready means that clients can connect");
    for _ in 0..3 {
        assert_eq!(service.next_message(), "WATCHDOG=1");
    }
    service.signal("-TERM");
    assert_eq!(service.next_besides_pings(), "STOPPING=1");
    assert_eq!(service.program.wait().unwrap().code(), Some(0));
}

/// By the protocol of systemd's `Type=notify-reload`: the beginning with its time, then the end.
#[test]
fn service_manager_is_notified_of_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), Duration::ZERO);
    assert_eq!(service.next_message(), "READY=1");
    let started = monotonic_usec();
    // A reload of what is there, and one that is refused.
    for configuration in [CONFIGURATION, "listen = 1\n"] {
        fs::write(folder.path().join("config.toml"), configuration).unwrap();
        service.signal("-HUP");
        let message = service.next_message();
        let (word, time) = message.split_once("\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{message}"));
        assert_eq!(word, "RELOADING=1");
        assert!((started..=monotonic_usec()).contains(&time.parse().unwrap()), "{time}");
        assert_eq!(
            service.next_message(),
            "READY=1",
            "also where the new configuration is refused: the old one serves"
        );
    }
    service.signal("-TERM");
    assert_eq!(service.next_message(), "STOPPING=1");
}

/// The clock of `MONOTONIC_USEC` (sd_notify(3)), in microseconds.
fn monotonic_usec() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    Duration::from(now).as_micros().try_into().unwrap()
}

#[test]
fn no_watchdog_message_is_sent_without_a_watchdog() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), Duration::ZERO);
    assert_eq!(service.next_message(), "READY=1");
    service.signal("-TERM");
    assert_eq!(service.next_message(), "STOPPING=1");
}

/// A service manager has the socket and hands it over: connections wait while the program restarts.
#[test]
fn no_connection_is_refused_while_it_restarts() {
    waits_for_a_restart(set_up().path());
    let place = tempfile::tempdir().unwrap();
    let server = RedisServer::start(place.path());
    waits_for_a_restart(gateway_on(&server, "5s").path());
}

fn waits_for_a_restart(folder: &Path) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let configuration = fs::read_to_string(folder.join("config.toml")).unwrap();
    let configuration = configuration.replace("\"unix:http.sock\"", &format!("\"unix:http.sock\", \"{address}\""));
    fs::write(folder.join("config.toml"), configuration).unwrap();
    let start = || {
        let mut command = command(folder, "sh");
        // sd_listen_fds(3): from 3 on, for this process.
        let handing_over = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve";
        command.args(["-c", handing_over, env!("CARGO_BIN_EXE_exeunt")]);
        command.stdin(OwnedFd::from(socket.try_clone().unwrap()));
        Program::with(folder, command)
    };
    let program = start();
    let cookie = program.sign_in();
    program.stop();
    let mut waits = TcpStream::connect(address).unwrap();
    waits.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET /.exeunt/session HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n"
    );
    waits.write_all(head.as_bytes()).unwrap();
    let program = start();
    let mut answer = String::new();
    waits.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    program.stop();
}
