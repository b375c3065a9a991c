//! The thread that writes the audit file. Whoever tells an event never waits for the disk.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::file::{NotWritten, RotatingFile};
use super::line::{LogLine, key};
use super::queue::{DroppedLines, LineQueue, Rank};
use super::record::AuditRecord;
use super::settings::FileSettings;
use super::timestamp;
use crate::metrics::{AuditTarget, Metrics};
use crate::values::time::{Clock, Moment};

/// What could not be written is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// While it cannot be written, it is said this often.
const REMINDER: Duration = Duration::from_secs(60);

/// Hands events to the thread. Dropping it ends the thread, once it has written what waits.
#[derive(Debug)]
pub(super) struct FileTarget {
    queue: Arc<LineQueue>,
    metrics: Arc<Metrics>,
}

impl FileTarget {
    /// Opens the file and starts the thread.
    ///
    /// # Errors
    /// The file cannot be written, or the system gives no thread.
    pub(super) fn open(settings: FileSettings, clock: &Clock, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let file = RotatingFile::open(settings)?;
        let queue = Arc::<LineQueue>::default();
        let writer =
            Writer { file, queue: Arc::clone(&queue), clock: clock.clone(), metrics: Arc::clone(metrics), told: None };
        thread::Builder::new().name("audit-file".into()).spawn(move || writer.run())?;
        Ok(Self { queue, metrics: Arc::clone(metrics) })
    }

    /// Hands over an event; without room it is lost, and counted.
    pub(super) fn push(&self, record: &AuditRecord) {
        let mut line = Vec::with_capacity(record.json.len() + 1);
        line.extend_from_slice(&record.json);
        line.push(b'\n');
        if !self.queue.push(if record.is_strangers { Rank::Stranger } else { Rank::Event }, &line) {
            self.metrics.audit_lost(AuditTarget::File, 1);
        }
    }

    /// Waits until everything is written, but not longer than this.
    pub(super) fn flush(&self, patience: Duration) {
        self.queue.flush(patience);
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiting()
    }
}

impl Drop for FileTarget {
    fn drop(&mut self) {
        self.queue.close();
    }
}

struct Writer {
    file: RotatingFile,
    queue: Arc<LineQueue>,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// When it was last said that the file cannot be written; `None` as long as it can.
    told: Option<Moment>,
}

impl Writer {
    fn run(mut self) {
        let (mut lines, mut no_access) = (Vec::new(), Vec::new());
        while let Some(lost) = self.queue.take(&mut lines, &mut no_access) {
            self.write(&lines);
            // Behind those that came before them.
            if lost != DroppedLines::default() {
                self.write(&self.gap(lost.events));
            }
        }
    }

    /// Writes whole lines, however long that takes: meanwhile further ones wait in the queue, as long as it has room.
    fn write(&mut self, lines: &[u8]) {
        let mut done = 0;
        while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
            let result = self.file.append(rest);
            let written = result.as_ref().map_or_else(|failed| failed.written, |()| rest.len());
            self.metrics.audit_written(AuditTarget::File, count(rest.get(..written).unwrap_or_default()));
            done += written;
            match result {
                Ok(()) => self.tell_success(),
                Err(NotWritten { error, .. }) => {
                    self.tell_failure(&error);
                    self.metrics.audit_retry(AuditTarget::File);
                    if self.queue.closes_within(RETRY)
                        && self.file.append(lines.get(done..).unwrap_or_default()).is_err()
                    {
                        let lost = count(lines.get(done..).unwrap_or_default());
                        self.metrics.audit_lost(AuditTarget::File, lost);
                        tracing::error!(lost, "the audit file could not be written up to the end");
                        return;
                    }
                }
            }
        }
    }

    /// Says how many events are missing here.
    fn gap(&self, lost: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = LogLine::begin(&mut out, true);
        line.word(key!("time"), &timestamp::rfc3339(self.clock.wall()));
        line.word(key!("event"), "audit_overflow");
        line.number(key!("dropped"), lost);
        line.end();
        out
    }

    fn tell_failure(&mut self, error: &io::Error) {
        let now = self.clock.now();
        if self.told.is_some_and(|told| now.duration_since(told) < REMINDER) {
            return;
        }
        self.told = Some(now);
        let (path, waiting) = (self.file.path().display(), self.queue.waiting());
        tracing::error!(
            %path, %error, waiting,
            "the audit file cannot be written: events wait in memory, and are lost once 4 MiB wait; make room, or \
             correct [audit] file"
        );
    }

    fn tell_success(&mut self) {
        if self.told.take().is_some() {
            tracing::warn!(path = %self.file.path().display(), "the audit file is written again");
        }
    }
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}
