//! A histogram of durations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Counters;

/// The upper bounds of the buckets, in milliseconds. One more bucket has the longer durations.
const BOUNDS: [u32; 13] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 60_000];

/// The number of durations in each bucket, and their sum.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: Counters<{ BOUNDS.len() + 1 }>,
    /// In milliseconds.
    sum: AtomicU64,
}

impl Histogram {
    /// Adds a duration.
    pub(super) fn add(&self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| millis <= u64::from(*bound)).unwrap_or(BOUNDS.len());
        self.counts.add(bucket, 1);
        self.sum.fetch_add(millis, Ordering::Relaxed);
    }

    /// The sum in seconds, and for each bucket its upper bound in seconds and its count.
    pub(super) fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let bounds = BOUNDS.iter().map(|bound| f64::from(*bound) / 1000.0).chain([f64::INFINITY]);
        let buckets = bounds.enumerate().map(|(at, bound)| (bound, self.counts.get(at)));
        let sum = Duration::from_millis(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        (sum, buckets.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_one_bucket() {
        let histogram = Histogram::default();
        for millis in [0, 1, 2, 3, 60_000, 60_001] {
            histogram.add(Duration::from_millis(millis));
        }
        let (sum, buckets) = histogram.read();
        let filled: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.002, 1), (0.005, 1), (60.0, 1), (f64::INFINITY, 1)]);
        assert!((sum - 120.007).abs() < 1e-9, "{sum}");
    }
}
