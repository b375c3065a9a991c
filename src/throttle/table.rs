//! Counters in a set-associative table of a fixed size: 2,048 sets of 8 entries, 16,384 in total, 32 bytes each, 528
//! KiB for each table with the locks. A key belongs to one set, by a keyed hash that an attacker cannot compute.
//!
//! A full set evicts the counter with the fewest failures, and of those the oldest. To evict a ban by trying other
//! names, an attacker has to give eight other counters of the same set more failures than that ban has, without knowing
//! which names share its set: tens of thousands of names with as many failures each, each slowed down by its own bans
//! and by those of the addresses. Waiting for the end of the ban is far cheaper. New counters evict each other first. A
//! counter without failures is removed at once, so successful sign-ins evict no other counter.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;

use super::Banned;
use super::policy::{CounterState, Policy};
use crate::values::time::Moment;

const SETS: usize = 2048;
const WAYS: usize = 8;

/// The key of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CounterKey {
    tag: u64,
    /// Shared by all counters of one user.
    pub(crate) owner: u32,
}

impl CounterKey {
    /// A key made of keyed hashes.
    pub(super) const fn new(tag: u64, owner: u32) -> Self {
        // Zero is the tag of a free slot.
        Self { tag: tag | 1 << 63, owner }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct CounterSlot {
    tag: u64,
    owner: u32,
    standing: CounterState,
}

impl CounterSlot {
    /// A counter without failures needs no entry.
    fn clear_if_empty(&mut self) {
        if self.standing.failures == 0 && self.standing.open == 0 {
            *self = Self::default();
        }
    }
}

/// One set, under one lock.
type SlotSet = Mutex<[CounterSlot; WAYS]>;

/// Counters of one kind.
pub(super) struct CounterTable {
    /// The first set is a separate field, so that every key has a set without fallible indexing.
    first: SlotSet,
    further: Box<[SlotSet]>,
    policy: Policy,
}

impl CounterTable {
    pub(super) fn new(policy: Policy) -> Self {
        Self { first: SlotSet::default(), further: (1..SETS).map(|_| SlotSet::default()).collect(), policy }
    }

    /// Begins an attempt. Returns the number of failures.
    ///
    /// # Errors
    /// [`Banned`]
    pub(super) fn begin(&self, key: CounterKey, now: Moment) -> Result<u16, Banned> {
        self.change(key, now, |standing| match standing.closed_until(now, self.policy) {
            Some(until) => Err(Banned { until }),
            None => {
                standing.open = standing.open.saturating_add(1);
                Ok(standing.failures)
            }
        })
    }

    /// Ends an attempt that failed. Returns the ban that follows.
    pub(super) fn failed(&self, key: CounterKey, ban_max: Duration, now: Moment) -> Option<Banned> {
        self.change(key, now, |standing| {
            *standing = standing.failed(now, self.policy, ban_max);
            (standing.since > now).then_some(Banned { until: standing.since })
        })
    }

    /// Ends a successful attempt: the failures are reset.
    pub(super) fn succeeded(&self, key: CounterKey, now: Moment) {
        self.change(key, now, |standing| *standing = standing.succeeded(now));
    }

    /// Ends an attempt without a result.
    pub(super) fn abandoned(&self, key: CounterKey) {
        let mut set = self.set(key).lock();
        if let Some(slot) = set.iter_mut().find(|slot| slot.tag == key.tag) {
            slot.standing.open = slot.standing.open.saturating_sub(1);
            slot.clear_if_empty();
        }
    }

    /// The number of counters.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let sets = std::iter::once(&self.first).chain(&self.further);
        sets.map(|set| set.lock().iter().filter(|slot| slot.tag != 0).count()).sum()
    }

    /// Resets all failures of an owner. Returns whether there were any.
    pub(super) fn reset(&self, owner: u32, now: Moment) -> bool {
        let mut any = false;
        for set in std::iter::once(&self.first).chain(&self.further) {
            for slot in set.lock().iter_mut().filter(|slot| slot.tag != 0 && slot.owner == owner) {
                any |= slot.standing.at(now, self.policy).failures > 0;
                slot.standing = slot.standing.reset(now);
                slot.clear_if_empty();
            }
        }
        any
    }

    /// Changes a counter, with failures decayed up to `now`. A missing counter is created, and may evict another one.
    fn change<T>(&self, key: CounterKey, now: Moment, change: impl FnOnce(&mut CounterState) -> T) -> T {
        let mut set = self.set(key).lock();
        let slot = slot_for(&mut set, key, now, self.policy);
        if slot.tag != key.tag {
            let standing = CounterState { since: now, ..CounterState::default() };
            *slot = CounterSlot { tag: key.tag, owner: key.owner, standing };
        }
        slot.standing = slot.standing.at(now, self.policy);
        let changed = change(&mut slot.standing);
        slot.clear_if_empty();
        changed
    }

    fn set(&self, key: CounterKey) -> &SlotSet {
        let at = key.tag as usize % SETS;
        at.checked_sub(1).and_then(|at| self.further.get(at)).unwrap_or(&self.first)
    }
}

impl fmt::Debug for CounterTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterTable").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The slot of the key, else a free one, else the one to be evicted.
fn slot_for(set: &mut [CounterSlot; WAYS], key: CounterKey, now: Moment, policy: Policy) -> &mut CounterSlot {
    let worth = |slot: &CounterSlot| match slot.tag {
        tag if tag == key.tag => (0, (0, Moment::default())),
        0 => (1, (0, Moment::default())),
        _ => (2, slot.standing.at(now, policy).weight()),
    };
    let [first, further @ ..] = set;
    further.iter_mut().fold(first, |least, slot| if worth(slot) < worth(least) { slot } else { least })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { free: 3, forget: Duration::from_secs(60) };
    const BAN_MAX: Duration = Duration::from_secs(900);
    const NOW: Moment = Moment::from_seconds(0);

    /// Keys that all belong to one set.
    fn key(number: u64) -> CounterKey {
        CounterKey::new(number * SETS as u64, number as u32)
    }

    impl CounterTable {
        fn holds(&self, key: CounterKey) -> bool {
            self.set(key).lock().iter().any(|slot| slot.tag == key.tag)
        }
    }

    fn fail(table: &CounterTable, key: CounterKey, times: usize, now: Moment) {
        for _ in 0..times {
            table.failed(key, BAN_MAX, now);
        }
    }

    #[test]
    fn the_table_has_the_documented_size() {
        assert_eq!(size_of::<CounterSlot>(), 32);
        assert_eq!(SETS * size_of::<SlotSet>(), 528 * 1024);
    }

    #[test]
    fn a_ban_takes_effect_and_ends() {
        let table = CounterTable::new(POLICY);
        for _ in 0..3 {
            assert!(table.begin(key(1), NOW).is_ok());
            table.failed(key(1), BAN_MAX, NOW);
        }
        let until = Moment::from_seconds(5);
        assert_eq!(table.begin(key(1), NOW), Err(Banned { until }));
        assert_eq!(table.begin(key(2), NOW), Ok(0));
        assert_eq!(table.begin(key(1), until), Ok(3));
    }

    #[test]
    fn abandoned_attempts_do_not_count() {
        let table = CounterTable::new(POLICY);
        for _ in 0..100 {
            assert_eq!(table.begin(key(1), NOW), Ok(0));
            table.abandoned(key(1));
        }
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_flood_of_other_names_evicts_no_ban() {
        let table = CounterTable::new(POLICY);
        fail(&table, key(1), 4, NOW);
        for number in 2..1000 {
            fail(&table, key(number), 2, NOW + Duration::from_secs(1));
        }
        assert!(table.begin(key(1), NOW + Duration::from_secs(1)).is_err());
        assert!(table.holds(key(999)) && !table.holds(key(2)), "new counters evict each other");
    }

    #[test]
    fn a_new_counter_evicts_the_one_with_the_fewest_failures() {
        let table = CounterTable::new(POLICY);
        (1..=8).for_each(|number| fail(&table, key(number), 3 + number as usize, NOW));
        fail(&table, key(9), 1, NOW);
        assert!(!table.holds(key(1)), "the one with the fewest failures is evicted");
        assert!((2..=9).all(|number| table.holds(key(number))));
    }

    #[test]
    fn successful_attempts_keep_no_counter() {
        let table = CounterTable::new(POLICY);
        (1..=8).for_each(|number| fail(&table, key(number), 1, NOW));
        for number in 9..1000 {
            assert!(table.begin(key(number), NOW).is_ok());
            table.succeeded(key(number), NOW);
        }
        assert_eq!(table.len(), 7, "an attempt in progress needs a counter");
        (2..=8).for_each(|number| table.succeeded(key(number), NOW));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn all_counters_of_an_owner_are_reset() {
        let table = CounterTable::new(POLICY);
        let keys = [CounterKey::new(7, 42), CounterKey::new(8, 42), CounterKey::new(9, 43)];
        keys.iter().for_each(|&key| fail(&table, key, 5, NOW));
        assert!(table.reset(42, NOW));
        assert!(!table.reset(42, NOW), "there are no failures left");
        assert_eq!(keys.map(|key| table.begin(key, NOW).is_ok()), [true, true, false]);
    }
}
