//! Loads sessions from the store, applies the changes of other replicas, and reports uses of sessions to the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join;

use super::SessionTable;
use super::cookies::{renew_cookies, version_of};
use super::ends::{ended, wait_for_writes};
use crate::session::backing::Backing;
use crate::session::confirmed::Freshness;
use crate::session::ended_sessions::{EndCount, EntryOutcome};
use crate::session::epoch::Epoch;
use crate::session::pending::PendingEnds;
use crate::session::record::{Ended, Session};
use crate::session::store::{End, Record, STORE_TIMEOUT, StoreEvent, Unavailable};
use crate::session::sync::timeout;
use crate::values::client_address::ClientAddress;
use crate::values::end_cause::EndCause;
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The maximum number of loads of a record when concurrent ends or changes require another one.
pub(super) const TRIES: usize = 3;
/// The number of sessions in one batch of uses or of confirmations.
const USES: usize = 1000;
/// The number of sessions in one page when the store is read at the start.
const PAGE: usize = 10_000;
/// The maximum number of unused sessions that are confirmed in one round after events were missed.
const CONFIRM_BATCH: usize = 5000;

impl SessionTable {
    /// Loads the session with a key that the table does not have, or that another gateway has changed, for a request
    /// from this address. Afterwards the key is no longer [`super::Lookup::Unknown`], and a session that is still
    /// [`super::Lookup::Outdated`] was changed again meanwhile. Sessions that turn out to be idle are ended and added
    /// to `ended`.
    ///
    /// # Errors
    /// The store does not answer, the table may be out of date, or a limit of lookups is exceeded. Nothing is known
    /// about the key.
    pub(crate) async fn load(
        &self,
        key: &SessionKey,
        from: ClientAddress,
        now: Moment,
        ended: &mut Vec<Ended>,
    ) -> Result<(), Unavailable> {
        let Some(backing) = &self.backing else { return Ok(()) };
        if !backing.is_trusted(now) {
            return Err(Unavailable);
        }
        // The key of a known session was not guessed: its confirmation does not count towards the address's limit.
        let from = (!self.by_key.contains(key)).then_some(from);
        backing.loads.ask(key, from, now, self.fetch(backing, key, now, ended)).await
    }

    /// Loads the session with this key and enters it. Returns whether it exists and has not ended.
    async fn fetch(
        &self,
        backing: &Backing,
        key: &SessionKey,
        now: Moment,
        ended: &mut Vec<Ended>,
    ) -> Result<bool, Unavailable> {
        if let Some(session) = self.by_key.get(key) {
            return self.update_from_store(backing, session, now, ended).await;
        }
        if timeout(STORE_TIMEOUT, backing.ended.is_unconfirmed(key)).await.unwrap_or(true) {
            return Err(Unavailable);
        }
        for _ in 0..TRIES {
            let (mark, epoch, changes) = (backing.ended.count(), backing.epoch(), backing.changes());
            let Some(record) = backing.load(key).await? else {
                self.load_debt(backing, key).await?;
                return Ok(false);
            };
            let Some(session) = self.restored(backing, &record, epoch) else { return Ok(false) };
            match self.restore(backing, &record, session, mark) {
                EntryOutcome::Entered(Some(session)) => {
                    // A change that was applied before the session was entered did not find it.
                    if backing.changes() != changes {
                        session.outdate();
                    }
                    return self.update_from_store(backing, session, now, ended).await;
                }
                EntryOutcome::Dead => {
                    self.load_debt(backing, key).await?;
                    return Ok(false);
                }
                EntryOutcome::Entered(None) | EntryOutcome::Unconfirmed => return Err(Unavailable),
                EntryOutcome::Overtaken => {}
            }
        }
        Err(Unavailable)
    }

    /// Updates a session in the table from the store, and ends it if it is idle. Returns whether it is live.
    async fn update_from_store(
        &self,
        backing: &Backing,
        session: Arc<Session>,
        now: Moment,
        ended: &mut Vec<Ended>,
    ) -> Result<bool, Unavailable> {
        for _ in 0..TRIES {
            ended.extend(self.confirm(backing, std::slice::from_ref(&session)).await?);
            if session.standing(backing.epoch()) == Freshness::Current {
                break;
            }
        }
        self.judge_idle(session, now, ended).await
    }

    /// Loads the sessions of a user that other gateways have opened, if the user has more than `beyond` in total. To be
    /// called before the sessions of a user are listed.
    ///
    /// # Errors
    /// The store does not answer, or the table is full.
    pub(crate) async fn load_all_of(&self, user: &UserKey, beyond: usize) -> Result<(), Unavailable> {
        let Some(backing) = self.backing.as_ref().filter(|backing| backing.is_shared()) else { return Ok(()) };
        let (mark, epoch, changes) = (backing.ended.count(), backing.epoch(), backing.changes());
        for record in backing.load_all_of(user, beyond).await? {
            if self.by_key.contains(&record.name) {
                continue;
            }
            let Some(session) = self.restored(backing, &record, epoch) else { continue };
            match self.restore(backing, &record, session, mark) {
                EntryOutcome::Entered(Some(session)) if backing.changes() != changes => session.outdate(),
                EntryOutcome::Entered(Some(_))
                | EntryOutcome::Dead
                | EntryOutcome::Unconfirmed
                | EntryOutcome::Overtaken => {}
                EntryOutcome::Entered(None) => return Err(Unavailable),
            }
        }
        Ok(())
    }

    /// The session of a record that was loaded in this epoch. It shares the user key with existing sessions, and the
    /// identity if that is equal: an identity is as large as the rest of a session.
    pub(super) fn restored(&self, backing: &Backing, record: &Record, epoch: Epoch) -> Option<Arc<Session>> {
        let (user, known) = self.by_user.shared(&record.user);
        let session = backing.restored(record, user, epoch)?;
        let known = known.map(|known| known.identity());
        if let Some(known) = known.filter(|known| *known == session.identity()) {
            session.set_identity(known);
        }
        Some(session)
    }

    /// Ends a session that is idle here, unless it is used elsewhere. Returns whether it is live.
    async fn judge_idle(
        &self,
        session: Arc<Session>,
        now: Moment,
        ended: &mut Vec<Ended>,
    ) -> Result<bool, Unavailable> {
        if self.expiry(&session, now) == Some(EndCause::Idle) && !session.has_ended() {
            ended.extend(self.end_idle(vec![Arc::clone(&session)], now).await?);
        }
        Ok(!session.has_ended())
    }

    /// Enters a session from the store; `Entered(None)` if the table is full. Of several concurrent calls, with
    /// whichever key, only the first enters the session, and the others get it.
    fn restore(
        &self,
        backing: &Backing,
        record: &Record,
        restored: Arc<Session>,
        mark: EndCount,
    ) -> EntryOutcome<Option<Arc<Session>>> {
        backing.ended.enter(record.keys(), mark, || {
            if let Some(known) = self.by_key.get(&record.name) {
                self.enter_missing(&known, record);
                return Some(known);
            }
            self.reserve().ok()?.keep();
            self.enter(record, &restored);
            Some(restored)
        })
    }

    fn enter(&self, record: &Record, restored: &Arc<Session>) {
        self.by_key.enter(restored);
        record.further.iter().for_each(|further| self.by_key.enter_further(further, restored));
        // Loading a session never ends another one: `max_per_user` applies at the next sign-in.
        self.by_user.enter(restored);
        self.expiry_queue.schedule(restored.name(), self.earliest_end(restored));
    }

    fn enter_missing(&self, known: &Arc<Session>, record: &Record) {
        let missing = record.further.iter().filter(|further| !self.by_key.contains(&further.key));
        // An earlier key of the host is not removed, since this record may be older than the session.
        missing.for_each(|further| _ = self.enter_key(known, further.clone()));
    }

    /// Takes over the ends that the store did not confirm to an earlier run of the program. To be called before
    /// [`SessionTable::load_all`].
    pub(crate) fn take_over(&self, pending: PendingEnds) {
        if let Some(backing) = &self.backing {
            backing.take_over(pending);
        }
    }

    /// Loads all sessions from the store at the start. Sessions beyond the capacity are entered as well, so that a
    /// restart with a lower limit ends none. Returns their number.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn load_all(&self) -> Result<usize, Unavailable> {
        let Some(backing) = &self.backing else { return Ok(0) };
        let mut asked = (backing.ended.count(), backing.epoch());
        let mut page = backing.page(None, PAGE).await?;
        while let Some(from) = page.next {
            let next_asked = (backing.ended.count(), backing.epoch());
            // The store reads the next page while this one is entered.
            let (next, ()) = join(backing.page(Some(from), PAGE), async {
                self.enter_all(backing, &page.records, asked);
            })
            .await;
            (page, asked) = (next?, next_asked);
        }
        self.enter_all(backing, &page.records, asked);
        backing.note_whole();
        Ok(self.len())
    }

    /// Enters the records of a page that was requested at this time, without those that the table has.
    fn enter_all(&self, backing: &Backing, records: &[Record], (mark, epoch): (EndCount, Epoch)) {
        for record in records {
            let Some(session) = self.restored(backing, record, epoch) else { continue };
            let _ = backing.ended.enter(record.keys(), mark, || {
                if !self.by_key.contains(&record.name) {
                    self.count.fetch_add(1, Ordering::Relaxed);
                    self.enter(record, &session);
                }
            });
        }
    }

    /// Loads the sessions that may have ended or changed without this replica knowing, and updates them. Removes those
    /// that are not in the store any more, and returns them.
    async fn confirm(&self, backing: &Backing, sessions: &[Arc<Session>]) -> Result<Vec<Ended>, Unavailable> {
        let epoch = backing.epoch();
        let is_doubtful = |session: &&Arc<Session>| session.standing(epoch) != Freshness::Current;
        let doubtful: Vec<_> = sessions.iter().filter(is_doubtful).cloned().collect();
        if doubtful.is_empty() {
            return Ok(Vec::new());
        }
        let known: Vec<_> = doubtful.iter().map(|session| (session.changes(), version_of(session))).collect();
        let records = backing.load_many(&doubtful).await?;
        let mut gone = Vec::new();
        for ((session, (changes, version)), record) in doubtful.iter().zip(known).zip(records) {
            match record {
                Some(record) => {
                    self.enter_missing(session, &record);
                    session.touch(backing.moment_of(record.last_seen));
                    session.renew_stamp(&record);
                    renew_cookies(backing, session, &record, version).await?;
                    session.confirm(epoch, changes);
                }
                None => gone.extend(self.take_out(backing, session.name(), EndCause::Elsewhere)),
            }
        }
        Ok(gone.into_iter().map(|session| ended(session, EndCause::Elsewhere, End::Lost, true)).collect())
    }

    /// Updates these sessions from the store: another gateway may have written a new password. Returns those that have
    /// ended there.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn renew(&self, sessions: &[Arc<Session>]) -> Result<Vec<Ended>, Unavailable> {
        let Some(backing) = &self.backing else { return Ok(Vec::new()) };
        let mut gone = Vec::new();
        for sessions in sessions.chunks(USES) {
            gone.extend(self.confirm(backing, sessions).await?);
        }
        Ok(gone)
    }

    /// Confirms a batch of the sessions that have not been used since events were missed, so that connections of ended
    /// ones are cut. Returns those that have ended.
    ///
    /// # Errors
    /// The store does not answer. Unconfirmed sessions stay unconfirmed and are not served.
    pub(crate) async fn confirm_some(&self) -> Result<Vec<Ended>, Unavailable> {
        let Some(backing) = &self.backing else { return Ok(Vec::new()) };
        let epoch = backing.epoch();
        if backing.all_confirmed.load(Ordering::Acquire) == epoch.0 {
            return Ok(Vec::new());
        }
        let mut doubtful = self.sessions_of(None);
        doubtful.retain(|session| session.standing(epoch) == Freshness::InDoubt);
        doubtful.truncate(CONFIRM_BATCH);
        if doubtful.is_empty() {
            backing.all_confirmed.store(epoch.0, Ordering::Release);
        }
        self.renew(&doubtful).await
    }

    /// Waits for changes by other replicas and applies them. Returns the sessions that they ended. Never returns if
    /// there are no other replicas. The next call acknowledges the events: by then all writes of the ended sessions
    /// must have finished, so this waits for them.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn follow_events(&self) -> Result<Vec<Ended>, Unavailable> {
        let Some(backing) = &self.backing else { return std::future::pending().await };
        let mut gone = Vec::new();
        for event in backing.events().await? {
            match event {
                StoreEvent::Ended(name) => gone.extend(self.take_out(backing, &name, EndCause::Elsewhere)),
                StoreEvent::JarWritten { session, version } => {
                    self.outdate(backing, &session, |session| version_of(session) < version);
                }
                StoreEvent::KeyAdded { session, replaced } => {
                    self.outdate(backing, &session, |_| true);
                    if let Some(key) = &replaced {
                        self.remove_key(&session, key);
                    }
                }
                StoreEvent::AboutWritten(session) => self.outdate(backing, &session, |_| true),
                StoreEvent::Learned => backing.has_learned.store(true, Ordering::Release),
                StoreEvent::Gap => {
                    backing.begin_epoch();
                    backing.has_learned.store(true, Ordering::Release);
                }
            }
        }
        wait_for_writes(&gone).await;
        Ok(gone.into_iter().map(|session| ended(session, EndCause::Elsewhere, End::Lost, true)).collect())
    }

    /// Marks a session as outdated, if `is_news` says so: it is loaded again before its next request is served.
    fn outdate(&self, backing: &Backing, name: &SessionKey, is_news: impl Fn(&Session) -> bool) {
        backing.note_change();
        let session = self.by_key.get(name);
        session.iter().filter(|session| is_news(session)).for_each(|session| session.outdate());
    }

    /// Removes a key that another gateway has replaced.
    fn remove_key(&self, name: &SessionKey, replaced: &SessionKey) {
        if let Some(session) = self.by_key.get(name) {
            session.take_key(replaced);
            self.by_key.remove_further_of(replaced, &session);
        }
    }

    /// Cuts all exchanges of sessions if the store has not answered for so long that the sessions may have ended
    /// elsewhere. The sessions themselves do not end. Returns the number of cut connections.
    pub(crate) fn cut_doubtful(&self, now: Moment, grace: Duration) -> usize {
        if !self.backing.as_ref().is_some_and(|backing| backing.has_to_cut(now)) {
            return 0;
        }
        self.sessions_of(None).iter().map(|session| session.cut(grace)).sum()
    }

    /// Reports the uses of sessions and the prolonged cookies of applications to the store, if the last report is at
    /// least `after` ago. What the store does not confirm is reported again the next time.
    pub(crate) async fn save_uses(&self, now: Moment, after: Duration) {
        let Some(backing) = &self.backing else { return };
        let since = backing.saved_until.load(Ordering::Relaxed);
        if now.duration_since(Moment::from_seconds(since)) < after {
            return;
        }
        let used = |session: &Arc<Session>| session.last_seen().seconds() >= since;
        let mut used_since = self.sessions_of(None);
        self.save_all_cookies(&used_since).await;
        used_since.retain(used);
        for used in used_since.chunks(USES) {
            if backing.touch(used).await.is_err() {
                return;
            }
        }
        backing.saved_until.store(now.seconds(), Ordering::Relaxed);
    }
}
