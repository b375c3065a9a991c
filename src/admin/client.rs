//! The client of the admin socket: one request, one answer.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

/// The maximum size of an answer, in bytes: enough for a few million sessions.
const MAX_ANSWER: usize = 1024 * 1024 * 1024;
/// Timeout for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there was no answer.
#[derive(Debug)]
pub enum AdminCallError {
    /// No program listens on the socket, or this user may not connect.
    Unreachable(io::Error),
    /// There was no valid answer in time.
    Broken(String),
}

impl AdminCallError {
    /// Whether no program listens on the socket.
    pub fn is_absence(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        matches!(self, Self::Unreachable(error) if matches!(error.kind(), NotFound | ConnectionRefused))
    }
}

impl fmt::Display for AdminCallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "the running gateway cannot be reached: {error}"),
            Self::Broken(error) => write!(f, "the running gateway did not answer: {error}"),
        }
    }
}

/// Sends one request to the socket at `path` and waits for the answer's status and JSON.
///
/// # Errors
/// [`AdminCallError`]. An answer with an error status is not an error here.
pub async fn ask(path: &Path, method: Method, target: &str) -> Result<(StatusCode, Value), AdminCallError> {
    let stream = UnixStream::connect(path).await.map_err(AdminCallError::Unreachable)?;
    let answer = tokio::time::timeout(TIMEOUT, exchange(stream, method, target));
    let answer = answer.await.map_err(|_| AdminCallError::Broken("it took too long".to_owned()))?;
    answer.map_err(|error| AdminCallError::Broken(error.to_string()))
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(stream: UnixStream, method: Method, target: &str) -> Result<(StatusCode, Value), AnyError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder().method(method).uri(target).header("host", "admin").body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        Ok::<_, AnyError>((status, serde_json::from_slice(&body)?))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end when its last byte has been read, before the answer has been processed.
        _ = connection => exchange.await,
    }
}
