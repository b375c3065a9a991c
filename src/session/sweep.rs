//! Which sessions may be over by now: a coarse calendar, not a timer a session.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The width of a day in this calendar, in seconds. Sessions are refused to the second whatever it is; it only
/// delays the rest of their end.
const WIDTH: u32 = 4;

/// Keys by the time at which their session should be looked at again. A session that ended early leaves its 32
/// bytes here until then.
#[derive(Debug, Default)]
pub(super) struct Calendar(Mutex<BTreeMap<u32, Vec<SessionKey>>>);

impl Calendar {
    pub(super) fn enter(&self, key: SessionKey, at: Moment) {
        self.0.lock().entry(at.seconds() / WIDTH).or_default().push(key);
    }

    /// Takes out everything that is due.
    pub(super) fn due(&self, now: Moment) -> Vec<SessionKey> {
        let mut days = self.0.lock();
        let later = days.split_off(&(now.seconds() / WIDTH));
        std::mem::replace(&mut *days, later).into_values().flatten().collect()
    }
}
