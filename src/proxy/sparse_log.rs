//! Log messages of what may happen thousands of times a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::values::time::Clock;

/// Says something at most once in a while, and how often it happened in between.
#[derive(Debug, Default)]
pub(super) struct SparseLog {
    silent_until_ms: AtomicU64,
    unsaid: AtomicU64,
}

/// One line in this time, for what can happen thousands of times a second.
const ONE_LINE_IN: Duration = Duration::from_secs(10);

impl SparseLog {
    /// How many times it happened since the last line, this time included, if now is the time for a line.
    pub(super) fn due(&self, clock: &Clock) -> Option<u64> {
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        let now = clock.now();
        let until = self.silent_until_ms.load(Ordering::Relaxed);
        let next = (now + ONE_LINE_IN).millis();
        let turn = now.millis() >= until
            && self.silent_until_ms.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        turn.then(|| self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line() {
        let (clock, clock_handle) = Clock::manual();
        let log = SparseLog::default();
        assert_eq!(log.due(&clock), Some(1));
        assert_eq!((0..1000).filter_map(|_| log.due(&clock)).count(), 0);
        clock_handle.advance(ONE_LINE_IN);
        assert_eq!(log.due(&clock), Some(1001));
    }
}
