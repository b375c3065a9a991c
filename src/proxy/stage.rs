//! What a connection is doing, since when, and how long it may.

use std::time::Duration;

use super::settings::Settings;

/// What a connection is doing at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Accepted; no byte came yet.
    Silent,
    /// The first byte of a request came, its head is not complete.
    Head,
    /// A request is being answered. Who answers it keeps its time.
    Exchange,
    /// A request is being answered, and its client takes nothing.
    Stalled,
    /// Between two requests.
    Idle,
    /// Everything was sent; what the client may still send is thrown away.
    Farewell,
    /// The raw connection belongs to somebody else now.
    HandedOver,
    /// Over, for this reason.
    Ended(Ending),
}

/// Why a connection was ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It never sent a byte.
    SilentTimeout,
    /// Its request's head took too long.
    HeadTimeout,
    /// It stood idle for too long.
    IdleTimeout,
    /// Its client took nothing for too long.
    SendTimeout,
    /// The time after the last answer is over.
    FarewellOver,
    /// It was asked to end, and its grace is over.
    GraceOver,
    /// It was cut without grace.
    Cut,
    /// The door closed at once.
    Stopped,
}

/// How long a connection may stay in each stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    silent: Duration,
    head: Duration,
    idle: Duration,
    send: Duration,
    farewell: Duration,
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

/// How long a client that is no longer answered may go on sending: long enough for it to read what it was told
/// before the system resets the connection.
const FAREWELL: Duration = Duration::from_secs(2);

impl Limits {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            silent: settings.silent_timeout,
            head: settings.head_timeout,
            idle: settings.idle_timeout,
            send: settings.send_timeout,
            farewell: FAREWELL,
            body: settings.body_timeout,
            min_rate: settings.min_rate,
        }
    }

    /// Whether a client that owes more of its body has had its time.
    pub(super) fn body_is_too_slow(&self, waited: Waited) -> bool {
        self.is_too_slow(self.body, waited)
    }

    /// A pause has a limit, and so have all pauses together: the same, and a second for every `min_rate` bytes.
    fn is_too_slow(&self, limit: Duration, waited: Waited) -> bool {
        let earned = Duration::from_secs(waited.bytes / self.min_rate.max(1));
        waited.pause >= limit || waited.pause + waited.before >= limit + earned
    }

    /// The end of a connection that is in `stage`, if its time is up.
    pub(super) fn ending(&self, stage: Stage, waited: Waited) -> Option<Ending> {
        let (limit, ending) = match stage {
            Stage::Silent => (self.silent, Ending::SilentTimeout),
            Stage::Head => (self.head, Ending::HeadTimeout),
            Stage::Idle => (self.idle, Ending::IdleTimeout),
            Stage::Stalled => return self.is_too_slow(self.send, waited).then_some(Ending::SendTimeout),
            Stage::Farewell => (self.farewell, Ending::FarewellOver),
            Stage::Exchange | Stage::HandedOver | Stage::Ended(_) => return None,
        };
        (waited.pause >= limit).then_some(ending)
    }
}

/// A stage and the millisecond of its beginning in one word, so that both change together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StageWord(pub(super) u64);

/// Every stage that a word can hold, by its number.
const STAGES: [Stage; 15] = [
    Stage::Silent,
    Stage::Head,
    Stage::Exchange,
    Stage::Stalled,
    Stage::Idle,
    Stage::Farewell,
    Stage::HandedOver,
    Stage::Ended(Ending::SilentTimeout),
    Stage::Ended(Ending::HeadTimeout),
    Stage::Ended(Ending::IdleTimeout),
    Stage::Ended(Ending::SendTimeout),
    Stage::Ended(Ending::FarewellOver),
    Stage::Ended(Ending::GraceOver),
    Stage::Ended(Ending::Cut),
    Stage::Ended(Ending::Stopped),
];

const STAGE_BITS: u32 = 4;
const STAGE_MASK: u64 = (1 << STAGE_BITS) - 1;

impl StageWord {
    pub(super) fn new(stage: Stage, since_ms: u64) -> Self {
        let number = STAGES.iter().position(|other| *other == stage).unwrap_or_default();
        Self(since_ms << STAGE_BITS | number as u64)
    }

    pub(super) fn stage(self) -> Stage {
        let number = (self.0 & STAGE_MASK) as usize;
        STAGES.get(number).copied().unwrap_or(Stage::Silent)
    }

    pub(super) fn since_ms(self) -> u64 {
        self.0 >> STAGE_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_both() {
        for stage in STAGES {
            let word = StageWord::new(stage, 123_456_789);
            assert_eq!((word.stage(), word.since_ms()), (stage, 123_456_789));
        }
    }

    #[test]
    fn each_stage_has_its_own_time() {
        let settings = Settings {
            silent_timeout: Duration::from_secs(1),
            head_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(3),
            send_timeout: Duration::from_secs(4),
            ..Settings::default()
        };
        let after = |pause| Waited { pause, before: Duration::ZERO, bytes: 0 };
        let cases = [
            (Stage::Silent, Some((1, Ending::SilentTimeout))),
            (Stage::Head, Some((2, Ending::HeadTimeout))),
            (Stage::Idle, Some((3, Ending::IdleTimeout))),
            (Stage::Stalled, Some((4, Ending::SendTimeout))),
            (Stage::Farewell, Some((2, Ending::FarewellOver))),
            (Stage::Exchange, None),
            (Stage::HandedOver, None),
            (Stage::Ended(Ending::Cut), None),
        ];
        let limits = Limits::of(&settings);
        for (stage, expected) in cases {
            let Some((seconds, ending)) = expected else {
                assert_eq!(limits.ending(stage, after(Duration::MAX)), None, "{stage:?}");
                continue;
            };
            let limit = Duration::from_secs(seconds);
            assert_eq!(limits.ending(stage, after(limit - Duration::from_millis(1))), None, "{stage:?}");
            assert_eq!(limits.ending(stage, after(limit)), Some(ending), "{stage:?}");
        }
    }

    #[test]
    fn whoever_trickles_has_had_its_time_as_well() {
        let settings = Settings { body_timeout: Duration::from_secs(60), min_rate: 100, ..Settings::default() };
        let limits = Limits::of(&settings);
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
