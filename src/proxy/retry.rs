//! Decides when a request is sent a second time.

/// An attempt whose connection was lost before any byte of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailedAttempt {
    /// Whether the connection was reused: the upstream may have closed it before it received the request.
    pub(super) reused: bool,
    /// Whether the request is idempotent (RFC 9110 9.2.2).
    pub(super) may_repeat: bool,
    /// Whether the whole part of the body that was read is still buffered.
    pub(super) body_at_hand: bool,
    /// Whether it has already been sent a second time.
    pub(super) sent_again: bool,
}

/// Whether the request is sent a second time, on a new connection: only if it is idempotent, only if a reused
/// connection was lost, which was most likely just closing, and only once.
///
/// After a failed connect nothing has been sent, so the next endpoint is tried with any request.
pub(super) fn may_send_again(attempt: FailedAttempt) -> bool {
    attempt.reused && attempt.may_repeat && attempt.body_at_hand && !attempt.sent_again
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: FailedAttempt = FailedAttempt { reused: true, may_repeat: true, body_at_hand: true, sent_again: false };

    #[test]
    fn each_condition_is_needed() {
        assert!(may_send_again(GOOD));
        let cases = [
            ("a new connection", FailedAttempt { reused: false, ..GOOD }),
            ("POST", FailedAttempt { may_repeat: false, ..GOOD }),
            ("a part of the body is gone", FailedAttempt { body_at_hand: false, ..GOOD }),
            ("the second time", FailedAttempt { sent_again: true, ..GOOD }),
        ];
        for (name, attempt) in cases {
            assert!(!may_send_again(attempt), "{name}");
        }
    }
}
