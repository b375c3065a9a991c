//! What the table learns from the store: sessions of keys that it does not know, what other replicas did. And what the
//! store learns now and then: when sessions were used.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::SessionTable;
use super::cookies::{renew_cookies, version_of};
use super::ends::{ended, wait_for_writes};
use crate::session::backing::Backing;
use crate::session::confirmed::Standing;
use crate::session::dead::{Entry, Mark};
use crate::session::epoch::Epoch;
use crate::session::pending::PendingEnds;
use crate::session::record::{Ended, Session};
use crate::session::store::{End, PATIENCE, Record, StoreEvent, Unavailable};
use crate::session::sync::timeout;
use crate::values::client_address::ClientAddress;
use crate::values::end_cause::EndCause;
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// How often a record is loaded again when ends or changes overtake the load.
const TRIES: usize = 3;
/// Sessions in one batch of uses or of confirmations.
const USES: usize = 1000;
/// Sessions in one page of a start.
const PAGE: usize = 10_000;
/// How many unused sessions are confirmed in one batch after events were missed.
const CONFIRMED_AT_ONCE: usize = 5000;

impl SessionTable {
    /// Loads a key that the table does not know, or whose session another gateway has changed, and that a request from
    /// this address presents. After that the key is no longer [`super::Found::Unknown`], unless the store failed, and a
    /// session that is still [`super::Found::Outdated`] was changed again meanwhile. Sessions that turn out to be idle
    /// are ended and returned in `ended`.
    ///
    /// # Errors
    /// The store does not answer, the table may be out of date, or the store has too many requests at this moment.
    /// Nothing is known about the key.
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
        let from = (!self.by_key.contains_key(key)).then_some(from);
        backing.loads.ask(key, from, now, self.fetch(backing, key, now, ended)).await
    }

    /// Whether there is a session of this key, live or over.
    async fn fetch(
        &self,
        backing: &Backing,
        key: &SessionKey,
        now: Moment,
        ended: &mut Vec<Ended>,
    ) -> Result<bool, Unavailable> {
        if let Some(session) = self.by_key.get(key).map(|entry| Arc::clone(entry.value())) {
            return self.settle(backing, session, now, ended).await;
        }
        if timeout(PATIENCE, backing.dead.is_owed(key)).await.unwrap_or(true) {
            return Err(Unavailable);
        }
        for _ in 0..TRIES {
            let (mark, epoch, changes) = (backing.dead.mark(), backing.epoch(), backing.changes());
            let Some(record) = backing.load(key).await? else {
                self.load_debt(backing, key).await?;
                return Ok(false);
            };
            let Some(session) = self.restored(backing, &record, epoch) else { return Ok(false) };
            match self.restore(backing, &record, session, mark) {
                Entry::Entered(Some(session)) => {
                    // A change that came before it was entered has not found it.
                    if backing.changes() != changes {
                        session.outdate();
                    }
                    return self.settle(backing, session, now, ended).await;
                }
                Entry::Dead => {
                    self.load_debt(backing, key).await?;
                    return Ok(false);
                }
                Entry::Entered(None) | Entry::Unconfirmed => return Err(Unavailable),
                Entry::Overtaken => {}
            }
        }
        Err(Unavailable)
    }

    /// Has a session of the table be as the store has it, and judges whether it is idle. Whether there is still one.
    async fn settle(
        &self,
        backing: &Backing,
        session: Arc<Session>,
        now: Moment,
        ended: &mut Vec<Ended>,
    ) -> Result<bool, Unavailable> {
        for _ in 0..TRIES {
            ended.extend(self.confirm(backing, std::slice::from_ref(&session)).await?);
            if session.standing(backing.epoch()) == Standing::Current {
                break;
            }
        }
        self.judge_idle(session, now, ended).await
    }

    /// Reads the sessions of a user that other gateways have opened, if there are more than `beyond` in all. To be
    /// called before a user's sessions are listed.
    ///
    /// # Errors
    /// The store does not answer, or the table is full.
    pub(crate) async fn load_all_of(&self, user: &UserKey, beyond: usize) -> Result<(), Unavailable> {
        let Some(backing) = self.backing.as_ref().filter(|backing| backing.is_shared()) else { return Ok(()) };
        let (mark, epoch, changes) = (backing.dead.mark(), backing.epoch(), backing.changes());
        for record in backing.load_all_of(user, beyond).await? {
            if self.by_key.contains_key(&record.name) {
                continue;
            }
            let Some(session) = self.restored(backing, &record, epoch) else { continue };
            match self.restore(backing, &record, session, mark) {
                Entry::Entered(Some(session)) if backing.changes() != changes => session.outdate(),
                Entry::Entered(Some(_)) | Entry::Dead | Entry::Unconfirmed | Entry::Overtaken => {}
                Entry::Entered(None) => return Err(Unavailable),
            }
        }
        Ok(())
    }

    /// The session of a record that was loaded in this epoch. It shares its user with the sessions that are there, and
    /// the identity where that is the same: one is as large as the rest of a session.
    pub(super) fn restored(&self, backing: &Backing, record: &Record, epoch: Epoch) -> Option<Arc<Session>> {
        let user = self.shared(Arc::new(record.user.clone()));
        let session = backing.restored(record, user, epoch)?;
        let known = self.by_user.get(&record.user).and_then(|sessions| sessions.first().map(|known| known.identity()));
        if let Some(known) = known.filter(|known| *known == session.identity()) {
            session.set_identity(known);
        }
        Some(session)
    }

    /// Ends a session that is idle here, unless it is used elsewhere. Whether there is still one.
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

    /// Enters what the store has kept; `None` where the table is full. Of several that do so at the same time, by
    /// whichever key, one makes the session.
    fn restore(
        &self,
        backing: &Backing,
        record: &Record,
        restored: Arc<Session>,
        mark: Mark,
    ) -> Entry<Option<Arc<Session>>> {
        backing.dead.enter(record, mark, || {
            let known = self.by_key.get(&record.name).map(|entry| Arc::clone(entry.value()));
            if let Some(known) = known {
                self.enter_missing(&known, record);
                return Some(known);
            }
            self.reserve().ok()?.keep();
            self.enter(record, &restored);
            Some(restored)
        })
    }

    fn enter(&self, record: &Record, restored: &Arc<Session>) {
        record.keys().for_each(|key| _ = self.by_key.insert(*key, Arc::clone(restored)));
        // The next sign-in makes room: loading a session never ends another one.
        self.enter_user(restored);
        self.expiry_queue.schedule(record.name, self.earliest_end(restored));
    }

    fn enter_missing(&self, known: &Arc<Session>, record: &Record) {
        let missing = record.further.iter().filter(|further| !self.by_key.contains_key(&further.key));
        // Beside an earlier key of the host, not in place of it: this record may be the older one.
        missing.for_each(|further| _ = self.enter_key(known, further.clone()));
    }

    /// Takes over the ends that an earlier run of the program could not have confirmed. To be called before
    /// [`SessionTable::load_all`].
    pub(crate) fn take_over(&self, pending: PendingEnds) {
        if let Some(backing) = &self.backing {
            backing.take_over(pending);
        }
    }

    /// Reads everything that the store has: what makes a start. Sessions beyond the capacity are entered too: a restart
    /// with a lower limit signs no user out. Returns how many there are.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn load_all(&self) -> Result<usize, Unavailable> {
        let Some(backing) = &self.backing else { return Ok(0) };
        let mut from = None;
        loop {
            let (mark, epoch) = (backing.dead.mark(), backing.epoch());
            let page = backing.page(from, PAGE).await?;
            for record in &page.records {
                let Some(session) = self.restored(backing, record, epoch) else { continue };
                let _ = backing.dead.enter(record, mark, || {
                    if !self.by_key.contains_key(&record.name) {
                        self.count.fetch_add(1, Ordering::Relaxed);
                        self.enter(record, &session);
                    }
                });
            }
            from = page.next;
            if from.is_none() {
                backing.note_whole();
                return Ok(self.len());
            }
        }
    }

    /// Asks the store for sessions that may have ended, or are others by now, without this replica knowing. Ends those
    /// that it has not.
    async fn confirm(&self, backing: &Backing, sessions: &[Arc<Session>]) -> Result<Vec<Ended>, Unavailable> {
        let epoch = backing.epoch();
        let is_doubtful = |session: &&Arc<Session>| session.standing(epoch) != Standing::Current;
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
                    renew_cookies(backing, session, &record, version).await?;
                    session.confirm(epoch, changes);
                }
                None => gone.extend(self.take_out(backing, session.name(), EndCause::Elsewhere)),
            }
        }
        Ok(gone.into_iter().map(|session| ended(session, EndCause::Elsewhere, End::Lost, true)).collect())
    }

    /// After events were missed: confirms some of the sessions that have not been used since, so that their connections
    /// do not outlive them. Returns those that have ended.
    ///
    /// # Errors
    /// The store does not answer. What is not confirmed stays so, and is not served.
    pub(crate) async fn confirm_some(&self) -> Result<Vec<Ended>, Unavailable> {
        let Some(backing) = &self.backing else { return Ok(Vec::new()) };
        let epoch = backing.epoch();
        if backing.all_confirmed.load(Ordering::Acquire) == epoch.0 {
            return Ok(Vec::new());
        }
        let mut doubtful = self.sessions_of(None);
        doubtful.retain(|session| session.standing(epoch) == Standing::InDoubt);
        doubtful.truncate(CONFIRMED_AT_ONCE);
        if doubtful.is_empty() {
            backing.all_confirmed.store(epoch.0, Ordering::Release);
        }
        let mut gone = Vec::new();
        for doubtful in doubtful.chunks(USES) {
            gone.extend(self.confirm(backing, doubtful).await?);
        }
        Ok(gone)
    }

    /// Waits for what other replicas do, and does the same here. Never returns where there are none. With the next call
    /// the store tells the others that it is done: after that nothing more is written in the name of what they ended.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn follow(&self) -> Result<Vec<Ended>, Unavailable> {
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
                    replaced.iter().for_each(|key| self.remove_key(&session, key));
                }
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

    /// Another gateway has changed a session, if that is news: it is loaded before the next request in its name.
    fn outdate(&self, backing: &Backing, name: &SessionKey, is_news: impl Fn(&Session) -> bool) {
        backing.note_change();
        let session = self.by_key.get(name).map(|entry| Arc::clone(entry.value()));
        session.iter().filter(|session| is_news(session)).for_each(|session| session.outdate());
    }

    /// Another gateway has given a session another key in place of this one.
    fn remove_key(&self, name: &SessionKey, replaced: &SessionKey) {
        if let Some(session) = self.by_key.get(name).map(|entry| Arc::clone(entry.value())) {
            session.take_key(replaced);
            self.by_key.remove_if(replaced, |_, other| Arc::ptr_eq(other, &session));
        }
    }

    /// Cuts the exchanges of sessions if the store has not answered for so long that they may have ended elsewhere.
    /// None of them is ended by that. Returns how many connections were cut.
    pub(crate) fn cut_doubtful(&self, now: Moment, grace: Duration) -> usize {
        if !self.backing.as_ref().is_some_and(|backing| backing.has_to_cut(now)) {
            return 0;
        }
        self.by_user.iter().flat_map(|user| user.value().clone()).map(|session| session.cut(grace)).sum()
    }

    /// Reports to the store when sessions were last used, and which cookies of applications live longer now, if the
    /// last report is this long ago. What the store does not confirm is reported again the next time.
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
