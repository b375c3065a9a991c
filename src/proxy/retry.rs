//! When a request is sent once more.

/// What is known of an exchange that broke after its connection was made.
#[derive(Clone, Copy, Debug)]
pub struct Broken {
    /// The upstream closed or reset the connection, rather than being slow or sending nonsense.
    pub connection_lost: bool,
    /// The connection came from the pool: the upstream may have closed it before it saw the request.
    pub reused: bool,
    /// The method may be repeated without harm (RFC 9110 9.2.2).
    pub idempotent: bool,
    /// The client has been sent a part of the response.
    pub response_begun: bool,
    /// All of the request body that was read is still at hand.
    pub body_at_hand: bool,
    /// It has been sent a second time already.
    pub sent_again: bool,
}

/// Whether the request is sent a second time, on a new connection: only if sending it twice does no harm, only
/// where the likely reason is that the pooled connection was closing, and only once.
///
/// An exchange whose connection could not be made is another matter: nothing was sent, so it may always go to the
/// next endpoint.
pub fn may_send_again(broken: Broken) -> bool {
    broken.connection_lost
        && broken.reused
        && broken.idempotent
        && broken.body_at_hand
        && !broken.response_begun
        && !broken.sent_again
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Broken = Broken {
        connection_lost: true,
        reused: true,
        idempotent: true,
        response_begun: false,
        body_at_hand: true,
        sent_again: false,
    };

    #[test]
    fn each_condition_is_needed() {
        assert!(may_send_again(GOOD));
        let cases = [
            ("slow or nonsense", Broken { connection_lost: false, ..GOOD }),
            ("a new connection", Broken { reused: false, ..GOOD }),
            ("POST", Broken { idempotent: false, ..GOOD }),
            ("the client has a part", Broken { response_begun: true, ..GOOD }),
            ("a part of the body is gone", Broken { body_at_hand: false, ..GOOD }),
            ("the second time", Broken { sent_again: true, ..GOOD }),
        ];
        for (name, broken) in cases {
            assert!(!may_send_again(broken), "{name}");
        }
    }
}
