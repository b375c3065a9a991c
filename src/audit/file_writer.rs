//! The thread that writes the audit file. Callers queue an event and never wait for the disk.

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

/// The time between attempts to write.
const RETRY: Duration = Duration::from_secs(1);
/// The time between log messages while the file cannot be written.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Queues events for the thread. Dropping it ends the thread, after it has written the queued events.
#[derive(Debug)]
pub(super) struct FileTarget {
    queue: Arc<LineQueue>,
    metrics: Arc<Metrics>,
}

impl FileTarget {
    /// Opens the file and starts the thread.
    ///
    /// # Errors
    /// The file cannot be written, or the thread cannot be started.
    pub(super) fn open(settings: FileSettings, clock: &Clock, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let file = RotatingFile::open(settings)?;
        let queue = Arc::<LineQueue>::default();
        let (lines, clock, counted) = (Arc::clone(&queue), clock.clone(), Arc::clone(metrics));
        let writer = AuditFileWriter { file, queue: lines, clock, metrics: counted, reported: None };
        thread::Builder::new().name("audit-file".into()).spawn(move || writer.run())?;
        Ok(Self { queue, metrics: Arc::clone(metrics) })
    }

    /// Queues an event. If the queue is full, the event is dropped and counted.
    pub(super) fn push(&self, record: &AuditRecord) {
        let mut line = Vec::with_capacity(record.json.len() + 1);
        line.extend_from_slice(&record.json);
        line.push(b'\n');
        if !self.queue.push(if record.is_unauthenticated { Rank::Unauthenticated } else { Rank::Event }, &line) {
            self.metrics.audit_lost(AuditTarget::File, 1);
        }
    }

    /// Waits until every queued event is written, at most for `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        self.queue.flush(patience);
    }

    /// The size of the queued events in bytes.
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiting()
    }
}

impl Drop for FileTarget {
    fn drop(&mut self) {
        self.queue.close();
    }
}

struct AuditFileWriter {
    file: RotatingFile,
    queue: Arc<LineQueue>,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// When the last message about a failure was logged; `None` while the file can be written.
    reported: Option<Moment>,
}

impl AuditFileWriter {
    fn run(mut self) {
        let (mut lines, mut no_access) = (Vec::new(), Vec::new());
        while let Some(lost) = self.queue.take(&mut lines, &mut no_access) {
            self.write(&lines);
            // After the lines that were queued before the queue was full.
            if lost != DroppedLines::default() {
                self.write(&self.gap(lost.events));
            }
        }
    }

    /// Writes complete lines, and repeats until it succeeds or the queue is closed: further lines wait in the queue.
    fn write(&mut self, lines: &[u8]) {
        let mut done = 0;
        while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
            let result = self.file.append(rest);
            let written = result.as_ref().map_or_else(|failed| failed.written, |()| rest.len());
            self.metrics.audit_written(AuditTarget::File, count(rest.get(..written).unwrap_or_default()));
            done += written;
            match result {
                Ok(()) => self.report_success(),
                Err(NotWritten { error, .. }) => {
                    self.report_failure(&error);
                    self.metrics.audit_retry(AuditTarget::File);
                    if self.queue.closes_within(RETRY)
                        && self.file.append(lines.get(done..).unwrap_or_default()).is_err()
                    {
                        let lost = count(lines.get(done..).unwrap_or_default());
                        self.metrics.audit_lost(AuditTarget::File, lost);
                        tracing::error!(lost, "the audit file could not be written: the remaining events are lost");
                        return;
                    }
                }
            }
        }
    }

    /// A line that says how many events were dropped at this point.
    fn gap(&self, lost: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = LogLine::begin(&mut out, true);
        line.word(key!("time"), &timestamp::rfc3339(self.clock.wall()));
        line.word(key!("event"), "audit_overflow");
        line.number(key!("dropped"), lost);
        line.end();
        out
    }

    fn report_failure(&mut self, error: &io::Error) {
        let now = self.clock.now();
        if self.reported.is_some_and(|reported| now.duration_since(reported) < REPORT_INTERVAL) {
            return;
        }
        self.reported = Some(now);
        let (path, waiting) = (self.file.path().display(), self.queue.waiting());
        tracing::error!(
            %path, %error, waiting,
            "the audit file cannot be written: events are queued in memory, and dropped when 4 MiB are queued; free \
             disk space, or correct [audit] file"
        );
    }

    fn report_success(&mut self) {
        if self.reported.take().is_some() {
            tracing::warn!(path = %self.file.path().display(), "the audit file can be written again");
        }
    }
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}
