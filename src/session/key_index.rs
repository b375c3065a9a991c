//! The index of sessions by key. There may be a million, so entries are pointers to sessions, without a copy of the
//! key.

use std::borrow::Borrow;
use std::fmt::{self, Debug};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use dashmap::mapref::entry::Entry;

use super::record::Session;
use super::store::HostKey;
use super::sync::DashMap;
use crate::values::session_id::SessionKey;

/// All keys of all sessions. Most sessions have only one, which is their name.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    by_name: DashMap<Named, (), BuildHasherDefault<SessionKeyHasher>>,
    /// Keys of further hosts.
    by_further: DashMap<SessionKey, Arc<Session>, BuildHasherDefault<SessionKeyHasher>>,
}

impl KeyIndex {
    /// The session of a key.
    pub(super) fn get(&self, key: &SessionKey) -> Option<Arc<Session>> {
        let named = self.by_name.get(key).map(|entry| entry.key().session());
        named.or_else(|| self.by_further.get(key).map(|entry| Arc::clone(entry.value())))
    }

    /// The session whose name begins with these bytes.
    pub(super) fn get_by_head(&self, head: u64) -> Option<Arc<Session>> {
        self.by_name.get::<dyn KeyPrefix>(&head).map(|entry| entry.key().session())
    }

    pub(super) fn contains(&self, key: &SessionKey) -> bool {
        self.by_name.contains_key(key) || self.by_further.contains_key(key)
    }

    /// Enters a session by its name. It replaces one with the same name.
    pub(super) fn enter(&self, session: &Arc<Session>) {
        match self.by_name.entry(Named(Arc::clone(session))) {
            Entry::Occupied(known) => _ = known.replace_entry(()),
            Entry::Vacant(free) => _ = free.insert(()),
        }
    }

    /// Enters a session by the key of a further host.
    pub(super) fn enter_further(&self, HostKey { key, .. }: &HostKey, session: &Arc<Session>) {
        self.by_further.insert(*key, Arc::clone(session));
    }

    /// Removes a key. Returns whether it was there.
    pub(super) fn remove(&self, key: &SessionKey) -> bool {
        self.by_name.remove(key).is_some() || self.remove_further(key)
    }

    /// Removes the key of a further host. Returns whether it was there.
    pub(super) fn remove_further(&self, key: &SessionKey) -> bool {
        self.by_further.remove(key).is_some()
    }

    /// Removes the key of a further host if it belongs to this session.
    pub(super) fn remove_further_of(&self, key: &SessionKey, session: &Arc<Session>) {
        self.by_further.remove_if(key, |_, other| Arc::ptr_eq(other, session));
    }

    /// Calls `visit` once for each session. It must not use the index.
    pub(super) fn for_each(&self, visit: impl Fn(&Session)) {
        self.by_name.iter().for_each(|entry| visit(&entry.key().0));
    }
}

/// Hashed and compared by the name of the session. All 32 bytes are compared.
struct Named(Arc<Session>);

impl Named {
    fn session(&self) -> Arc<Session> {
        Arc::clone(&self.0)
    }
}

impl Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.name().fmt(f)
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

impl Borrow<SessionKey> for Named {
    fn borrow(&self) -> &SessionKey {
        self.0.name()
    }
}

/// The first bytes of a name, which are all that [`SessionKeyHasher`] uses of it.
trait KeyPrefix {
    fn head(&self) -> u64;
}

impl KeyPrefix for Named {
    fn head(&self) -> u64 {
        self.0.name().head()
    }
}

impl KeyPrefix for u64 {
    fn head(&self) -> u64 {
        *self
    }
}

impl PartialEq for dyn KeyPrefix + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.head() == other.head()
    }
}

impl Eq for dyn KeyPrefix + '_ {}

impl Hash for dyn KeyPrefix + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.head().to_le_bytes());
    }
}

impl<'a> Borrow<dyn KeyPrefix + 'a> for Named {
    fn borrow(&self) -> &(dyn KeyPrefix + 'a) {
        self
    }
}

/// The hash function of the index: the first bytes of the key, which is a SHA-256 hash of random bits.
#[derive(Default)]
struct SessionKeyHasher(u64);

impl Hasher for SessionKeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*head);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::record::tests::session_named;

    fn key(first: u8, last: u8) -> SessionKey {
        let mut bytes = [first; 32];
        bytes[31] = last;
        SessionKey::from_bytes(bytes)
    }

    #[test]
    fn keys_with_the_same_first_bytes_find_different_sessions() {
        let index = KeyIndex::default();
        let [one, other] = [1, 2].map(|last| session_named(key(7, last)));
        index.enter(&one);
        assert!(index.get(&key(7, 1)).is_some() && index.get(&key(7, 2)).is_none() && !index.contains(&key(7, 2)));
        index.enter(&other);
        for (session, last) in [(&one, 1), (&other, 2)] {
            assert!(Arc::ptr_eq(&index.get(&key(7, last)).unwrap(), session));
        }
        let further = HostKey { key: key(7, 3), host: "shop.test".into() };
        index.enter_further(&further, &other);
        assert!(Arc::ptr_eq(&index.get(&further.key).unwrap(), &other));
        index.remove_further_of(&further.key, &one);
        assert!(index.contains(&further.key));
        assert!(index.remove(&further.key) && !index.remove(&further.key));
        assert!(index.remove(&key(7, 1)) && index.get(&key(7, 1)).is_none() && index.contains(&key(7, 2)));
    }

    #[test]
    fn a_session_replaces_one_with_the_same_name() {
        let index = KeyIndex::default();
        let [before, after] = [(); 2].map(|()| session_named(key(1, 1)));
        index.enter(&before);
        index.enter(&after);
        assert!(Arc::ptr_eq(&index.get(&key(1, 1)).unwrap(), &after));
        assert_eq!(Arc::strong_count(&before), 1);
    }

    #[test]
    fn sessions_are_found_by_the_first_bytes_of_their_name() {
        let index = KeyIndex::default();
        let sessions: Vec<_> = (0..100).map(|number| session_named(key(number, 0))).collect();
        sessions.iter().for_each(|session| index.enter(session));
        for session in &sessions {
            assert!(Arc::ptr_eq(&index.get_by_head(session.name().head()).unwrap(), session));
        }
        assert!(index.get_by_head(1).is_none());
    }
}
