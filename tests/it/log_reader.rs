//! The program's log while its reader does not read.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const REQUESTS: usize = 12_000;
/// As many as are answered before the next sign-in is refused.
const EACH: usize = 2000;

const CONFIGURATION: &str = r#"
listen = ["127.0.0.1:0"]
public_url = "http://localhost"
[[route]]
upstream = "http://127.0.0.1:9"
[login]
users = "users.toml"
[admin]
listen = ""
[log]
format = "json"
"#;

/// A gateway whose standard error is read as far as its address.
struct Serving {
    process: Child,
    log: BufReader<std::process::ChildStderr>,
    address: String,
    _folder: tempfile::TempDir,
}

impl Serving {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), CONFIGURATION).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_exeunt"));
        command.current_dir(folder.path()).args(["serve"]).env_remove("RUST_LOG").stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["message"] == "listening" {
                assert_eq!(message["hosts"], "localhost, 127.0.0.1, [::1]");
                break message["address"].as_str().unwrap().to_owned();
            }
        };
        Self { process, log, address, _folder: folder }
    }

    fn client(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(&self.address).unwrap()))
    }

    /// Tells it to stop, and reads what it has written since its address.
    fn stop(mut self) -> Vec<Value> {
        let stop = format!("kill -TERM {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
        let mut text = String::new();
        self.log.read_to_string(&mut text).unwrap();
        assert!(self.process.wait().unwrap().success());
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Sends a request and reads the answer: its status.
    fn ask(&mut self, request: &str) -> u16 {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut status = 0;
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "closed");
            match line.trim_end().to_ascii_lowercase().split_once(' ') {
                None => break,
                Some((name, value)) if name.starts_with("http/") => status = value[..3].parse().unwrap(),
                Some(("content-length:", value)) => length = value.parse().unwrap(),
                Some(_) => {}
            }
        }
        self.0.read_exact(&mut vec![0; length]).unwrap();
        status
    }
}

fn sign_in_refused(client: &mut Client, name: &str) {
    let form = format!("username={name}&password=wrong");
    let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(client.ask(&format!("{head}Content-Length: {}\r\n\r\n{form}", form.len())), 401);
}

#[test]
fn stalled_log_reader_misses_no_event() {
    let gateway = Serving::start();
    let mut client = gateway.client();
    for batch in 0..REQUESTS / EACH {
        for _ in 0..EACH {
            assert_eq!(client.ask("GET /cheap HTTP/1.1\r\nHost: localhost\r\n\r\n"), 401);
        }
        sign_in_refused(&mut client, &format!("user{batch}"));
    }
    drop(client);
    let lines = gateway.stop();
    let events = lines.iter().filter(|line| line["event"] == "sign_in_refused");
    let users: Vec<_> = events.map(|line| line["user"].as_str().unwrap().to_owned()).collect();
    assert_eq!(users, ["user0", "user1", "user2", "user3", "user4", "user5"]);
    let written = lines.iter().filter(|line| line["event"] == "access").count();
    let dropped = lines.iter().filter(|line| line["event"] == "log_overflow");
    let dropped: u64 = dropped.map(|line| line["dropped"].as_u64().unwrap()).sum();
    assert_eq!(
        written as u64 + dropped,
        (REQUESTS + REQUESTS / EACH) as u64,
        "every exchange has a line, or is counted"
    );
}
