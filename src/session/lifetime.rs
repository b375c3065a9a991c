//! When a session's life is over. Computed from what happened and the current settings, never stored, so that
//! a shorter timeout takes effect on sessions that are there already.

use std::time::Duration;

use crate::values::end_cause::EndCause;
use crate::values::time::Moment;

/// How long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Without a request for this long a session ends. Whole seconds.
    pub idle: Duration,
    /// After this long it ends however much it is used. Whole seconds.
    pub absolute: Duration,
}

impl Lifetime {
    /// Whether a session is over at `now`, and why.
    pub(crate) fn expiry(&self, created: Moment, last_seen: Moment, now: Moment) -> Option<EndCause> {
        if now.duration_since(created) >= self.absolute {
            Some(EndCause::Absolute)
        } else if now.duration_since(last_seen) >= self.idle {
            Some(EndCause::Idle)
        } else {
            None
        }
    }

    /// The earliest moment at which a session could be over if nothing more happens to it.
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
            // A clock that went back ends nothing early and prolongs nothing.
            (100, 100, 50, None),
        ];
        for (created, last_seen, now, want) in cases {
            let [created, last_seen, now] = [created, last_seen, now].map(Moment::from_seconds);
            assert_eq!(lifetime.expiry(created, last_seen, now), want, "{created:?} {last_seen:?} {now:?}");
        }
    }
}
