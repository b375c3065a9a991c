//! How an exchange ended, and what its connection does next.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::transport::Transport;

/// What an exchange came to.
pub enum ExchangeOutcome {
    /// The client may ask again.
    Again,
    /// The connection was handed over.
    HandedOver(UpgradeHandler),
    /// Nothing more is to be said.
    Close,
    /// It was ended from this side, or its client is gone.
    Gone,
}

/// The rest of a connection, as a task of its own.
pub type ConnectionTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What makes the rest of a connection: it gets the raw stream, the bytes that the client sent after its
/// handshake and that were read already (they come before everything that the stream still gives), and the
/// connection with its cut, which it must watch itself. It is dropped when the connection is ended without grace.
pub type UpgradeHandler = Box<dyn FnOnce(Transport, Bytes, Arc<Connection>) -> ConnectionTask + Send>;
