//! The thread that has the file. What waits for it is done in one transaction, and answered when that is on disk.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::{Connection, Error, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::file::Lock;
use crate::session::store::Unavailable;

/// Calls that wait. One more is answered at once: the store is busy.
const WAITING: usize = 4096;
/// Calls in one transaction.
const TOGETHER: usize = 1024;

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    calls: Option<mpsc::Sender<Box<dyn Call>>>,
    thread: Option<JoinHandle<()>>,
    last_error: Arc<Mutex<Option<Error>>>,
}

impl Writer {
    /// Starts the thread. It keeps the lock for as long as it has the file.
    pub(super) fn start(connection: Connection, lock: Lock) -> io::Result<Self> {
        let (calls, waiting) = mpsc::channel(WAITING);
        let last_error = Arc::<Mutex<Option<Error>>>::default();
        let errors = Arc::clone(&last_error);
        let thread = std::thread::Builder::new().name("sessions".to_owned()).spawn(move || {
            work_off(connection, waiting, &errors);
            drop(lock);
        })?;
        Ok(Self { calls: Some(calls), thread: Some(thread), last_error })
    }

    pub(super) fn last_error(&self) -> Option<Error> {
        self.last_error.lock().take()
    }

    /// Has the thread do this work, in a transaction with other calls. It is done even if the caller goes away, once it
    /// has begun.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let call = Box::new(Asked { work, done: None, answer });
        self.calls.as_ref().and_then(|calls| calls.try_send(call).ok()).ok_or(Unavailable)?;
        answered.await.unwrap_or(Err(Unavailable))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread does what waits, and ends.
        self.calls.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is asked of the thread.
trait Call: Send {
    /// Whether the caller still waits for the answer.
    fn is_awaited(&self) -> bool;
    /// Does it, in a transaction. It may be done again, after the transaction was undone.
    fn work(&mut self, file: &Connection) -> rusqlite::Result<()>;
    /// Answers it, after the transaction.
    fn answer(self: Box<Self>, committed: bool);
}

struct Asked<T, F> {
    work: F,
    done: Option<T>,
    answer: oneshot::Sender<Result<T, Unavailable>>,
}

impl<T: Send, F: Fn(&Connection) -> rusqlite::Result<T> + Send> Call for Asked<T, F> {
    fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    fn work(&mut self, file: &Connection) -> rusqlite::Result<()> {
        self.done = Some((self.work)(file)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: bool) {
        let done = self.done.filter(|_| committed).ok_or(Unavailable);
        // A caller that stopped waiting was told that the outcome is unknown, so the answer may be lost.
        let _ = self.answer.send(done);
    }
}

fn work_off(mut file: Connection, mut waiting: mpsc::Receiver<Box<dyn Call>>, errors: &Mutex<Option<Error>>) {
    let mut calls = Vec::with_capacity(TOGETHER);
    while waiting.blocking_recv_many(&mut calls, TOGETHER) > 0 {
        // Its caller was told that it is not confirmed, and retries. Leaving out calls that waited too long avoids
        // doing them twice.
        calls.retain(|call| call.is_awaited());
        if commit(&mut file, &mut calls).is_ok() {
            calls.drain(..).for_each(|call| call.answer(true));
        }
        // One of them cannot be done: the others must not suffer for it.
        for mut call in calls.drain(..) {
            let committed = commit(&mut file, std::slice::from_mut(&mut call));
            let done = committed.is_ok();
            if let Err(error) = committed {
                tracing::error!(%error, "the session store failed");
                *errors.lock() = Some(error);
            }
            call.answer(done);
        }
    }
}

fn commit(file: &mut Connection, calls: &mut [Box<dyn Call>]) -> rusqlite::Result<()> {
    let transaction = file.transaction_with_behavior(TransactionBehavior::Deferred)?;
    for call in calls.iter_mut() {
        call.work(&transaction)?;
    }
    transaction.commit()
}
