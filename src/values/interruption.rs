//! Why an answer or a WebSocket ended early.

/// Its id in the access line. Adding one is fine; renaming one breaks operators' alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The session ended: a logout, an expiry, an operator.
    SessionEnded,
    /// The configuration changed, and the new one refuses it.
    Refused,
    /// The gateway stops or restarts.
    Stopping,
    /// The client closed its connection.
    ClientGone,
    /// The client sent its body, or took its answer, too slowly.
    ClientTooSlow,
    /// The upstream's answer broke off, or the upstream closed a WebSocket without a Close frame.
    UpstreamBroke,
    /// The upstream paused for too long in the middle of its answer.
    UpstreamTooSlow,
}

impl Interruption {
    /// The id.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::SessionEnded => "session_ended",
            Self::Refused => "refused",
            Self::Stopping => "stopping",
            Self::ClientGone => "client_gone",
            Self::ClientTooSlow => "client_too_slow",
            Self::UpstreamBroke => "upstream_broke",
            Self::UpstreamTooSlow => "upstream_too_slow",
        }
    }
}
