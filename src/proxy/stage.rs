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
        }
    }

    /// The end of a connection that has been in `stage` for `age`, if its time is up.
    pub(super) fn ending(&self, stage: Stage, age: Duration) -> Option<Ending> {
        let (limit, ending) = match stage {
            Stage::Silent => (self.silent, Ending::SilentTimeout),
            Stage::Head => (self.head, Ending::HeadTimeout),
            Stage::Idle => (self.idle, Ending::IdleTimeout),
            Stage::Stalled => (self.send, Ending::SendTimeout),
            Stage::Farewell => (self.farewell, Ending::FarewellOver),
            Stage::Exchange | Stage::HandedOver | Stage::Ended(_) => return None,
        };
        (age >= limit).then_some(ending)
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
                assert_eq!(limits.ending(stage, Duration::MAX), None, "{stage:?}");
                continue;
            };
            let limit = Duration::from_secs(seconds);
            assert_eq!(limits.ending(stage, limit - Duration::from_millis(1)), None, "{stage:?}");
            assert_eq!(limits.ending(stage, limit), Some(ending), "{stage:?}");
        }
    }
}
