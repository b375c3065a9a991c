//! Sessions that ended here and must not come back from the store: those whose end the store has not confirmed, and
//! those whose record may be loading at this moment.
//!
//! Three kinds of tasks meet here: ends, loads, and the task that repeats what the store has not confirmed. An end is
//! pending before the store is asked for it, and is noted as over once the store has confirmed it; a load notes how
//! many ends were over before it asks, and enters what it got under this lock, if no end of the same session is pending
//! or was over since then. So an old record never overtakes an end, in whichever order the store answers: also that of
//! a load which began when the end was pending already.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::record::Session;
use super::store::Record;
use super::sync::Mutex;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// Ends that are remembered for loads under way. A load that is overtaken by more of them is tried again.
const RECENT: usize = 4096;
/// Keys that are remembered of logouts whose session could not be loaded. Beyond this number, in a longer outage, the
/// response still says that the end is not confirmed, but it is not retried.
pub(super) const MOST_UNKNOWN: usize = 10_000;

/// An end that the store has not confirmed.
#[derive(Clone, Debug)]
pub(super) enum Owed {
    /// Of this session.
    Known(Arc<Session>),
    /// Of the session of this key, which could not be loaded; not for longer than until this moment.
    Unknown(SessionKey, Moment),
}

impl Owed {
    fn key(&self) -> SessionKey {
        match self {
            Self::Known(session) => *session.name(),
            Self::Unknown(key, _) => *key,
        }
    }
}

/// How far the store has confirmed an end.
#[derive(Debug)]
enum Pending {
    /// It is being asked.
    Asked,
    /// It has not confirmed, and is asked again.
    Owed(Owed),
}

/// How many ends there were: what a load notes before it asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

/// What a load may do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<T> {
    /// It was entered.
    Entered(T),
    /// Its session has ended meanwhile.
    Dead,
    /// Its end is not confirmed.
    Unconfirmed,
    /// Unknown by now: load it again.
    Overtaken,
}

#[derive(Debug, Default)]
pub(super) struct Dead {
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    pending: HashMap<SessionKey, Pending>,
    /// Keys of those whose end was over last, the last one at the back.
    recent: VecDeque<SessionKey>,
    /// How many ever ended.
    ended: u64,
    unknown: usize,
}

impl State {
    fn note(&mut self, key: SessionKey) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(key);
        self.ended += 1;
    }

    /// Whether the session of this record ended after the mark; `None` if that is not known any more.
    fn ended_since(&self, record: &Record, mark: Mark) -> Option<bool> {
        let since = usize::try_from(self.ended - mark.0).ok().filter(|since| *since <= self.recent.len())?;
        Some(self.recent.iter().rev().take(since).any(|ended| record.keys().any(|key| key == ended)))
    }
}

impl Dead {
    /// Notes that these sessions end: before the store is asked.
    pub(super) fn begin(&self, sessions: &[Arc<Session>]) {
        let mut state = self.state.lock();
        for session in sessions {
            state.pending.insert(*session.name(), Pending::Asked);
        }
    }

    /// Notes that another replica ended a session.
    pub(super) fn ended_elsewhere(&self, name: SessionKey) {
        self.state.lock().note(name);
    }

    /// The store has confirmed these.
    pub(super) fn confirmed<'a>(&self, keys: impl IntoIterator<Item = &'a SessionKey>) {
        let mut state = self.state.lock();
        for key in keys {
            if let Some(Pending::Owed(Owed::Unknown(..))) = state.pending.remove(key) {
                state.unknown -= 1;
            }
            state.note(*key);
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// The store was asked and has not confirmed these.
    pub(super) fn owe(&self, ends: impl IntoIterator<Item = Owed>) {
        let mut state = self.state.lock();
        for owed in ends {
            state.unknown += usize::from(matches!(owed, Owed::Unknown(..)));
            state.pending.insert(owed.key(), Pending::Owed(owed));
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// The sessions of these keys are to end, and cannot be loaded. Where there are too many of them, the rest is not
    /// remembered.
    pub(super) fn owe_unknown(&self, keys: &[SessionKey], until: Moment) {
        let mut state = self.state.lock();
        for key in keys {
            if state.unknown < MOST_UNKNOWN && !state.pending.contains_key(key) {
                state.unknown += 1;
                state.pending.insert(*key, Pending::Owed(Owed::Unknown(*key, until)));
            }
        }
    }

    /// Up to this many ends that the store has not confirmed, to be retried: each must then be confirmed or marked as
    /// pending again.
    pub(super) fn take_owed(&self, most: usize) -> Vec<Owed> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        for pending in state.pending.values_mut().filter(|pending| matches!(pending, Pending::Owed(_))).take(most) {
            if let Pending::Owed(owed) = std::mem::replace(pending, Pending::Asked) {
                taken.push(owed);
            }
        }
        state.unknown -= taken.iter().filter(|owed| matches!(owed, Owed::Unknown(..))).count();
        taken
    }

    /// Whether there is an end that the store has not confirmed yet.
    pub(super) fn has_pending(&self) -> bool {
        !self.state.lock().pending.is_empty()
    }

    /// How many ends there are at this moment.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.state.lock().ended)
    }

    /// Enters the session of a record that was loaded after this mark.
    pub(super) fn enter<T>(&self, record: &Record, mark: Mark, enter: impl FnOnce() -> T) -> Entry<T> {
        let state = self.state.lock();
        if record.keys().any(|key| state.pending.contains_key(key)) {
            return Entry::Unconfirmed;
        }
        match state.ended_since(record, mark) {
            Some(false) => Entry::Entered(enter()),
            Some(true) => Entry::Dead,
            None => Entry::Overtaken,
        }
    }

    /// Whether the end of the session of this key is not confirmed. Waits while the store is being asked.
    pub(super) async fn is_owed(&self, key: &SessionKey) -> bool {
        loop {
            let settled = self.settled.notified();
            let mut settled = std::pin::pin!(settled);
            // Before looking, so that what happens between looking and waiting is not missed.
            settled.as_mut().enable();
            match self.state.lock().pending.get(key) {
                None => return false,
                Some(Pending::Owed(_)) => return true,
                Some(Pending::Asked) => {}
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
    use crate::session::store::contract::{further, record};

    fn of(session: &Session) -> Record {
        Record { name: *session.name(), ..record("alice") }
    }

    #[test]
    fn an_old_record_never_overtakes_an_end() {
        let (dead, one, other) = (Dead::default(), session(), session());
        let before = dead.mark();
        assert_eq!(dead.enter(&of(&one), before, || 1), Entry::Entered(1));
        dead.begin(std::slice::from_ref(&one));
        assert_eq!(dead.enter(&of(&one), dead.mark(), || 1), Entry::Unconfirmed);
        dead.confirmed([one.name()]);
        assert_eq!(dead.enter(&of(&one), before, || 1), Entry::Dead);
        assert_eq!(dead.enter(&of(&other), before, || 1), Entry::Entered(1), "it is about its session alone");
        let after = dead.mark();
        dead.ended_elsewhere(*other.name());
        assert_eq!(dead.enter(&of(&other), after, || 1), Entry::Dead);
        for _ in 0..RECENT {
            dead.ended_elsewhere(record("x").name);
        }
        assert_eq!(dead.enter(&of(&other), after, || 1), Entry::Overtaken);
        assert_eq!(dead.enter(&of(&other), dead.mark(), || 1), Entry::Entered(1), "a load from now on says so itself");
    }

    /// The store may have been asked by a load before it did what it was asked for by the end.
    #[test]
    fn a_load_that_began_while_the_end_was_pending_enters_nothing() {
        let (dead, one, another) = (Dead::default(), session(), further("shop.test"));
        let record = Record { further: vec![another.clone()], ..of(&one) };
        dead.begin(std::slice::from_ref(&one));
        let before = dead.mark();
        dead.confirmed([one.name()]);
        assert_eq!(dead.enter(&record, before, || 1), Entry::Dead);
        dead.owe_unknown(&[another.key], Moment::default());
        let before = dead.mark();
        dead.confirmed([&another.key]);
        assert_eq!(dead.enter(&record, before, || 1), Entry::Dead, "by whichever of its keys it ended");
        assert_eq!(dead.enter(&record, dead.mark(), || 1), Entry::Entered(1), "the store says so by now");
    }

    #[test]
    fn what_is_owed_is_taken_once_and_found_by_any_key() {
        let (dead, one) = (Dead::default(), session());
        let another = further("shop.test");
        let further = another.key;
        dead.begin(std::slice::from_ref(&one));
        assert!(dead.take_owed(9).is_empty(), "it is being asked for");
        dead.owe([Owed::Known(Arc::clone(&one))]);
        dead.owe_unknown(&[further, *one.name()], Moment::default());
        let unknown = Record { further: vec![another], ..record("bob") };
        assert_eq!(dead.enter(&unknown, dead.mark(), || 1), Entry::Unconfirmed);
        assert_eq!((dead.take_owed(1).len(), dead.take_owed(9).len(), dead.take_owed(9).len()), (1, 1, 0));
        dead.confirmed([one.name(), &further]);
        assert_eq!(dead.enter(&unknown, dead.mark(), || 1), Entry::Entered(1));
    }

    #[test]
    fn an_outage_fills_no_memory() {
        let dead = Dead::default();
        for _ in 0..MOST_UNKNOWN + 9 {
            dead.owe_unknown(&[record("x").name], Moment::default());
        }
        assert_eq!(dead.take_owed(usize::MAX).len(), MOST_UNKNOWN);
        dead.owe_unknown(&[record("x").name], Moment::default());
        assert_eq!(dead.take_owed(usize::MAX).len(), 1, "those that were taken have left their place");
    }

    #[tokio::test]
    async fn who_asks_waits_for_the_store() {
        let (dead, one) = (Dead::default(), session());
        assert!(!dead.is_owed(one.name()).await);
        dead.begin(std::slice::from_ref(&one));
        let mut asks = std::pin::pin!(dead.is_owed(one.name()));
        assert!(futures_util::poll!(asks.as_mut()).is_pending());
        dead.owe([Owed::Known(Arc::clone(&one))]);
        assert_eq!((asks.now_or_never(), dead.is_owed(one.name()).now_or_never()), (Some(true), Some(true)));
    }
}
