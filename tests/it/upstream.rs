//! Small upstreams that do to a connection what a test needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Anything that can carry HTTP.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {
    /// Resets the connection when it is dropped, where there is such a thing.
    fn reset_when_dropped(&self) {}
}

impl Io for TcpStream {
    fn reset_when_dropped(&self) {
        socket2::SockRef::from(self).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl Io for UnixStream {}
impl Io for TlsStream<TcpStream> {}

/// An HTTP/1.1 upstream on a port of its own. `serve` is given each connection with its number, from 0.
pub async fn start<F, S>(serve: F) -> SocketAddr
where
    F: Fn(Connection, usize) -> S + Send + Sync + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let count = AtomicUsize::new(0);
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Connection::of(stream), count.fetch_add(1, Ordering::SeqCst)));
        }
    });
    address
}

/// An upstream over TLS. `serve` is given each connection.
pub async fn start_tls<F, S>(identity: &Identity, serve: F) -> SocketAddr
where
    F: Fn(Connection) -> S + Send + Sync + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let acceptor = identity.acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(Connection::of(stream)).await;
                }
            });
        }
    });
    address
}

/// An upstream on a unix socket that answers every request with 200 and this text.
pub fn start_unix(path: &std::path::Path, text: &'static str) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(Connection::of(stream), text));
        }
    });
}

/// A port on which no program listens.
pub async fn dead_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Answers every request with 200 and this text.
pub async fn answer_all(mut connection: Connection, text: &str) {
    while connection.request().await.is_some() {
        connection.answer(200, "", text).await;
    }
}

/// One connection, read request by request.
pub struct Connection {
    pub stream: Box<dyn Io>,
    unread: Vec<u8>,
}

impl Connection {
    pub fn of(stream: impl Io + 'static) -> Self {
        Self { stream: Box::new(stream), unread: Vec::new() }
    }

    /// The next request's head, its body read and forgotten; `None` at the end of the connection.
    pub async fn request(&mut self) -> Option<String> {
        let head = self.head().await?;
        let mut left = content_length(&head);
        left -= left.min(self.unread.len());
        self.unread.clear();
        while left > 0 {
            let mut piece = [0; 4096];
            left -= self.stream.read(&mut piece).await.ok().filter(|&count| count > 0)?;
        }
        Some(head)
    }

    /// The next request byte for byte, with its body as it is framed; each byte is one character.
    pub async fn raw_request(&mut self) -> Option<String> {
        let mut raw = self.head().await?;
        if header(&raw, "transfer-encoding").is_none() {
            let length = content_length(&raw);
            return Some(raw + &self.exactly(length).await?);
        }
        loop {
            let line = self.up_to(b"\r\n").await?;
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            raw += &line;
            if size == 0 {
                break;
            }
            raw += &self.exactly(size + 2).await?;
        }
        while !raw.ends_with("\r\n\r\n") {
            raw += &self.up_to(b"\r\n").await?;
        }
        Some(raw)
    }

    /// The next request's head, each byte as one character.
    pub async fn head(&mut self) -> Option<String> {
        self.up_to(b"\r\n\r\n").await
    }

    /// What came and was not looked at yet.
    pub fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    async fn up_to(&mut self, end: &[u8]) -> Option<String> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return self.exactly(at + end.len()).await;
            }
            self.read_on().await?;
        }
    }

    pub async fn exactly(&mut self, count: usize) -> Option<String> {
        while self.unread.len() < count {
            self.read_on().await?;
        }
        Some(self.unread.drain(..count).map(char::from).collect())
    }

    async fn read_on(&mut self) -> Option<()> {
        let mut piece = [0; 4096];
        let count = self.stream.read(&mut piece).await.ok().filter(|&count| count > 0)?;
        self.unread.extend_from_slice(&piece[..count]);
        Some(())
    }

    /// Answers, and keeps the connection open. `headers` end with CRLF each.
    pub async fn answer(&mut self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        self.write(&format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}")).await;
    }

    pub async fn write(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }
}

/// The length of a message's body, zero where none is given.
pub fn content_length(head: &str) -> usize {
    header(head, "content-length").map_or(0, |length| length.parse().unwrap())
}

/// A header's value.
pub fn header<'head>(head: &'head str, name: &str) -> Option<&'head str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// An authority of a test, and a certificate that it issued.
pub struct Identity {
    pub authority_pem: String,
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Identity {
    /// A new authority, and a certificate of it for these names and addresses.
    pub fn of(names: &[&str]) -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let authority_pem = params.self_signed(&authority_key).unwrap().pem();
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        Self { authority_pem, certificate, key }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
