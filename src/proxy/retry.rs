//! When a request is sent once more.

/// What is known of an attempt whose connection was lost before a byte of an answer came.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailedAttempt {
    /// The connection was used before: the upstream may have closed it before it saw the request.
    pub(super) reused: bool,
    /// The request may be repeated without harm (RFC 9110 9.2.2).
    pub(super) may_repeat: bool,
    /// All of the request body that was read is still at hand.
    pub(super) body_at_hand: bool,
    /// It has been sent a second time already.
    pub(super) sent_again: bool,
}

/// Whether the request is sent a second time, on a new connection: only if sending it twice does no harm, only
/// where the likely reason is that the kept connection was closing, and only once.
///
/// An exchange whose connection could not be made is another matter: nothing was sent, so it may always go to the
/// next endpoint.
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
