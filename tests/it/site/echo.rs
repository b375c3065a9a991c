//! An application that shows what reached it, byte for byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::upstream::{self, Connection};

/// Answers every request with the request, and keeps a log of them. What never reached it is not in the log.
#[derive(Clone)]
pub struct Echo {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    pub async fn start() -> Self {
        Self::answering("").await
    }

    /// One that sends these header lines, each with its end, in every answer.
    pub async fn answering(headers: &'static str) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let address = upstream::start(move |connection, _| serve(connection, Arc::clone(&log), headers)).await;
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request that came since the last look, with its body; each byte is one character.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn serve(mut connection: Connection, log: Arc<Mutex<Vec<String>>>, headers: &'static str) {
    while let Some(raw) = connection.raw_request().await {
        log.lock().unwrap().push(raw.clone());
        let body = if raw.starts_with("HEAD ") { "" } else { &raw };
        let length = raw.len();
        connection.write(&format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\n\r\n{body}")).await;
    }
}
