//! The interface of what the server serves.

use super::client::Client;
use super::outcome::ExchangeOutcome;
use super::refusal::plain;
use super::request::Request;
use crate::values::client_address::Peer;
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::values::time::Moment;

/// Answers requests, and makes the responses to invalid heads.
pub trait Application: Send + Sync + 'static {
    /// Answers one request. The future is dropped when the connection has to end.
    fn exchange(&self, client: &mut Client, request: &Request) -> impl Future<Output = ExchangeOutcome> + Send;

    /// The response to a head that was refused as invalid. `head` are the bytes received from `peer`.
    fn refuse(&self, peer: Peer, head: &[u8], reason: Reason) -> Reply {
        let _ = (peer, head);
        plain(reason)
    }

    /// Called when a client disconnects or times out in the middle of a head.
    fn left(&self, peer: Peer, head: &[u8]) {
        let _ = (peer, head);
    }

    /// Called about ten times a second.
    fn sweep(&self, now: Moment) {
        let _ = now;
    }
}
