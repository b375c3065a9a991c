//! The exchanges of a session that are in progress, and the signal by which the session's end cuts them.
//!
//! Exchanges that begin or finish and the end of the session access the list concurrently. Both hold the session's lock
//! only briefly, and never across an `await`. An exchange registers first and reads the end mark afterwards; an end
//! sets the mark first and reads the list afterwards. So one of the two always sees the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use super::sync::AtomicU64;

/// A signal that asks the exchange of a client connection to end.
///
/// Each connection has one, which its exchanges use one after another. It is polled only by the task that serves the
/// connection. A signal from the end of a session is reset with the exchange; one from a stop of the gateway stays.
#[derive(Debug, Default)]
pub struct Cut {
    /// The reasons of the signal, whether the exchange is a stream, and the shortest grace. All in one word, so that
    /// they change together.
    word: AtomicU64,
    waker: AtomicWaker,
}

/// The low half of the word is the grace in milliseconds, once a cut was requested.
const GRACE: u64 = u32::MAX as u64;
const BY_SESSION: u64 = 1 << 32;
const BY_GATEWAY: u64 = 1 << 33;
const STREAMING: u64 = 1 << 34;
const BY_RULES: u64 = 1 << 35;

impl Cut {
    /// A cut that has not been signalled.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Asks the connection to end within `grace`, at once if it is streaming. The signal also applies to later
    /// exchanges of the connection.
    pub fn signal(&self, grace: Duration) {
        self.ask(BY_GATEWAY, grace);
    }

    /// Asks the exchange to end, because its session has ended.
    fn signal_end_of_session(&self, grace: Duration) {
        self.ask(BY_SESSION, grace);
    }

    /// Asks the exchange to end, because the changed configuration would refuse it.
    pub(crate) fn signal_refused(&self, grace: Duration) {
        self.ask(BY_RULES, grace);
    }

    /// Whether the changed configuration is the only reason of the signal.
    pub fn is_refused(&self) -> bool {
        let word = self.word.load(Ordering::Acquire);
        word & BY_RULES != 0 && word & (BY_SESSION | BY_GATEWAY) == 0
    }

    fn ask(&self, reason: u64, grace: Duration) {
        let grace = u64::try_from(grace.as_millis()).unwrap_or(GRACE).min(GRACE);
        self.change(|word| {
            let earlier = if is_signalled(word) { word & GRACE } else { GRACE };
            (word & !GRACE) | reason | grace.min(earlier)
        });
        self.waker.wake();
    }

    /// Records that the exchange is an upgraded connection or an event stream: it has no grace.
    pub fn set_streaming(&self) {
        self.change(|word| word | STREAMING);
        self.waker.wake();
    }

    /// Resets the signal at the end of an exchange, except for a stop of the gateway.
    pub(crate) fn disarm(&self) {
        if self.word.load(Ordering::Acquire) != 0 {
            let kept = |word| if word & BY_GATEWAY == 0 { 0 } else { word & (BY_GATEWAY | GRACE) };
            self.change(kept);
        }
    }

    fn change(&self, change: impl Fn(u64) -> u64) {
        // The closure never returns `None`, so the update cannot fail.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| Some(change(word)));
    }

    /// The grace of an exchange that was asked to end, zero for a stream; `None` if it was not.
    pub(crate) fn signalled(&self) -> Option<Duration> {
        let word = self.word.load(Ordering::Acquire);
        let grace = if word & STREAMING == 0 { word & GRACE } else { 0 };
        is_signalled(word).then_some(Duration::from_millis(grace))
    }

    /// Ready with the grace once the exchange was asked to end. The waker is registered before the word is read, so
    /// that a signal between the two is not lost.
    pub fn poll_signalled(&self, context: &mut Context<'_>) -> Poll<Duration> {
        self.waker.register(context.waker());
        match self.signalled() {
            Some(grace) => Poll::Ready(grace),
            None => Poll::Pending,
        }
    }
}

const fn is_signalled(word: u64) -> bool {
    word & (BY_SESSION | BY_GATEWAY | BY_RULES) != 0
}

/// The cuts of all exchanges of one session that are in progress. Usually there are none or one, so only more than one
/// take a list.
#[derive(Debug, Default)]
pub(super) enum LiveConnections {
    #[default]
    None,
    One(Arc<Cut>),
    #[allow(clippy::box_collection, reason = "a list in place would make every session larger")]
    More(Box<Vec<Arc<Cut>>>),
}

impl LiveConnections {
    /// Adds a cut, and returns the number of cuts.
    pub(super) fn register(&mut self, cut: &Arc<Cut>) -> usize {
        match self {
            Self::None => *self = Self::One(Arc::clone(cut)),
            Self::One(first) => *self = Self::More(Box::new(vec![Arc::clone(first), Arc::clone(cut)])),
            Self::More(cuts) => cuts.push(Arc::clone(cut)),
        }
        self.count()
    }

    pub(super) fn deregister(&mut self, cut: &Arc<Cut>) {
        match self {
            Self::One(only) if Arc::ptr_eq(only, cut) => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::More(cuts) => {
                if let Some(at) = cuts.iter().position(|other| Arc::ptr_eq(other, cut)) {
                    cuts.swap_remove(at);
                }
                if cuts.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    /// Signals all exchanges, and returns their number. The caller holds the lock meanwhile, so that a connection that
    /// has moved on to an exchange of another session is no longer in the list.
    pub(super) fn cut_all(&self, grace: Duration) -> usize {
        self.all().iter().for_each(|cut| cut.signal_end_of_session(grace));
        self.count()
    }

    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    fn all(&self) -> &[Arc<Cut>] {
        match self {
            Self::None => &[],
            Self::One(cut) => std::slice::from_ref(cut),
            Self::More(cuts) => cuts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_signal_of_a_session_is_reset_with_the_exchange() {
        let (cut, mut live) = (Cut::new(), LiveConnections::default());
        live.register(&cut);
        cut.set_streaming();
        assert_eq!((live.cut_all(SECOND), cut.signalled()), (1, Some(Duration::ZERO)));
        live.deregister(&cut);
        cut.disarm();
        assert_eq!(cut.signalled(), None);
        live.register(&cut);
        live.cut_all(SECOND);
        assert_eq!(cut.signalled(), Some(SECOND), "the next exchange is not a stream");
    }

    #[test]
    fn the_signal_of_a_stop_stays_and_the_shortest_grace_applies() {
        let (cut, mut live) = (Cut::new(), LiveConnections::default());
        live.register(&cut);
        cut.signal(2 * SECOND);
        live.cut_all(SECOND);
        cut.signal(3 * SECOND);
        assert_eq!(cut.signalled(), Some(SECOND));
        cut.disarm();
        assert!(cut.signalled().is_some());
        cut.signal(Duration::MAX);
        assert_eq!(cut.signalled(), Some(SECOND));
    }

    #[test]
    fn every_registered_exchange_is_cut_once() {
        let cuts = [(); 3].map(|()| Cut::new());
        for number in 0..=3 {
            let (on, off) = cuts.split_at(number);
            let mut live = LiveConnections::default();
            assert!(on.iter().zip(1..).all(|(cut, count)| live.register(cut) == count));
            off.iter().for_each(|cut| live.deregister(cut));
            assert_eq!((live.count(), live.cut_all(SECOND)), (number, number));
            assert!(on.iter().all(|cut| cut.signalled().is_some()) && off.iter().all(|cut| cut.signalled().is_none()));
            for (cut, left) in on.iter().zip((0..number).rev()) {
                live.deregister(cut);
                cut.disarm();
                assert!(live.cut_all(SECOND) == left && cut.signalled().is_none());
                cuts.iter().for_each(|cut| cut.disarm());
            }
            assert!(matches!(live, LiveConnections::None), "the list is freed");
        }
    }
}
