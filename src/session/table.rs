//! The table of all sessions, by key and by user. The only place that creates or ends a session.
//!
//! The guarantee that an answered logout is final rests on the order of steps. A sign-in: store, then table, then
//! answer. An end ([`ends`]): mark, table, store, then answer. A lookup reads the table and the mark; lookups and
//! touches never insert. A session that is not in the table is loaded from the store ([`loading`]), if there is one.

mod codes;
mod connections;
mod continuation;
mod cookies;
mod ends;
mod loading;
mod notes;
mod opening;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) use self::ends::UserEnds;
use super::backing::Backing;
use super::confirmed::Freshness;
use super::expiry_queue::ExpiryQueue;
use super::key_index::KeyIndex;
use super::last_writes::LastWrites;
use super::lifetime::Lifetime;
use super::record::{Ended, Session};
use super::store::{HostKey, SessionStore, Unavailable};
use super::sync::{AtomicU64, AtomicUsize};
use super::user_index::UserIndex;
use crate::values::credential_stamp::CredentialStamp;
use crate::values::end_cause::EndCause;
use crate::values::identity::UserKey;
use crate::values::mac::MacKeys;
use crate::values::session_id::{SessionId, SessionKey};
use crate::values::time::{Clock, Moment};
use crate::vault::debts::Debts;

/// The limits of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// The timeouts of sessions.
    pub lifetime: Lifetime,
    /// The maximum number of sessions of one user; a further sign-in ends the least recently used.
    pub max_per_user: usize,
    /// The maximum number of sessions; further sign-ins are refused.
    pub capacity: usize,
}

/// The current limits: a reload changes them while requests look sessions up.
#[derive(Debug)]
struct CurrentLimits {
    /// `idle` in the high and `absolute` in the low half, in seconds. One word, so that both change together.
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

/// Why no session was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// The table is full.
    Full,
    /// The store did not confirm it.
    StoreUnavailable,
    /// The system's random source failed.
    NoRandomness,
}

/// A new session.
#[derive(Debug)]
pub struct Opened {
    /// The session id for the cookie.
    pub id: SessionId,
    /// The session.
    pub(crate) session: Arc<Session>,
    /// The sessions of the same user that were ended because of `max_per_user`.
    pub evicted: Vec<Ended>,
}

/// The result of looking a key up in the table.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The session is live.
    Live(Arc<Session>),
    /// The session has ended or expired, and is still in the table, or a head is still written in its name.
    Over(Arc<Session>),
    /// There is no session with this key.
    Absent,
    /// The session is live, and another gateway has changed it: it has to be loaded again ([`SessionTable::load`]).
    Outdated(Arc<Session>),
    /// The store has to be asked ([`SessionTable::load`]).
    Unknown,
}

/// The concurrent session table.
#[derive(Debug)]
pub struct SessionTable {
    by_key: KeyIndex,
    by_user: UserIndex,
    last_writes: LastWrites,
    count: AtomicUsize,
    expiry_queue: ExpiryQueue,
    /// The store; without one sessions end with the process.
    backing: Option<Backing>,
    /// The cookies to be expired in browsers whose sessions ended without a request of theirs.
    debts: Option<Arc<Debts>>,
    limits: CurrentLimits,
}

impl SessionTable {
    /// An empty table, with a store or without.
    pub fn new(settings: SessionSettings, backing: Option<Backing>) -> Self {
        Self {
            by_key: KeyIndex::default(),
            by_user: UserIndex::default(),
            last_writes: LastWrites::default(),
            count: AtomicUsize::new(0),
            expiry_queue: ExpiryQueue::default(),
            backing,
            debts: None,
            limits: CurrentLimits::new(settings),
        }
    }

    /// Records in `debts` the cookies that browsers hold of sessions that end.
    pub(crate) fn with_debts(self, debts: &Arc<Debts>) -> Self {
        if self.backing.is_some() {
            debts.keep();
        }
        Self { debts: Some(Arc::clone(debts)), ..self }
    }

    /// An empty table with this store, in which secrets are sealed with these keys.
    pub fn over(settings: SessionSettings, store: Arc<dyn SessionStore>, clock: Clock, keys: Arc<MacKeys>) -> Self {
        Self::new(settings, Some(Backing::new(store, clock, keys)))
    }

    /// The current timeouts.
    pub fn lifetime(&self) -> Lifetime {
        self.limits.lifetime()
    }

    /// Replaces the limits. New timeouts apply to existing sessions as well. If there are more sessions than the new
    /// limits allow, none is ended: these limits apply at the next sign-in.
    pub(crate) fn set_limits(&self, settings: SessionSettings) {
        let before = self.lifetime();
        self.limits.set(settings);
        let Lifetime { idle, absolute } = settings.lifetime;
        if idle >= before.idle && absolute >= before.absolute {
            return;
        }
        // The queue has the times of the longer timeouts.
        self.by_key.for_each(|session| self.expiry_queue.schedule(session.name(), self.earliest_end(session)));
    }

    /// The number of sessions.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether the table may be used at `now`; `false` if the store has not answered for too long.
    pub(crate) fn is_trusted(&self, now: Moment) -> bool {
        self.backing.as_ref().is_none_or(|backing| backing.is_trusted(now))
    }

    /// Whether there are no sessions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks a key up. An expired session is over even if the sweep has not ended it yet; with a store, an idle one may
    /// have been used at another replica.
    pub(crate) fn look_up(&self, key: &SessionKey, now: Moment) -> Lookup {
        let Some(session) = self.by_key.get(key) else {
            return match (self.last_writes.of_key(key), &self.backing) {
                (Some(over), _) => Lookup::Over(over),
                (None, Some(backing)) if !backing.is_absent(key) => Lookup::Unknown,
                (None, _) => Lookup::Absent,
            };
        };
        if session.has_ended() {
            return Lookup::Over(session);
        }
        match self.expiry(&session, now) {
            None => match self.standing(&session, now) {
                Freshness::Current => Lookup::Live(session),
                Freshness::Outdated => Lookup::Outdated(session),
                Freshness::InDoubt => Lookup::Unknown,
            },
            Some(EndCause::Idle) if self.backing.is_some() => Lookup::Unknown,
            Some(_) => Lookup::Over(session),
        }
    }

    /// The live session of a key.
    #[cfg(test)]
    pub(crate) fn find(&self, key: &SessionKey, now: Moment) -> Option<Arc<Session>> {
        match self.look_up(key, now) {
            Lookup::Live(session) => Some(session),
            Lookup::Over(_) | Lookup::Absent | Lookup::Outdated(_) | Lookup::Unknown => None,
        }
    }

    /// Adds the key of a further host to a session, and removes the previous key of that host. `false` if the session
    /// has ended.
    ///
    /// # Errors
    /// The store has not confirmed it: the key must not be sent to the browser.
    pub(crate) async fn add_key(&self, session: &Arc<Session>, key: HostKey) -> Result<bool, Unavailable> {
        if let Some(backing) = &self.backing
            && !backing.add_key(session, key.clone()).await?
        {
            return Ok(false);
        }
        session.take_replaced(&key).iter().for_each(|replaced| _ = self.by_key.remove_further(replaced));
        Ok(self.enter_key(session, key))
    }

    fn enter_key(&self, session: &Arc<Session>, further: HostKey) -> bool {
        let key = further.key;
        self.by_key.enter_further(&further, session);
        let added = session.add_key(further);
        if !added {
            self.by_key.remove_further(&key);
        }
        added
    }

    /// Replaces the password stamp of a session, also in the store. If the store does not confirm it, the session ends
    /// with the next restart.
    pub(crate) async fn set_stamp(&self, session: &Session, stamp: CredentialStamp) {
        session.set_stamp(stamp);
        if let Some(backing) = &self.backing
            && backing.save_about(session).await.is_err()
        {
            tracing::warn!(session = %session.name().handle(), "the store has not confirmed the new password");
        }
    }

    /// Replaces the keys with which secrets are sealed. `false`, without effect, if the store belongs to gateways with
    /// other keys.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn use_keys(&self, keys: &Arc<MacKeys>) -> Result<bool, Unavailable> {
        match &self.backing {
            Some(backing) => backing.use_keys(keys).await,
            None => Ok(true),
        }
    }

    /// The sessions of a user in the table.
    pub fn list(&self, user: &UserKey) -> Vec<Arc<Session>> {
        self.by_user.list(user)
    }

    /// All sessions in the table, or those of the users with this name from any source, in no particular order.
    pub fn sessions_of(&self, user: Option<&str>) -> Vec<Arc<Session>> {
        self.by_user.sessions_of(user)
    }

    /// How the session relates to its record in the store.
    fn standing(&self, session: &Session, now: Moment) -> Freshness {
        match &self.backing {
            None => Freshness::Current,
            Some(backing) if backing.is_trusted(now) => session.standing(backing.epoch()),
            Some(_) => Freshness::InDoubt,
        }
    }

    fn expiry(&self, session: &Session, now: Moment) -> Option<EndCause> {
        self.lifetime().expiry(session.created(), session.last_seen(), now)
    }

    fn earliest_end(&self, session: &Session) -> Moment {
        self.lifetime().earliest_end(session.created(), session.last_seen())
    }

    /// Removes a session whose end mark is set.
    fn remove(&self, session: &Arc<Session>) {
        // The debts are recorded first: once the key is not found any more, the next answer has to expire the cookies,
        // since it may already set the cookie of another user's session.
        self.leave_debts(session);
        self.last_writes.note(session);
        self.remove_session(session);
    }

    /// Removes a session from all indexes.
    fn remove_session(&self, session: &Arc<Session>) {
        let was_there = session.keys().iter().filter(|key| self.by_key.remove(key)).count() > 0;
        self.by_user.remove(session);
        self.count.fetch_sub(usize::from(was_there), Ordering::Relaxed);
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
