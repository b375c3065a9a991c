//! Ends of single sessions and batches: first the end mark, then the table, then the store.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::SessionTable;
use crate::session::backing::Backing;
use crate::session::ended_sessions::UnconfirmedEnd;
use crate::session::record::{Ended, Session};
use crate::session::store::{End, Unavailable};
use crate::session::sync::{sleep, timeout};
use crate::values::end_cause::EndCause;
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The result of ending all sessions of a user.
#[derive(Debug)]
#[must_use = "ended sessions still have connections to cut and audit lines to write"]
pub(crate) struct UserEnds {
    /// The ends of the known sessions.
    pub(crate) ended: Vec<Ended>,
    /// Whether the store has confirmed that no other session of the user is left.
    pub(crate) confirmed: bool,
}

/// The maximum number of unconfirmed ends that are repeated in one batch.
const RETRY_BATCH: usize = 1000;
/// The maximum number of expired sessions that are ended in one round: after a long downtime there may be many. The
/// others are not served meanwhile.
const EXPIRY_BATCH: usize = 10_000;

impl SessionTable {
    /// Ends a session. `None` if another caller has ended it.
    #[cfg(test)]
    pub(crate) async fn end(&self, session: &Arc<Session>, cause: EndCause) -> Option<Ended> {
        self.end_all(vec![Arc::clone(session)], cause).await.pop()
    }

    /// Ends sessions for one cause. Sessions that another caller in this process has ended are not in the result,
    /// unless the store has not confirmed that end.
    pub async fn end_all(&self, sessions: Vec<Arc<Session>>, cause: EndCause) -> Vec<Ended> {
        // All marks are set first, so that none of the sessions is served while the store is slow.
        let (mut marked, mut others) = (Vec::new(), Vec::new());
        for session in &sessions {
            match self.mark(session, cause) {
                Some(current) => marked.push(current),
                None => others.push(session),
            }
        }
        // Also for sessions that another caller has ended, since this answer may be sent before that one's.
        let quiet = wait_for_writes(&sessions);
        let Some(backing) = &self.backing else {
            marked.iter().for_each(|session| self.remove(session));
            quiet.await;
            return marked.into_iter().map(|session| ended(session, cause, End::Won, true)).collect();
        };
        self.withdraw(backing, &marked);
        let (ends, ()) = tokio::join!(self.ending(backing, &marked, backing.end(&marked)), quiet);
        let mut all = self.record_answer(backing, marked, cause, ends).await;
        for session in others {
            if is_unconfirmed(backing, session.name()).await {
                all.extend(session.ended().map(|cause| ended(Arc::clone(session), cause, End::Lost, false)));
            }
        }
        all
    }

    /// The sessions of a user that an end of all has to wait for: also those that another caller has just ended, whose
    /// answer may come later.
    pub(crate) fn list_to_end(&self, user: &UserKey) -> Vec<Arc<Session>> {
        let mut sessions = self.list(user);
        sessions.extend(self.last_writes.of_user(user));
        sessions
    }

    /// Ends every session of a user, also those that are only in the store.
    pub(crate) async fn end_all_of(&self, user: &UserKey, cause: EndCause) -> UserEnds {
        let sessions = self.list_to_end(user);
        let Some(backing) = &self.backing else {
            return UserEnds { ended: self.end_all(sessions, cause).await, confirmed: true };
        };
        let marked: Vec<_> = sessions.iter().filter_map(|session| self.mark(session, cause)).collect();
        self.withdraw(backing, &marked);
        let epoch = backing.epoch();
        let end = self.ending(backing, &marked, backing.end_all_of(user));
        let (removed, ()) = tokio::join!(end, wait_for_writes(&sessions));
        let Ok(removed) = removed else {
            return UserEnds {
                ended: self.record_answer(backing, marked, cause, Err(Unavailable)).await,
                confirmed: false,
            };
        };
        let mut names: HashSet<_> = removed.iter().map(|record| record.name).collect();
        let won = |session: &Arc<Session>| if names.remove(session.name()) { End::Won } else { End::Lost };
        let ends = marked.iter().map(won).collect();
        let mut all = self.record_answer(backing, marked, cause, Ok(ends)).await;
        let mut others = Vec::new();
        for record in removed.iter().filter(|record| names.contains(&record.name)) {
            let session = self.take_out(backing, &record.name, cause).or_else(|| self.restored(backing, record, epoch));
            others.extend(session.inspect(|session| {
                session.mark(cause);
                self.leave_debts(session);
            }));
        }
        // A concurrent load may have entered the session before the store ended it.
        wait_for_writes(&others).await;
        all.extend(others.into_iter().map(|session| ended(session, cause, End::Won, true)));
        UserEnds { ended: all, confirmed: true }
    }

    /// Ends expired sessions.
    pub(crate) async fn expired(&self, now: Moment) -> Vec<Ended> {
        let (mut idle, mut absolute) = (Vec::new(), Vec::new());
        for head in self.expiry_queue.due(now, EXPIRY_BATCH) {
            let Some(session) = self.by_key.get_by_head(head) else { continue };
            match self.expiry(&session, now) {
                Some(EndCause::Idle) => idle.push(session),
                Some(_) => absolute.push(session),
                None => self.expiry_queue.schedule(session.name(), self.earliest_end(&session)),
            }
        }
        let mut all = self.end_all(absolute, EndCause::Absolute).await;
        all.extend(self.end_idle(idle, now).await.unwrap_or_default());
        all
    }

    /// Ends sessions that are idle here, if they are also idle on all other replicas.
    ///
    /// # Errors
    /// The store does not answer. The sessions are checked again later, and refused meanwhile.
    pub(super) async fn end_idle(&self, sessions: Vec<Arc<Session>>, now: Moment) -> Result<Vec<Ended>, Unavailable> {
        let Some(backing) = &self.backing else { return Ok(self.end_all(sessions, EndCause::Idle).await) };
        let cut_off = now.before(self.lifetime().idle);
        self.expect_debts(&sessions);
        let answers = match self.ending(backing, &sessions, backing.end_if_idle(&sessions, cut_off)).await {
            Ok(answers) => answers,
            Err(Unavailable) => {
                sessions.iter().for_each(|session| self.expiry_queue.schedule(session.name(), now + RETRY));
                return Err(Unavailable);
            }
        };
        let mut over = Vec::new();
        for (session, answer) in sessions.into_iter().zip(answers) {
            match answer {
                Ok(end) => over.push((session, end)),
                Err(used) => {
                    session.touch(used);
                    self.expiry_queue.schedule(session.name(), self.earliest_end(&session));
                }
            }
        }
        Ok(self.apply_ends(backing, over).await)
    }

    /// Marks and removes sessions that the store has ended. The store, not the mark, has decided which call ended them.
    async fn apply_ends(&self, backing: &Backing, over: Vec<(Arc<Session>, End)>) -> Vec<Ended> {
        let mut over = over;
        over.retain(|(session, _)| {
            let is_marked = session.mark_alone(EndCause::Idle);
            if is_marked {
                backing.ended.ended_elsewhere(*session.name());
                self.remove(session);
            }
            // A session with a successor has not ended.
            is_marked || !session.is_succeeded()
        });
        let sessions: Vec<_> = over.iter().map(|(session, _)| Arc::clone(session)).collect();
        wait_for_writes(&sessions).await;
        over.into_iter().map(|(session, end)| ended(session, EndCause::Idle, end, true)).collect()
    }

    /// Repeats the unconfirmed ends. Returns the sessions that could not be loaded earlier, for which the remaining
    /// steps of the logout have not run yet.
    pub(crate) async fn retry_unconfirmed(&self, now: Moment) -> Vec<Ended> {
        let Some(backing) = &self.backing else { return Vec::new() };
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for owed in backing.ended.take_unconfirmed(RETRY_BATCH) {
            match owed {
                UnconfirmedEnd::Known(session) => known.push(session),
                UnconfirmedEnd::Unknown(key, until) => unknown.push((key, until)),
            }
        }
        let (over, known): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|session| self.expiry(session, now) == Some(EndCause::Absolute));
        let mut done: Vec<_> = over.iter().map(|session| *session.name()).collect();
        match backing.end(&known).await {
            Ok(_) => done.extend(known.iter().map(|session| *session.name())),
            Err(Unavailable) => backing.ended.add_unconfirmed(known.into_iter().map(UnconfirmedEnd::Known)),
        }
        let mut all = Vec::new();
        for (key, until) in unknown {
            match self.end_unknown(backing, &key).await {
                Ok(ended) => {
                    done.push(key);
                    all.extend(ended);
                }
                Err(Unavailable) if until > now => backing.ended.add_unconfirmed([UnconfirmedEnd::Unknown(key, until)]),
                Err(Unavailable) => done.push(key),
            }
        }
        backing.ended.confirmed(&done);
        backing.forget_pending(done).await;
        all
    }

    /// Removes from `keys` those of sessions in the table, even if it may be out of date, and returns the sessions.
    pub(crate) fn take_entered(&self, keys: &mut Vec<SessionKey>) -> Vec<Arc<Session>> {
        let mut entered = Vec::new();
        keys.retain(|key| {
            let session = self.by_key.get(key);
            entered.extend(session.clone());
            session.is_none()
        });
        entered
    }

    /// Schedules the ends of sessions that could not be loaded, for when the store answers again. Until then the keys
    /// are refused here.
    pub(crate) async fn schedule_end_of(&self, keys: &[SessionKey], now: Moment) {
        if let Some(backing) = self.backing.as_ref().filter(|_| !keys.is_empty()) {
            let until = now + self.lifetime().absolute;
            backing.ended.add_unknown(keys, until);
            backing.note_pending(keys.to_vec(), until).await;
        }
    }

    async fn end_unknown(&self, backing: &Backing, key: &SessionKey) -> Result<Option<Ended>, Unavailable> {
        let epoch = backing.epoch();
        let Some(record) = backing.load(key).await? else { return Ok(None) };
        let Some(session) = self.restored(backing, &record, epoch) else { return Ok(None) };
        session.mark(EndCause::Logout);
        backing.ended.ended_elsewhere(record.name);
        self.leave_debts(&session);
        let one = std::slice::from_ref(&session);
        let end = self.ending(backing, one, backing.end(one)).await?.pop().unwrap_or(End::Lost);
        Ok(Some(ended(session, EndCause::Logout, end, true)))
    }

    /// Sets the end mark of a session. Returns, to the one caller that set it, the session that has to be removed from
    /// the table: the successor, if there is one.
    pub(super) fn mark(&self, session: &Arc<Session>, cause: EndCause) -> Option<Arc<Session>> {
        // The mark is set before the successor is read: see `Successor::pass`.
        session.mark(cause).then(|| {
            let successor = session.successor().and_then(|name| self.by_key.get(&name));
            successor.unwrap_or_else(|| Arc::clone(session))
        })
    }

    /// Removes marked sessions from the table, after recording that loads in progress must not enter them again.
    fn withdraw(&self, backing: &Backing, marked: &[Arc<Session>]) {
        backing.ended.begin(marked);
        marked.iter().for_each(|session| self.remove(session));
    }

    /// Records the store's answer to the ends of marked sessions.
    pub(super) async fn record_answer(
        &self,
        backing: &Backing,
        marked: Vec<Arc<Session>>,
        cause: EndCause,
        ends: Result<Vec<End>, Unavailable>,
    ) -> Vec<Ended> {
        match ends {
            Ok(ends) => {
                backing.ended.confirmed(marked.iter().map(|session| session.name()));
                // Requests that still present these keys need no lookup in the store.
                marked.iter().flat_map(|session| session.keys()).for_each(|key| backing.loads.note_absent(&key));
                marked.into_iter().zip(ends).map(|(session, end)| ended(session, cause, end, true)).collect()
            }
            Err(Unavailable) => {
                backing.ended.add_unconfirmed(marked.iter().cloned().map(UnconfirmedEnd::Known));
                let last = marked.iter().map(|session| session.created()).max().unwrap_or_default();
                let names = marked.iter().map(|session| *session.name()).collect();
                backing.note_pending(names, last + self.lifetime().absolute).await;
                marked.into_iter().map(|session| ended(session, cause, End::Won, false)).collect()
            }
        }
    }

    /// Removes a session that was ended in the store.
    pub(super) fn take_out(&self, backing: &Backing, name: &SessionKey, cause: EndCause) -> Option<Arc<Session>> {
        // Recorded first: an old record that is entered afterwards is recognised as ended, and one that was entered
        // before is found here.
        backing.ended.ended_elsewhere(*name);
        let session = self.by_key.get(name)?;
        if session.mark_alone(cause) {
            self.remove(&session);
        }
        Some(session)
    }
}

/// The time after which a failed end of idle sessions is repeated.
const RETRY: Duration = Duration::from_secs(2);

pub(super) fn ended(session: Arc<Session>, cause: EndCause, end: End, confirmed: bool) -> Ended {
    let quiet = !session.has_writes();
    Ended { session, cause, end, confirmed, quiet, goes_on: false }
}

/// Whether an end by another caller is not confirmed, also because the store is too slow.
async fn is_unconfirmed(backing: &Backing, name: &SessionKey) -> bool {
    timeout(backing.longest_end(), backing.ended.is_unconfirmed(name)).await.unwrap_or(true)
}

/// The maximum wait for writes that were announced when a session ended.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// Waits until every write that was announced before the marks of these sessions were set is finished. Such a write
/// does not block: it can take longer than [`WRITE_TIMEOUT`] only if its thread is not scheduled.
pub(super) async fn wait_for_writes(ended: &[Arc<Session>]) {
    let awaited = || ended.iter().any(|session| session.has_writes());
    let all_quiet = async {
        while awaited() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    if awaited() {
        // The end continues after a timeout; the receipt says whether all writes have finished.
        let _ = timeout(WRITE_TIMEOUT, all_quiet).await;
    }
}
