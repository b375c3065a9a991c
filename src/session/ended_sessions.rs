//! Sessions that ended here and must not come back from the store: those whose end the store has not confirmed, and
//! those whose record may be loading at the same time.
//!
//! Three kinds of tasks use it concurrently: ends, loads, and the task that repeats unconfirmed ends. An end is pending
//! before the store is asked for it, and is recorded as over once the store has confirmed it. A load reads the number
//! of confirmed ends before it asks, and enters its record under this lock, if no end of the same session is pending or
//! was confirmed since then. So an old record never overtakes an end, in whichever order the store answers, and also if
//! the load began while the end was pending. A sign-in does the same: all sessions of its user may end between the
//! store's answer and the entry into the table.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::record::Session;
use super::sync::Mutex;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The number of confirmed ends that are remembered for loads in progress. A load during which more were confirmed is
/// repeated.
const RECENT: usize = 4096;
/// The maximum number of unconfirmed logouts whose session could not be loaded. Beyond it, in a longer outage, the
/// response still says that the end is not confirmed, but it is not retried.
pub(super) const MAX_UNKNOWN: usize = 10_000;

/// An end that the store has not confirmed.
#[derive(Clone, Debug)]
pub(super) enum UnconfirmedEnd {
    /// The end of this session.
    Known(Arc<Session>),
    /// The end of the session with this key, which could not be loaded. It is dropped at this moment, when the session
    /// has expired.
    Unknown(SessionKey, Moment),
}

impl UnconfirmedEnd {
    fn key(&self) -> SessionKey {
        match self {
            Self::Known(session) => *session.name(),
            Self::Unknown(key, _) => *key,
        }
    }
}

/// The state of an unconfirmed end.
#[derive(Debug)]
enum PendingState {
    /// The store is being asked.
    InProgress,
    /// The store did not confirm it and will be asked again.
    Unconfirmed(UnconfirmedEnd),
}

/// The number of confirmed ends, which a load reads before it asks the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndCount(u64);

/// The result of entering a loaded record into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryOutcome<T> {
    /// It was entered.
    Entered(T),
    /// Its session has ended meanwhile.
    Dead,
    /// The end of its session is not confirmed.
    Unconfirmed,
    /// Too many ends were confirmed meanwhile to tell: the record has to be loaded again.
    Overtaken,
}

#[derive(Debug, Default)]
pub(super) struct EndedSessions {
    state: Mutex<EndedState>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct EndedState {
    pending: HashMap<SessionKey, PendingState>,
    /// The keys of the sessions whose ends were confirmed last, the most recent at the back.
    recent: VecDeque<SessionKey>,
    /// The number of all ends that were confirmed.
    ended: u64,
    /// The number of pending [`UnconfirmedEnd::Unknown`].
    unknown: usize,
}

impl EndedState {
    fn note(&mut self, key: SessionKey) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(key);
        self.ended += 1;
    }

    /// Whether a session with such a key ended after the mark; `None` if that can no longer be determined.
    fn ended_since(&self, is_one: impl Fn(&SessionKey) -> bool, mark: EndCount) -> Option<bool> {
        let since = usize::try_from(self.ended - mark.0).ok().filter(|since| *since <= self.recent.len())?;
        Some(self.recent.iter().rev().take(since).any(is_one))
    }
}

impl EndedSessions {
    /// Records that these sessions are about to end. To be called before the store is asked.
    pub(super) fn begin(&self, sessions: &[Arc<Session>]) {
        let mut state = self.state.lock();
        for session in sessions {
            state.pending.insert(*session.name(), PendingState::InProgress);
        }
    }

    /// Records that another replica ended a session.
    pub(super) fn ended_elsewhere(&self, name: SessionKey) {
        self.state.lock().note(name);
    }

    /// Records that the store has confirmed the ends of the sessions with these keys.
    pub(super) fn confirmed<'a>(&self, keys: impl IntoIterator<Item = &'a SessionKey>) {
        let mut state = self.state.lock();
        for key in keys {
            if let Some(PendingState::Unconfirmed(UnconfirmedEnd::Unknown(..))) = state.pending.remove(key) {
                state.unknown -= 1;
            }
            state.note(*key);
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// Records that the store did not confirm these ends.
    pub(super) fn add_unconfirmed(&self, ends: impl IntoIterator<Item = UnconfirmedEnd>) {
        let mut state = self.state.lock();
        for end in ends {
            state.unknown += usize::from(matches!(end, UnconfirmedEnd::Unknown(..)));
            state.pending.insert(end.key(), PendingState::Unconfirmed(end));
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// Records the ends of the sessions with these keys, which cannot be loaded. Beyond [`MAX_UNKNOWN`] they are not
    /// remembered.
    pub(super) fn add_unknown(&self, keys: &[SessionKey], until: Moment) {
        let mut state = self.state.lock();
        for key in keys {
            if state.unknown < MAX_UNKNOWN && !state.pending.contains_key(key) {
                state.unknown += 1;
                state.pending.insert(*key, PendingState::Unconfirmed(UnconfirmedEnd::Unknown(*key, until)));
            }
        }
    }

    /// Takes at most `most` unconfirmed ends for a retry. The caller must then call [`Self::confirmed`] or
    /// [`Self::add_unconfirmed`] for each.
    pub(super) fn take_unconfirmed(&self, most: usize) -> Vec<UnconfirmedEnd> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        for pending in
            state.pending.values_mut().filter(|pending| matches!(pending, PendingState::Unconfirmed(_))).take(most)
        {
            if let PendingState::Unconfirmed(end) = std::mem::replace(pending, PendingState::InProgress) {
                taken.push(end);
            }
        }
        state.unknown -= taken.iter().filter(|end| matches!(end, UnconfirmedEnd::Unknown(..))).count();
        taken
    }

    /// Whether any end is not confirmed yet.
    pub(super) fn has_pending(&self) -> bool {
        !self.state.lock().pending.is_empty()
    }

    /// The current number of confirmed ends.
    pub(super) fn count(&self) -> EndCount {
        EndCount(self.state.lock().ended)
    }

    /// Calls `enter` for a session with these keys that was loaded or opened after this mark, unless it has ended or
    /// may have.
    pub(super) fn enter<'k, T>(
        &self,
        keys: impl Iterator<Item = &'k SessionKey> + Clone,
        mark: EndCount,
        enter: impl FnOnce() -> T,
    ) -> EntryOutcome<T> {
        let state = self.state.lock();
        if keys.clone().any(|key| state.pending.contains_key(key)) {
            return EntryOutcome::Unconfirmed;
        }
        let is_one = |ended: &SessionKey| keys.clone().any(|key| key == ended);
        match state.ended_since(is_one, mark) {
            Some(false) => EntryOutcome::Entered(enter()),
            Some(true) => EntryOutcome::Dead,
            None => EntryOutcome::Overtaken,
        }
    }

    /// Whether the end of the session with this key failed to be confirmed. Waits while the store is being asked.
    pub(super) async fn is_unconfirmed(&self, key: &SessionKey) -> bool {
        loop {
            let settled = self.settled.notified();
            let mut settled = std::pin::pin!(settled);
            // Enabled before the state is read, so that a change between reading and waiting is not missed.
            settled.as_mut().enable();
            match self.state.lock().pending.get(key) {
                None => return false,
                Some(PendingState::Unconfirmed(_)) => return true,
                Some(PendingState::InProgress) => {}
            }
            settled.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::session::record::tests::session;
    use crate::session::store::Record;
    use crate::session::store::contract::{further, record};

    fn of(session: &Session) -> Record {
        Record { name: *session.name(), ..record("alice") }
    }

    #[test]
    fn an_old_record_never_overtakes_an_end() {
        let (ended, one, other) = (EndedSessions::default(), session(), session());
        let before = ended.count();
        assert_eq!(ended.enter(of(&one).keys(), before, || 1), EntryOutcome::Entered(1));
        ended.begin(std::slice::from_ref(&one));
        assert_eq!(ended.enter(of(&one).keys(), ended.count(), || 1), EntryOutcome::Unconfirmed);
        ended.confirmed([one.name()]);
        assert_eq!(ended.enter(of(&one).keys(), before, || 1), EntryOutcome::Dead);
        assert_eq!(
            ended.enter(of(&other).keys(), before, || 1),
            EntryOutcome::Entered(1),
            "an end concerns only its own session"
        );
        let after = ended.count();
        ended.ended_elsewhere(*other.name());
        assert_eq!(ended.enter(of(&other).keys(), after, || 1), EntryOutcome::Dead);
        for _ in 0..RECENT {
            ended.ended_elsewhere(record("x").name);
        }
        assert_eq!(ended.enter(of(&other).keys(), after, || 1), EntryOutcome::Overtaken);
        assert_eq!(
            ended.enter(of(&other).keys(), ended.count(), || 1),
            EntryOutcome::Entered(1),
            "a load that begins now is current"
        );
    }

    /// The store may have answered the load before it processed the end.
    #[test]
    fn a_load_that_began_while_the_end_was_pending_enters_nothing() {
        let (ended, one, another) = (EndedSessions::default(), session(), further("shop.test"));
        let record = Record { further: vec![another.clone()], ..of(&one) };
        ended.begin(std::slice::from_ref(&one));
        let before = ended.count();
        ended.confirmed([one.name()]);
        assert_eq!(ended.enter(record.keys(), before, || 1), EntryOutcome::Dead);
        ended.add_unknown(&[another.key], Moment::default());
        let before = ended.count();
        ended.confirmed([&another.key]);
        assert_eq!(
            ended.enter(record.keys(), before, || 1),
            EntryOutcome::Dead,
            "by whichever of the keys the session was ended"
        );
        assert_eq!(
            ended.enter(record.keys(), ended.count(), || 1),
            EntryOutcome::Entered(1),
            "a load that begins now is current"
        );
    }

    #[test]
    fn an_unconfirmed_end_is_taken_once_and_found_by_any_key() {
        let (ended, one) = (EndedSessions::default(), session());
        let another = further("shop.test");
        let further = another.key;
        ended.begin(std::slice::from_ref(&one));
        assert!(ended.take_unconfirmed(9).is_empty(), "it is being asked for");
        ended.add_unconfirmed([UnconfirmedEnd::Known(Arc::clone(&one))]);
        ended.add_unknown(&[further, *one.name()], Moment::default());
        let unknown = Record { further: vec![another], ..record("bob") };
        assert_eq!(ended.enter(unknown.keys(), ended.count(), || 1), EntryOutcome::Unconfirmed);
        assert_eq!(
            (ended.take_unconfirmed(1).len(), ended.take_unconfirmed(9).len(), ended.take_unconfirmed(9).len()),
            (1, 1, 0)
        );
        ended.confirmed([one.name(), &further]);
        assert_eq!(ended.enter(unknown.keys(), ended.count(), || 1), EntryOutcome::Entered(1));
    }

    #[test]
    fn unconfirmed_ends_are_limited() {
        let ended = EndedSessions::default();
        for _ in 0..MAX_UNKNOWN + 9 {
            ended.add_unknown(&[record("x").name], Moment::default());
        }
        assert_eq!(ended.take_unconfirmed(usize::MAX).len(), MAX_UNKNOWN);
        ended.add_unknown(&[record("x").name], Moment::default());
        assert_eq!(ended.take_unconfirmed(usize::MAX).len(), 1, "taken ends no longer count");
    }

    #[tokio::test]
    async fn is_owed_waits_for_the_store() {
        let (ended, one) = (EndedSessions::default(), session());
        assert!(!ended.is_unconfirmed(one.name()).await);
        ended.begin(std::slice::from_ref(&one));
        let mut asks = std::pin::pin!(ended.is_unconfirmed(one.name()));
        assert!(futures_util::poll!(asks.as_mut()).is_pending());
        ended.add_unconfirmed([UnconfirmedEnd::Known(Arc::clone(&one))]);
        assert_eq!((asks.now_or_never(), ended.is_unconfirmed(one.name()).now_or_never()), (Some(true), Some(true)));
    }
}
