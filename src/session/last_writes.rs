//! Ended sessions that have left the table while an announced write is not finished.
//!
//! An end waits for such writes after the session has left the table. Another sign-out with the same cookie, or an end
//! of all sessions of the user, must wait for them as well: after its answer no head may reach an application. Here it
//! finds the session. There are at most as many as there are unfinished writes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::record::Session;
use super::sync::{AtomicUsize, Mutex};
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;

#[derive(Debug)]
pub(super) struct LastWrites {
    sessions: Mutex<Vec<Arc<Session>>>,
    /// The length of the list: look-ups of unknown keys do not wait for its lock.
    count: AtomicUsize,
}

impl Default for LastWrites {
    fn default() -> Self {
        Self { sessions: Mutex::new(Vec::new()), count: AtomicUsize::new(0) }
    }
}

impl LastWrites {
    /// To be called before a session whose end mark is set leaves the table.
    pub(super) fn note(&self, session: &Arc<Session>) {
        if session.has_writes() {
            self.update(|sessions| sessions.push(Arc::clone(session)));
        }
    }

    /// The session with this key, if a write is not finished.
    pub(super) fn of_key(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.find(|session| session.keys().contains(key)).pop()
    }

    /// The sessions of this user with writes that are not finished.
    pub(super) fn of_user(&self, user: &UserKey) -> Vec<Arc<Session>> {
        self.find(|session| session.user() == user)
    }

    fn find(&self, is_wanted: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        self.update(|sessions| sessions.iter().filter(|session| is_wanted(session)).cloned().collect())
    }

    fn update<T>(&self, work: impl FnOnce(&mut Vec<Arc<Session>>) -> T) -> T {
        let mut sessions = self.sessions.lock();
        sessions.retain(|session| session.has_writes());
        let result = work(&mut sessions);
        self.count.store(sessions.len(), Ordering::SeqCst);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::live::Cut;
    use crate::session::record::tests::session;
    use crate::values::end_cause::EndCause;

    #[test]
    fn a_session_is_found_until_its_last_write() {
        let (writes, one, quiet) = (LastWrites::default(), session(), session());
        let hold = Arc::clone(&one).hold(&Cut::new()).unwrap();
        let write = hold.begin_write().unwrap();
        for session in [&one, &quiet] {
            assert!(session.mark(EndCause::Logout));
            writes.note(session);
        }
        assert!(writes.of_key(one.name()).is_some() && writes.of_key(quiet.name()).is_none());
        assert_eq!(writes.of_user(one.user()).len(), 1);
        drop(write);
        assert!(writes.of_key(one.name()).is_none() && writes.of_user(one.user()).is_empty());
        assert_eq!(writes.count.load(Ordering::SeqCst), 0, "it is not kept");
    }
}
