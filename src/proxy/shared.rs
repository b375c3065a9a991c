//! The state that all connections of a server share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};

use super::connection_table::ConnectionTable;
use super::rate_limited_log::RateLimitedLog;
use super::settings::ServerSettings;
use crate::values::listen_address::ListenAddress;
use crate::values::reason::Reason;
use crate::values::time::Clock;

/// The state that all connections share.
#[derive(Debug)]
pub(super) struct ServerState<A> {
    pub(super) app: Arc<A>,
    /// The current settings; a reload replaces them.
    pub(super) settings: Arc<ArcSwap<ServerSettings>>,
    pub(super) clock: Clock,
    pub(super) table: Arc<ConnectionTable>,
    /// True once the server stops; for the accept loops.
    pub(super) stopping: watch::Receiver<bool>,
    /// The same for connections, which read it often and do not wait for it.
    pub(super) draining: Arc<AtomicBool>,
    /// Limits the refused clients that get time to read their answer.
    pub(super) refusals: Arc<Semaphore>,
    pub(super) refusal_log: RateLimitedLog,
    pub(super) accept_log: RateLimitedLog,
}

impl<A> ServerState<A> {
    pub(super) fn log_refusal(&self, reason: Reason) {
        if let Some(times) = self.refusal_log.due(&self.clock) {
            let ServerSettings { connections, connections_per_address, .. } = **self.settings.load();
            let reason = reason.id();
            tracing::warn!(times, reason, connections, connections_per_address, "connections refused: see [limits]");
        }
    }

    pub(super) fn log_accept_error(&self, address: &ListenAddress, error: &io::Error) {
        if let Some(times) = self.accept_log.due(&self.clock) {
            tracing::error!(times, %address, %error, "cannot accept connections");
        }
    }
}
