//! One exchange's way to its upstream: which endpoint, whose connection, and what follows when it fails.
//!
//! The callbacks of the engine call one function each, in the order of this file.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};

use super::peer::{OwnAuthorities, Sharing, http_peer};
use super::retry::{Broken, may_send_again};
use crate::routes::endpoint::{Endpoint, Tried};
use crate::routes::pool::Pool;
use crate::values::connection_auth::{request_touches_connection, response_touches_connection};
use crate::values::method_override::method_override;

/// Kept in the context of an exchange from the moment its pool is known.
#[derive(Debug)]
pub struct Dispatch {
    pool: Arc<Pool>,
    affinity: u64,
    sharing: Sharing,
    tried: Tried,
    may_repeat: bool,
    sent_again: bool,
    endpoint: Option<Arc<Endpoint>>,
}

impl Dispatch {
    /// The exchange of this request with this pool. `affinity` is a hash of the session, or of the client's
    /// address without one. `owner` is given on routes with `connection_auth`: see [`Sharing::Owner`].
    pub fn new(pool: Arc<Pool>, affinity: u64, owner: Option<u64>, request: &RequestHeader) -> Self {
        let sharing = match owner {
            Some(owner) => Sharing::Owner(owner),
            None if request_touches_connection(&request.headers) => Sharing::Nobody,
            None => Sharing::Everybody,
        };
        let may_repeat = request.method.is_idempotent() && method_override(&request.headers) == Ok(None);
        Self { pool, affinity, sharing, tried: Tried::NOTHING, may_repeat, sent_again: false, endpoint: None }
    }

    /// How long the application may take to answer.
    pub fn patience(&self) -> Duration {
        self.pool.settings().response_timeout
    }

    /// How long it may be silent within its answer.
    pub fn stream_patience(&self) -> Duration {
        self.pool.settings().stream_timeout
    }

    /// The endpoint of the present attempt, for the access line.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_deref()
    }

    /// `upstream_peer`: the endpoint to try next.
    ///
    /// # Errors
    /// No endpoint is left, or no name has an address.
    pub async fn upstream_peer(&mut self, own_authorities: &OwnAuthorities) -> Result<Box<HttpPeer>> {
        let Some(endpoint) = self.pool.choose(self.affinity, &self.tried).await else {
            return Err(Error::explain(ErrorType::ConnectError, "no endpoint to connect to").into_up());
        };
        let sharing = if self.sent_again { Sharing::Nobody } else { self.sharing };
        let endpoint = self.endpoint.insert(endpoint);
        http_peer(endpoint, self.pool.settings(), sharing, own_authorities).map(Box::new)
    }

    /// `fail_to_connect`: nothing was sent, so whatever the method is, the next endpoint is tried if there is one.
    pub fn fail_to_connect(&mut self, mut error: Box<Error>) -> Box<Error> {
        if let Some(endpoint) = &self.endpoint {
            self.pool.failed_to_connect(endpoint);
            self.tried.insert(endpoint);
        }
        error.set_retry(self.pool.pick(self.affinity, &self.tried).is_some());
        error
    }

    /// `connected_to_upstream`.
    pub fn connected(&self) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.connected();
        }
    }

    /// `upstream_request_filter`, after all other edits: a connection that nobody may use is closed by both sides.
    ///
    /// # Errors
    /// None that is known: the engine's insertion of a header may fail.
    pub fn upstream_request(&self, request: &mut RequestHeader) -> Result<()> {
        if self.sharing == Sharing::Nobody || self.sent_again {
            request.insert_header(CONNECTION, "close")?;
        }
        Ok(())
    }

    /// `upstream_response_filter`: an upstream that asks for, or goes on with, an authentication of connections
    /// makes all of its connections unfit for others. The engine cannot be told to close this one.
    pub fn upstream_response(&self, response: &ResponseHeader) {
        if self.sharing == Sharing::Everybody
            && response_touches_connection(&response.headers)
            && let Some(endpoint) = &self.endpoint
        {
            endpoint.retire_connections();
        }
    }

    /// `error_while_proxy`: whether the request is sent again. Always decides.
    pub fn error_while_proxy(&mut self, session: &Session, mut error: Box<Error>, reused: bool) -> Box<Error> {
        use ErrorType::{ConnectionClosed, ReadError, WriteError};
        let lost = matches!(error.etype(), ConnectionClosed | ReadError | WriteError);
        let again = may_send_again(Broken {
            connection_lost: lost && *error.esource() == ErrorSource::Upstream,
            reused,
            idempotent: self.may_repeat,
            response_begun: session.response_written().is_some(),
            body_at_hand: !session.as_ref().retry_buffer_truncated(),
            sent_again: self.sent_again,
        });
        self.sent_again |= again;
        error.set_retry(again);
        error
    }
}
