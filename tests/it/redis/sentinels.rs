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
pub(crate) struct Sentinels(Vec<(Child, PathBuf, u16)>);

impl Sentinels {
    /// Starts them, and waits until each knows everybody.
    pub(crate) fn of(folder: &Path, nodes: &[Node]) -> Self {
        let mut sentinels = Self(Vec::new());
        for number in 0..3 {
            sentinels.0.push(sentinel(&folder.join(format!("sentinel-{number}")), nodes[0].port));
        }
        let replicas = format!("num-slaves\r\n$1\r\n{}\r\n", nodes.len() - 1);
        until("the Sentinels do not find each other", || {
            sentinels.0.iter().all(|(_, folder, _)| {
                let known = ask(folder, &format!("SENTINEL MASTER {NAME}"));
                known.contains(&replicas) && known.contains("num-other-sentinels\r\n$1\r\n2\r\n")
            })
        });
        sentinels
    }

    /// The address of the store that they look after.
    pub(crate) fn address(&self) -> String {
        let hosts: Vec<_> = self.0.iter().map(|(_, _, port)| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Which of these is the primary now, as they say.
    pub(crate) fn primary<'a>(&self, nodes: &'a [Node]) -> &'a Node {
        let (_, folder, _) = &self.0[0];
        let told = ask(folder, &format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}"));
        nodes.iter().find(|node| told.contains(&format!("\r\n{}\r\n", node.port))).unwrap()
    }

    /// Asks the first of them for a failover, until it begins one.
    pub(crate) fn fail_over(&self) {
        let (_, folder, _) = &self.0[0];
        until("no failover", || ask(folder, &format!("SENTINEL FAILOVER {NAME}")).starts_with("+OK"));
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for (child, ..) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn sentinel(folder: &Path, primary: u16) -> (Child, PathBuf, u16) {
    fs::create_dir(folder).unwrap();
    let port = free_port();
    let settings = format!(
        "port {port}\nbind 127.0.0.1\nunixsocket redis.sock\nsentinel monitor {NAME} 127.0.0.1 {primary} 2\nsentinel \
         down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 3000\nsentinel parallel-syncs {NAME} 2\n"
    );
    fs::write(folder.join("sentinel.conf"), settings).unwrap();
    let mut command = Command::new("redis-sentinel");
    command.arg("sentinel.conf").current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn().expect("redis-sentinel is missing: apt-get install redis-sentinel");
    until("a Sentinel does not start", || folder.join("redis.sock").exists());
    (child, folder.to_owned(), port)
}

/// A Sentinel does not know QUIT.
fn ask(folder: &Path, command: &str) -> String {
    const LAST: &str = "+PONG\r\n";
    let mut stream = UnixStream::connect(folder.join("redis.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{command}\r\nPING\r\n").as_bytes()).unwrap();
    let (mut answer, mut part) = (String::new(), [0; 4096]);
    while !answer.ends_with(LAST) {
        let length = stream.read(&mut part).unwrap();
        assert_ne!(length, 0, "the Sentinel has gone");
        answer.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
    answer
}
