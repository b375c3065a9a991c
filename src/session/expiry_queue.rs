//! The queue of sessions that may have expired: one ordered queue instead of a timer for each session.

use std::collections::BTreeMap;

use super::sync::Mutex;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The first eight bytes of the names of sessions, by the second at which these have to be checked. The entry of a
/// session that ended early stays until then.
///
/// If two names have the same first bytes (3 in 100 million for a million sessions), one session may be found instead
/// of the other, which then stays in the table longer. It is refused all the same: every lookup checks the timeouts.
#[derive(Debug, Default)]
pub(super) struct ExpiryQueue(Mutex<BTreeMap<u32, Vec<u64>>>);

/// A full list grows by its length divided by this number. With doubling, a third of the memory of all lists would be
/// unused on average.
const GROWTH: usize = 8;

impl ExpiryQueue {
    pub(super) fn schedule(&self, name: &SessionKey, at: Moment) {
        let mut entries = self.0.lock();
        let heads = entries.entry(at.seconds()).or_default();
        if heads.len() == heads.capacity() {
            heads.reserve_exact((heads.len() / GROWTH).max(1));
        }
        heads.push(name.head());
    }

    /// Removes and returns at most `most` due entries. One that was scheduled several times is returned once.
    pub(super) fn due(&self, now: Moment, most: usize) -> Vec<u64> {
        let mut entries = self.0.lock();
        let mut due = Vec::new();
        while let Some(mut first) = entries.first_entry().filter(|first| *first.key() <= now.seconds()) {
            let heads = first.get_mut();
            due.extend(heads.drain(heads.len().saturating_sub(most - due.len())..));
            if !heads.is_empty() {
                break;
            }
            first.remove();
        }
        due.sort_unstable();
        due.dedup();
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_keys_are_returned_once_in_order_and_at_most_as_many_as_asked_for() {
        let (queue, key) = (ExpiryQueue::default(), |number: u8| SessionKey::from_bytes([number; 32]));
        let head = |number| key(number).head();
        let at = Moment::from_seconds;
        for (number, second) in [(1, 20), (2, 10), (3, 10), (4, 30), (5, 20)] {
            queue.schedule(&key(number), at(second));
        }
        let due = |now, most| queue.due(at(now), most);
        assert!(due(9, 9).is_empty());
        assert_eq!(due(29, 3).len(), 3);
        assert!(due(29, 0).is_empty());
        assert_eq!(due(29, 3).len(), 1);
        assert!(due(29, 3).is_empty());
        assert_eq!(due(30, 1), [head(4)]);
        for number in (0..100).chain(0..100) {
            queue.schedule(&key(number), at(40 + u32::from(number % 2)));
        }
        assert_eq!(due(41, 200), (0..100).map(head).collect::<Vec<_>>());
    }

    #[test]
    fn at_most_an_eighth_of_a_long_list_is_unused() {
        let queue = ExpiryQueue::default();
        for number in 0..1000_u32 {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            queue.schedule(&SessionKey::from_bytes(bytes), Moment::from_seconds(1));
        }
        let entries = queue.0.lock();
        assert!(entries[&1].capacity() <= 1000 + 1000 / GROWTH);
    }
}
