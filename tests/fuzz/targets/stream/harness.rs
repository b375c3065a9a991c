//! A gateway in this process, between a client and an application. Its clock is turned by hand, so that its
//! deadlines pass in no time.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exeunt::audit::{self, Log};
use exeunt::config::{self, Settings};
use exeunt::credentials::user_file::Users;
use exeunt::credentials::user_file::htpasswd::WeakHashes;
use exeunt::gateway::Gateway;
use exeunt::proxy::{Server, listener};
use exeunt::service::{Environment, Service};
use exeunt::session::sign_in::SignIn;
use exeunt::values::end_cause::EndCause;
use exeunt::values::identity::Identity;
use exeunt::values::listen_address::ListenAddress;
use exeunt::values::mac::MacKeys;
use exeunt::values::time::{Clock, ManualClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::answers;
use super::conditions::Memory;
use super::script::{Connection, Script};
use super::upstream::Upstream;

/// What nothing here takes, on a machine that does other things as well.
const DEADLINE: Duration = Duration::from_secs(10);
/// Without a byte for so long, the clock is turned on by a second.
const TURN: Duration = Duration::from_millis(1);
/// All deadlines of the client side.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Harness {
    runtime: Runtime,
    pub upstream: Upstream,
    gateway: Arc<Gateway>,
    server: Server,
    clock: Clock,
    clock_handle: ManualClock,
    lines: Arc<parking_lot::Mutex<Vec<String>>>,
    memory: Memory,
}

fn settings(upstream: SocketAddr) -> Settings {
    let text = format!(
        "listen = ['127.0.0.1:8080']\npublic_url = 'http://app.test'\n[identity]\nheaders = ['x-forwarded', 'remote']\n\
         [login]\nusers = 'users.toml'\n\
         [[route]]\npath = '/'\nupstream = 'http://{upstream}'\n\
         [[route]]\npath = '/public'\naccess = 'public'\nupstream = 'http://{upstream}'\n\
         [[route]]\npath = '/staff'\ngroups = ['staff']\nupstream = 'http://{upstream}'\n"
    );
    let (mut settings, _) = config::parse("config.toml", &text, Path::new("/nowhere")).unwrap();
    // The password is "password", and its hash is weak because it is checked in every other run.
    let users = "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n";
    settings.gateway.users = Arc::new(Users::parse_any("htpasswd".as_ref(), users, WeakHashes::Accept).unwrap());
    let server = &mut settings.server;
    server.listen = vec!["127.0.0.1:0".parse().unwrap()];
    (server.head_timeout, server.idle_timeout, server.silent_timeout) = (PATIENCE, PATIENCE, PATIENCE);
    (server.body_timeout, server.send_timeout) = (PATIENCE, PATIENCE);
    settings
}

impl Harness {
    pub fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (upstream, service, clock, clock_handle, lines) = runtime.block_on(async {
            let upstream = Upstream::start().await;
            let (clock, clock_handle) = Clock::manual();
            let (log, lines) = Log::to_memory(audit::LogSettings { format: audit::Format::Json, access: true });
            let settings = settings(upstream.address);
            let listeners = listener::bind(&settings.server.listen).unwrap();
            let environment = Environment { log, clock: clock.clone(), keys: MacKeys::generate().unwrap(), listeners };
            (upstream, Service::start(settings, environment).unwrap(), clock, clock_handle, lines)
        });
        let Service { gateway, server, .. } = service;
        Self { runtime, upstream, gateway, server, clock, clock_handle, lines, memory: Memory::default() }
    }

    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn address(&self) -> SocketAddr {
        match self.server.addresses()[0] {
            ListenAddress::Tcp(address) => address,
            ListenAddress::Unix(_) => unreachable!("it listens on a port"),
        }
    }

    /// The cookie pair of alice.
    pub async fn sign_in(&self) -> String {
        let sign_in = SignIn::of("fuzz", Identity::new("alice", None, None, &["staff".into()]).unwrap());
        let opened = self.gateway.sessions().open(sign_in, self.clock.now()).await.unwrap();
        format!("exeunt={}", opened.id.cookie_value())
    }

    /// Does what the script says, and reads each connection to its end.
    pub async fn play(&self, script: &Script) {
        for connection in &script.0 {
            let playing = self.play_connection(connection);
            tokio::time::timeout(DEADLINE, playing).await.expect("(5) neither an answer nor an end");
        }
    }

    async fn play_connection(&self, connection: &Connection) {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut message = Vec::new();
        for piece in &connection.writes {
            // A refused request may be answered, and its connection closed, before its last byte is taken.
            if stream.write_all(piece).await.is_err() {
                break;
            }
            self.hear(&mut stream, &mut message, 1).await;
        }
        if connection.half_closed {
            let _ = stream.shutdown().await;
        }
        self.hear(&mut stream, &mut message, usize::MAX).await;
        assert!(message.is_empty() || message.starts_with(b"HTTP/1.1 "), "(5) no answer: {message:?}");
        let steals = |bytes: &[u8]| bytes.windows(answers::STOLEN.len()).any(|word| word == answers::STOLEN);
        let honest = !steals(&connection.writes.concat());
        assert!(!(honest && steals(&message)), "(4) the application set a cookie of ours: {message:?}");
    }

    /// Reads until the other side closes, or until it was silent so often.
    async fn hear(&self, stream: &mut TcpStream, message: &mut Vec<u8>, silences: usize) {
        let mut silent = 0;
        let mut buffer = [0; 4096];
        while silent < silences {
            match tokio::time::timeout(TURN, stream.read(&mut buffer)).await {
                Ok(Ok(count)) if count > 0 => message.extend_from_slice(&buffer[..count]),
                Ok(_) => return,
                // The clock stands still between two writes.
                Err(_) if silences == 1 => silent += 1,
                Err(_) => {
                    self.clock_handle.advance(Duration::from_secs(1));
                    self.server.sweep();
                }
            }
        }
    }

    /// Waits until nothing of what was played is open any more, and ends the sessions that were made.
    pub async fn settle(&self) {
        tokio::time::timeout(DEADLINE, self.server.reached(0)).await.expect("(6) connections stay open");
        let sessions = self.gateway.sessions();
        sessions.end_all(sessions.sessions_of(None), EndCause::Logout).await;
    }

    pub fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock())
    }

    /// (1): an honest request is served.
    pub async fn honest_request(&self) {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address()).await.unwrap();
            let request = "GET /public/honest HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            String::from_utf8(answer).unwrap()
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await.expect("(1) an honest request is not answered");
        assert!(answer.starts_with("HTTP/1.1 200 "), "(1) an honest request: {answer}");
        assert!(answer.contains("\r\n\r\nGET /public/honest HTTP/1.1\r\n"), "(1) another's answer: {answer}");
    }

    /// (6): nothing is left of all that.
    pub async fn is_at_rest(&self) {
        tokio::time::timeout(DEADLINE, self.server.reached(0)).await.expect("(6) connections stay open");
        assert!(self.gateway.sessions().is_empty(), "(6) sessions are left");
        self.upstream.take();
        self.take_lines();
        self.memory.check();
    }
}
