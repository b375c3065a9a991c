//! The log: access lines, events and messages, written to standard error by one thread.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::access::AccessLine;
use super::event::Event;
use super::line::{self, LogLine, key};
use super::log_settings::{CurrentSettings, Format, LogSettings};
use super::queue::{DroppedLines, LineQueue, Rank};
use super::settings::AuditSettings;
use super::targets::{AuditProblem, AuditTargets};
use super::timestamp::{self, CachedTimestamp};
use crate::metrics::Metrics;
use crate::values::time::{Clock, WallTime};

/// Access lines are written in pieces of at most this many bytes, so that an event waits for one piece at most.
const MAX_WRITE: usize = 64 * 1024;

/// A handle of the log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log(Arc<LogInner>);

#[derive(Debug)]
struct LogInner {
    current: Arc<CurrentSettings>,
    metrics: Arc<Metrics>,
    sink: Sink,
    /// Further targets of events; `None` until a configuration has been loaded.
    audit: ArcSwapOption<AuditTargets>,
}

#[derive(Debug)]
enum Sink {
    Thread(Arc<LineQueue>),
    Memory(Arc<Mutex<Vec<String>>>),
}

impl Drop for LogInner {
    /// After the last handle is dropped, the thread writes the rest of the queue and ends.
    fn drop(&mut self) {
        if let Sink::Thread(queue) = &self.sink {
            queue.close();
        }
    }
}

/// The buffer in which a thread formats its access lines.
#[derive(Default)]
struct LineBuffer {
    line: Vec<u8>,
    stamp: CachedTimestamp,
}

thread_local! {
    static BUFFER: RefCell<LineBuffer> = RefCell::default();
}

impl Log {
    /// A log that a dedicated thread writes to standard error.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn to_standard_error(settings: LogSettings, clock: &Clock) -> io::Result<Self> {
        Self::to(settings, clock, io::stderr())
    }

    /// A log that a dedicated thread writes to `output`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn to(settings: LogSettings, clock: &Clock, output: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, current) = (Arc::new(LineQueue::default()), Arc::new(CurrentSettings::new(settings)));
        let log = Self::over(current, Sink::Thread(Arc::clone(&queue)));
        let (format_now, metrics, clock) = (Arc::clone(&log.0.current), Arc::clone(log.metrics()), clock.clone());
        let write = move || write_all(&queue, output, &clock, (&format_now, &metrics));
        std::thread::Builder::new().name("log".into()).spawn(write)?;
        Ok(log)
    }

    /// A log in memory, for tests, and the lines that it collects.
    pub fn to_memory(settings: LogSettings) -> (Self, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let current = Arc::new(CurrentSettings::new(settings));
        (Self::over(current, Sink::Memory(Arc::clone(&lines))), lines)
    }

    fn over(current: Arc<CurrentSettings>, sink: Sink) -> Self {
        Self(Arc::new(LogInner { current, metrics: Arc::default(), sink, audit: ArcSwapOption::empty() }))
    }

    /// The metrics to which events and requests are added, also where no line is written for them.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Changes the settings for all further lines.
    pub(crate) fn set(&self, settings: LogSettings) {
        self.0.current.set(settings);
    }

    /// The current settings.
    pub(crate) fn settings(&self) -> LogSettings {
        self.0.current.get()
    }

    /// The current format.
    pub(crate) fn format(&self) -> Format {
        self.settings().format
    }

    /// Whether access lines are enabled: otherwise their fields are not collected.
    pub(crate) fn wants_access(&self) -> bool {
        self.settings().access
    }

    /// Writes the access line of an exchange. It is formatted in a buffer of the thread, and the writing thread is not
    /// woken while it is active.
    pub(crate) fn access(&self, line: &AccessLine<'_>) {
        let LogSettings { format, access: true } = self.settings() else { return };
        // An error says that the thread is ending and its buffer is gone.
        let _ = BUFFER.try_with(|buffer| {
            let buffer = &mut *buffer.borrow_mut();
            buffer.line.clear();
            line.write(format, &mut buffer.stamp, &mut buffer.line);
            self.push(Rank::Access, &buffer.line);
        });
    }

    /// Writes the line of an event, adds it to the metrics, and passes it to the audit targets.
    pub(crate) fn event(&self, at: WallTime, event: &Event<'_>) {
        event.count(&self.0.metrics);
        let mut line = Vec::with_capacity(256);
        event.write(at, self.format() == Format::Json, &mut line);
        self.push(if event.is_unauthenticated() { Rank::Unauthenticated } else { Rank::Event }, &line);
        if let Some(targets) = &*self.0.audit.load() {
            targets.push(at, event);
        }
    }

    /// Opens the audit targets of these settings; `None` if those in use have the same settings.
    ///
    /// # Errors
    /// A target cannot be opened.
    pub(crate) fn open_targets(
        &self,
        settings: &AuditSettings,
        clock: &Clock,
    ) -> Result<Option<AuditTargets>, AuditProblem> {
        let in_use = self.0.audit.load().as_ref().is_some_and(|targets| targets.settings() == settings);
        if in_use { Ok(None) } else { AuditTargets::open(settings.clone(), clock, &self.0.metrics).map(Some) }
    }

    /// Replaces the audit targets for all further events; `None` keeps those in use.
    pub(crate) fn set_targets(&self, targets: Option<AuditTargets>) {
        if let Some(targets) = targets {
            self.0.audit.store(Some(Arc::new(targets)));
        }
    }

    /// How much is queued for the audit targets: bytes for the file, events for the webhook.
    pub(crate) fn audit_waiting(&self) -> [usize; 2] {
        self.0.audit.load().as_ref().map_or([0; 2], |targets| targets.waiting())
    }

    /// The writer for the program's own messages. They go through the same queue as the other lines: the order is kept,
    /// and a slow reader of standard error does not block.
    pub(crate) fn messages(&self) -> Messages {
        Messages(self.clone())
    }

    /// Waits until everything queued is written, at most for `patience` for each target and for the log.
    pub(crate) fn flush(&self, patience: Duration) {
        if let Some(targets) = &*self.0.audit.load() {
            targets.flush(patience);
        }
        match &self.0.sink {
            Sink::Thread(queue) => queue.flush(patience),
            Sink::Memory(_) => {}
        }
    }

    fn push(&self, rank: Rank, line: &[u8]) {
        match &self.0.sink {
            // The queue counts lines that do not fit.
            Sink::Thread(queue) => _ = queue.push(rank, line),
            Sink::Memory(lines) => lines.lock().push(String::from_utf8_lossy(line).trim_end().to_owned()),
        }
    }
}

/// A writer for messages of the program. Each call of `write` is one complete message.
#[derive(Debug)]
pub struct Messages(Log);

impl Write for Messages {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        let mut line = Vec::with_capacity(message.len());
        line::message(message, self.0.format() == Format::Json, &mut line);
        self.0.push(Rank::Unauthenticated, &line);
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The loop of the writing thread: writes events first, then access lines, until the queue is closed and empty.
fn write_all(
    queue: &LineQueue,
    mut output: impl Write,
    clock: &Clock,
    (current, metrics): (&CurrentSettings, &Metrics),
) {
    let (mut events, mut access, mut written) = (Vec::new(), Vec::new(), 0);
    while let Some(lost) = queue.take(&mut events, &mut access) {
        if lost != DroppedLines::default() {
            metrics.dropped_lines(lost.events.saturating_add(lost.access));
            overflow(lost, clock.wall(), current.get().format, &mut events);
        }
        let piece = first_lines(access.get(written..).unwrap_or_default());
        // An error of standard error cannot be reported anywhere.
        let _ = output.write_all(&events).and_then(|()| output.write_all(piece));
        written += piece.len();
        if written == access.len() {
            access.clear();
            written = 0;
        }
    }
}

/// Appends a line that says how many lines were dropped.
fn overflow(lost: DroppedLines, at: WallTime, format: Format, out: &mut Vec<u8>) {
    let mut line = LogLine::begin(out, format == Format::Json);
    line.word(key!("time"), &timestamp::rfc3339(at));
    line.word(key!("event"), "log_overflow");
    line.number(key!("dropped"), lost.access.saturating_add(lost.events));
    line.number(key!("events"), lost.events);
    line.end();
}

/// Complete lines, at most [`MAX_WRITE`] bytes of them.
fn first_lines(lines: &[u8]) -> &[u8] {
    let Some(most) = lines.get(..MAX_WRITE) else { return lines };
    let end = memchr::memrchr(b'\n', most).map_or(MAX_WRITE, |at| at + 1);
    most.get(..end).unwrap_or(most)
}
