//! The interface by which logout calls are sent to upstreams, without a client's request.

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
    /// Its header lines, without the framing.
    pub(crate) lines: BytesMut,
    /// The body, a form; empty for GET.
    pub(crate) body: Bytes,
}

/// Does not show the header lines, which have the cookies of a user.
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
    /// The beginning of the body, in which a token is searched for.
    pub(crate) body: Vec<u8>,
    /// Whether that is the whole body.
    pub(crate) is_whole: bool,
    /// The header lines.
    pub(crate) head: Option<HeadFields>,
}

/// Does not show the body, which may contain a token.
impl fmt::Debug for OwnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)
    }
}

/// Sends requests to upstreams. It does not follow redirects and does not retry.
#[async_trait]
pub(crate) trait ApplicationClient: fmt::Debug + Send + Sync {
    /// Sends a request and reads the whole answer. The caller sets a timeout.
    ///
    /// # Errors
    /// Why there was no answer.
    async fn send(&self, pool: &Pool, affinity: u64, request: OwnRequest) -> Result<OwnAnswer, CallFailure>;
}
