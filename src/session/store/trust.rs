//! The time until which a table may be used without asking its store.
//!
//! If other gateways write to the store, it has to receive their ends in time. While that is uncertain, the table
//! serves no session: requests that need one are answered with 503 until the events are received again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::values::time::Moment;

/// The moment from which the table may be out of date. The store sets it, and every request reads it.
#[derive(Debug)]
pub struct Trust {
    until: AtomicU64,
    /// The time after that moment for which requests in progress may continue.
    grace: Duration,
}

impl Trust {
    /// For a store to which only this process writes: the table is never out of date.
    pub(crate) const fn always() -> Self {
        Self { until: AtomicU64::new(u64::MAX), grace: Duration::ZERO }
    }

    /// For a store that has not received the events of other writers yet. Requests in progress are cut `grace` after
    /// the trust has ended.
    #[cfg_attr(not(any(test, feature = "engine")), expect(dead_code, reason = "no store that gateways share"))]
    pub(crate) const fn untrusted(grace: Duration) -> Self {
        Self { until: AtomicU64::new(0), grace }
    }

    /// Sets the moment until which the table may be used. It may be earlier than the previous one.
    #[cfg_attr(not(any(test, feature = "engine")), expect(dead_code, reason = "no store that gateways share"))]
    pub(crate) fn set_until(&self, until: Moment) {
        self.until.store(until.millis(), Ordering::Release);
    }

    /// Whether this process is the only writer of the store.
    pub(crate) fn is_for_ever(&self) -> bool {
        self.until.load(Ordering::Acquire) == u64::MAX
    }

    /// Whether the table may be used at `now`.
    pub(crate) fn holds_at(&self, now: Moment) -> bool {
        now.millis() < self.until.load(Ordering::Acquire)
    }

    /// Whether the trust ended so long before `now` that requests in progress have to be cut.
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
        assert!(Trust::always().holds_at(at(u32::MAX)) && !Trust::untrusted(Duration::ZERO).holds_at(at(0)));
        assert!(!Trust::always().is_lost_at(at(u32::MAX)));
        let trust = Trust::untrusted(Duration::from_secs(2));
        trust.set_until(at(5));
        assert!(!trust.is_lost_at(at(6)) && trust.is_lost_at(at(7)));
        assert!(trust.holds_at(at(4)) && !trust.holds_at(at(5)));
        trust.set_until(at(3));
        assert!(!trust.holds_at(at(4)), "the moment can be moved back");
    }
}
