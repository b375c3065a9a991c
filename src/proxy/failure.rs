//! Failures of an exchange with an upstream.

use crate::values::interruption::Interruption;
use crate::values::reason::Reason;

/// Why the application's response is missing or incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExchangeFailure {
    /// No connection: refused, unreachable, not resolved, TLS failed, or not within `connect_timeout`.
    Unreachable,
    /// The connection was lost before any byte of an answer.
    Lost,
    /// The answer is incomplete or invalid.
    Broken,
    /// The upstream sent nothing, or did not take the request, for `response_timeout`.
    TooSlow,
    /// The client disconnected.
    ClientGone,
    /// The body of the request is invalid.
    Body(Reason),
    /// The session ended before the request was sent.
    SessionEnded,
    /// The configuration changed before the request was sent, and the new one refuses it.
    Refused(Reason),
}

impl ExchangeFailure {
    /// The reason for the client; `None` if no client waits for a response.
    pub(super) fn reason(self) -> Option<Reason> {
        match self {
            Self::Unreachable => Some(Reason::UpstreamUnreachable),
            Self::Lost | Self::Broken => Some(Reason::UpstreamBroken),
            Self::TooSlow => Some(Reason::UpstreamTooSlow),
            Self::Body(reason) | Self::Refused(reason) => Some(reason),
            Self::SessionEnded => Some(Reason::SignInRequired),
            Self::ClientGone => None,
        }
    }

    /// The interruption, for the access line of an answer that has begun.
    pub(super) fn interruption(self) -> Interruption {
        match self {
            Self::Unreachable | Self::Lost | Self::Broken => Interruption::UpstreamBroke,
            Self::TooSlow => Interruption::UpstreamTooSlow,
            Self::Body(Reason::BodyTooSlow) => Interruption::ClientTooSlow,
            Self::Body(_) | Self::ClientGone => Interruption::ClientGone,
            Self::SessionEnded => Interruption::SessionEnded,
            Self::Refused(_) => Interruption::Refused,
        }
    }

    /// Whether the upstream has caused it, so that it is logged. Failures that clients can cause are only in the access
    /// line, so that they cannot fill the log.
    pub(super) fn is_the_upstreams(self) -> bool {
        matches!(self, Self::Unreachable | Self::Lost | Self::Broken | Self::TooSlow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_answer() {
        let cases = [
            (ExchangeFailure::Unreachable, Some(502)),
            (ExchangeFailure::Lost, Some(502)),
            (ExchangeFailure::Broken, Some(502)),
            (ExchangeFailure::TooSlow, Some(504)),
            (ExchangeFailure::Body(Reason::BodyMalformed), Some(400)),
            (ExchangeFailure::Body(Reason::BodyTooSlow), Some(408)),
            (ExchangeFailure::SessionEnded, Some(401)),
            (ExchangeFailure::Refused(Reason::GroupMissing), Some(403)),
            (ExchangeFailure::ClientGone, None),
        ];
        for (failure, want) in cases {
            assert_eq!(failure.reason().map(|reason| reason.status().as_u16()), want, "{failure:?}");
        }
    }
}
