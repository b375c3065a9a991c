//! The expiry of sessions. It is computed from the times of a session and the current settings, and never stored, so
//! that a shorter timeout also applies to existing sessions.

use std::time::Duration;

use crate::values::end_cause::EndCause;
use crate::values::time::Moment;

/// The timeouts of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The idle timeout, in whole seconds: a session ends when it was not used for this long.
    pub idle: Duration,
    /// The absolute lifetime, in whole seconds: a session ends at this age, even if it is in use.
    pub absolute: Duration,
}

impl Lifetime {
    /// Why a session has expired at `now`; `None` if it has not.
    pub(crate) fn expiry(&self, created: Moment, last_seen: Moment, now: Moment) -> Option<EndCause> {
        if now.duration_since(created) >= self.absolute {
            Some(EndCause::Absolute)
        } else if now.duration_since(last_seen) >= self.idle {
            Some(EndCause::Idle)
        } else {
            None
        }
    }

    /// The moment at which a session expires if it is not used any more.
    pub(crate) fn earliest_end(&self, created: Moment, last_seen: Moment) -> Moment {
        (created + self.absolute).min(last_seen + self.idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_slides_and_absolute_does_not() {
        let lifetime = Lifetime { idle: Duration::from_secs(60), absolute: Duration::from_secs(300) };
        let cases = [
            (0, 0, 59, None),
            (0, 0, 60, Some(EndCause::Idle)),
            (0, 30, 89, None),
            (0, 30, 90, Some(EndCause::Idle)),
            (0, 299, 299, None),
            (0, 299, 300, Some(EndCause::Absolute)),
            (0, 0, 4000, Some(EndCause::Absolute)),
            // Times in the future, after a clock that went back, do not expire a session.
            (100, 100, 50, None),
        ];
        for (created, last_seen, now, want) in cases {
            let [created, last_seen, now] = [created, last_seen, now].map(Moment::from_seconds);
            assert_eq!(lifetime.expiry(created, last_seen, now), want, "{created:?} {last_seen:?} {now:?}");
        }
    }
}
