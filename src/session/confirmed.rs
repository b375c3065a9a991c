//! Whether the store has confirmed a session, and whether the copy in the table is up to date.

use std::sync::atomic::Ordering;

use super::epoch::Epoch;
use super::sync::AtomicU32;

/// The lowest bit says that another gateway has changed the session since. The other bits are the epoch in which the
/// store had it.
#[derive(Debug, Default)]
pub(super) struct Confirmed(AtomicU32);

/// How the copy of a session in the table relates to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It is up to date.
    Current,
    /// Another gateway has changed the cookies, the keys or the password.
    Outdated,
    /// The session may have ended.
    InDoubt,
}

const OUTDATED: u32 = 1;

impl Confirmed {
    /// Records that the store had the session in this epoch, with the same content.
    pub(super) fn confirm(&self, Epoch(epoch): Epoch) {
        let later = |known: u32| Some((known >> 1).max(epoch) << 1);
        // The closure never returns `None`, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    pub(super) fn outdate(&self) {
        self.0.fetch_or(OUTDATED, Ordering::SeqCst);
    }

    pub(super) fn standing(&self, Epoch(epoch): Epoch) -> Freshness {
        let known = self.0.load(Ordering::Acquire);
        match known ^ (epoch << 1) {
            0 => Freshness::Current,
            OUTDATED => Freshness::Outdated,
            _ => Freshness::InDoubt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_current_in_its_epoch_until_it_is_changed() {
        let (confirmed, [first, second]) = (Confirmed::default(), [Epoch(0), Epoch(1)]);
        assert_eq!(confirmed.standing(first), Freshness::Current);
        assert_eq!(confirmed.standing(second), Freshness::InDoubt);
        confirmed.outdate();
        assert_eq!((confirmed.standing(first), confirmed.standing(second)), (Freshness::Outdated, Freshness::InDoubt));
        confirmed.confirm(second);
        confirmed.confirm(first);
        assert_eq!((confirmed.standing(first), confirmed.standing(second)), (Freshness::InDoubt, Freshness::Current));
    }
}
