//! All sessions, by key and by user. The only place that makes a session or ends one.
//!
//! The order is what makes the promise. A sign-in: store, then table, then answer. An end ([`ends`]): mark, table,
//! store, then answer. A look-up reads the table and the mark; nothing that looks up or touches ever inserts. What the
//! table does not know is read from the store ([`loading`]), if there is one.

mod again;
mod codes;
mod cookies;
mod ends;
mod loading;
mod notes;

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) use self::ends::EndsOfUser;
use super::backing::Backing;
use super::confirmed::Standing;
use super::expiry_queue::ExpiryQueue;
use super::lifetime::Lifetime;
use super::record::{Ended, Session};
use super::sign_in::SignIn;
use super::store::{HostKey, SessionStore, Unavailable};
use super::sync::{AtomicU64, AtomicUsize, DashMap};
use crate::values::credential_stamp::CredentialStamp;
use crate::values::end_cause::EndCause;
use crate::values::identity::UserKey;
use crate::values::mac::MacKeys;
use crate::values::session_id::{SessionId, SessionKey};
use crate::values::time::{Clock, Moment};
use crate::vault::debts::Debts;

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

/// The limits that hold at this moment: a reload changes them, while requests look sessions up.
#[derive(Debug)]
struct CurrentLimits {
    /// `idle` and `absolute` in seconds, in one word, so that both change together.
    lifetime: AtomicU64,
    max_per_user: AtomicUsize,
    capacity: AtomicUsize,
}

impl CurrentLimits {
    fn new(settings: SessionSettings) -> Self {
        let limits =
            Self { lifetime: AtomicU64::new(0), max_per_user: AtomicUsize::new(0), capacity: AtomicUsize::new(0) };
        limits.set(settings);
        limits
    }

    fn set(&self, settings: SessionSettings) {
        let seconds = |span: Duration| u64::from(u32::try_from(span.as_secs()).unwrap_or(u32::MAX));
        let Lifetime { idle, absolute } = settings.lifetime;
        self.lifetime.store(seconds(idle) << 32 | seconds(absolute), Ordering::Relaxed);
        self.max_per_user.store(settings.max_per_user, Ordering::Relaxed);
        self.capacity.store(settings.capacity, Ordering::Relaxed);
    }

    fn lifetime(&self) -> Lifetime {
        let word = self.lifetime.load(Ordering::Relaxed);
        let (idle, absolute) = (word >> 32, word & u64::from(u32::MAX));
        Lifetime { idle: Duration::from_secs(idle), absolute: Duration::from_secs(absolute) }
    }
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

/// A new session: the secret for the browser, and the sessions that were ended to make room.
#[derive(Debug)]
pub struct Opened {
    /// What the browser gets.
    pub id: SessionId,
    /// The session.
    pub(crate) session: Arc<Session>,
    /// Sessions of the same user that were one too many.
    pub evicted: Vec<Ended>,
}

/// What the table knows of a key.
#[derive(Debug)]
pub(crate) enum Found {
    /// A session that is live.
    Live(Arc<Session>),
    /// A session that is over, and has not left the table yet.
    Over(Arc<Session>),
    /// A key of no session.
    Absent,
    /// A live session that another gateway has changed: see [`SessionTable::load`].
    Outdated(Arc<Session>),
    /// Only the store can tell: see [`SessionTable::load`].
    Unknown,
}

/// The concurrent session table.
#[derive(Debug)]
pub struct SessionTable {
    by_key: DashMap<SessionKey, Arc<Session>, BuildHasherDefault<KeyHasher>>,
    by_user: DashMap<Arc<UserKey>, Vec<Arc<Session>>>,
    count: AtomicUsize,
    expiry_queue: ExpiryQueue,
    /// Where sessions outlive the process; without it the table is all there is.
    backing: Option<Backing>,
    /// What browsers hold of sessions that ended without them.
    debts: Option<Arc<Debts>>,
    limits: CurrentLimits,
}

impl SessionTable {
    /// An empty table, over a store or alone.
    pub fn new(settings: SessionSettings, backing: Option<Backing>) -> Self {
        Self {
            by_key: DashMap::default(),
            by_user: DashMap::default(),
            count: AtomicUsize::new(0),
            expiry_queue: ExpiryQueue::default(),
            backing,
            debts: None,
            limits: CurrentLimits::new(settings),
        }
    }

    /// The same, which notes what browsers hold of the sessions that end.
    pub(crate) fn with_debts(self, debts: &Arc<Debts>) -> Self {
        if self.backing.is_some() {
            debts.keep();
        }
        Self { debts: Some(Arc::clone(debts)), ..self }
    }

    /// An empty table over this store, which keeps secrets sealed with these keys.
    pub fn over(settings: SessionSettings, store: Arc<dyn SessionStore>, clock: Clock, keys: Arc<MacKeys>) -> Self {
        Self::new(settings, Some(Backing::new(store, clock, keys)))
    }

    /// How long sessions live.
    pub fn lifetime(&self) -> Lifetime {
        self.limits.lifetime()
    }

    /// From now on these limits hold, for the sessions that are there as well. Where there are more than the new limits
    /// allow, no user is signed out: the limits apply at the next sign-in.
    pub fn set_limits(&self, settings: SessionSettings) {
        let before = self.lifetime();
        self.limits.set(settings);
        let Lifetime { idle, absolute } = settings.lifetime;
        if idle >= before.idle && absolute >= before.absolute {
            return;
        }
        // Their turn in the sweep was computed from the longer life.
        for entry in self.by_key.iter() {
            self.expiry_queue.schedule(*entry.key(), self.earliest_end(entry.value()));
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether sessions may be looked up: not if the store has not answered for too long.
    pub(crate) fn is_trusted(&self, now: Moment) -> bool {
        self.backing.as_ref().is_none_or(|backing| backing.is_trusted(now))
    }

    /// Whether there are no sessions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens a session, always with a new id (against session fixation). Ends the least recently used sessions of a
    /// user who has too many.
    pub async fn open(&self, sign_in: SignIn, now: Moment) -> Result<Opened, NotOpened> {
        let id = SessionId::generate().map_err(|_| NotOpened::NoRandomness)?;
        let reservation = self.reserve()?;
        let key = id.key();
        let user = self.shared(sign_in.user);
        let session = Arc::new(Session::new(SignIn { user, ..sign_in }, key, now));
        if let Some(backing) = &self.backing {
            // Read before: of what is missed from now on, the session may be a part.
            session.confirm(backing.epoch(), 0);
            backing.open(&session).await.map_err(|Unavailable| NotOpened::StoreUnavailable)?;
        }
        reservation.keep();
        // Where that fails, those count that this gateway knows.
        let _ = self.load_all_of(session.user(), self.limits.max_per_user.load(Ordering::Relaxed)).await;
        self.enter_new(&session, now);
        let evicted = self.end_all(self.surplus(&session), EndCause::OneTooMany).await;
        Ok(Opened { id, session, evicted })
    }

    fn enter_new(&self, session: &Arc<Session>, now: Moment) {
        self.by_key.insert(*session.name(), Arc::clone(session));
        self.enter_user(session);
        self.expiry_queue.schedule(*session.name(), self.lifetime().earliest_end(now, now));
    }

    /// What is known of a key. A session whose time is up is over, swept or not; with a store it may have been used at
    /// another replica.
    pub(crate) fn look_up(&self, key: &SessionKey, now: Moment) -> Found {
        let Some(session) = self.by_key.get(key).map(|entry| Arc::clone(entry.value())) else {
            return match &self.backing {
                Some(backing) if !backing.is_absent(key) => Found::Unknown,
                _ => Found::Absent,
            };
        };
        if session.has_ended() {
            return Found::Over(session);
        }
        match self.expiry(&session, now) {
            None => match self.standing(&session, now) {
                Standing::Current => Found::Live(session),
                Standing::Outdated => Found::Outdated(session),
                Standing::InDoubt => Found::Unknown,
            },
            Some(EndCause::Idle) if self.backing.is_some() => Found::Unknown,
            Some(_) => Found::Over(session),
        }
    }

    /// The live session of a key.
    #[cfg(test)]
    pub(crate) fn find(&self, key: &SessionKey, now: Moment) -> Option<Arc<Session>> {
        match self.look_up(key, now) {
            Found::Live(session) => Some(session),
            Found::Over(_) | Found::Absent | Found::Outdated(_) | Found::Unknown => None,
        }
    }

    /// Gives a session the key of a further own host, in place of the one that it had for this host. False if it has
    /// ended.
    ///
    /// # Errors
    /// The store has not confirmed it: the key must not be sent to the browser.
    pub(crate) async fn add_key(&self, session: &Arc<Session>, key: HostKey) -> Result<bool, Unavailable> {
        if let Some(backing) = &self.backing
            && !backing.add_key(session, key.clone()).await?
        {
            return Ok(false);
        }
        session.take_replaced(&key).iter().for_each(|replaced| _ = self.by_key.remove(replaced));
        Ok(self.enter_key(session, key))
    }

    fn enter_key(&self, session: &Arc<Session>, further: HostKey) -> bool {
        let key = further.key;
        self.by_key.insert(key, Arc::clone(session));
        let added = session.add_key(further);
        if !added {
            self.by_key.remove(&key);
        }
        added
    }

    /// From now on the session belongs to this password, also after a restart. Where the store does not confirm that,
    /// the session ends with the next restart.
    pub(crate) async fn set_stamp(&self, session: &Session, stamp: CredentialStamp) {
        session.set_stamp(stamp);
        if let Some(backing) = &self.backing
            && backing.save_about(session).await.is_err()
        {
            tracing::warn!(session = %session.name().handle(), "the store has not confirmed the new password");
        }
    }

    /// Secrets are sealed with these keys from now on. False where the store is of gateways with other keys: then
    /// nothing has changed.
    pub(crate) async fn use_keys(&self, keys: &Arc<MacKeys>) -> Result<bool, Unavailable> {
        match &self.backing {
            Some(backing) => backing.use_keys(keys).await,
            None => Ok(true),
        }
    }

    /// The sessions of a user.
    pub fn list(&self, user: &UserKey) -> Vec<Arc<Session>> {
        self.by_user.get(user).map(|sessions| sessions.value().clone()).unwrap_or_default()
    }

    /// All sessions, or those of the users with this name from any source, in no particular order.
    pub fn sessions_of(&self, user: Option<&str>) -> Vec<Arc<Session>> {
        let users = self.by_user.iter().filter(|entry| user.is_none_or(|user| *entry.key().subject == *user));
        users.flat_map(|entry| entry.value().clone()).collect()
    }

    /// Whether the session may have ended at another replica, or is another one there, without this one knowing.
    fn standing(&self, session: &Session, now: Moment) -> Standing {
        match &self.backing {
            None => Standing::Current,
            Some(backing) if backing.is_trusted(now) => session.standing(backing.epoch()),
            Some(_) => Standing::InDoubt,
        }
    }

    fn expiry(&self, session: &Session, now: Moment) -> Option<EndCause> {
        self.lifetime().expiry(session.created(), session.last_seen(), now)
    }

    fn earliest_end(&self, session: &Session) -> Moment {
        self.lifetime().earliest_end(session.created(), session.last_seen())
    }

    /// The same user, out of the memory of the sessions that are there already.
    fn shared(&self, user: Arc<UserKey>) -> Arc<UserKey> {
        let known = self.by_user.get(&user).map(|sessions| Arc::clone(sessions.key()));
        known.unwrap_or(user)
    }

    fn reserve(&self) -> Result<SlotReservation<'_>, NotOpened> {
        let capacity = self.limits.capacity.load(Ordering::Relaxed);
        let free = |count: usize| (count < capacity).then_some(count + 1);
        let reserved = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        reserved.map(|_| SlotReservation(&self.count)).map_err(|_| NotOpened::Full)
    }

    /// Enters a session in its user's list.
    fn enter_user(&self, session: &Arc<Session>) {
        self.by_user.entry(session.shared_user()).or_default().push(Arc::clone(session));
    }

    /// The sessions that must go because the user has this one.
    fn surplus(&self, session: &Arc<Session>) -> Vec<Arc<Session>> {
        let sessions = self.list(session.user());
        let mut others: Vec<_> = sessions.iter().filter(|other| !Arc::ptr_eq(other, session)).cloned().collect();
        let surplus = sessions.len().saturating_sub(self.limits.max_per_user.load(Ordering::Relaxed));
        // Each time is read once: requests go on meanwhile.
        others.sort_by_cached_key(|other| other.last_seen());
        others.truncate(surplus);
        others
    }

    /// Takes out a session whose end mark is set.
    fn remove(&self, session: &Arc<Session>) {
        // First: a browser whose key is not found any more is told at once what it has to forget. With the next answer
        // it may get the key of another user's session.
        self.leave_debts(session);
        self.strike_out(session);
    }

    /// Takes a session out of all lists.
    fn strike_out(&self, session: &Arc<Session>) {
        let was_there = session.keys().iter().filter_map(|key| self.by_key.remove(key)).count() > 0;
        if let Some(mut sessions) = self.by_user.get_mut(session.user()) {
            sessions.retain(|other| !Arc::ptr_eq(other, session));
        }
        self.by_user.remove_if(session.user(), |_, sessions| sessions.is_empty());
        self.count.fetch_sub(usize::from(was_there), Ordering::Relaxed);
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

/// Keys are SHA-256 hashes of the gateway's own random bits: their first bytes serve as the table's hash.
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
mod again_tests;
#[cfg(test)]
mod cookie_tests;
#[cfg(test)]
mod explored_tests;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod stored_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trust_tests;
