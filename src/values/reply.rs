//! An answer of the gateway itself, as a value.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, REFRESH};
use http::{HeaderName, HeaderValue, StatusCode};

use super::reason::Reason;
use super::return_to::ReturnTo;

/// An answer with status, headers and complete body. By default all answers of the gateway have
/// `Cache-Control: no-store`.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers in their order, without `Content-Length` and `Connection`, which are added when it is written.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty for redirects.
    pub(crate) body: Bytes,
    /// The reason of a refusal, for the access line.
    pub(crate) reason: Option<Reason>,
}

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        let no_store = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { status, headers: vec![no_store], body: Bytes::new(), reason: None }
    }

    /// A redirect with 303 to a checked target.
    pub(crate) fn see_other(target: &ReturnTo) -> Self {
        Self::empty(StatusCode::SEE_OTHER).with(LOCATION, target.header_value())
    }

    /// An answer with a body of the given type.
    pub(crate) fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::empty(status).with(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply.body = body.into();
        reply
    }

    /// A JSON answer with a final line feed, so that a terminal shows its prompt on a new line.
    pub(crate) fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        let mut body = serde_json::to_vec(value).unwrap_or_default();
        body.push(b'\n');
        Self::with_body(status, "application/json", body)
    }

    /// Marks the reply as a refusal for this reason.
    #[must_use]
    pub(crate) fn refusing(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Makes the browser go to an address after this time, without a script.
    #[must_use]
    pub(crate) fn leading_to(self, address: impl fmt::Display, after: Duration) -> Self {
        match HeaderValue::try_from(format!("{}; url={address}", after.as_secs())) {
            Ok(refresh) => self.with(REFRESH, refresh),
            Err(_) => self,
        }
    }
}
