//! The opening handshake of a WebSocket (RFC 6455 4), and the rules of an open one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE, USER_AGENT};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::connection::Connection;
use super::request::Request;
use super::tunnel::{CloseMessage, TunnelEnd, TunnelEndCause, TunnelPeer, TunnelRules};
use crate::gateway::{Forward, Gateway};
use crate::http1::headers::Headers;
use crate::http1::websocket_request::{BadWebSocketRequest, has_token, is_websocket_request};
use crate::session::WriteGuard;
use crate::values::interruption::Interruption;
use crate::values::reason::Reason;

/// A valid handshake of a client.
#[derive(Debug)]
pub(super) struct Handshake {
    /// The value of `Sec-WebSocket-Accept` for its key.
    accept: String,
}

impl Handshake {
    /// The handshake in a request; `None` if the request has none.
    ///
    /// # Errors
    /// The handshake violates RFC 6455.
    pub(super) fn of(request: &Request, forward: &Forward) -> Result<Option<Self>, Reason> {
        if !forward.is_websocket() {
            return Ok(None);
        }
        match is_websocket_request(request.method(), request.version(), request.fields()) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let fields: &dyn Headers = request.fields();
                Ok(Some(Self { accept: accept_of(fields.first(&SEC_WEBSOCKET_KEY).unwrap_or_default()) }))
            }
            Err(BadWebSocketRequest::Version) => Err(Reason::SocketVersion),
            Err(BadWebSocketRequest::NoHandshake | BadWebSocketRequest::Key | BadWebSocketRequest::Body) => {
                Err(Reason::HeadMalformed)
            }
        }
    }

    /// Whether a 101 is a valid answer to it (RFC 6455 4.1).
    pub(super) fn is_accepted_by(&self, headers: &dyn Headers) -> bool {
        has_token(headers, &UPGRADE, "websocket")
            && has_token(headers, &CONNECTION, "upgrade")
            && headers.first(&SEC_WEBSOCKET_ACCEPT) == Some(self.accept.as_bytes())
    }
}

/// The rules of an open WebSocket, from the permit under which it was opened.
pub(super) struct SocketRules<'a> {
    gateway: Arc<Gateway>,
    /// The request of the handshake, which is judged again when the configuration changes.
    request: Request,
    forward: Box<Forward>,
    connection: &'a Connection,
    /// The generation of the configuration by which it was judged.
    judged: AtomicU64,
}

impl<'a> SocketRules<'a> {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        request: Request,
        forward: Box<Forward>,
        connection: &'a Connection,
    ) -> Self {
        let judged = forward.generation();
        connection.note_judged(judged);
        Self { gateway, request, forward, connection, judged: AtomicU64::new(judged) }
    }

    /// Whether the gateway stops, and the session has not ended.
    fn is_restart(&self) -> bool {
        self.connection.is_draining() && !self.forward.has_ended()
    }

    /// The interruption, if the gateway has ended the tunnel.
    pub(super) fn interruption(&self, end: &TunnelEnd) -> Option<Interruption> {
        match end.cause {
            TunnelEndCause::Cut if self.is_restart() => Some(Interruption::Stopping),
            TunnelEndCause::Cut if self.connection.cut().is_refused() => Some(Interruption::Refused),
            TunnelEndCause::Cut => Some(Interruption::SessionEnded),
            TunnelEndCause::Ended(_) if end.in_order => None,
            TunnelEndCause::Ended(TunnelPeer::Client) => Some(Interruption::ClientGone),
            TunnelEndCause::Ended(TunnelPeer::Upstream) => Some(Interruption::UpstreamBroke),
        }
    }
}

impl TunnelRules for SocketRules<'_> {
    type WriteGuard<'b>
        = WriteGuard<'b>
    where
        Self: 'b;

    fn begin_write(&self) -> Option<WriteGuard<'_>> {
        self.forward.begin_write()
    }

    fn check(&self) {
        let generation = self.gateway.generation();
        // Only one task polls a tunnel, so there is one writer.
        if self.judged.swap(generation, Ordering::Relaxed) == generation {
            return;
        }
        let judged = self.gateway.judge_again(self.request.head(), self.connection.peer(), &self.forward);
        self.connection.note_judged(generation);
        if judged.is_err() {
            self.connection.cut().signal_refused(self.gateway.grace());
        }
    }

    fn note_activity(&self) {
        self.gateway.touch(&self.forward);
    }

    fn close_message(&self) -> CloseMessage {
        if self.connection.cut().is_refused() && !self.is_restart() {
            return CloseMessage::NoLongerAllowed;
        }
        match (self.is_restart(), knows_restart(self.request.fields())) {
            (false, _) => CloseMessage::SessionEnded,
            (true, true) => CloseMessage::Restart,
            (true, false) => CloseMessage::GoingAway,
        }
    }
}

/// Whether a client knows the close code 1012, which was registered after the RFC: all but old browsers do.
fn knows_restart(headers: &dyn Headers) -> bool {
    const OLD: [&str; 3] = ["MSIE ", "Trident/", "Edge/"];
    let agent = headers.texts(&USER_AGENT).next().unwrap_or_default();
    !OLD.iter().any(|old| agent.contains(old))
}

/// RFC 6455 4.2.2.
fn accept_of(key: &[u8]) -> String {
    derive_accept_key(key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn old_browsers_do_not_know_the_restart_code() {
        let cases = [
            ("Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko", false),
            ("Mozilla/5.0 (Windows NT 10.0) Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763", false),
            ("Mozilla/5.0 (Windows NT 10.0) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", true),
            ("", true),
        ];
        for (agent, want) in cases {
            let headers: HeaderMap = [(USER_AGENT, HeaderValue::from_static(agent))].into_iter().collect();
            assert_eq!(knows_restart(&headers), want, "{agent}");
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        assert_eq!(accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
