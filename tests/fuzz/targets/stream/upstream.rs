//! The application: it reads HTTP as strictly as the RFC allows, keeps what it read, and answers with the head it got
//! or in the mood that was asked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::answers::Answer;

/// One request as the application understood it; each byte is one character.
#[derive(Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
}

/// A running application.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Connection { stream, unread: Vec::new() }.serve(Arc::clone(&log)));
            }
        });
        Self { address, seen }
    }

    /// What came since the last look.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Seen {
    fn parse(head: &str) -> Self {
        let mut lines = head.strip_suffix("\r\n\r\n").unwrap().split("\r\n");
        let parts: Vec<&str> = lines.next().unwrap().split(' ').collect();
        let [method, target, "HTTP/1.1"] = parts[..] else { panic!("no request line: {head:?}") };
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header line: {line:?}"));
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert!(!name.is_empty() && name.bytes().all(token), "no header name: {name:?}");
            assert!(!value.contains(['\r', '\n', '\0']), "no header value: {value:?}");
            (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
        };
        Self { method: method.to_owned(), target: target.to_owned(), headers: lines.map(header).collect() }
    }

    /// All values of a header.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn single<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.values(name);
        let first = values.next();
        assert!(values.next().is_none(), "{name} comes twice: {self:?}");
        first
    }
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    async fn serve(mut self, log: Arc<Mutex<Vec<Seen>>>) {
        while let Some(head) = self.up_to(b"\r\n\r\n").await {
            let seen = Seen::parse(&head);
            let (length, coding) = (seen.single("content-length").map(str::to_owned), seen.single("transfer-encoding"));
            let coding = coding.map(str::to_owned);
            let answer = Answer::to(seen.values("x-mood").next(), &head, seen.method == "HEAD");
            log.lock().unwrap().push(seen);
            let whole = match (length, coding) {
                (None, None) => Some(()),
                (Some(length), None) => self.skip(number(&length, 10)).await,
                (None, Some(coding)) => {
                    assert_eq!(coding, "chunked");
                    self.chunks().await
                }
                (Some(_), Some(_)) => panic!("framed twice: {head:?}"),
            };
            if whole.is_none() {
                return;
            }
            let _ = self.stream.write_all(&answer.bytes).await;
            if answer.closes {
                return;
            }
        }
        let rest = std::mem::take(&mut self.unread);
        assert!(rest.is_empty() || !rest.starts_with(b"\r\n"), "bytes between two requests: {rest:?}");
    }

    /// A body in chunks; trailers are never forwarded.
    async fn chunks(&mut self) -> Option<()> {
        loop {
            let line = self.up_to(b"\r\n").await?;
            let size = number(line.trim_end_matches("\r\n"), 16);
            self.skip(size).await?;
            assert_eq!(self.up_to(b"\r\n").await?, "\r\n", "behind a chunk");
            if size == 0 {
                return Some(());
            }
        }
    }

    async fn skip(&mut self, mut count: usize) -> Option<()> {
        loop {
            let now = count.min(self.unread.len());
            self.unread.drain(..now);
            count -= now;
            if count == 0 {
                return Some(());
            }
            self.read_on().await?;
        }
    }

    async fn up_to(&mut self, end: &[u8]) -> Option<String> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return Some(self.unread.drain(..at + end.len()).map(char::from).collect());
            }
            self.read_on().await?;
        }
    }

    async fn read_on(&mut self) -> Option<()> {
        let mut piece = [0; 4096];
        let count = self.stream.read(&mut piece).await.ok().filter(|&count| count > 0)?;
        self.unread.extend_from_slice(&piece[..count]);
        Some(())
    }
}

/// Digits and nothing else.
fn number(text: &str, base: u32) -> usize {
    let digits = !text.is_empty() && text.chars().all(|digit| digit.is_digit(base));
    assert!(digits, "no length: {text:?}");
    usize::from_str_radix(text, base).unwrap_or_else(|_| panic!("no length: {text:?}"))
}
