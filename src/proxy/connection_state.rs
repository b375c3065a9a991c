//! The states of a connection, and how long each may last.

use std::time::Duration;

use super::settings::ServerSettings;

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// Accepted; no byte has been received.
    Silent,
    /// The first byte of a request has been received; its head is incomplete.
    Head,
    /// A request is being answered. The exchange has its own deadlines.
    Exchange,
    /// A request is being answered, and its client takes no data.
    Stalled,
    /// Between two requests.
    Idle,
    /// Everything has been sent; what the client still sends is discarded.
    Lingering,
    /// The connection has been handed over, for instance to a WebSocket tunnel.
    HandedOver,
    /// Ended for this reason.
    Ended(CloseReason),
}

/// Why the gateway ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// The client sent no byte.
    SilentTimeout,
    /// The head took too long.
    HeadTimeout,
    /// The connection was idle for too long.
    IdleTimeout,
    /// The client took no data for too long.
    SendTimeout,
    /// The lingering close has ended.
    LingerOver,
    /// The grace after a cut is over.
    GraceOver,
    /// It was cut without grace.
    Cut,
    /// The server stopped at once.
    Stopped,
}

/// How long a connection may stay in each state.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionTimeouts {
    silent: Duration,
    head: Duration,
    idle: Duration,
    send: Duration,
    linger: Duration,
    body: Duration,
    /// In bytes per second, either direction.
    min_rate: u64,
}

/// How long an exchange has waited for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaitTimes {
    /// The current pause.
    pub(super) pause: Duration,
    /// The sum of earlier pauses in the same exchange.
    pub(super) before: Duration,
    /// The bytes that the client has sent or taken in the exchange.
    pub(super) bytes: u64,
}

/// The duration of a lingering close: how long a client that gets no further response may go on sending, so that it can
/// read the last one before the system resets the connection.
const LINGER: Duration = Duration::from_secs(2);
/// While the server stops: how long after it was accepted a connection may send its first byte. Clients with a request
/// send it at once; connections that were opened in advance must not delay the stop.
const FIRST_WHILE_STOPPING: Duration = Duration::from_secs(1);

impl ConnectionTimeouts {
    pub(super) fn of(settings: &ServerSettings) -> Self {
        Self {
            silent: settings.silent_timeout,
            head: settings.head_timeout,
            idle: settings.idle_timeout,
            send: settings.send_timeout,
            linger: LINGER,
            body: settings.body_timeout,
            min_rate: settings.min_rate,
        }
    }

    /// The same while the server stops.
    pub(super) fn while_stopping(self) -> Self {
        Self { silent: self.silent.min(FIRST_WHILE_STOPPING), ..self }
    }

    /// Whether a client sends its body too slowly.
    pub(super) fn body_is_too_slow(&self, waited: WaitTimes) -> bool {
        self.is_too_slow(self.body, waited)
    }

    /// A single pause is limited to `limit`, and the sum of all pauses to `limit` plus a second for every `min_rate`
    /// bytes.
    fn is_too_slow(&self, limit: Duration, waited: WaitTimes) -> bool {
        let earned = Duration::from_secs(waited.bytes / self.min_rate.max(1));
        waited.pause >= limit || waited.pause + waited.before >= limit + earned
    }

    /// The reason to close a connection in `state`, if its time is over.
    pub(super) fn close_reason(&self, state: ConnectionState, waited: WaitTimes) -> Option<CloseReason> {
        let (limit, ending) = match state {
            ConnectionState::Silent => (self.silent, CloseReason::SilentTimeout),
            ConnectionState::Head => (self.head, CloseReason::HeadTimeout),
            ConnectionState::Idle => (self.idle, CloseReason::IdleTimeout),
            ConnectionState::Stalled => return self.is_too_slow(self.send, waited).then_some(CloseReason::SendTimeout),
            ConnectionState::Lingering => (self.linger, CloseReason::LingerOver),
            ConnectionState::Exchange | ConnectionState::HandedOver | ConnectionState::Ended(_) => return None,
        };
        (waited.pause >= limit).then_some(ending)
    }
}

/// A state and its beginning (in milliseconds of the clock) in one word, so that both change atomically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateWord(pub(super) u64);

/// All states, in the order of their numbers in a word.
const STATES: [ConnectionState; 15] = [
    ConnectionState::Silent,
    ConnectionState::Head,
    ConnectionState::Exchange,
    ConnectionState::Stalled,
    ConnectionState::Idle,
    ConnectionState::Lingering,
    ConnectionState::HandedOver,
    ConnectionState::Ended(CloseReason::SilentTimeout),
    ConnectionState::Ended(CloseReason::HeadTimeout),
    ConnectionState::Ended(CloseReason::IdleTimeout),
    ConnectionState::Ended(CloseReason::SendTimeout),
    ConnectionState::Ended(CloseReason::LingerOver),
    ConnectionState::Ended(CloseReason::GraceOver),
    ConnectionState::Ended(CloseReason::Cut),
    ConnectionState::Ended(CloseReason::Stopped),
];

const STATE_BITS: u32 = 4;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;

impl StateWord {
    pub(super) fn new(state: ConnectionState, since_ms: u64) -> Self {
        let number = STATES.iter().position(|other| *other == state).unwrap_or_default();
        Self(since_ms << STATE_BITS | number as u64)
    }

    pub(super) fn state(self) -> ConnectionState {
        let number = (self.0 & STATE_MASK) as usize;
        STATES.get(number).copied().unwrap_or(ConnectionState::Silent)
    }

    pub(super) fn since_ms(self) -> u64 {
        self.0 >> STATE_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_state_and_time() {
        for state in STATES {
            let word = StateWord::new(state, 123_456_789);
            assert_eq!((word.state(), word.since_ms()), (state, 123_456_789));
        }
    }

    #[test]
    fn each_state_has_its_own_timeout() {
        let settings = ServerSettings {
            silent_timeout: Duration::from_secs(1),
            head_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(3),
            send_timeout: Duration::from_secs(4),
            ..ServerSettings::default()
        };
        let after = |pause| WaitTimes { pause, before: Duration::ZERO, bytes: 0 };
        let cases = [
            (ConnectionState::Silent, Some((1, CloseReason::SilentTimeout))),
            (ConnectionState::Head, Some((2, CloseReason::HeadTimeout))),
            (ConnectionState::Idle, Some((3, CloseReason::IdleTimeout))),
            (ConnectionState::Stalled, Some((4, CloseReason::SendTimeout))),
            (ConnectionState::Lingering, Some((2, CloseReason::LingerOver))),
            (ConnectionState::Exchange, None),
            (ConnectionState::HandedOver, None),
            (ConnectionState::Ended(CloseReason::Cut), None),
        ];
        let limits = ConnectionTimeouts::of(&settings);
        for (state, expected) in cases {
            let Some((seconds, ending)) = expected else {
                assert_eq!(limits.close_reason(state, after(Duration::MAX)), None, "{state:?}");
                continue;
            };
            let limit = Duration::from_secs(seconds);
            assert_eq!(limits.close_reason(state, after(limit - Duration::from_millis(1))), None, "{state:?}");
            assert_eq!(limits.close_reason(state, after(limit)), Some(ending), "{state:?}");
        }
    }

    #[test]
    fn slow_clients_time_out() {
        let settings =
            ServerSettings { body_timeout: Duration::from_secs(60), min_rate: 100, ..ServerSettings::default() };
        let limits = ConnectionTimeouts::of(&settings);
        let cases = [
            (59, 0, 0, false),
            (60, 0, 0, true),
            (5, 54, 60, false),
            (5, 55, 60, true),
            (5, 55, 100, false),
            (5, 600, 100_000, false),
            (60, 0, 1_000_000, true),
        ];
        for (pause, before, bytes, want) in cases {
            let waited = WaitTimes { pause: Duration::from_secs(pause), before: Duration::from_secs(before), bytes };
            assert_eq!(limits.body_is_too_slow(waited), want, "{waited:?}");
        }
    }
}
