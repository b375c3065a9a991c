//! Checks passwords without letting unauthenticated clients exhaust the CPU: a few at a time, at a lower priority than
//! the threads that serve requests. A limited number waits in fair shares ([`fair_queue`]); the rest is refused at
//! once.
//!
//! [`fair_queue`]: crate::throttle::fair_queue

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, io, thread};

use parking_lot::{Condvar, Mutex};
use rustix::process::{getpriority_process, setpriority_process};
use tokio::sync::oneshot;

use crate::credentials::password::{HashingFailed, Password};
use crate::credentials::stored_hash::StoredHash;
use crate::throttle::fair_queue::{FairQueue, QueueFull, QueueLimits, Share, WaiterId};
use crate::values::reason::Reason;

/// The niceness of these threads above those that serve: they get about a tenth of the processor time when both are
/// busy.
const NICENESS: i32 = 10;

/// The limits of password checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingSettings {
    /// The number of concurrent checks, each on its own thread. Default: one for each core, at most 4.
    pub(crate) threads: NonZero<usize>,
    /// The maximum number of waiting checks; further ones are refused with [`Reason::SignInCrowded`] or
    /// [`Reason::SignInBusy`]. Default: 256, and 64 more from known browsers.
    pub(crate) waiting: QueueLimits,
}

impl Default for HashingSettings {
    fn default() -> Self {
        const MAX_THREADS: NonZero<usize> = NonZero::new(4).unwrap();
        let cores = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        Self { threads: cores.min(MAX_THREADS), waiting: QueueLimits { for_all: 256, for_known: 64 } }
    }
}

/// Checks passwords against stored hashes.
///
/// When a client disconnects, its future is dropped and leaves the queue, so that no hash is computed for it; a check
/// that has begun is finished.
#[derive(Debug)]
pub struct PasswordChecker {
    queue: Arc<CheckQueue>,
}

struct CheckQueue {
    state: Mutex<CheckQueueState>,
    /// Signals the threads that there is a job, or that the checker has closed.
    changed: Condvar,
    computed: AtomicU64,
}

struct CheckQueueState {
    shares: FairQueue<Job>,
    closed: bool,
}

struct Job {
    hash: StoredHash,
    password: Password,
    answer: oneshot::Sender<Result<bool, Reason>>,
}

impl PasswordChecker {
    /// A checker with these limits.
    ///
    /// # Errors
    /// The operating system cannot create a thread.
    pub fn new(settings: HashingSettings) -> io::Result<Self> {
        let checker = Self::without_threads(settings.waiting);
        (0..settings.threads.get()).try_for_each(|_| checker.start_thread())?;
        Ok(checker)
    }

    fn without_threads(waiting: QueueLimits) -> Self {
        let state = Mutex::new(CheckQueueState { shares: FairQueue::new(waiting), closed: false });
        Self { queue: Arc::new(CheckQueue { state, changed: Condvar::new(), computed: AtomicU64::default() }) }
    }

    /// The number of passwords that wait to be checked.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.state.lock().shares.waiting()
    }

    /// Starts a thread, which ends with the checker.
    fn start_thread(&self) -> io::Result<()> {
        let queue = Arc::clone(&self.queue);
        let work = move || {
            lower_priority();
            while queue.serve_next() {}
        };
        thread::Builder::new().name("passwords".to_owned()).spawn(work).map(drop)
    }

    /// A checker that refuses every check.
    #[cfg(test)]
    pub(crate) fn full() -> Self {
        Self::without_threads(QueueLimits { for_all: 0, for_known: 0 })
    }

    /// How many hashes were computed so far.
    #[cfg(test)]
    pub(crate) fn computed(&self) -> u64 {
        self.queue.computed.load(Ordering::Relaxed)
    }

    /// Whether this is the password of a hash. It is computed on one of the threads, when it is this share's turn.
    ///
    /// # Errors
    /// Too many checks are waiting.
    pub(crate) async fn matches(&self, hash: StoredHash, password: Password, share: Share) -> Result<bool, Reason> {
        let (answer, answered) = oneshot::channel();
        let _place = self.queue.enter(share, Job { hash, password, answer });
        answered.await.unwrap_or(Err(Reason::SignInBusy))
    }
}

impl Drop for PasswordChecker {
    fn drop(&mut self) {
        self.queue.state.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

impl CheckQueue {
    fn enter(&self, share: Share, job: Job) -> QueuedCheck<'_> {
        let (number, lost) = self.state.lock().shares.enter(share, job);
        self.changed.notify_one();
        if let Some((job, crowded)) = lost {
            // The receiver may be gone: its client has disconnected.
            let _ = job.answer.send(Err(reason(crowded)));
        }
        QueuedCheck { queue: self, number }
    }

    /// Waits for a job and does it; `false` when the checker has closed.
    fn serve_next(&self) -> bool {
        let Some((share, job)) = self.next() else { return false };
        self.computed.fetch_add(1, Ordering::Relaxed);
        let Job { hash, password, answer } = job;
        // A panic in one check must not end the thread.
        let checked = catch_unwind(AssertUnwindSafe(|| hash.matches(&password))).unwrap_or(Err(HashingFailed));
        self.state.lock().shares.done(share, checked == Ok(true));
        let _ = answer.send(checked.map_err(|HashingFailed| Reason::SignInBusy));
        true
    }

    fn next(&self) -> Option<(Share, Job)> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            match state.shares.take_turn() {
                Some(next) => return Some(next),
                None => self.changed.wait(&mut state),
            }
        }
    }
}

impl fmt::Debug for CheckQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckQueue").field("computed", &self.computed).finish_non_exhaustive()
    }
}

/// A place in the queue, freed when dropped.
struct QueuedCheck<'a> {
    queue: &'a CheckQueue,
    number: WaiterId,
}

impl Drop for QueuedCheck<'_> {
    fn drop(&mut self) {
        drop(self.queue.state.lock().shares.leave(self.number));
    }
}

fn reason(crowded: QueueFull) -> Reason {
    match crowded {
        QueueFull::OwnShare => Reason::SignInCrowded,
        QueueFull::Everywhere => Reason::SignInBusy,
    }
}

/// Lowers the priority of this thread alone: on Linux priorities are kept by thread, although the call names processes
/// (setpriority(2)). If a sandbox forbids it, the priority stays as it is.
fn lower_priority() {
    let own = getpriority_process(None);
    if let Err(error) = own.and_then(|own| setpriority_process(None, own + NICENESS)) {
        tracing::debug!(%error, "passwords are checked at the priority of everything else");
    }
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
