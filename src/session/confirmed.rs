//! What the store last reported of one session: whether it still exists, and whether it is the same as here.

use std::sync::atomic::Ordering;

use super::epoch::Epoch;
use super::sync::AtomicU32;

/// The last bit: another gateway has changed it since. The others: the epoch in which the store had it.
#[derive(Debug, Default)]
pub(super) struct Confirmed(AtomicU32);

/// Whether the store has confirmed a session, or another gateway has changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As it is here.
    Current,
    /// Another gateway has changed its cookies or its keys.
    Outdated,
    /// It may have ended.
    InDoubt,
}

const OUTDATED: u32 = 1;

impl Confirmed {
    /// The store had it in this epoch, as it is here.
    pub(super) fn confirm(&self, Epoch(epoch): Epoch) {
        let later = |known: u32| Some((known >> 1).max(epoch) << 1);
        // It always has a later value.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    pub(super) fn outdate(&self) {
        self.0.fetch_or(OUTDATED, Ordering::SeqCst);
    }

    pub(super) fn standing(&self, Epoch(epoch): Epoch) -> Standing {
        let known = self.0.load(Ordering::Acquire);
        match known ^ (epoch << 1) {
            0 => Standing::Current,
            OUTDATED => Standing::Outdated,
            _ => Standing::InDoubt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_confirmed_is_so_in_its_epoch_until_it_is_changed() {
        let (confirmed, [first, second]) = (Confirmed::default(), [Epoch(0), Epoch(1)]);
        assert_eq!(confirmed.standing(first), Standing::Current);
        assert_eq!(confirmed.standing(second), Standing::InDoubt);
        confirmed.outdate();
        assert_eq!((confirmed.standing(first), confirmed.standing(second)), (Standing::Outdated, Standing::InDoubt));
        confirmed.confirm(second);
        confirmed.confirm(first);
        assert_eq!((confirmed.standing(first), confirmed.standing(second)), (Standing::InDoubt, Standing::Current));
    }
}
