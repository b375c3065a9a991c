//! The timestamps of log lines, in UTC.

use jiff::Timestamp;

use crate::values::time::WallTime;

/// RFC 3339, in UTC.
pub(super) fn rfc3339(at: WallTime) -> String {
    timestamp_of(at).to_string()
}

/// The timestamp of the combined log format.
pub(super) fn common(at: WallTime) -> String {
    timestamp_of(at).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

fn timestamp_of(at: WallTime) -> Timestamp {
    i64::try_from(at.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

/// A cache of the last formatted timestamp: many lines have the same one.
#[derive(Debug, Default)]
pub(super) struct CachedTimestamp {
    at: Option<(WallTime, fn(WallTime) -> String)>,
    text: String,
}

impl CachedTimestamp {
    /// The time, formatted by `format`.
    pub(super) fn of(&mut self, at: WallTime, format: fn(WallTime) -> String) -> &str {
        let known = self.at.is_some_and(|(known, by)| known == at && std::ptr::fn_addr_eq(by, format));
        if !known {
            self.text = format(at);
            self.at = Some((at, format));
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        let mut stamp = CachedTimestamp::default();
        for _ in 0..2 {
            assert_eq!(stamp.of(WallTime(1_767_225_600), rfc3339), "2026-01-01T00:00:00Z");
            assert_eq!(stamp.of(WallTime(1_767_225_600), common), "01/Jan/2026:00:00:00 +0000");
            assert_eq!(stamp.of(WallTime(1_767_225_601), common), "01/Jan/2026:00:00:01 +0000");
        }
    }
}
