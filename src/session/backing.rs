//! The store behind a table: sessions become records here, times become wall-clock times, and every call has a
//! deadline.
//!
//! A table without one is all there is: then no session outlives the process, and nothing here runs.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio::time::timeout;

use super::dead::Dead;
use super::loads::Loads;
use super::record::Session;
use super::store::{End, IdleEnd, Record, SessionStore, StoreEvent, Unavailable, Use};
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::{Clock, Moment};

/// How long the store may take for an answer. What it was asked for may be done later all the same.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// A store, and what its table has to know about it.
#[derive(Debug)]
pub struct Backing {
    store: Arc<dyn SessionStore>,
    clock: Clock,
    pub(super) dead: Dead,
    pub(super) loads: Loads,
    /// The store knows of every use before this second.
    pub(super) saved_until: AtomicU32,
}

impl Backing {
    /// Sessions are kept by this store, with the wall time of this clock.
    pub(crate) fn new(store: Arc<dyn SessionStore>, clock: Clock) -> Self {
        let saved_until = AtomicU32::new(clock.now().seconds());
        Self { store, clock, dead: Dead::default(), loads: Loads::default(), saved_until }
    }

    pub(super) async fn open(&self, session: &Session) -> Result<(), Unavailable> {
        in_time(self.store.open(session.record(&self.clock))).await
    }

    pub(super) async fn load(&self, key: &SessionKey) -> Result<Option<Record>, Unavailable> {
        in_time(self.store.load(key)).await
    }

    /// The session of a record; `None` if this version cannot read it.
    pub(super) fn restored(&self, record: &Record) -> Option<Arc<Session>> {
        let session = Session::restored(record, &self.clock);
        if session.is_none() {
            tracing::warn!(session = %record.name.handle(), "the store has a session that this version cannot read");
        }
        session.map(Arc::new)
    }

    pub(super) async fn touch(&self, used: &[Arc<Session>]) -> Result<(), Unavailable> {
        let uses = used.iter().map(|used| Use { session: *used.name(), at: self.clock.wall_at(used.last_seen()) });
        in_time(self.store.touch(&uses.collect::<Vec<_>>())).await
    }

    pub(super) async fn add_key(&self, session: &Session, key: SessionKey) -> Result<bool, Unavailable> {
        in_time(self.store.add_key(session.name(), key)).await
    }

    pub(super) async fn end(&self, sessions: &[Arc<Session>]) -> Result<Vec<End>, Unavailable> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let names = names(sessions);
        whole(names.len(), in_time(self.store.end(&names)).await?)
    }

    pub(super) async fn end_all_of(&self, user: &UserKey) -> Result<Vec<Record>, Unavailable> {
        in_time(self.store.end_all_of(user)).await
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
        let ends = in_time(self.store.end_if_idle(&names, self.clock.wall_at(cut_off))).await?;
        let ends = ends.into_iter().map(|end| match end {
            IdleEnd::Ended(end) => Ok(end),
            IdleEnd::Used(at) => Err(self.clock.moment_of(at)),
        });
        whole(names.len(), ends.collect())
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
    timeout(DEADLINE, answer).await.unwrap_or(Err(Unavailable))
}

/// A store that has no answer for each entry of a batch has confirmed nothing.
fn whole<T>(asked: usize, answers: Vec<T>) -> Result<Vec<T>, Unavailable> {
    if answers.len() == asked { Ok(answers) } else { Err(Unavailable) }
}
