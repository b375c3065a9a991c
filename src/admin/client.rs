//! The client of the admin socket: one request, one answer.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::net::UnixStream;

/// The maximum size of an answer, in bytes: enough for a few million sessions.
const MAX_ANSWER: usize = 1024 * 1024 * 1024;
/// Timeout for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there was no answer.
#[derive(Debug, Error)]
pub enum AdminCallError {
    /// No program listens on the socket, or this user may not connect.
    #[error("the running gateway cannot be reached: {0}")]
    Unreachable(io::Error),
    /// There was no answer in time.
    #[error("the running gateway did not answer: it took too long")]
    TooLate,
    /// The answer is not valid.
    #[error("the running gateway did not answer: {0}")]
    Broken(AnyError),
}

impl AdminCallError {
    /// Whether no program listens on the socket.
    pub(crate) fn is_absence(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        matches!(self, Self::Unreachable(error) if matches!(error.kind(), NotFound | ConnectionRefused))
    }
}

/// Sends one request to the socket at `path` and waits for the answer's status and JSON.
///
/// # Errors
/// [`AdminCallError`]. An answer with an error status is not an error here.
pub async fn ask(path: &Path, method: Method, target: &str) -> Result<(StatusCode, Value), AdminCallError> {
    let stream = UnixStream::connect(path).await.map_err(AdminCallError::Unreachable)?;
    let answer = tokio::time::timeout(TIMEOUT, exchange(stream, method, target));
    answer.await.map_err(|_| AdminCallError::TooLate)?.map_err(AdminCallError::Broken)
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
