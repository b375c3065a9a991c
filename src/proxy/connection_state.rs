//! What a connection is doing, since when, and how long it may.

use std::time::Duration;

use super::settings::ServerSettings;

/// What a connection is doing at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// Accepted; no byte came yet.
    Silent,
    /// The first byte of a request came, its head is not complete.
    Head,
    /// A request is being answered. The code that answers it watches its time limit.
    Exchange,
    /// A request is being answered, and its client takes nothing.
    Stalled,
    /// Between two requests.
    Idle,
    /// Everything was sent; what the client may still send is thrown away.
    Lingering,
    /// The raw connection was handed over.
    HandedOver,
    /// Over, for this reason.
    Ended(CloseReason),
}

/// Why a connection was ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// It never sent a byte.
    SilentTimeout,
    /// Its request's head took too long.
    HeadTimeout,
    /// It was idle for too long.
    IdleTimeout,
    /// Its client took nothing for too long.
    SendTimeout,
    /// The time after the last answer is over.
    LingerOver,
    /// It was asked to end, and its grace is over.
    GraceOver,
    /// It was cut without grace.
    Cut,
    /// The server closed at once.
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
    /// Bytes a second, either way.
    min_rate: u64,
}

/// How long a client was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waited {
    /// This time, without a sign of it.
    pub(super) pause: Duration,
    /// Before, in the same exchange.
    pub(super) before: Duration,
    /// What it has sent or taken in that exchange.
    pub(super) bytes: u64,
}

/// Lingering close: how long a client that gets no further response may go on sending, so that it can read the last one
/// before the system resets the connection.
const LINGER: Duration = Duration::from_secs(2);
/// While the server stops: how long after it was accepted a connection may send its first byte. Clients that have a
/// request send it at once, and a connection that was opened in advance does not delay the stop.
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

    /// Whether a client that has more of its body to send has used up its time.
    pub(super) fn body_is_too_slow(&self, waited: Waited) -> bool {
        self.is_too_slow(self.body, waited)
    }

    /// A pause has a limit, and so has the sum of all pauses: the same, plus a second for every `min_rate` bytes.
    fn is_too_slow(&self, limit: Duration, waited: Waited) -> bool {
        let earned = Duration::from_secs(waited.bytes / self.min_rate.max(1));
        waited.pause >= limit || waited.pause + waited.before >= limit + earned
    }

    /// The end of a connection that is in `state`, if its time is up.
    pub(super) fn close_reason(&self, state: ConnectionState, waited: Waited) -> Option<CloseReason> {
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

/// A state and the millisecond of its beginning in one word, so that both change together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateWord(pub(super) u64);

/// Every state that a word can hold, by its number.
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
    fn a_word_keeps_both() {
        for state in STATES {
            let word = StateWord::new(state, 123_456_789);
            assert_eq!((word.state(), word.since_ms()), (state, 123_456_789));
        }
    }

    #[test]
    fn each_stage_has_its_own_time() {
        let settings = ServerSettings {
            silent_timeout: Duration::from_secs(1),
            head_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(3),
            send_timeout: Duration::from_secs(4),
            ..ServerSettings::default()
        };
        let after = |pause| Waited { pause, before: Duration::ZERO, bytes: 0 };
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
    fn whoever_trickles_has_had_its_time_as_well() {
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
            let waited = Waited { pause: Duration::from_secs(pause), before: Duration::from_secs(before), bytes };
            assert_eq!(limits.body_is_too_slow(waited), want, "{waited:?}");
        }
    }
}
