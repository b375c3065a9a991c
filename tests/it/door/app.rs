//! A small application on the engine, for tests of the door: it answers some paths itself and forwards the rest.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use exeunt::proxy::{Connection, Door, Transport, connection_of, hand_over, listener, settings::Settings};
use exeunt::session::live::Cut;
use exeunt::values::client_address::Peer;
use exeunt::values::listen_address::ListenAddress;
use exeunt::values::time::{Clock, ManualClock};
use pingora::http::ResponseHeader;
use pingora::proxy::{ProxyHttp, Session, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora::{ErrorType, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

/// What a test can see of, and do to, the exchanges that run.
pub struct Stage {
    /// The connection of each exchange on `/wait`, `/stream` and `/endless`, once it has begun.
    begun: mpsc::UnboundedSender<Arc<Connection>>,
    /// One permit lets one `/wait` go on.
    pub go_on: Notify,
    /// One message for each exchange that is over, however it ended: its path.
    over: mpsc::UnboundedSender<String>,
    upstream: Option<SocketAddr>,
}

pub struct App(Arc<Stage>);

/// Says that its exchange is over when it is dropped, as accounting does.
pub struct Context {
    path: String,
    over: mpsc::UnboundedSender<String>,
}

impl Drop for Context {
    fn drop(&mut self) {
        let _ = self.over.send(std::mem::take(&mut self.path));
    }
}

#[async_trait]
impl ProxyHttp for App {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context { path: String::new(), over: self.0.over.clone() }
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        context.path = session.req_header().uri.path().to_owned();
        let connection = Arc::clone(connection_of(session).unwrap());
        match context.path.as_str() {
            "/hello" => answer(session, "hello").await?,
            "/peer" => answer(session, &name(connection.peer())).await?,
            "/wait" => {
                let _ = self.0.begun.send(connection);
                self.0.go_on.notified().await;
                answer(session, "waited").await?;
            }
            "/stream" => {
                begin_stream(session).await?;
                connection.cut().set_streaming();
                let _ = self.0.begun.send(connection);
                std::future::pending::<()>().await;
            }
            "/endless" => {
                begin_stream(session).await?;
                let _ = self.0.begun.send(connection);
                loop {
                    session.write_response_body(Some(Bytes::from(vec![b'x'; 65536])), false).await?;
                }
            }
            "/panic" => panic!("as a bug would"),
            "/stubborn" => hand_over(session, switching(), keep_for_ever).await?,
            "/upgrade" => hand_over(session, switching(), echo_until_cut).await?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn upstream_peer(&self, _session: &mut Session, _context: &mut Context) -> Result<Box<HttpPeer>> {
        let upstream = self.0.upstream.ok_or_else(|| pingora::Error::new(ErrorType::HTTPStatus(502)))?;
        Ok(Box::new(HttpPeer::new(upstream, false, String::new())))
    }
}

fn name(peer: Peer) -> String {
    match peer {
        Peer::Tcp(address) => address.to_string(),
        Peer::Unix => "unix".to_owned(),
    }
}

async fn answer(session: &mut Session, body: &str) -> Result<()> {
    let mut head = ResponseHeader::build(200, None)?;
    head.insert_header("Content-Length", body.len())?;
    session.write_response_header(Box::new(head), false).await?;
    session.write_response_body(Some(Bytes::copy_from_slice(body.as_bytes())), true).await
}

async fn begin_stream(session: &mut Session) -> Result<()> {
    let mut head = ResponseHeader::build(200, None)?;
    head.insert_header("Transfer-Encoding", "chunked")?;
    session.write_response_header(Box::new(head), false).await?;
    session.write_response_body(Some(Bytes::from_static(b"begun")), false).await
}

fn switching() -> ResponseHeader {
    let mut head = ResponseHeader::build(101, None).unwrap();
    head.insert_header("Connection", "Upgrade").unwrap();
    head.insert_header("Upgrade", "echo").unwrap();
    head
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

/// Listens to nobody.
async fn keep_for_ever(_stream: Transport, _early: Bytes, _connection: Arc<Connection>) {
    std::future::pending().await
}

async fn signalled(cut: &Cut) {
    std::future::poll_fn(|context| cut.poll_signalled(context)).await;
}

/// An open door with its application, and a clock that the test turns.
pub struct House {
    pub door: Door,
    pub hands: ManualClock,
    pub clock: Clock,
    pub stage: Arc<Stage>,
    pub begun: mpsc::UnboundedReceiver<Arc<Connection>>,
    pub over: mpsc::UnboundedReceiver<String>,
}

impl House {
    pub fn open(settings: Settings) -> Self {
        Self::open_with_upstream(settings, None)
    }

    pub fn open_with_upstream(settings: Settings, upstream: Option<SocketAddr>) -> Self {
        let (begun_here, begun) = mpsc::unbounded_channel();
        let (over_here, over) = mpsc::unbounded_channel();
        let stage = Arc::new(Stage { begun: begun_here, go_on: Notify::new(), over: over_here, upstream });
        let app = Arc::new(http_proxy(&Arc::new(ServerConf::default()), App(Arc::clone(&stage))));
        let (clock, hands) = Clock::manual();
        let listeners = listener::bind(&settings.listen).unwrap();
        let door = Door::open(settings, listeners, app, clock.clone());
        Self { door, hands, clock, stage, begun, over }
    }

    pub fn tcp_address(&self) -> SocketAddr {
        match self.door.addresses()[0] {
            ListenAddress::Tcp(address) => address,
            ListenAddress::Unix(_) => panic!("a unix socket"),
        }
    }
}

pub fn local() -> Settings {
    Settings { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Settings::default() }
}
