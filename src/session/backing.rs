//! The store behind a table: sessions become records here, times become wall-clock times, and every call has a
//! deadline.
//!
//! A table without one is all there is: then no session outlives the process, and nothing here runs.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::dead::Dead;
use super::epoch::Epoch;
use super::loads::Loads;
use super::pending::PendingEnds;
use super::record::Session;
use super::store::{
    Cursor, End, HostKey, IdleEnd, JarWrite, Note, NoteKind, PATIENCE, Page, Record, SessionStore, StoreEvent, Trust,
    Unavailable, Use,
};
use super::sync::{AtomicBool, AtomicU32, timeout};
use crate::values::hop::EnterKey;
use crate::values::identity::UserKey;
use crate::values::mac::{MacKeys, Purpose};
use crate::values::seal;
use crate::values::session_id::SessionKey;
use crate::values::time::{Clock, Moment, WallTime};
use crate::vault::store::Vault;

/// A store, and what its table has to know about it.
#[derive(Debug)]
pub struct Backing {
    store: Arc<dyn SessionStore>,
    clock: Clock,
    /// What a store keeps for the gateway alone is sealed with these.
    keys: ArcSwap<MacKeys>,
    pub(super) dead: Dead,
    pub(super) loads: Loads,
    /// The store knows of every use before this second.
    pub(super) saved_until: AtomicU32,
    /// Where ends that the store has not confirmed survive a crash.
    pending: OnceLock<Arc<PendingEnds>>,
    trust: Arc<Trust>,
    /// Requests under way have been cut since the table was last known to be current.
    has_cut: AtomicBool,
    /// The table has all that the store has, and the store has no other writer.
    is_whole: AtomicBool,
    epoch: AtomicU32,
    /// Others have learned names of cookies.
    pub(super) has_learned: AtomicBool,
    /// How often other gateways have changed any session.
    changes: AtomicU32,
    /// The epoch in which every session that the table has is confirmed.
    pub(super) all_confirmed: AtomicU32,
}

impl Backing {
    /// Sessions are kept by this store, with the wall time of this clock, and secrets sealed with these keys.
    pub(crate) fn new(store: Arc<dyn SessionStore>, clock: Clock, keys: Arc<MacKeys>) -> Self {
        let saved_until = AtomicU32::new(clock.now().seconds());
        let trust = store.trust();
        Self {
            store,
            clock,
            keys: ArcSwap::new(keys),
            dead: Dead::default(),
            loads: Loads::default(),
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

    /// Seals with other keys from now on, if the store is not of gateways with other keys: false, and nothing has
    /// changed.
    pub(super) async fn use_keys(&self, keys: &Arc<MacKeys>) -> Result<bool, Unavailable> {
        // The store first: it is the one that can refuse.
        let accepted = in_time(self.store.use_keys(keys)).await?;
        if accepted {
            self.keys.store(Arc::clone(keys));
        }
        Ok(accepted)
    }

    /// Whether the table is known to be current at this moment.
    pub(super) fn is_trusted(&self, now: Moment) -> bool {
        self.trust.holds_at(now)
    }

    /// Whether other gateways write to the store as well.
    pub(super) fn is_shared(&self) -> bool {
        !self.trust.is_for_ever()
    }

    /// Whether requests under way have to be cut now, and not before, because the table may have been out of date for
    /// too long.
    pub(super) fn has_to_cut(&self, now: Moment) -> bool {
        let lost = self.trust.is_lost_at(now);
        !self.has_cut.swap(lost, Ordering::Relaxed) && lost
    }

    /// Takes over the ends that an earlier run of the program could not have confirmed: none of their sessions is
    /// served, and the store is asked for them again.
    pub(super) fn take_over(&self, pending: PendingEnds) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        for (key, until) in pending.all() {
            self.dead.owe_unknown(&[key], now + Duration::from_secs(until.0.saturating_sub(wall.0)));
        }
        // A second file would be a mistake of the caller, and the first one stays.
        let _ = self.pending.set(Arc::new(pending));
    }

    /// Has these ends survive a crash, until they are confirmed.
    pub(super) async fn note_pending(&self, keys: Vec<SessionKey>, until: Moment) {
        let until = self.clock.wall_at(until);
        let ends = keys.into_iter().map(|key| (key, until)).collect::<Vec<_>>();
        self.with_pending(move |pending| pending.note(&ends)).await;
    }

    /// These ends are confirmed.
    pub(super) async fn forget_pending(&self, keys: Vec<SessionKey>) {
        if !keys.is_empty() {
            self.with_pending(move |pending| pending.forget(&keys)).await;
        }
    }

    async fn with_pending(&self, work: impl FnOnce(&PendingEnds) -> io::Result<()> + Send + 'static) {
        let Some(pending) = self.pending.get().map(Arc::clone) else { return };
        // It waits for the disk: not on a thread that serves.
        let done = tokio::task::spawn_blocking(move || work(&pending)).await;
        if let Ok(Err(error)) = done {
            tracing::error!(%error, "the file of unconfirmed ends cannot be written: a crash would forget them");
        }
    }

    /// The table has read everything.
    pub(super) fn note_whole(&self) {
        self.is_whole.store(self.trust.is_for_ever(), Ordering::Release);
    }

    /// Whether a key that the table does not have is of no session, without asking the store. While an end is not
    /// confirmed that is not known: its session has left the table, and its keys must not look unknown.
    pub(super) fn is_absent(&self, key: &SessionKey) -> bool {
        self.loads.is_absent(key) || self.is_whole.load(Ordering::Acquire) && !self.dead.has_pending()
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Events may have been missed.
    pub(super) fn begin_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// How often other gateways have changed any session: where that is another number after a load than before it,
    /// what was loaded may be outdated.
    pub(super) fn changes(&self) -> u32 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Another gateway has changed a session. To be noted before that session is looked for in the table.
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
        whole(names.len(), in_time(self.store.load_many(&names)).await?)
    }

    pub(super) async fn load_all_of(&self, user: &UserKey, beyond: usize) -> Result<Vec<Record>, Unavailable> {
        in_time(self.store.load_all_of(user, beyond)).await
    }

    pub(super) async fn page(&self, from: Option<Cursor>, about: usize) -> Result<Page, Unavailable> {
        in_time(self.store.page(from, about)).await
    }

    /// The session of a record that was loaded in this epoch; `None` if this version, or these keys, cannot read it:
    /// without its application cookies it would be another user's to applications that go by them alone.
    pub(super) fn restored(&self, record: &Record, user: Arc<UserKey>, epoch: Epoch) -> Option<Arc<Session>> {
        let session = self.vault_of(record).and_then(|vault| Session::restored(record, user, vault, &self.clock));
        session.iter().for_each(|session| session.confirm(epoch, 0));
        if session.is_none() {
            tracing::warn!(
                session = %record.name.handle(),
                "a session of the store cannot be read: it is of a later version, or the key file is another one"
            );
        }
        session.map(Arc::new)
    }

    /// The application cookies of a record; `None` if this version, or these keys, cannot read them.
    pub(super) fn vault_of(&self, record: &Record) -> Option<Vault> {
        if record.jar.is_empty() {
            return Some(Vault::default());
        }
        let jar = seal::open(&self.keys.load(), Purpose::SealedJar, record.name.as_bytes(), &record.jar)?;
        Vault::read(&jar, record.version)
    }

    /// Writes the application cookies of a session as this version.
    pub(super) async fn set_jar(
        &self,
        session: &SessionKey,
        version: u32,
        jar: &[u8],
    ) -> Result<JarWrite, Unavailable> {
        let sealed = seal::seal(&self.keys.load(), Purpose::SealedJar, session.as_bytes(), jar);
        let sealed = sealed.map_err(|_| Unavailable)?;
        in_time(self.store.set_jar(session, version, &sealed)).await
    }

    /// The moment of a time that the store knows.
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
        whole(names.len(), self.end_in_time(self.store.end(&names)).await?)
    }

    pub(super) async fn end_all_of(&self, user: &UserKey) -> Result<Vec<Record>, Unavailable> {
        self.end_in_time(self.store.end_all_of(user)).await
    }

    /// Ends those that have not been used on any replica after `cut_off`.
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
        whole(names.len(), ends.collect())
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

    /// The time that a store knows of a moment.
    pub(super) fn wall_at(&self, moment: Moment) -> WallTime {
        self.clock.wall_at(moment)
    }

    pub(super) fn wall(&self) -> WallTime {
        self.clock.wall()
    }

    async fn end_in_time<T>(&self, answer: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        timeout(self.store.longest_end(), answer).await.unwrap_or(Err(Unavailable))
    }

    /// How long an end may take.
    pub(super) fn longest_end(&self) -> Duration {
        self.store.longest_end()
    }

    /// What other replicas did, whenever that is.
    pub(super) async fn events(&self) -> Result<Vec<StoreEvent>, Unavailable> {
        self.store.events().await
    }
}

fn names(sessions: &[Arc<Session>]) -> Vec<SessionKey> {
    sessions.iter().map(|session| *session.name()).collect()
}

async fn in_time<T>(answer: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
    timeout(PATIENCE, answer).await.unwrap_or(Err(Unavailable))
}

/// A store that has no answer for each entry of a batch has confirmed nothing.
fn whole<T>(asked: usize, answers: Vec<T>) -> Result<Vec<T>, Unavailable> {
    if answers.len() == asked { Ok(answers) } else { Err(Unavailable) }
}
