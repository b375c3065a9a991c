//! The index of sessions by user. The sessions of a user share its key.

use std::sync::Arc;

use dashmap::mapref::entry::Entry;

use super::elsewhere::SessionConnections;
use super::record::Session;
use super::sync::{DashMap, Mutex};
use crate::values::identity::UserKey;

/// All sessions of all users.
#[derive(Debug, Default)]
pub(super) struct UserIndex {
    sessions: DashMap<Arc<UserKey>, Sessions>,
    /// The names of the first [`SOURCES`] sources, so that users share them. Usually there are one or two.
    sources: Mutex<Vec<Arc<str>>>,
}

/// How many names of sources are shared.
const SOURCES: usize = 16;
/// A full list grows by its length divided by this number. With doubling, up to half of its memory would be unused.
const GROWTH: usize = 4;

/// The sessions of one user, at least one.
#[derive(Debug)]
enum Sessions {
    One(Arc<Session>),
    #[allow(clippy::box_collection, reason = "a list in place would make every entry larger")]
    More(Box<Vec<Arc<Session>>>),
}

impl Sessions {
    fn all(&self) -> &[Arc<Session>] {
        match self {
            Self::One(session) => std::slice::from_ref(session),
            Self::More(sessions) => sessions,
        }
    }

    fn push(&mut self, session: &Arc<Session>) {
        match self {
            Self::One(first) => *self = Self::More(Box::new(vec![Arc::clone(first), Arc::clone(session)])),
            Self::More(sessions) => {
                if sessions.len() == sessions.capacity() {
                    sessions.reserve_exact((sessions.len() / GROWTH).max(1));
                }
                sessions.push(Arc::clone(session));
            }
        }
    }

    /// Removes a session. Returns whether none is left.
    fn remove(&mut self, session: &Arc<Session>) -> bool {
        match self {
            Self::One(only) => Arc::ptr_eq(only, session),
            Self::More(sessions) => {
                sessions.retain(|other| !Arc::ptr_eq(other, session));
                sessions.is_empty()
            }
        }
    }
}

impl UserIndex {
    /// Adds a session to the list of its user.
    pub(super) fn enter(&self, session: &Arc<Session>) {
        match self.sessions.entry(session.shared_user()) {
            Entry::Occupied(mut known) => known.get_mut().push(session),
            Entry::Vacant(free) => _ = free.insert(Sessions::One(Arc::clone(session))),
        }
    }

    pub(super) fn remove(&self, session: &Arc<Session>) {
        self.sessions.remove_if_mut(session.user(), |_, sessions| sessions.remove(session));
    }

    /// The sessions of a user.
    pub(super) fn list(&self, user: &UserKey) -> Vec<Arc<Session>> {
        self.sessions.get(user).map(|sessions| sessions.all().to_vec()).unwrap_or_default()
    }

    /// All sessions, or those of the users with this name in any source.
    pub(super) fn sessions_of(&self, user: Option<&str>) -> Vec<Arc<Session>> {
        let mut all = Vec::new();
        for entry in self.sessions.iter().filter(|entry| user.is_none_or(|user| *entry.key().subject == *user)) {
            all.extend_from_slice(entry.value().all());
        }
        all
    }

    /// At most this number of the sessions that connections use, and the numbers of connections.
    pub(super) fn connections(&self, most: usize) -> Vec<SessionConnections> {
        let mut used = Vec::new();
        for entry in self.sessions.iter() {
            for session in entry.value().all() {
                let count = u32::try_from(session.live_connections()).unwrap_or(u32::MAX);
                if count > 0 && used.len() < most {
                    used.push((*session.name(), count));
                }
            }
        }
        used
    }

    /// The key that existing sessions of the user share, to save memory, and one of these sessions.
    pub(super) fn shared(&self, user: &UserKey) -> (Arc<UserKey>, Option<Arc<Session>>) {
        let known = self.sessions.get(user).map(|known| (Arc::clone(known.key()), known.all().first().cloned()));
        known.unwrap_or_else(|| (Arc::new(self.with_shared_source(user)), None))
    }

    fn with_shared_source(&self, user: &UserKey) -> UserKey {
        let mut sources = self.sources.lock();
        let known = sources.iter().find(|known| **known == user.source).cloned();
        if known.is_none() && sources.len() < SOURCES {
            sources.push(Arc::clone(&user.source));
        }
        UserKey { source: known.unwrap_or_else(|| Arc::clone(&user.source)), subject: Arc::clone(&user.subject) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::record::tests::session_of;

    fn user(source: &str, subject: &str) -> UserKey {
        UserKey { source: source.into(), subject: subject.into() }
    }

    #[test]
    fn sessions_are_listed_until_they_are_removed() {
        let index = UserIndex::default();
        let alice = user("file", "alice");
        let sessions: Vec<_> = (0..9).map(|_| session_of(index.shared(&alice).0)).collect();
        for (count, session) in (1..).zip(&sessions) {
            index.enter(session);
            assert_eq!(index.list(&alice).len(), count);
        }
        index.enter(&session_of(index.shared(&user("ldap", "alice")).0));
        index.enter(&session_of(index.shared(&user("file", "bob")).0));
        let count = |user| index.sessions_of(user).len();
        assert_eq!((count(None), count(Some("alice")), count(Some("bob")), count(Some("eve"))), (11, 10, 1, 0));
        for (left, session) in (0..9).rev().zip(&sessions) {
            index.remove(session);
            index.remove(session);
            let list = index.list(&alice);
            assert!(list.len() == left && !list.iter().any(|other| Arc::ptr_eq(other, session)));
        }
        assert!(!index.sessions.contains_key(&alice), "a user without sessions is removed");
        assert_eq!(count(None), 2);
    }

    #[test]
    fn removing_an_unknown_session_removes_no_other() {
        let index = UserIndex::default();
        let [one, other] = [(); 2].map(|()| session_of(index.shared(&user("file", "alice")).0));
        index.enter(&one);
        index.remove(&other);
        assert_eq!(index.list(one.user()).len(), 1);
    }

    #[test]
    fn keys_of_users_and_names_of_sources_are_shared() {
        let index = UserIndex::default();
        let (first, known) = index.shared(&user("file", "alice"));
        assert!(known.is_none());
        let session = session_of(Arc::clone(&first));
        index.enter(&session);
        let (again, known) = index.shared(&user("file", "alice"));
        assert!(Arc::ptr_eq(&first, &again) && Arc::ptr_eq(&known.unwrap(), &session));
        let (other, _) = index.shared(&user("file", "bob"));
        assert!(Arc::ptr_eq(&first.source, &other.source));
        let many: Vec<_> = (0..2 * SOURCES).map(|number| index.shared(&user(&number.to_string(), "a")).0).collect();
        assert!(index.sources.lock().len() == SOURCES && *many[SOURCES].source == *SOURCES.to_string());
    }
}
