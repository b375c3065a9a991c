//! The thread that owns the file. It carries out all queued calls in one transaction, and answers them after the
//! commit.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::{Connection, Error, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::file::Lock;
use crate::session::store::Unavailable;

/// The capacity of the queue. Beyond it calls fail at once.
const WAITING: usize = 4096;
/// The maximum number of calls in one transaction.
const BATCH_SIZE: usize = 1024;

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct StoreWriter {
    calls: Option<mpsc::Sender<Box<dyn StoreCall>>>,
    thread: Option<JoinHandle<()>>,
    last_error: Arc<Mutex<Option<Error>>>,
}

impl StoreWriter {
    /// Starts the thread, which holds the lock until it ends.
    pub(super) fn start(connection: Connection, lock: Lock) -> io::Result<Self> {
        let (calls, waiting) = mpsc::channel(WAITING);
        let last_error = Arc::<Mutex<Option<Error>>>::default();
        let errors = Arc::clone(&last_error);
        let thread = std::thread::Builder::new().name("sessions".to_owned()).spawn(move || {
            run_calls(connection, waiting, &errors);
            drop(lock);
        })?;
        Ok(Self { calls: Some(calls), thread: Some(thread), last_error })
    }

    pub(super) fn last_error(&self) -> Option<Error> {
        self.last_error.lock().take()
    }

    /// Runs `work` on the thread, in a transaction with other calls. If the caller is dropped, work that has begun is
    /// still finished, and queued work is not carried out.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let call = Box::new(QueuedCall { work, done: None, answer });
        self.calls.as_ref().and_then(|calls| calls.try_send(call).ok()).ok_or(Unavailable)?;
        answered.await.unwrap_or(Err(Unavailable))
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        // Closing the queue lets the thread finish the queued calls and end.
        self.calls.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A queued call.
trait StoreCall: Send {
    /// Whether the caller still waits for the answer.
    fn is_awaited(&self) -> bool;
    /// Does the work in a transaction. It is repeated if that transaction was rolled back.
    fn work(&mut self, file: &Connection) -> rusqlite::Result<()>;
    /// Answers the call after the transaction.
    fn answer(self: Box<Self>, committed: bool);
}

struct QueuedCall<T, F> {
    work: F,
    done: Option<T>,
    answer: oneshot::Sender<Result<T, Unavailable>>,
}

impl<T: Send, F: Fn(&Connection) -> rusqlite::Result<T> + Send> StoreCall for QueuedCall<T, F> {
    fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    fn work(&mut self, file: &Connection) -> rusqlite::Result<()> {
        self.done = Some((self.work)(file)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: bool) {
        let done = self.done.filter(|_| committed).ok_or(Unavailable);
        // A caller that timed out already knows that the outcome is unknown, so the answer may be dropped.
        let _ = self.answer.send(done);
    }
}

fn run_calls(mut file: Connection, mut waiting: mpsc::Receiver<Box<dyn StoreCall>>, errors: &Mutex<Option<Error>>) {
    let mut calls = Vec::with_capacity(BATCH_SIZE);
    let mut failing = FailingStore::default();
    while waiting.blocking_recv_many(&mut calls, BATCH_SIZE) > 0 {
        // The caller of a call that timed out retries, so carrying it out as well would do the work twice.
        calls.retain(|call| call.is_awaited());
        if commit(&mut file, &mut calls).is_ok() {
            failing.works();
            calls.drain(..).for_each(|call| call.answer(true));
        }
        // One call failed: repeat each in its own transaction, so that the others succeed.
        for mut call in calls.drain(..) {
            let committed = commit(&mut file, std::slice::from_mut(&mut call));
            let done = committed.is_ok();
            match committed {
                Ok(()) => failing.works(),
                Err(error) => {
                    failing.fails(&error);
                    *errors.lock() = Some(error);
                }
            }
            call.answer(done);
        }
    }
}

/// Logs when the file begins to fail, or fails in another way, and when it works again: on a full disk, every sign-in
/// fails in the same way.
#[derive(Default)]
struct FailingStore {
    /// What was logged last, while the file fails.
    error: Option<String>,
}

impl FailingStore {
    fn fails(&mut self, error: &Error) {
        let error = error.to_string();
        if self.error.as_ref() != Some(&error) {
            tracing::error!(error, "the session store failed");
            self.error = Some(error);
        }
    }

    fn works(&mut self) {
        if self.error.take().is_some() {
            tracing::info!("the session store works again");
        }
    }
}

fn commit(file: &mut Connection, calls: &mut [Box<dyn StoreCall>]) -> rusqlite::Result<()> {
    let transaction = file.transaction_with_behavior(TransactionBehavior::Deferred)?;
    for call in calls.iter_mut() {
        call.work(&transaction)?;
    }
    transaction.commit()
}
