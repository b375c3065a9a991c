//! A small application behind a server, for tests of what the server itself does.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use exeunt::http1::known_name::KnownName;
use exeunt::proxy::{
    Application, Client, Connection, ConnectionTask, ExchangeOutcome, Request, Server, Transport, listener,
    settings::ServerSettings,
};
use exeunt::session::live::Cut;
use exeunt::values::client_address::Peer;
use exeunt::values::listen_address::ListenAddress;
use exeunt::values::time::{Clock, ManualClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

/// What a test can see of, and do to, the exchanges that run.
pub struct Control {
    /// The connection of each exchange on `/wait`, `/stream` and `/endless`, once it has begun.
    begun: mpsc::UnboundedSender<Arc<Connection>>,
    /// One permit lets one `/wait` go on.
    pub go_on: Notify,
    /// One message for each exchange that is over, however it ended: its path.
    over: mpsc::UnboundedSender<String>,
}

pub struct App(Arc<Control>);

/// Says that its exchange is over when it is dropped, as accounting does.
struct Context {
    path: String,
    over: mpsc::UnboundedSender<String>,
}

impl Drop for Context {
    fn drop(&mut self) {
        let _ = self.over.send(std::mem::take(&mut self.path));
    }
}

impl Application for App {
    async fn exchange(&self, client: &mut Client, request: &Request) -> ExchangeOutcome {
        let path = String::from_utf8(request.target().to_vec()).unwrap();
        let context = Context { path, over: self.0.over.clone() };
        let connection = Arc::clone(client.connection());
        match context.path.as_str() {
            "/hello" => answer(client, request, "hello").await,
            "/peer" => answer(client, request, &name(connection.peer())).await,
            "/wait" => {
                let _ = self.0.begun.send(connection);
                self.0.go_on.notified().await;
                answer(client, request, "waited").await
            }
            "/stream" => {
                begin_stream(client).await;
                connection.cut().set_streaming();
                let _ = self.0.begun.send(connection);
                std::future::pending().await
            }
            "/endless" => {
                begin_stream(client).await;
                let _ = self.0.begun.send(connection);
                while client.send(&[b'x'; 65536]).await.is_ok() {}
                ExchangeOutcome::Gone
            }
            "/panic" => panic!("as a bug would"),
            "/stubborn" => switch(client, |stream, _, _| Box::pin(keep_for_ever(stream))).await,
            "/upgrade" => switch(client, |stream, early, on| Box::pin(echo_until_cut(stream, early, on))).await,
            path => panic!("no such page: {path}"),
        }
    }
}

fn name(peer: Peer) -> String {
    match peer {
        Peer::Tcp(address) => address.to_string(),
        Peer::Unix => "unix".to_owned(),
    }
}

async fn answer(client: &mut Client, request: &Request, body: &str) -> ExchangeOutcome {
    let closes = request.fields().lines().iter().any(|line| line.known == KnownName::ContentLength);
    let close = if closes || client.connection().is_draining() { "Connection: close\r\n" } else { "" };
    let answer = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: {}\r\n\r\n{body}", body.len());
    match client.send(answer.as_bytes()).await {
        Ok(()) if closes => ExchangeOutcome::Close,
        Ok(()) => ExchangeOutcome::Again,
        Err(_) => ExchangeOutcome::Gone,
    }
}

async fn begin_stream(client: &mut Client) {
    client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n").await.unwrap();
}

async fn switch(
    client: &mut Client,
    take_over: impl FnOnce(Transport, Bytes, Arc<Connection>) -> ConnectionTask + Send + 'static,
) -> ExchangeOutcome {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    client.send(head).await.unwrap();
    ExchangeOutcome::HandedOver(Box::new(take_over))
}

/// Echoes, and says goodbye when it is cut.
async fn echo_until_cut(mut stream: Transport, early: Bytes, connection: Arc<Connection>) {
    let cut = Arc::clone(connection.cut());
    cut.set_streaming();
    if stream.write_all(&early).await.is_err() {
        return;
    }
    let mut buffer = [0; 1024];
    loop {
        tokio::select! {
            _ = signalled(&cut) => {
                let _ = stream.write_all(b"goodbye").await;
                return;
            }
            read = stream.read(&mut buffer) => match read {
                Ok(count) if count > 0 => stream.write_all(&buffer[..count]).await.unwrap(),
                _ => return,
            },
        }
    }
}

/// Ignores its connection.
async fn keep_for_ever(_stream: Transport) {
    std::future::pending().await
}

async fn signalled(cut: &Cut) {
    std::future::poll_fn(|context| cut.poll_signalled(context)).await;
}

/// A running server with its application, and a clock that the test turns.
pub struct Harness {
    pub server: Server,
    pub clock_handle: ManualClock,
    pub clock: Clock,
    pub control: Arc<Control>,
    pub begun: mpsc::UnboundedReceiver<Arc<Connection>>,
    pub over: mpsc::UnboundedReceiver<String>,
}

impl Harness {
    pub fn open(settings: ServerSettings) -> Self {
        let (begun_here, begun) = mpsc::unbounded_channel();
        let (over_here, over) = mpsc::unbounded_channel();
        let control = Arc::new(Control { begun: begun_here, go_on: Notify::new(), over: over_here });
        let (clock, clock_handle) = Clock::manual();
        let listeners = listener::bind(&settings.listen).unwrap();
        let server = Server::open(settings, listeners, Arc::new(App(Arc::clone(&control))), clock.clone());
        Self { server, clock_handle, clock, control, begun, over }
    }

    pub fn tcp_address(&self) -> SocketAddr {
        match self.server.addresses()[0] {
            ListenAddress::Tcp(address) => address,
            ListenAddress::Unix(_) => panic!("a unix socket"),
        }
    }
}

pub fn local() -> ServerSettings {
    ServerSettings { listen: vec!["127.0.0.1:0".parse().unwrap()], ..ServerSettings::default() }
}
