//! Memory of an idle keep-alive connection: resident bytes of a process that only has the server, before and after
//! many clients made one request each and stayed. `cargo bench --bench idle_memory [-- CONNECTIONS]`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that goes wrong should stop"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use exeunt::proxy::{Application, Client, ExchangeOutcome, Request, Server, listener, settings::ServerSettings};
use exeunt::values::time::Clock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fails above this.
const LIMIT_KIB: f64 = 2.0;
/// Connections that come and go first, so that pools and thread caches are filled.
const WARM_UP: usize = 500;

/// Everything is answered here.
struct Hello;

impl Application for Hello {
    async fn exchange(&self, client: &mut Client, _: &Request) -> ExchangeOutcome {
        match client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await {
            Ok(()) => ExchangeOutcome::Again,
            Err(_) => ExchangeOutcome::Gone,
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "door") {
        return serve();
    }
    let connections = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(5000);
    measure(connections);
}

/// The measured process: serves until its standard input ends.
fn serve() {
    let settings = ServerSettings { listen: vec!["127.0.0.1:0".parse().unwrap()], ..ServerSettings::default() };
    let runtime = settings.runtime().unwrap();
    runtime.block_on(async {
        let listeners = listener::bind(&settings.listen).unwrap();
        let server = Server::open(settings, listeners, Arc::new(Hello), Clock::system());
        println!("{}", server.addresses()[0]);
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
        server.stop_now();
        server.stopped().await;
    });
}

fn measure(connections: usize) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("door")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
    drop((0..WARM_UP).map(|_| idle_client(address.trim())).collect::<Vec<_>>());
    let before = resident_kib(&server);
    let clients: Vec<TcpStream> = (0..connections).map(|_| idle_client(address.trim())).collect();
    let after = resident_kib(&server);
    drop((clients, server.stdin.take()));
    server.wait().unwrap();
    let each = (after - before) as f64 / connections as f64;
    println!("idle keep-alive connection: {each:.2} KiB resident each, over {connections} (limit {LIMIT_KIB})");
    assert!(each <= LIMIT_KIB, "more than {LIMIT_KIB} KiB");
}

/// A client that asked once, read the answer, and stays.
fn idle_client(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "closed early");
        answer.extend_from_slice(&buffer[..count]);
    }
    stream
}

fn resident_kib(process: &Child) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
