//! What a client gets, read as HTTP/1.1 says.

use tokio::io::{AsyncRead, AsyncWrite};

use super::secrets;
use crate::server::client::Client;

/// One answer, its body without its framing.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header that is there once; `None` if it is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers(name);
        assert!(values.len() < 2, "{name} comes twice in {}", self.head);
        values.first().copied()
    }

    /// The values of all lines of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The `Cookie` line that a browser sends after this answer.
    pub fn cookie_line(&self) -> String {
        let pairs: Vec<_> = self.headers("set-cookie").iter().map(|line| line.split(';').next().unwrap()).collect();
        assert!(!pairs.is_empty(), "no cookie in {}", self.head);
        format!("Cookie: {}", pairs.join("; "))
    }
}

/// A request with a body of announced length. `lines` are header lines; one of them may be a `Host`.
pub fn request(method: &str, target: &str, lines: &[&str], body: &str) -> String {
    let mut request = format!("{method} {target} HTTP/1.1\r\n");
    if !lines.iter().any(|line| line.starts_with("Host:")) {
        request += "Host: app.test\r\n";
    }
    lines.iter().for_each(|line| request += &format!("{line}\r\n"));
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    request + "\r\n" + body
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends a request and reads its final answer.
    pub async fn exchange(&mut self, request: &str) -> Answer {
        self.say(request).await;
        self.reply_to(request).await.unwrap_or_else(|| panic!("closed without an answer to {request}"))
    }

    /// The final answer to `request`; `None` if the connection is closed before its end.
    pub async fn reply_to(&mut self, request: &str) -> Option<Answer> {
        loop {
            let answer = self.one_answer(request.starts_with("HEAD ")).await?;
            if answer.status >= 200 {
                return Some(answer);
            }
        }
    }

    /// The next answer, an interim one included.
    pub async fn one_answer(&mut self, to_head: bool) -> Option<Answer> {
        let head = self.answer_head().await?;
        let mut answer = Answer { status: head[9..12].parse().unwrap(), head, body: Vec::new() };
        secrets::cookies(&answer);
        if to_head || answer.status < 200 || matches!(answer.status, 204 | 304) {
            return Some(answer);
        }
        answer.body = match (answer.header("transfer-encoding"), answer.header("content-length")) {
            (Some(coding), None) => {
                assert_eq!(coding, "chunked");
                self.chunks().await?
            }
            (None, Some(length)) => self.bytes(length.parse().unwrap()).await?,
            both_or_none => panic!("framed by {both_or_none:?}: {}", answer.head),
        };
        Some(answer)
    }

    /// The head of the next answer.
    pub async fn answer_head(&mut self) -> Option<String> {
        Some(String::from_utf8(self.up_to(b"\r\n\r\n").await?).unwrap())
    }

    /// One chunk of a body; empty at its end.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.up_to(b"\r\n").await?).unwrap();
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let mut chunk = self.bytes(size + 2).await?;
        assert_eq!(chunk.split_off(size), b"\r\n");
        Some(chunk)
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match self.chunk().await? {
                chunk if chunk.is_empty() => return Some(body),
                chunk => body.extend_from_slice(&chunk),
            }
        }
    }
}
