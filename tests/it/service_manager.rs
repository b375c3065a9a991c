//! The program under a service manager: a datagram socket listens where systemd would.

use std::fs::{self, File};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

const CONFIGURATION: &str = "\
listen = [\"unix:http.sock\"]
public_url = \"http://localhost:8080\"
[[route]]
upstream = \"http://127.0.0.1:9000\"
[login]
users = \"users.toml\"
";

/// So long that only a program that says nothing runs into it.
const PATIENCE: Duration = Duration::from_secs(60);

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

    fn told(&self) -> String {
        let mut message = [0; 256];
        let received = self.manager.recv(&mut message);
        let length = received.unwrap_or_else(|error| panic!("{error}: {}", fs::read_to_string(&self.log).unwrap()));
        String::from_utf8(message[..length].to_vec()).unwrap().trim_end().to_owned()
    }

    /// What is said next, pings aside.
    fn told_besides_pings(&self) -> String {
        std::iter::repeat_with(|| self.told()).find(|message| message != "WATCHDOG=1").unwrap()
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
    assert_eq!(service.told(), "READY=1");
    UnixStream::connect(folder.path().join("http.sock")).expect("ready means that clients can connect");
    for _ in 0..3 {
        assert_eq!(service.told(), "WATCHDOG=1");
    }
    service.signal("-TERM");
    assert_eq!(service.told_besides_pings(), "STOPPING=1");
    assert_eq!(service.program.wait().unwrap().code(), Some(0));
}

/// By the protocol of systemd's `Type=notify-reload`: the beginning with its time, then the end.
#[test]
fn service_manager_is_notified_of_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), Duration::ZERO);
    assert_eq!(service.told(), "READY=1");
    let started = monotonic_usec();
    // A reload of what is there, and one that is refused.
    for configuration in [CONFIGURATION, "listen = 1\n"] {
        fs::write(folder.path().join("config.toml"), configuration).unwrap();
        service.signal("-HUP");
        let message = service.told();
        let (word, time) = message.split_once("\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{message}"));
        assert_eq!(word, "RELOADING=1");
        assert!((started..=monotonic_usec()).contains(&time.parse().unwrap()), "{time}");
        assert_eq!(service.told(), "READY=1", "also where the new configuration is refused: the old one serves");
    }
    service.signal("-TERM");
    assert_eq!(service.told(), "STOPPING=1");
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
    assert_eq!(service.told(), "READY=1");
    service.signal("-TERM");
    assert_eq!(service.told(), "STOPPING=1");
}
