//! Until when a table may be used without asking its store.
//!
//! A store with further writers has to learn in time which sessions they ended. While it cannot be sure of that, the
//! table opens nothing: requests of sessions are answered with 503, until the store trusts its connection again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::values::time::Moment;

/// The moment from which on the table may be out of date. The store moves it, every request reads it.
#[derive(Debug)]
pub struct Trust {
    until: AtomicU64,
    /// How long after that requests under way may go on.
    grace: Duration,
}

impl Trust {
    /// Of a store that this process alone writes to: the table is never out of date.
    pub(crate) const fn always() -> Self {
        Self { until: AtomicU64::new(u64::MAX), grace: Duration::ZERO }
    }

    /// Of a store that has not received the events of other writers yet. Connections that are under way are cut this
    /// long after the trust has ended.
    #[cfg_attr(not(any(test, feature = "engine")), expect(dead_code, reason = "no store that gateways share"))]
    pub(crate) const fn not_yet(grace: Duration) -> Self {
        Self { until: AtomicU64::new(0), grace }
    }

    /// The table may be used before this moment, and not from it on. The moment may also be earlier than the one
    /// before.
    #[cfg_attr(not(any(test, feature = "engine")), expect(dead_code, reason = "no store that gateways share"))]
    pub(crate) fn set_until(&self, until: Moment) {
        self.until.store(until.millis(), Ordering::Release);
    }

    /// Whether this process is the store's only writer.
    pub(crate) fn is_for_ever(&self) -> bool {
        self.until.load(Ordering::Acquire) == u64::MAX
    }

    /// Whether the table may be used at this moment.
    pub(crate) fn holds_at(&self, now: Moment) -> bool {
        now.millis() < self.until.load(Ordering::Acquire)
    }

    /// Whether the trust ended so long ago that requests from before it ended have to be cut.
    pub(crate) fn is_lost_at(&self, now: Moment) -> bool {
        !self.holds_at(now.before(self.grace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_ends_at_its_moment() {
        let at = Moment::from_seconds;
        assert!(Trust::always().holds_at(at(u32::MAX)) && !Trust::not_yet(Duration::ZERO).holds_at(at(0)));
        assert!(!Trust::always().is_lost_at(at(u32::MAX)));
        let trust = Trust::not_yet(Duration::from_secs(2));
        trust.set_until(at(5));
        assert!(!trust.is_lost_at(at(6)) && trust.is_lost_at(at(7)));
        assert!(trust.holds_at(at(4)) && !trust.holds_at(at(5)));
        trust.set_until(at(3));
        assert!(!trust.holds_at(at(4)), "it can be taken back");
    }
}
