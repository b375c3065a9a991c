//! All sessions, by key and by user. The only place that makes a session or ends one.
//!
//! The order is what makes the promise. A sign-in: store, then table, then answer. An end: mark, table, store,
//! then answer. A look-up reads the table and the mark; nothing that looks up or touches ever inserts.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::expiry_queue::ExpiryQueue;
use super::lifetime::Lifetime;
use super::record::{Ended, Session, SignIn};
use super::store::SessionStore;
use crate::values::end_cause::EndCause;
use crate::values::identity::UserKey;
use crate::values::session_id::{SessionId, SessionKey};
use crate::values::time::Moment;

/// Limits of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// How long sessions live.
    pub lifetime: Lifetime,
    /// Sessions of one user; one more ends the least recently used.
    pub max_per_user: usize,
    /// Sessions in all; one more is refused.
    pub capacity: usize,
}

/// Why no session was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// The table is full.
    Full,
    /// The store did not confirm it.
    StoreUnavailable,
    /// The operating system gave no random bytes.
    NoRandomness,
}

/// A new session: the secret for the browser, and whoever had to make room.
#[derive(Debug)]
pub struct Opened {
    /// What the browser gets.
    pub id: SessionId,
    /// The session.
    pub session: Arc<Session>,
    /// Sessions of the same user that were one too many.
    pub evicted: Vec<Ended>,
}

/// The concurrent session table.
#[derive(Debug)]
pub struct SessionTable {
    by_key: DashMap<SessionKey, Arc<Session>, BuildHasherDefault<KeyHasher>>,
    by_user: DashMap<UserKey, Vec<Arc<Session>>>,
    count: AtomicUsize,
    calendar: ExpiryQueue,
    store: Arc<dyn SessionStore>,
    settings: SessionSettings,
}

impl SessionTable {
    /// An empty table over a store.
    pub fn new(settings: SessionSettings, store: Arc<dyn SessionStore>) -> Self {
        Self {
            by_key: DashMap::default(),
            by_user: DashMap::default(),
            count: AtomicUsize::new(0),
            calendar: ExpiryQueue::default(),
            store,
            settings,
        }
    }

    /// How long sessions live.
    pub fn lifetime(&self) -> Lifetime {
        self.settings.lifetime
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nobody is signed in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Signs somebody in: always a new id. Ends the least recently used sessions of a user who has too many.
    pub async fn open(&self, sign_in: SignIn, now: Moment) -> Result<Opened, NotOpened> {
        let id = SessionId::generate().map_err(|_| NotOpened::NoRandomness)?;
        let reservation = self.reserve()?;
        let key = id.key();
        let user = self.shared(sign_in.user);
        let session = Arc::new(Session::new(SignIn { user, ..sign_in }, key, now));
        self.store.open(&session).await.map_err(|_| NotOpened::StoreUnavailable)?;
        reservation.keep();
        self.by_key.insert(key, Arc::clone(&session));
        let too_many = self.enter_user(&session);
        self.calendar.schedule(key, self.settings.lifetime.earliest_end(now, now));
        let evicted = self.end_all(too_many, EndCause::OneTooMany).await;
        Ok(Opened { id, session, evicted })
    }

    /// The live session of a key. One whose time is up is not found, swept or not.
    pub fn find(&self, key: &SessionKey, now: Moment) -> Option<Arc<Session>> {
        let session = Arc::clone(self.by_key.get(key)?.value());
        let over = session.has_ended() || self.expiry(&session, now).is_some();
        (!over).then_some(session)
    }

    /// Gives a session a further key: the cookie of another own host. False if it has ended.
    pub fn add_key(&self, session: &Arc<Session>, key: SessionKey) -> bool {
        self.by_key.insert(key, Arc::clone(session));
        let added = session.add_key(key);
        if !added {
            self.by_key.remove(&key);
        }
        added
    }

    /// Ends a session: mark, table, store. `None` if somebody else has ended it.
    pub async fn end(&self, session: &Arc<Session>, cause: EndCause) -> Option<Ended> {
        self.end_each([(Arc::clone(session), cause)]).await.pop()
    }

    /// Ends these sessions, for one reason. Those that somebody else has ended are not among the answer.
    pub async fn end_all(&self, sessions: Vec<Arc<Session>>, cause: EndCause) -> Vec<Ended> {
        self.end_each(sessions.into_iter().map(|session| (session, cause))).await
    }

    /// Ends every session of a user.
    pub async fn end_all_of(&self, user: &UserKey, cause: EndCause) -> Vec<Ended> {
        self.end_all(self.list(user), cause).await
    }

    /// All marks first: from then on none of them is served, however long the store takes. What was being written in
    /// their names is awaited once for all, while the store works.
    async fn end_each(&self, sessions: impl IntoIterator<Item = (Arc<Session>, EndCause)>) -> Vec<Ended> {
        let marked: Vec<_> = sessions.into_iter().filter(|(session, cause)| session.mark(*cause)).collect();
        marked.iter().for_each(|(session, _)| self.remove(session));
        let stored = join_all(marked.iter().map(|(session, _)| self.store.end(session)));
        let (stored, ()) = tokio::join!(stored, wait_for_writes(&marked));
        let ended = marked.into_iter().zip(stored).filter(|(_, stored)| *stored != Ok(false));
        let ended = ended.map(|((session, cause), stored)| {
            let quiet = !session.has_writes();
            Ended { session, cause, confirmed: stored.is_ok(), quiet }
        });
        ended.collect()
    }

    /// The sessions of a user.
    pub fn list(&self, user: &UserKey) -> Vec<Arc<Session>> {
        self.by_user.get(user).map(|sessions| sessions.value().clone()).unwrap_or_default()
    }

    /// The sessions of everybody, or of the users of this name whatever their source, in no particular order.
    pub fn sessions_of(&self, user: Option<&str>) -> Vec<Arc<Session>> {
        let users = self.by_user.iter().filter(|entry| user.is_none_or(|user| *entry.key().subject == *user));
        users.flat_map(|entry| entry.value().clone()).collect()
    }

    /// Ends the sessions whose time is up.
    pub async fn expired(&self, now: Moment) -> Vec<Ended> {
        let mut over = Vec::new();
        for key in self.calendar.due(now) {
            let Some(session) = self.by_key.get(&key).map(|entry| Arc::clone(entry.value())) else { continue };
            match self.expiry(&session, now) {
                Some(cause) => over.push((session, cause)),
                None => self.calendar.schedule(key, self.earliest_end(&session)),
            }
        }
        self.end_each(over).await
    }

    fn expiry(&self, session: &Session, now: Moment) -> Option<EndCause> {
        self.settings.lifetime.expiry(session.created(), session.last_seen(), now)
    }

    fn earliest_end(&self, session: &Session) -> Moment {
        self.settings.lifetime.earliest_end(session.created(), session.last_seen())
    }

    /// The same user, out of the memory of the sessions that are there already.
    fn shared(&self, user: UserKey) -> UserKey {
        let known = self.by_user.get(&user).map(|sessions| sessions.key().clone());
        known.unwrap_or(user)
    }

    fn reserve(&self) -> Result<SlotReservation<'_>, NotOpened> {
        let free = |count: usize| (count < self.settings.capacity).then_some(count + 1);
        let reserved = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        reserved.map(|_| SlotReservation(&self.count)).map_err(|_| NotOpened::Full)
    }

    /// Enters a session in its user's list and answers those that must go.
    fn enter_user(&self, session: &Arc<Session>) -> Vec<Arc<Session>> {
        let mut sessions = self.by_user.entry(session.user().clone()).or_default();
        sessions.push(Arc::clone(session));
        let mut others: Vec<_> = sessions.iter().filter(|other| !Arc::ptr_eq(other, session)).cloned().collect();
        let surplus = sessions.len().saturating_sub(self.settings.max_per_user);
        others.sort_by_key(|other| other.last_seen());
        others.truncate(surplus);
        others
    }

    fn remove(&self, session: &Arc<Session>) {
        for key in session.keys() {
            self.by_key.remove(&key);
        }
        if let Some(mut sessions) = self.by_user.get_mut(session.user()) {
            sessions.retain(|other| !Arc::ptr_eq(other, session));
        }
        self.by_user.remove_if(session.user(), |_, sessions| sessions.is_empty());
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The longest wait for what was being written when a session ended.
const PATIENCE: Duration = Duration::from_millis(100);

/// Waits until every write that was announced before the marks were set is made. Such a write waits for nothing: what
/// takes longer than `PATIENCE` is a thread that does not get its turn.
async fn wait_for_writes(marked: &[(Arc<Session>, EndCause)]) {
    let awaited = || marked.iter().any(|(session, _)| session.has_writes());
    let all_quiet = async {
        while awaited() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if awaited() {
        // The end goes on in any case, and its receipt tells.
        let _ = timeout(PATIENCE, all_quiet).await;
    }
}

/// A place in the table, given back unless it is kept.
struct SlotReservation<'a>(&'a AtomicUsize);

impl SlotReservation<'_> {
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for SlotReservation<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keys are SHA-256 hashes of our own random bits: their first bytes are as good a hash as any.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*head);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
