//! The store behind the session table. This module converts sessions to records and times to wall-clock times, and
//! gives every call of the store a timeout.
//!
//! A table can exist without a store: then nothing here is used, and sessions end with the process.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::elsewhere::{ConnectionsElsewhere, SessionConnections};
use super::ended_sessions::EndedSessions;
use super::epoch::Epoch;
use super::loads::Loads;
use super::pending::PendingEnds;
use super::record::Session;
use super::store::{
    Cursor, End, HostKey, IdleEnd, JarWrite, Note, NoteKind, Record, RecordPage, STORE_TIMEOUT, SessionStore,
    StoreEvent, Trust, Unavailable, Use,
};
use super::sync::{AtomicBool, AtomicU32, timeout};
use crate::values::hop::EnterKey;
use crate::values::identity::UserKey;
use crate::values::mac::{MacKeys, MacPurpose};
use crate::values::seal;
use crate::values::session_id::SessionKey;
use crate::values::time::{Clock, Moment, WallTime};
use crate::vault::store::Vault;

/// A store, and the state that its session table needs about it.
#[derive(Debug)]
pub struct Backing {
    store: Arc<dyn SessionStore>,
    clock: Clock,
    /// The keys with which secrets in the store are sealed.
    keys: ArcSwap<MacKeys>,
    pub(super) ended: EndedSessions,
    pub(super) loads: Loads,
    pub(super) elsewhere: ConnectionsElsewhere,
    /// Every use of a session before this second has been written to the store.
    pub(super) saved_until: AtomicU32,
    /// The file that keeps ends which the store has not confirmed, over a crash.
    pending: OnceLock<Arc<PendingEnds>>,
    trust: Arc<Trust>,
    /// Whether requests in progress have been cut since the table was last known to be current.
    has_cut: AtomicBool,
    /// Whether the table has every session of the store, and no other gateway writes to it.
    is_whole: AtomicBool,
    epoch: AtomicU32,
    /// Whether other gateways have learned names of cookies that this one has not read yet.
    pub(super) has_learned: AtomicBool,
    /// The number of changes of sessions by other gateways.
    changes: AtomicU32,
    /// The epoch in which every session in the table is confirmed.
    pub(super) all_confirmed: AtomicU32,
}

impl Backing {
    /// Makes the backing for a store. `clock` converts times, `keys` seal secrets.
    pub(crate) fn new(store: Arc<dyn SessionStore>, clock: Clock, keys: Arc<MacKeys>) -> Self {
        let saved_until = AtomicU32::new(clock.now().seconds());
        let trust = store.trust();
        Self {
            store,
            clock,
            keys: ArcSwap::new(keys),
            ended: EndedSessions::default(),
            loads: Loads::default(),
            elsewhere: ConnectionsElsewhere::default(),
            saved_until,
            pending: OnceLock::new(),
            trust,
            has_cut: AtomicBool::default(),
            is_whole: AtomicBool::default(),
            epoch: AtomicU32::default(),
            has_learned: AtomicBool::default(),
            changes: AtomicU32::default(),
            all_confirmed: AtomicU32::default(),
        }
    }

    /// Replaces the keys with which secrets are sealed. Returns `false`, and changes nothing, if the store belongs to
    /// gateways with other keys.
    pub(super) async fn use_keys(&self, keys: &Arc<MacKeys>) -> Result<bool, Unavailable> {
        // The store first, since it may refuse.
        let accepted = in_time(self.store.use_keys(keys)).await?;
        if accepted {
            self.keys.store(Arc::clone(keys));
        }
        Ok(accepted)
    }

    /// Whether the table is known to be current at `now`.
    pub(super) fn is_trusted(&self, now: Moment) -> bool {
        self.trust.holds_at(now)
    }

    /// Whether other gateways write to the store as well.
    pub(super) fn is_shared(&self) -> bool {
        !self.trust.is_for_ever()
    }

    /// Whether requests in progress have to be cut because the table may have been out of date for too long. `true`
    /// only once until the table is current again.
    pub(super) fn has_to_cut(&self, now: Moment) -> bool {
        let lost = self.trust.is_lost_at(now);
        !self.has_cut.swap(lost, Ordering::Relaxed) && lost
    }

    /// Takes over the ends that the store did not confirm to an earlier run of the program. Their sessions are not
    /// served, and the ends are repeated.
    pub(super) fn take_over(&self, pending: PendingEnds) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        for (key, until) in pending.all() {
            self.ended.add_unknown(&[key], now + Duration::from_secs(until.0.saturating_sub(wall.0)));
        }
        // Called once. In case of a second call the first file stays in use.
        let _ = self.pending.set(Arc::new(pending));
    }

    /// Writes ends to the file, so that they survive a crash until they are confirmed.
    pub(super) async fn note_pending(&self, keys: Vec<SessionKey>, until: Moment) {
        let until = self.clock.wall_at(until);
        let ends = keys.into_iter().map(|key| (key, until)).collect::<Vec<_>>();
        self.with_pending(move |pending| pending.note(&ends)).await;
    }

    /// Removes confirmed ends from the file.
    pub(super) async fn forget_pending(&self, keys: Vec<SessionKey>) {
        if !keys.is_empty() {
            self.with_pending(move |pending| pending.forget(&keys)).await;
        }
    }

    async fn with_pending(&self, work: impl FnOnce(&PendingEnds) -> io::Result<()> + Send + 'static) {
        let Some(pending) = self.pending.get().map(Arc::clone) else { return };
        // It waits for the disk, so it must not run on a thread of the runtime.
        let done = tokio::task::spawn_blocking(move || work(&pending)).await;
        if let Ok(Err(error)) = done {
            tracing::error!(%error, "the file of unconfirmed ends cannot be written: they would be lost in a crash");
        }
    }

    /// Records that the table has read every session of the store.
    pub(super) fn note_whole(&self) {
        self.is_whole.store(self.trust.is_for_ever(), Ordering::Release);
    }

    /// Whether it is known, without asking the store, that a key which the table does not have belongs to no session.
    /// While an end is unconfirmed this is not known: the session has left the table, but its keys must not be reported
    /// as unknown.
    pub(super) fn is_absent(&self, key: &SessionKey) -> bool {
        self.loads.is_absent(key) || self.is_whole.load(Ordering::Acquire) && !self.ended.has_pending()
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Begins a new epoch, because events may have been missed.
    pub(super) fn begin_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The number of changes of sessions by other gateways. If it differs before and after a load, the loaded record
    /// may be outdated.
    pub(super) fn changes(&self) -> u32 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Counts a change by another gateway. To be called before the session is looked up in the table.
    pub(super) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) async fn open(&self, session: &Session) -> Result<(), Unavailable> {
        in_time(self.store.open(session.record(&self.clock))).await
    }

    pub(super) async fn load(&self, key: &SessionKey) -> Result<Option<Record>, Unavailable> {
        in_time(self.store.load(key)).await
    }

    pub(super) async fn load_many(&self, sessions: &[Arc<Session>]) -> Result<Vec<Option<Record>>, Unavailable> {
        let names = names(sessions);
        require_one_each(names.len(), in_time(self.store.load_many(&names)).await?)
    }

    pub(super) async fn load_all_of(&self, user: &UserKey, beyond: usize) -> Result<Vec<Record>, Unavailable> {
        in_time(self.store.load_all_of(user, beyond)).await
    }

    pub(super) async fn page(&self, from: Option<Cursor>, about: usize) -> Result<RecordPage, Unavailable> {
        in_time(self.store.page(from, about)).await
    }

    /// The session of a record that was loaded in this epoch; `None` if this version or these keys cannot read it.
    /// Without its application cookies a session must not be served: an application that only knows its own cookies
    /// would take it for another user's.
    pub(super) fn restored(&self, record: &Record, user: Arc<UserKey>, epoch: Epoch) -> Option<Arc<Session>> {
        let session = self.vault_of(record).and_then(|vault| Session::restored(record, user, vault, &self.clock));
        if let Some(session) = &session {
            session.confirm(epoch, 0);
        } else {
            tracing::warn!(
                session = %record.name.handle(),
                "a session in the store cannot be read: it was written by a later version, or with another key file"
            );
        }
        session.map(Arc::new)
    }

    /// The application cookies of a record; `None` if this version, or these keys, cannot read them.
    pub(super) fn vault_of(&self, record: &Record) -> Option<Vault> {
        if record.jar.is_empty() {
            return Some(Vault::default());
        }
        let jar = seal::open(&self.keys.load(), MacPurpose::SealedJar, record.name.as_bytes(), &record.jar)?;
        Vault::read(&jar, record.version)
    }

    /// Writes the application cookies of a session, as this version of them.
    pub(super) async fn set_jar(
        &self,
        session: &SessionKey,
        version: u32,
        jar: &[u8],
    ) -> Result<JarWrite, Unavailable> {
        let sealed = seal::seal(&self.keys.load(), MacPurpose::SealedJar, session.as_bytes(), jar);
        let sealed = sealed.map_err(|_| Unavailable)?;
        in_time(self.store.set_jar(session, version, &sealed)).await
    }

    /// Converts a wall-clock time of the store.
    pub(super) fn moment_of(&self, wall: WallTime) -> Moment {
        self.clock.moment_of(wall)
    }

    pub(super) async fn save_about(&self, session: &Session) -> Result<bool, Unavailable> {
        in_time(self.store.set_about(session.name(), &session.about())).await
    }

    pub(super) async fn touch(&self, used: &[Arc<Session>]) -> Result<(), Unavailable> {
        let uses = used.iter().map(|used| Use { session: *used.name(), at: self.clock.wall_at(used.last_seen()) });
        in_time(self.store.touch(&uses.collect::<Vec<_>>())).await
    }

    pub(super) async fn add_key(&self, session: &Session, key: HostKey) -> Result<bool, Unavailable> {
        in_time(self.store.add_key(session.name(), key)).await
    }

    pub(super) async fn end(&self, sessions: &[Arc<Session>]) -> Result<Vec<End>, Unavailable> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let names = names(sessions);
        require_one_each(names.len(), self.end_in_time(self.store.end(&names)).await?)
    }

    pub(super) async fn end_all_of(&self, user: &UserKey) -> Result<Vec<Record>, Unavailable> {
        self.end_in_time(self.store.end_all_of(user)).await
    }

    /// Ends the sessions that have not been used on any replica after `cut_off`. For others the result is the moment of
    /// their last use.
    pub(super) async fn end_if_idle(
        &self,
        sessions: &[Arc<Session>],
        cut_off: Moment,
    ) -> Result<Vec<Result<End, Moment>>, Unavailable> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let names = names(sessions);
        let ends = self.end_in_time(self.store.end_if_idle(&names, self.clock.wall_at(cut_off))).await?;
        let ends = ends.into_iter().map(|end| match end {
            IdleEnd::Ended(end) => Ok(end),
            IdleEnd::Used(at) => Err(self.clock.moment_of(at)),
        });
        require_one_each(names.len(), ends.collect())
    }

    pub(super) async fn put_notes(&self, notes: &[Note]) -> Result<(), Unavailable> {
        in_time(self.store.put_notes(notes)).await
    }

    pub(super) async fn note(&self, kind: NoteKind, key: &[u8]) -> Result<Option<Note>, Unavailable> {
        in_time(self.store.note(kind, key)).await
    }

    pub(super) async fn put_code(&self, code: &EnterKey, content: &[u8], life: Duration) -> Result<(), Unavailable> {
        in_time(self.store.put_code(code.as_bytes(), content, life)).await
    }

    pub(super) async fn take_code(&self, code: &EnterKey) -> Result<Option<Vec<u8>>, Unavailable> {
        in_time(self.store.take_code(code.as_bytes())).await
    }

    pub(super) async fn notes(&self, kind: NoteKind, most: usize) -> Result<Vec<Note>, Unavailable> {
        in_time(self.store.notes(kind, most)).await
    }

    pub(super) async fn exchange_connections(
        &self,
        own: &[SessionConnections],
    ) -> Result<Vec<SessionConnections>, Unavailable> {
        in_time(self.store.exchange_connections(own)).await
    }

    /// Converts a moment to a wall-clock time for the store.
    pub(super) fn wall_at(&self, moment: Moment) -> WallTime {
        self.clock.wall_at(moment)
    }

    pub(super) fn wall(&self) -> WallTime {
        self.clock.wall()
    }

    async fn end_in_time<T>(&self, answer: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        timeout(self.store.longest_end(), answer).await.unwrap_or(Err(Unavailable))
    }

    /// The timeout for an end.
    pub(super) fn longest_end(&self) -> Duration {
        self.store.longest_end()
    }

    /// Waits for changes by other replicas, without a timeout.
    pub(super) async fn events(&self) -> Result<Vec<StoreEvent>, Unavailable> {
        self.store.events().await
    }
}

fn names(sessions: &[Arc<Session>]) -> Vec<SessionKey> {
    sessions.iter().map(|session| *session.name()).collect()
}

async fn in_time<T>(answer: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
    timeout(STORE_TIMEOUT, answer).await.unwrap_or(Err(Unavailable))
}

/// Treats the answer to a batch as a failure unless it has one entry for each request.
fn require_one_each<T>(asked: usize, answers: Vec<T>) -> Result<Vec<T>, Unavailable> {
    if answers.len() == asked { Ok(answers) } else { Err(Unavailable) }
}
