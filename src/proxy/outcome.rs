//! The outcome of an exchange for its client connection.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::transport::Transport;

/// The outcome of an exchange.
pub enum ExchangeOutcome {
    /// The connection is kept for the next request.
    Again,
    /// The connection is handed over.
    HandedOver(UpgradeHandler),
    /// The connection is closed after the answer.
    Close,
    /// The gateway has ended the connection, or the client is gone.
    Gone,
}

/// The rest of a handed-over connection.
pub type ConnectionTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes over a connection. It gets the stream, the bytes after the handshake that have already been read from it, and
/// the connection with its cut, which it must watch itself. Its task is dropped when the connection is ended without
/// grace.
pub type UpgradeHandler = Box<dyn FnOnce(Transport, Bytes, Arc<Connection>) -> ConnectionTask + Send>;
