//! A client that says exactly the bytes it is told, and reads one answer at a time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::app::Harness;

pub struct Client<S = TcpStream> {
    pub stream: S,
    unread: Vec<u8>,
}

impl Client {
    pub async fn of(harness: &Harness) -> Self {
        Self::to(harness.tcp_address()).await
    }

    pub async fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// What came and was not looked at yet.
    pub fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    pub async fn say(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    pub async fn get(&mut self, path: &str) -> String {
        self.ask(path).await;
        self.answer().await
    }

    pub async fn ask(&mut self, path: &str) {
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    }

    /// One answer, head and body, by its Content-Length.
    pub async fn answer(&mut self) -> String {
        let end = self.until(|bytes| find(bytes, b"\r\n\r\n").map(|at| at + 4)).await;
        let head = String::from_utf8(self.unread[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let whole = end + length.map_or(0, |length| length.parse::<usize>().unwrap());
        self.exactly(whole).await
    }

    pub async fn exactly(&mut self, count: usize) -> String {
        self.until(|bytes| (bytes.len() >= count).then_some(count)).await;
        String::from_utf8(self.unread.drain(..count).collect()).unwrap()
    }

    /// Everything that comes until the other side closes, or resets, the connection.
    pub async fn rest(&mut self) -> String {
        let mut buffer = [0; 4096];
        while let Ok(count) = within(self.stream.read(&mut buffer)).await {
            if count == 0 {
                break;
            }
            self.unread.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(std::mem::take(&mut self.unread)).unwrap()
    }

    async fn until(&mut self, enough: impl Fn(&[u8]) -> Option<usize>) -> usize {
        let count = self.until_or_closed(enough).await;
        count.unwrap_or_else(|| panic!("closed after {:?}", String::from_utf8_lossy(&self.unread)))
    }

    /// How many of the unread bytes are `enough`; `None` if the other side closes before that.
    async fn until_or_closed(&mut self, enough: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(count) = enough(&self.unread) {
                return Some(count);
            }
            let count = within(self.stream.read(&mut buffer)).await.ok().filter(|&count| count > 0)?;
            self.unread.extend_from_slice(&buffer[..count]);
        }
    }

    /// This number of bytes; `None` if the other side closes before that.
    pub async fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        self.until_or_closed(|bytes| (bytes.len() >= count).then_some(count)).await?;
        Some(self.unread.drain(..count).collect())
    }

    /// What comes up to and with `end`; `None` if the other side closes before that.
    pub async fn up_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let count = self.until_or_closed(|bytes| find(bytes, end).map(|at| at + end.len())).await?;
        Some(self.unread.drain(..count).collect())
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Nothing here takes long; what hangs is a failure and not a hanging test.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// Turns the clock on, second by second, until `future` is done; answers how long that took by that clock.
pub async fn turning<F: Future>(harness: &Harness, future: F) -> (Duration, F::Output) {
    let before = harness.clock.now();
    let turn = async {
        loop {
            harness.clock_handle.advance(Duration::from_secs(1));
            harness.server.sweep();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        output = within(future) => (harness.clock.now().duration_since(before), output),
        () = turn => unreachable!(),
    }
}
