//! The part of a session that exchanges in progress use. It is shared with the new session when the user signs in again
//! in the same browser: the earlier session then leaves the table without ending.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use super::end_mark::EndMark;
use super::live::LiveConnections;
use super::sync::{AtomicU32, Mutex};
use crate::values::credential_stamp::CredentialStamp;
use crate::values::end_cause::EndCause;
use crate::values::identity::Identity;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The state shared by a session and its successors after repeated sign-ins.
#[derive(Debug)]
pub(super) struct Life {
    /// A reload can replace it while requests are in progress.
    pub(super) identity: ArcSwap<Identity>,
    /// And how often it was replaced: of two stamps the one with the greater number is the later one. One byte, since
    /// a larger number makes every session larger; nobody sets a password more often in the name of one session.
    stamp: Mutex<(Option<CredentialStamp>, u8)>,
    last_seen: AtomicU32,
    pub(super) ended: EndMark,
    pub(super) live: LiveConnections,
    /// The name of the session that is in the table; `None` if it is the first one.
    successor: Mutex<Option<Box<SessionKey>>>,
}

impl Life {
    pub(super) fn new(identity: Arc<Identity>, stamp: Option<CredentialStamp>, now: Moment) -> Self {
        Self {
            identity: ArcSwap::new(identity),
            stamp: Mutex::new((stamp, 0)),
            last_seen: AtomicU32::new(now.seconds()),
            ended: EndMark::default(),
            live: LiveConnections::default(),
            successor: Mutex::default(),
        }
    }

    /// The stamp, and how often it was replaced.
    pub(super) fn stamp(&self) -> (Option<CredentialStamp>, u8) {
        *self.stamp.lock()
    }

    pub(super) fn set_stamp(&self, stamp: Option<CredentialStamp>) {
        let mut known = self.stamp.lock();
        *known = (stamp, known.1.saturating_add(1));
    }

    /// Takes over what a store has, unless a change here came after that.
    pub(super) fn renew_stamp(&self, stamp: Option<CredentialStamp>, number: u8) {
        let mut known = self.stamp.lock();
        if number > known.1 {
            *known = (stamp, number);
        }
    }

    pub(super) fn last_seen(&self) -> Moment {
        Moment::from_seconds(self.last_seen.load(Ordering::Relaxed))
    }

    pub(super) fn touch(&self, now: Moment) {
        let now = now.seconds();
        // Most requests find the current second noted already, and a load is cheaper than a write to a shared cache
        // line.
        if self.last_seen.load(Ordering::Relaxed) < now {
            self.last_seen.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Passes this state to the session with this name. `false` if it has ended.
    ///
    /// An end also takes the lock of the name before it sets the mark, so one of the two sees the other.
    pub(super) fn pass_to(&self, name: SessionKey) -> bool {
        let mut successor = self.successor.lock();
        let goes_on = !self.ended.is_set();
        if goes_on {
            *successor = Some(Box::new(name));
        }
        goes_on
    }

    /// The name of the session to which the state belongs, if that is another one than `name`.
    pub(super) fn successor_of(&self, name: &SessionKey) -> Option<SessionKey> {
        self.successor.lock().as_deref().filter(|current| *current != name).copied()
    }

    /// Sets the end mark, unless the state belongs to another session than `name`. `true` for the one caller that set
    /// it.
    pub(super) fn end_of(&self, name: &SessionKey, cause: EndCause) -> bool {
        let successor = self.successor.lock();
        successor.as_deref().is_none_or(|current| current == name) && self.ended.set(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::session_id::SessionId;

    #[test]
    fn an_ended_life_is_not_passed_on_and_a_passed_one_ends_with_the_successor() {
        let [first, next] = [(), ()].map(|()| SessionId::generate().unwrap().key());
        let life = || Life::new(Arc::new(Identity::new("alice", None, None, &[]).unwrap()), None, Moment::default());
        let over = life();
        assert!(over.end_of(&first, EndCause::Logout) && !over.pass_to(next));
        assert_eq!(over.successor_of(&first), None);
        let passed = life();
        assert!(passed.pass_to(next) && passed.successor_of(&first) == Some(next));
        assert!(!passed.end_of(&first, EndCause::Idle) && !passed.ended.is_set());
        assert!(passed.end_of(&next, EndCause::Logout) && passed.ended.is_set());
    }
}
