//! Opening a session: first in the store, then in the table, then answered.

use std::iter;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::loading::TRIES;
use super::{NotOpened, Opened, SessionTable};
use crate::session::ended_sessions::{EndCount, EntryOutcome};
use crate::session::record::Session;
use crate::session::sign_in::SignIn;
use crate::session::store::Unavailable;
use crate::session::sync::AtomicUsize;
use crate::values::end_cause::EndCause;
use crate::values::session_id::SessionId;
use crate::values::time::Moment;

impl SessionTable {
    /// Opens a session, always with a new id (against session fixation). Ends the least recently used sessions of the
    /// user beyond `max_per_user`.
    ///
    /// # Errors
    /// [`NotOpened`]
    pub async fn open(&self, sign_in: SignIn, now: Moment) -> Result<Opened, NotOpened> {
        let id = SessionId::generate().map_err(|_| NotOpened::NoRandomness)?;
        let reservation = self.reserve()?;
        let key = id.key();
        let (user, _) = self.by_user.shared(&sign_in.user);
        let session = Arc::new(Session::new(SignIn { user, ..sign_in }, key, now));
        let mark = self.store_new(&session).await?;
        if !self.enter_new(&session, reservation, mark, now).await {
            self.take_back(&session).await;
            return Err(NotOpened::StoreUnavailable);
        }
        // If this fails, only the sessions that this gateway knows are counted. The new one is in the table already, so
        // that it is not loaded a second time.
        let _ = self.load_all_of(session.user(), self.limits.max_per_user.load(Ordering::Relaxed)).await;
        let evicted = self.end_all(self.over_limit(&session), EndCause::OneTooMany).await;
        Ok(Opened { id, session, evicted })
    }

    /// Opens a new session in the store. Returns the mark for [`SessionTable::enter_new`]; `None` without a store.
    pub(super) async fn store_new(&self, session: &Session) -> Result<Option<EndCount>, NotOpened> {
        let Some(backing) = &self.backing else { return Ok(None) };
        // The mark and the epoch are read before the store is asked: ends from now on, and events that are missed from
        // now on, may concern the session.
        let mark = backing.ended.count();
        session.confirm(backing.epoch(), 0);
        backing.open(session).await.map_err(|Unavailable| NotOpened::StoreUnavailable)?;
        Ok(Some(mark))
    }

    /// Enters a new session, which the store has opened after this mark. `false` if it may have ended meanwhile, with
    /// all sessions of its user.
    pub(super) async fn enter_new(
        &self,
        session: &Arc<Session>,
        reservation: SlotReservation<'_>,
        mark: Option<EndCount>,
        now: Moment,
    ) -> bool {
        let mut reservation = Some(reservation);
        let mut enter = || {
            if let Some(reservation) = reservation.take() {
                reservation.keep();
            }
            self.by_key.enter(session);
            self.by_user.enter(session);
            self.expiry_queue.schedule(session.name(), self.lifetime().earliest_end(now, now));
        };
        let (Some(backing), Some(mut mark)) = (&self.backing, mark) else {
            enter();
            return true;
        };
        for _ in 0..TRIES {
            match backing.ended.enter(iter::once(session.name()), mark, &mut enter) {
                EntryOutcome::Entered(()) => return true,
                EntryOutcome::Dead | EntryOutcome::Unconfirmed => return false,
                EntryOutcome::Overtaken => mark = backing.ended.count(),
            }
            if !matches!(backing.load(session.name()).await, Ok(Some(_))) {
                return false;
            }
        }
        false
    }

    /// Removes a session from the store that was not given to the browser.
    pub(super) async fn take_back(&self, session: &Arc<Session>) {
        let Some(backing) = &self.backing else { return };
        backing.ended.begin(std::slice::from_ref(session));
        let ends = backing.end(std::slice::from_ref(session)).await;
        // No browser has the session, so there is nothing else to end.
        drop(self.record_answer(backing, vec![Arc::clone(session)], EndCause::SignedInAgain, ends).await);
    }

    pub(super) fn reserve(&self) -> Result<SlotReservation<'_>, NotOpened> {
        let capacity = self.limits.capacity.load(Ordering::Relaxed);
        let free = |count: usize| (count < capacity).then_some(count + 1);
        let reserved = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        reserved.map(|_| SlotReservation(&self.count)).map_err(|_| NotOpened::Full)
    }

    /// The sessions that have to end because of `max_per_user`, now that the user has this one.
    pub(super) fn over_limit(&self, session: &Arc<Session>) -> Vec<Arc<Session>> {
        let sessions = self.list(session.user());
        let mut others: Vec<_> = sessions.iter().filter(|other| !Arc::ptr_eq(other, session)).cloned().collect();
        let surplus = sessions.len().saturating_sub(self.limits.max_per_user.load(Ordering::Relaxed));
        // Cached, since concurrent requests change the times during the sort.
        others.sort_by_cached_key(|other| other.last_seen());
        others.truncate(surplus);
        others
    }
}

/// A reserved slot of the table, released when it is dropped unless it is kept.
pub(super) struct SlotReservation<'a>(&'a AtomicUsize);

impl SlotReservation<'_> {
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for SlotReservation<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
