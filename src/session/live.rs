//! What is under way in a session's name, and how its end reaches it.
//!
//! Two places write here: the exchange that begins or finishes, and the end of the session. Both take the
//! session's own short lock, and neither waits while it is held. Correctness does not rest on the list: an
//! exchange registers first and reads the end mark after, an end sets the mark first and reads the list after,
//! so whichever comes second sees the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// The way to end, from outside, whatever one client connection is doing.
///
/// One a connection, shared by its exchanges in turn. It is polled by one task at a time: the one that serves
/// the connection. Once signalled it stays so: the connection closes after it.
#[derive(Debug, Default)]
pub struct Cut {
    signalled: AtomicBool,
    grace_ms: AtomicU32,
    streaming: AtomicBool,
    waker: AtomicWaker,
}

impl Cut {
    /// A cut that nobody has signalled.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Asks the connection to end within `grace`, at once if it is streaming.
    pub fn signal(&self, grace: Duration) {
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        self.grace_ms.store(grace_ms, Ordering::Relaxed);
        self.signalled.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// From now on this connection has no grace: it carries an upgraded connection or an event stream.
    pub fn set_streaming(&self) {
        self.streaming.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// The grace of an exchange that was asked to end, zero for a stream; `None` while nobody asked.
    pub fn signalled(&self) -> Option<Duration> {
        if !self.signalled.load(Ordering::Acquire) {
            return None;
        }
        let streaming = self.streaming.load(Ordering::Acquire);
        let grace_ms = if streaming { 0 } else { self.grace_ms.load(Ordering::Relaxed) };
        Some(Duration::from_millis(u64::from(grace_ms)))
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
        cuts.iter().for_each(|cut| cut.signal(grace));
        cuts.len()
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
