//! Tracks the changed entries since the last write to a store. If another gateway has written meanwhile, only these
//! changes are applied to what it wrote.

/// The maximum number of entries. Beyond it the oldest change is dropped, and the other gateway's version of that entry
/// is used.
const MAX_CHANGES: usize = 256;

/// The keys of the entries that were added, replaced or removed.
#[derive(Clone, Debug)]
pub(super) struct ChangedKeys<K> {
    /// The changes that are in no write yet.
    new: Vec<K>,
    /// The changes in the write in progress.
    in_write: Vec<K>,
}

impl<K> Default for ChangedKeys<K> {
    fn default() -> Self {
        Self { new: Vec::new(), in_write: Vec::new() }
    }
}

impl<K: PartialEq> ChangedKeys<K> {
    pub(super) fn note(&mut self, key: K) {
        if self.new.contains(&key) {
            return;
        }
        if self.new.len() == MAX_CHANGES {
            self.new.remove(0);
        }
        self.new.push(key);
    }

    /// Begins a write that contains all changes.
    pub(super) fn begin_write(&mut self) {
        self.in_write.append(&mut self.new);
        let surplus = self.in_write.len().saturating_sub(MAX_CHANGES);
        self.in_write.drain(..surplus);
    }

    /// Ends a write that the store has confirmed.
    pub(super) fn end_write(&mut self) {
        self.in_write.clear();
    }

    /// Ends a write that the store has not confirmed: its changes count as unwritten again.
    pub(super) fn take_back(&mut self) {
        let later = std::mem::replace(&mut self.new, std::mem::take(&mut self.in_write));
        later.into_iter().for_each(|key| self.note(key));
    }

    /// All changes that the store may not have.
    pub(super) fn iter(&self) -> impl Iterator<Item = &K> {
        self.in_write.iter().chain(&self.new)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.in_write.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(changes: &ChangedKeys<usize>) -> Vec<usize> {
        changes.iter().copied().collect()
    }

    #[test]
    fn unconfirmed_changes_are_tracked() {
        let mut changes = ChangedKeys::default();
        [1, 2, 1].into_iter().for_each(|key| changes.note(key));
        changes.begin_write();
        changes.note(3);
        assert_eq!(all(&changes), [1, 2, 3]);
        changes.take_back();
        changes.note(1);
        assert_eq!(all(&changes), [1, 2, 3]);
        changes.begin_write();
        changes.note(2);
        changes.end_write();
        assert_eq!(all(&changes), [2], "it was changed during the write");
        assert!(!changes.is_empty() && ChangedKeys::<usize>::default().is_empty());
    }

    #[test]
    fn changes_are_limited() {
        let mut changes = ChangedKeys::default();
        for key in 0..3 * MAX_CHANGES {
            changes.note(key);
            if key % 100 == 0 {
                changes.begin_write();
            }
        }
        changes.take_back();
        assert_eq!(changes.iter().count(), MAX_CHANGES);
        assert_eq!(all(&changes).last(), Some(&(3 * MAX_CHANGES - 1)));
    }
}
