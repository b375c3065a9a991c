//! A Redis server of one test's own, on a socket in its folder and, where that is asked for, on a port of 127.0.0.1. It
//! is killed with the test.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct RedisServer {
    folder: PathBuf,
    options: Vec<String>,
    child: Child,
}

/// The number of ports to try, since another program may take one between its choice and its use, and of questions.
const ATTEMPTS: usize = 20;

impl RedisServer {
    /// Starts an empty server, and waits until it is ready.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[]).expect("redis-server does not start")
    }

    /// The same with further options, if it starts.
    pub(crate) fn start_with(folder: &Path, options: &[&str]) -> Option<Self> {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        Some(Self { folder: folder.to_owned(), child: started(folder, &options)?, options })
    }

    /// The same on a port of 127.0.0.1, which this option names.
    pub(crate) fn start_on_a_port(folder: &Path, port_option: &str, options: &[&str]) -> (Self, u16) {
        let tried = (0..ATTEMPTS).find_map(|_| {
            let port = free_port();
            let chosen = port.to_string();
            Some((Self::start_with(folder, &[options, &[port_option, &chosen]].concat())?, port))
        });
        tried.expect("redis-server finds no port")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    /// Has it start again, with nothing in it.
    pub(crate) fn restart_empty(&mut self) {
        self.stop();
        self.child = started(&self.folder, &self.options).expect("redis-server does not start again");
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal, such as STOP.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// What it answers to a command, as it is on the wire. A server that becomes a replica closes its connections: then
    /// it is asked again.
    pub(crate) fn ask(&self, command: &str) -> String {
        let answers = std::iter::repeat_with(|| self.ask_once(command)).take(ATTEMPTS);
        answers.flatten().next().expect("redis-server gives no answer")
    }

    fn ask_once(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut answer = String::new();
        let asked = stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes());
        match asked.and_then(|()| stream.read_to_string(&mut answer)) {
            Err(error) if !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                panic!("{error}")
            }
            Ok(_) | Err(_) => Some(answer).filter(|answer| !answer.is_empty()),
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn started(folder: &Path, options: &[String]) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--bind", "127.0.0.1", "--save", "", "--unixsocket", "redis.sock"]).args(options);
    let child = command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("redis-server is missing: apt-get install redis-server");
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    // Later versions write "Ready to accept connections unix", or "tcp".
    if output.any(|line| line.unwrap().contains("eady to accept connections")) {
        // What it says later is read, so that it never waits for that.
        std::thread::spawn(move || output.count());
        return Some(child);
    }
    let _ = child.wait();
    None
}
