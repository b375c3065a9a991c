//! Rate-limited log messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::values::time::Clock;

/// Limits how often an event is logged, and counts the occurrences in between.
#[derive(Debug, Default)]
pub(super) struct RateLimitedLog {
    silent_until_ms: AtomicU64,
    unsaid: AtomicU64,
}

/// The minimum interval between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

impl RateLimitedLog {
    /// Counts an occurrence. If a line is due, returns the number of occurrences since the last line, this one
    /// included.
    pub(super) fn due(&self, clock: &Clock) -> Option<u64> {
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        let now = clock.now();
        let until = self.silent_until_ms.load(Ordering::Relaxed);
        let next = (now + INTERVAL).millis();
        let turn = now.millis() >= until
            && self.silent_until_ms.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        turn.then(|| self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_events_are_one_line() {
        let (clock, clock_handle) = Clock::manual();
        let log = RateLimitedLog::default();
        assert_eq!(log.due(&clock), Some(1));
        assert_eq!((0..1000).filter_map(|_| log.due(&clock)).count(), 0);
        clock_handle.advance(INTERVAL);
        assert_eq!(log.due(&clock), Some(1001));
    }
}
