//! How many connections use each session at the other gateways of a shared store. People read the numbers; nothing is
//! decided by them.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use super::sync::AtomicU32;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The number of seconds between two exchanges of the numbers. Shorter than the time for which a store keeps them.
const INTERVAL: u32 = 4;
/// The maximum number of sessions whose connections a gateway tells the others.
pub(super) const MAX_TOLD: usize = 10_000;

/// A session, and the number of connections that use it.
pub(crate) type SessionConnections = (SessionKey, u32);

/// What the other gateways have told last.
#[derive(Debug, Default)]
pub(super) struct ConnectionsElsewhere {
    counts: ArcSwap<HashMap<SessionKey, usize>>,
    /// The second at which the next exchange is due.
    due: AtomicU32,
}

impl ConnectionsElsewhere {
    /// Whether an exchange is due. If so, the next one is due after the interval.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        let is_due = self.due.load(Ordering::Relaxed) <= now.seconds();
        if is_due {
            self.due.store(now.seconds().saturating_add(INTERVAL), Ordering::Relaxed);
        }
        is_due
    }

    /// The connections of this session at the other gateways together.
    pub(super) fn of(&self, session: &SessionKey) -> usize {
        self.counts.load().get(session).copied().unwrap_or_default()
    }

    /// Replaces all numbers by those of the other gateways.
    pub(super) fn replace(&self, told: impl IntoIterator<Item = SessionConnections>) {
        let mut counts = HashMap::new();
        for (session, count) in told {
            let sum: &mut usize = counts.entry(session).or_default();
            *sum = sum.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        }
        self.counts.store(counts.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::session_id::SessionId;

    #[test]
    fn the_numbers_of_all_other_gateways_are_added() {
        let (elsewhere, [one, two]) =
            (ConnectionsElsewhere::default(), [(); 2].map(|()| SessionId::generate().unwrap().key()));
        elsewhere.replace([(one, 1), (two, 3), (one, 2)]);
        assert_eq!([one, two].map(|session| elsewhere.of(&session)), [3, 3]);
        elsewhere.replace([(two, 1)]);
        assert_eq!([one, two].map(|session| elsewhere.of(&session)), [0, 1], "earlier numbers are forgotten");
    }

    #[test]
    fn an_exchange_is_due_after_the_interval() {
        let (elsewhere, at) = (ConnectionsElsewhere::default(), Moment::from_seconds);
        let due = [10, 11, 13, 14, 15, 30].map(|second| elsewhere.is_due(at(second)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
