//! The rules by which failures lead to bans and decay, without I/O.

use std::time::Duration;

use crate::values::time::Moment;

/// The duration of the first ban.
const FIRST_BAN: Duration = Duration::from_secs(5);
/// The delay before a retry when too many attempts are in progress.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// The limits of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// The number of the first failure that leads to a ban.
    pub(crate) free: u16,
    /// The time without a failure after which one failure is forgotten.
    pub(crate) forget: Duration,
}

/// The state of one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CounterState {
    /// The end of the ban; without a ban, the time of the last failure.
    pub(crate) since: Moment,
    /// The number of failures that have not decayed yet.
    pub(crate) failures: u16,
    /// The number of attempts in progress.
    pub(crate) open: u16,
}

impl Policy {
    /// The ban after this many failures: 5 s, 10 s, 20 s and so on up to `ban_max`.
    pub(super) fn ban(self, failures: u16, ban_max: Duration) -> Duration {
        let Some(times) = failures.checked_sub(self.free) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(times.into()).unwrap_or(u32::MAX);
        FIRST_BAN.saturating_mul(factor).min(ban_max)
    }
}

impl CounterState {
    /// The same counter at a later moment, with failures decayed.
    pub(super) fn at(mut self, now: Moment, policy: Policy) -> Self {
        let quiet = now.duration_since(self.since);
        let forgotten = quiet.as_millis() / policy.forget.as_millis().max(1);
        let forgotten = u16::try_from(forgotten).unwrap_or(u16::MAX).min(self.failures);
        self.failures -= forgotten;
        self.since = self.since + policy.forget.saturating_mul(forgotten.into());
        self
    }

    /// The moment from which an attempt may begin; `None` for at once. Attempts in progress count as failures: several
    /// may run while all of them could fail without a ban, beyond that only one at a time.
    pub(super) fn closed_until(&self, now: Moment, policy: Policy) -> Option<Moment> {
        if self.since > now {
            return Some(self.since);
        }
        let crowded = self.open > 0 && self.failures.saturating_add(self.open) >= policy.free;
        crowded.then(|| now + BUSY_RETRY)
    }

    /// The counter after one more failure.
    pub(super) fn failed(mut self, now: Moment, policy: Policy, ban_max: Duration) -> Self {
        self.open = self.open.saturating_sub(1);
        self.failures = self.failures.saturating_add(1);
        self.since = self.since.max(now + policy.ban(self.failures, ban_max));
        self
    }

    /// The counter after a success.
    pub(super) fn succeeded(self, now: Moment) -> Self {
        Self { open: self.open.saturating_sub(1), ..self.reset(now) }
    }

    /// A counter without failures.
    pub(super) fn reset(self, now: Moment) -> Self {
        Self { since: now, failures: 0, open: self.open }
    }

    /// The order in which counters are evicted from a full set: fewest failures first, then the oldest.
    pub(super) fn weight(&self) -> (u16, Moment) {
        (self.failures.saturating_add(self.open), self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { free: 3, forget: Duration::from_secs(60) };
    const BAN_MAX: Duration = Duration::from_secs(30);

    fn seconds(seconds: u32) -> Moment {
        Moment::from_seconds(seconds)
    }

    #[test]
    fn bans_double_up_to_the_longest() {
        let cases = [(0, 0), (2, 0), (3, 5), (4, 10), (5, 20), (6, 30), (7, 30), (40, 30), (u16::MAX, 30)];
        for (failures, want) in cases {
            assert_eq!(POLICY.ban(failures, BAN_MAX), Duration::from_secs(want), "{failures}");
        }
        assert_eq!(POLICY.ban(40, Duration::MAX).as_secs(), u64::from(u32::MAX) * 5, "no overflow");
    }

    #[test]
    fn failures_decay_one_after_another() {
        let standing = CounterState { since: seconds(100), failures: 3, open: 0 };
        let cases = [(0, 3, 100), (159, 3, 100), (160, 2, 160), (161, 2, 160), (220, 1, 220), (280, 0, 280)];
        for (now, failures, since) in cases {
            let later = standing.at(seconds(now), POLICY);
            assert_eq!((later.failures, later.since), (failures, seconds(since)), "{now}");
        }
        let at_rest = standing.at(seconds(u32::MAX), POLICY);
        assert_eq!(
            at_rest,
            CounterState { since: seconds(280), failures: 0, open: 0 },
            "the time of the last decay is kept"
        );
    }

    #[test]
    fn attempts_in_progress_count() {
        let cases = [
            ((0, 0, 0), None),
            ((0, 0, 2), None),
            ((0, 0, 3), Some(11)),
            ((0, 2, 0), None),
            ((0, 2, 1), Some(11)),
            ((0, 9, 0), None),
            ((10, 9, 0), None),
            ((11, 9, 0), Some(11)),
            ((40, 3, 2), Some(40)),
        ];
        for ((since, failures, open), want) in cases {
            let standing = CounterState { since: seconds(since), failures, open };
            let until = standing.closed_until(seconds(10), POLICY);
            assert_eq!(until, want.map(seconds), "{standing:?}");
        }
    }

    #[test]
    fn a_failure_bans_and_a_success_clears() {
        let standing = CounterState { since: seconds(0), failures: 2, open: 2 };
        let failed = standing.failed(seconds(10), POLICY, BAN_MAX);
        assert_eq!(failed, CounterState { since: seconds(15), failures: 3, open: 1 });
        let again = failed.failed(seconds(11), POLICY, BAN_MAX);
        assert_eq!(again, CounterState { since: seconds(21), failures: 4, open: 0 });
        assert_eq!(again.succeeded(seconds(12)), CounterState { since: seconds(12), failures: 0, open: 0 });
    }

    #[test]
    fn the_longest_ban_limits_the_guesses_in_a_day() {
        let (day, mut now, mut guesses, mut standing) = (86_400, 0, 0, CounterState::default());
        while now < day {
            standing = standing.at(seconds(now), POLICY);
            if let Some(until) = standing.closed_until(seconds(now), POLICY) {
                now = until.seconds();
                continue;
            }
            standing = CounterState { open: 1, ..standing }.failed(seconds(now), POLICY, Duration::from_secs(900));
            guesses += 1;
        }
        assert!((96..=110).contains(&guesses), "{guesses}");
    }
}
