//! What the table learns from the store: sessions of keys that it does not know, what other replicas did. And what the
//! store learns now and then: when sessions were used.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::SessionTable;
use super::ends::ended;
use crate::session::backing::{Backing, DEADLINE};
use crate::session::dead::{Entry, Mark};
use crate::session::record::{Ended, Session};
use crate::session::store::{End, Record, StoreEvent, Unavailable};
use crate::values::client_address::ClientAddress;
use crate::values::end_cause::EndCause;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// How often a record is loaded again when ends overtake the load.
const TRIES: usize = 3;
/// Uses in one batch.
const USES: usize = 1000;

impl SessionTable {
    /// Loads a key that the table does not know and that a request from this address presents. After that the key is no
    /// longer [`super::Found::Unknown`], unless the store failed. Sessions that turn out to be idle are ended and
    /// returned in `ended`.
    ///
    /// # Errors
    /// The store does not answer, or too much is asked of it at this moment. Nothing is known about the key.
    pub(crate) async fn load(
        &self,
        key: &SessionKey,
        from: ClientAddress,
        now: Moment,
        ended: &mut Vec<Ended>,
    ) -> Result<(), Unavailable> {
        let Some(backing) = &self.backing else { return Ok(()) };
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
            return self.judge_idle(session, now, ended).await;
        }
        if timeout(DEADLINE, backing.dead.is_owed(key)).await.unwrap_or(true) {
            return Err(Unavailable);
        }
        for _ in 0..TRIES {
            let mark = backing.dead.mark();
            let Some(record) = backing.load(key).await? else { return Ok(false) };
            let Some(session) = backing.restored(&record) else { return Ok(false) };
            match self.restore(backing, &record, session, mark) {
                Entry::Entered(Some(session)) => return self.judge_idle(session, now, ended).await,
                Entry::Dead => return Ok(false),
                Entry::Entered(None) | Entry::Unconfirmed => return Err(Unavailable),
                Entry::Overtaken => {}
            }
        }
        Err(Unavailable)
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
                let missing = record.further.iter().filter(|key| !self.by_key.contains_key(*key));
                missing.for_each(|key| _ = self.enter_key(&known, *key));
                return Some(known);
            }
            self.reserve().ok()?.keep();
            record.keys().for_each(|key| _ = self.by_key.insert(*key, Arc::clone(&restored)));
            // The next sign-in makes room: loading a session never ends another one.
            let _ = self.enter_user(&restored);
            self.expiry_queue.schedule(record.name, self.earliest_end(&restored));
            Some(restored)
        })
    }

    /// Waits for what other replicas do, and does the same here. Never returns where there are none.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn follow(&self) -> Result<Vec<Ended>, Unavailable> {
        let Some(backing) = &self.backing else { return std::future::pending().await };
        let events = backing.events().await?.into_iter();
        let ends = events.filter_map(|StoreEvent::Ended(name)| self.take_out(backing, &name, EndCause::Elsewhere));
        Ok(ends.map(|session| ended(session, EndCause::Elsewhere, End::Lost, true)).collect())
    }

    /// Reports to the store when sessions were last used, if the last report is this long ago. What the store does not
    /// confirm is reported again the next time.
    pub(crate) async fn save_uses(&self, now: Moment, after: Duration) {
        let Some(backing) = &self.backing else { return };
        let since = backing.saved_until.load(Ordering::Relaxed);
        if now.duration_since(Moment::from_seconds(since)) < after {
            return;
        }
        let used = |session: &Arc<Session>| session.last_seen().seconds() >= since;
        let used: Vec<_> = self.sessions_of(None).into_iter().filter(used).collect();
        for used in used.chunks(USES) {
            if backing.touch(used).await.is_err() {
                return;
            }
        }
        backing.saved_until.store(now.seconds(), Ordering::Relaxed);
    }
}
