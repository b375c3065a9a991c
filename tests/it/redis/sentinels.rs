//! Sentinels that look after servers of the test's own. They are killed with the test.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::group::{Node, until};
use super::server::free_port;
use crate::restarts::PATIENCE;

/// What they call the primary.
const NAME: &str = "sessions";

/// Three Sentinels.
pub(crate) struct Sentinels {
    all: Vec<(Child, PathBuf, u16)>,
    /// What they are told before a command.
    login: String,
}

/// How Sentinels are reached, and reach servers and each other.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ways<'a> {
    /// Further lines of their configuration.
    pub(crate) lines: &'a str,
    /// Over TLS.
    pub(crate) is_tls: bool,
    /// The password of all of them, and of the servers.
    pub(crate) password: Option<&'a str>,
}

impl Sentinels {
    /// Starts them, and waits until each knows all others.
    pub(crate) fn of(folder: &Path, nodes: &[Node]) -> Self {
        Self::reached(folder, nodes, Ways::default())
    }

    /// The same, where they are reached in these ways.
    pub(crate) fn reached(folder: &Path, nodes: &[Node], ways: Ways<'_>) -> Self {
        let login = ways.password.map(|password| format!("AUTH {password}\r\n")).unwrap_or_default();
        let mut sentinels = Self { all: Vec::new(), login };
        for number in 0..3 {
            sentinels.all.push(sentinel(&folder.join(format!("sentinel-{number}")), nodes[0].port, ways));
        }
        let replicas = format!("num-slaves\r\n$1\r\n{}\r\n", nodes.len() - 1);
        until("the Sentinels do not find each other", || {
            (0..3).all(|number| {
                let known = sentinels.ask(number, &format!("SENTINEL MASTER {NAME}"));
                known.contains(&replicas) && known.contains("num-other-sentinels\r\n$1\r\n2\r\n")
            })
        });
        sentinels
    }

    /// The address of the store that they look after.
    pub(crate) fn address(&self) -> String {
        let hosts: Vec<_> = self.all.iter().map(|(_, _, port)| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Which of these is the primary now, as they say.
    pub(crate) fn primary<'a>(&self, nodes: &'a [Node]) -> &'a Node {
        let told = self.ask(0, &format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}"));
        nodes.iter().find(|node| told.contains(&format!("\r\n{}\r\n", node.port))).unwrap()
    }

    /// Asks the first of them for a failover, until it begins one.
    pub(crate) fn fail_over(&self) {
        until("no failover", || self.ask(0, &format!("SENTINEL FAILOVER {NAME}")).contains("+OK\r\n+PONG"));
    }

    /// Kills all but the first.
    pub(crate) fn leave_one(&mut self) {
        self.all[1..].iter_mut().for_each(|(child, ..)| _ = (child.kill(), child.wait()));
    }

    /// A Sentinel does not know QUIT.
    fn ask(&self, number: usize, command: &str) -> String {
        const LAST: &str = "+PONG\r\n";
        let (_, folder, _) = &self.all[number];
        let mut stream = UnixStream::connect(folder.join("redis.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{}{command}\r\nPING\r\n", self.login).as_bytes()).unwrap();
        let (mut answer, mut part) = (String::new(), [0; 4096]);
        while !answer.ends_with(LAST) {
            let length = stream.read(&mut part).unwrap();
            assert_ne!(length, 0, "the Sentinel has gone");
            answer.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
        answer
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for (child, ..) in &mut self.all {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn sentinel(folder: &Path, primary: u16, ways: Ways<'_>) -> (Child, PathBuf, u16) {
    fs::create_dir(folder).unwrap();
    let port = free_port();
    let ports = if ways.is_tls { format!("port 0\ntls-port {port}") } else { format!("port {port}") };
    let settings = format!(
        "{ports}\n{}bind 127.0.0.1\nunixsocket redis.sock\nsentinel monitor {NAME} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 3000\n\
         sentinel parallel-syncs {NAME} 2\n",
        ways.lines
    );
    let login = ways.password.map(|password| {
        format!("requirepass {password}\nsentinel sentinel-pass {password}\nsentinel auth-pass {NAME} {password}\n")
    });
    let settings = settings + &login.unwrap_or_default();
    fs::write(folder.join("sentinel.conf"), settings).unwrap();
    let mut command = Command::new("redis-sentinel");
    command.arg("sentinel.conf").current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn().expect("redis-sentinel is missing: apt-get install redis-sentinel");
    until("a Sentinel does not start", || folder.join("redis.sock").exists());
    (child, folder.to_owned(), port)
}
