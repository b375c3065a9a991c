//! The reasons for which an answer or a WebSocket ends early.

/// Why an exchange ended early. The ids are stable, since operators' alerts depend on them; new ones may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The session ended, for any cause.
    SessionEnded,
    /// The configuration changed, and the new one refuses the request.
    Refused,
    /// The gateway stops or restarts.
    Stopping,
    /// The client closed its connection.
    ClientGone,
    /// The client sent its body, or read the answer, too slowly.
    ClientTooSlow,
    /// The upstream closed its connection in the middle of an answer, or a WebSocket without a Close frame.
    UpstreamBroke,
    /// The upstream paused for too long in the middle of an answer.
    UpstreamTooSlow,
}

impl Interruption {
    /// The stable id in access lines.
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
