//! Until when a table may be believed without asking its store.
//!
//! A store that others write to as well has to learn in time what they ended. While it cannot be sure of that, the
//! table opens nothing: requests of sessions are answered with 503, until the store trusts its connection again.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::values::time::Moment;

/// The moment from which on the table may not be believed any more. The store moves it, every request reads it.
#[derive(Debug)]
pub struct Trust(AtomicU64);

impl Trust {
    /// Of a store that this process alone writes to: the table is never out of date.
    pub(crate) const fn always() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    /// Of a store that has not heard of the others yet.
    #[cfg_attr(not(test), expect(dead_code, reason = "for stores that several gateways share"))]
    pub(crate) const fn not_yet() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The table may be believed before this moment, and not from it on. It can also be an earlier one than before.
    #[cfg_attr(not(test), expect(dead_code, reason = "for stores that several gateways share"))]
    pub(crate) fn set_until(&self, until: Moment) {
        self.0.store(until.millis(), Ordering::Release);
    }

    /// Whether nobody else writes to the store.
    pub(crate) fn is_for_ever(&self) -> bool {
        self.0.load(Ordering::Acquire) == u64::MAX
    }

    /// Whether the table may be believed at this moment.
    pub(crate) fn holds_at(&self, now: Moment) -> bool {
        now.millis() < self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_ends_at_its_moment() {
        let at = Moment::from_seconds;
        assert!(Trust::always().holds_at(at(u32::MAX)) && !Trust::not_yet().holds_at(at(0)));
        let trust = Trust::not_yet();
        trust.set_until(at(5));
        assert!(trust.holds_at(at(4)) && !trust.holds_at(at(5)));
        trust.set_until(at(3));
        assert!(!trust.holds_at(at(4)), "it can be taken back");
    }
}
