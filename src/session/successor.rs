//! A user who is signed in signs in again in the same browser: the new session shares the state that exchanges in
//! progress use, and the earlier one leaves the table without ending.

use super::end_mark::EndMark;
use super::sync::Mutex;
use crate::values::end_cause::EndCause;
use crate::values::session_id::SessionKey;

/// The name of the session to which that state belongs; `None` if it is the first one, which has the state.
#[derive(Debug, Default)]
pub(super) struct Successor(Mutex<Option<Box<SessionKey>>>);

impl Successor {
    /// Passes the state to the session with this name. `false` if it has ended.
    ///
    /// An end also takes the lock of the name before it sets the mark, so one of the two sees the other.
    pub(super) fn pass(&self, ended: &EndMark, name: SessionKey) -> bool {
        let mut successor = self.0.lock();
        let goes_on = !ended.is_set();
        if goes_on {
            *successor = Some(Box::new(name));
        }
        goes_on
    }

    /// The name of the session to which the state belongs, if that is another one than `name`.
    pub(super) fn of(&self, name: &SessionKey) -> Option<SessionKey> {
        self.0.lock().as_deref().filter(|current| *current != name).copied()
    }

    /// Sets the end mark, unless the state belongs to another session than `name`. `true` for the one caller that set
    /// it.
    pub(super) fn end(&self, ended: &EndMark, name: &SessionKey, cause: EndCause) -> bool {
        let successor = self.0.lock();
        successor.as_deref().is_none_or(|current| current == name) && ended.set(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::session_id::SessionId;

    #[test]
    fn ended_state_is_not_passed_on_and_passed_on_state_ends_with_its_successor() {
        let [first, next] = [(), ()].map(|()| SessionId::generate().unwrap().key());
        let (over, successor) = (EndMark::default(), Successor::default());
        assert!(successor.end(&over, &first, EndCause::Logout) && !successor.pass(&over, next));
        assert_eq!(successor.of(&first), None);
        let (passed, successor) = (EndMark::default(), Successor::default());
        assert!(successor.pass(&passed, next) && successor.of(&first) == Some(next));
        assert!(!successor.end(&passed, &first, EndCause::Idle) && !passed.is_set());
        assert!(successor.end(&passed, &next, EndCause::Logout) && passed.is_set());
    }
}
