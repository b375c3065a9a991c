//! The exchanges of a session that are under way, and how the session's end reaches them.
//!
//! Two places write here: the exchange that begins or finishes, and the end of the session. Both take the
//! session's own short lock, and neither waits while it is held. Correctness does not rest on the list: an
//! exchange registers first and reads the end mark after, an end sets the mark first and reads the list after,
//! so whichever comes second sees the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use super::sync::{AtomicU64, Mutex};

/// The way to end, from outside, whatever one client connection is doing.
///
/// One a connection, shared by its exchanges in turn. It is polled by one task at a time: the one that serves
/// the connection. What the end of a session asks for is over with the exchange that acted in its name; what is asked
/// for otherwise, because the gateway stops, stays.
#[derive(Debug, Default)]
pub struct Cut {
    /// Who asked, whether it is a stream, and the shortest grace: one word, so that all of it changes together.
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

    /// Asks the connection to end within `grace`, at once if it is streaming, whatever it does from now on.
    pub fn signal(&self, grace: Duration) {
        self.ask(BY_GATEWAY, grace);
    }

    /// Asks the exchange to end, because its session has ended.
    fn signal_end_of_session(&self, grace: Duration) {
        self.ask(BY_SESSION, grace);
    }

    /// Asks the exchange to end, because the changed configuration would refuse it.
    pub fn signal_refused(&self, grace: Duration) {
        self.ask(BY_RULES, grace);
    }

    /// Whether that was asked, and no more than that.
    pub fn is_refused(&self) -> bool {
        let word = self.word.load(Ordering::Acquire);
        word & BY_RULES != 0 && word & (BY_SESSION | BY_GATEWAY) == 0
    }

    fn ask(&self, who: u64, grace: Duration) {
        let grace = u64::try_from(grace.as_millis()).unwrap_or(GRACE).min(GRACE);
        self.change(|word| {
            let earlier = if is_signalled(word) { word & GRACE } else { GRACE };
            (word & !GRACE) | who | grace.min(earlier)
        });
        self.waker.wake();
    }

    /// From now on this exchange has no grace: it carries an upgraded connection or an event stream.
    pub fn set_streaming(&self) {
        self.change(|word| word | STREAMING);
        self.waker.wake();
    }

    /// The exchange is over: what concerned it alone is forgotten.
    pub(crate) fn disarm(&self) {
        if self.word.load(Ordering::Acquire) != 0 {
            let kept = |word| if word & BY_GATEWAY == 0 { 0 } else { word & (BY_GATEWAY | GRACE) };
            self.change(kept);
        }
    }

    fn change(&self, change: impl Fn(u64) -> u64) {
        // It always changes, so it never fails.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| Some(change(word)));
    }

    /// The grace of an exchange that was asked to end, zero for a stream; `None` before that.
    pub(crate) fn signalled(&self) -> Option<Duration> {
        let word = self.word.load(Ordering::Acquire);
        let grace = if word & STREAMING == 0 { word & GRACE } else { 0 };
        is_signalled(word).then_some(Duration::from_millis(grace))
    }

    /// Ready with the grace once the end was asked for. Registers the task first and looks after, so that a
    /// signal between the two is not lost.
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

/// The connections that act in one session's name at this moment.
#[derive(Debug, Default)]
pub(super) struct LiveConnections(Mutex<Vec<Arc<Cut>>>);

impl LiveConnections {
    /// Answers how many there are now.
    pub(super) fn register(&self, cut: &Arc<Cut>) -> usize {
        let mut cuts = self.0.lock();
        cuts.push(Arc::clone(cut));
        cuts.len()
    }

    pub(super) fn deregister(&self, cut: &Arc<Cut>) {
        let mut cuts = self.0.lock();
        if let Some(at) = cuts.iter().position(|other| Arc::ptr_eq(other, cut)) {
            cuts.swap_remove(at);
        }
    }

    /// Signals all of them and answers how many. The lock is held, so that a connection which has gone on to
    /// another session's exchange is not on the list any more when its cut is signalled.
    pub(super) fn cut_all(&self, grace: Duration) -> usize {
        let cuts = self.0.lock();
        cuts.iter().for_each(|cut| cut.signal_end_of_session(grace));
        cuts.len()
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_a_session_asked_for_is_over_with_its_exchange() {
        let (cut, live) = (Cut::new(), LiveConnections::default());
        live.register(&cut);
        cut.set_streaming();
        assert_eq!((live.cut_all(SECOND), cut.signalled()), (1, Some(Duration::ZERO)));
        live.deregister(&cut);
        cut.disarm();
        assert_eq!(cut.signalled(), None);
        live.register(&cut);
        live.cut_all(SECOND);
        assert_eq!(cut.signalled(), Some(SECOND), "the next exchange is no stream");
    }

    #[test]
    fn what_the_gateway_asked_for_stays_and_the_shortest_grace_counts() {
        let (cut, live) = (Cut::new(), LiveConnections::default());
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
}
