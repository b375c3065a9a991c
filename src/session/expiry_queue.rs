//! Which sessions may be over by now: one ordered queue, not a timer for each session.

use std::collections::BTreeSet;

use super::sync::Mutex;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// Keys by the second at which their session should be checked again. A session that ended early leaves its entry here
/// until then.
#[derive(Debug, Default)]
pub(super) struct ExpiryQueue(Mutex<BTreeSet<(u32, SessionKey)>>);

impl ExpiryQueue {
    pub(super) fn schedule(&self, key: SessionKey, at: Moment) {
        self.0.lock().insert((at.seconds(), key));
    }

    /// Takes out what is due, up to this many.
    pub(super) fn due(&self, now: Moment, most: usize) -> Vec<SessionKey> {
        let mut entries = self.0.lock();
        let mut due = Vec::new();
        while due.len() < most && entries.first().is_some_and(|(second, _)| *second <= now.seconds()) {
            due.extend(entries.pop_first().map(|(_, key)| key));
        }
        due
    }
}
