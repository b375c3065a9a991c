//! What carries the logout calls to the applications: the way to upstreams, without a client's request.

use std::fmt;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::Method;

use crate::http1::head_lines::HeadFields;
use crate::routes::pool::Pool;
use crate::values::application_outcome::CallFailure;

/// A request that the gateway makes itself.
pub(crate) struct OwnRequest {
    /// GET or POST.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    /// Its lines, without those of the framing.
    pub(crate) lines: BytesMut,
    /// Its form; empty for GET.
    pub(crate) body: Bytes,
}

/// It has the cookies of a user.
impl fmt::Debug for OwnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target.split('?').next().unwrap_or_default())
    }
}

/// The parts of an answer that are inspected.
#[derive(Default)]
pub(crate) struct OwnAnswer {
    /// The status.
    pub(crate) status: u16,
    /// The `Set-Cookie` lines.
    pub(crate) set_cookies: Vec<Vec<u8>>,
    /// Whether the body is JSON.
    pub(crate) is_json: bool,
    /// The beginning of the body, as far as a token is looked for in it.
    pub(crate) body: Vec<u8>,
    /// Whether that is all of the body.
    pub(crate) is_whole: bool,
    /// The lines of the head.
    pub(crate) head: Option<HeadFields>,
}

/// Its body may hold a token.
impl fmt::Debug for OwnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)
    }
}

/// Sends requests to upstreams. Redirects are not followed, and nothing is sent twice.
#[async_trait]
pub(crate) trait ApplicationClient: fmt::Debug + Send + Sync {
    /// Sends one, and reads the answer to its end. The caller keeps the time.
    ///
    /// # Errors
    /// There was no answer.
    async fn send(&self, pool: &Pool, affinity: u64, request: OwnRequest) -> Result<OwnAnswer, CallFailure>;
}
