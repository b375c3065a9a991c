//! The way out for lines.

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

/// Access lines are written in pieces of this many bytes, so that an event waits for no more than one of them.
const PIECE: usize = 64 * 1024;

/// Writes lines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log(Arc<LogInner>);

#[derive(Debug)]
struct LogInner {
    current: Arc<CurrentSettings>,
    metrics: Arc<Metrics>,
    sink: Sink,
    /// Where events go besides; `None` before the first configuration.
    audit: ArcSwapOption<AuditTargets>,
}

#[derive(Debug)]
enum Sink {
    Thread(Arc<LineQueue>),
    Memory(Arc<Mutex<Vec<String>>>),
}

impl Drop for LogInner {
    /// When the last of those who make lines is gone, the thread writes the rest and ends.
    fn drop(&mut self) {
        if let Sink::Thread(queue) = &self.sink {
            queue.close();
        }
    }
}

/// Where a thread makes its lines.
#[derive(Default)]
struct LineBuffer {
    line: Vec<u8>,
    stamp: CachedTimestamp,
}

thread_local! {
    static DRAFT: RefCell<LineBuffer> = RefCell::default();
}

impl Log {
    /// To standard error, by a thread of its own.
    pub fn to_standard_error(settings: LogSettings, clock: &Clock) -> io::Result<Self> {
        Self::to(settings, clock, io::stderr())
    }

    /// To `output`, by a thread of its own.
    pub(crate) fn to(settings: LogSettings, clock: &Clock, output: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, current) = (Arc::new(LineQueue::default()), Arc::new(CurrentSettings::new(settings)));
        let log = Self::over(current, Sink::Thread(Arc::clone(&queue)));
        let (format_now, metrics, clock) = (Arc::clone(&log.0.current), Arc::clone(log.metrics()), clock.clone());
        let write = move || write_all(&queue, output, &clock, (&format_now, &metrics));
        std::thread::Builder::new().name("log".into()).spawn(write)?;
        Ok(log)
    }

    /// To memory, for tests.
    pub fn to_memory(settings: LogSettings) -> (Self, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let current = Arc::new(CurrentSettings::new(settings));
        (Self::over(current, Sink::Memory(Arc::clone(&lines))), lines)
    }

    fn over(current: Arc<CurrentSettings>, sink: Sink) -> Self {
        Self(Arc::new(LogInner { current, metrics: Arc::default(), sink, audit: ArcSwapOption::empty() }))
    }

    /// What is counted of events and requests, whether lines are written of them or not.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Writes all further lines like this.
    pub(crate) fn set(&self, settings: LogSettings) {
        self.0.current.set(settings);
    }

    /// How lines are written.
    pub(crate) fn settings(&self) -> LogSettings {
        self.0.current.get()
    }

    /// The format of lines.
    pub(crate) fn format(&self) -> Format {
        self.settings().format
    }

    /// Whether access lines are enabled: otherwise their fields are not collected.
    pub(crate) fn wants_access(&self) -> bool {
        self.settings().access
    }

    /// Writes the line of an exchange: one buffer for all lines of a thread, and no wake-up while the writing thread is
    /// active.
    pub(crate) fn access(&self, line: &AccessLine<'_>) {
        let LogSettings { format, access: true } = self.settings() else { return };
        // A thread that ends has no draft any more.
        let _ = DRAFT.try_with(|draft| {
            let draft = &mut *draft.borrow_mut();
            draft.line.clear();
            line.write(format, &mut draft.stamp, &mut draft.line);
            self.push(Rank::Access, &draft.line);
        });
    }

    /// Writes the line of an event, and counts it.
    pub(crate) fn event(&self, at: WallTime, event: &Event<'_>) {
        event.count(&self.0.metrics);
        let mut line = Vec::with_capacity(256);
        event.write(at, self.format() == Format::Json, &mut line);
        self.push(if event.is_strangers() { Rank::Stranger } else { Rank::Event }, &line);
        if let Some(targets) = &*self.0.audit.load() {
            targets.push(at, event);
        }
    }

    /// Opens the targets of these settings; `None` where they are in use already.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn open_targets(
        &self,
        settings: &AuditSettings,
        clock: &Clock,
    ) -> Result<Option<AuditTargets>, AuditProblem> {
        let in_use = self.0.audit.load().as_ref().is_some_and(|targets| targets.settings() == settings);
        if in_use { Ok(None) } else { AuditTargets::open(settings.clone(), clock, &self.0.metrics).map(Some) }
    }

    /// Sends all further events to these targets as well, and to no others.
    pub(crate) fn set_targets(&self, targets: Option<AuditTargets>) {
        if let Some(targets) = targets {
            self.0.audit.store(Some(Arc::new(targets)));
        }
    }

    /// What waits for the audit targets: bytes for the file, events for the webhook.
    pub(crate) fn audit_waiting(&self) -> [usize; 2] {
        self.0.audit.load().as_ref().map_or([0; 2], |targets| targets.waiting())
    }

    /// The output for the program's own messages: in the same order as the other lines, and without blocking on the
    /// reader.
    pub(crate) fn messages(&self) -> Messages {
        Messages(self.clone())
    }

    /// Waits until everything is written, but not longer than this.
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
            // Those that do not fit are counted there.
            Sink::Thread(queue) => _ = queue.push(rank, line),
            Sink::Memory(lines) => lines.lock().push(String::from_utf8_lossy(line).trim_end().to_owned()),
        }
    }
}

/// Takes whole messages of the program, one a call.
#[derive(Debug)]
pub struct Messages(Log);

impl Write for Messages {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        let mut line = Vec::with_capacity(message.len());
        line::message(message, self.0.format() == Format::Json, &mut line);
        self.0.push(Rank::Stranger, &line);
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what comes, events first, until nothing can come any more.
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
        // There is nowhere to report to that standard error is gone.
        let _ = output.write_all(&events).and_then(|()| output.write_all(piece));
        written += piece.len();
        if written == access.len() {
            access.clear();
            written = 0;
        }
    }
}

/// Says how many lines there was no room for.
fn overflow(lost: DroppedLines, at: WallTime, format: Format, out: &mut Vec<u8>) {
    let mut line = LogLine::begin(out, format == Format::Json);
    line.word(key!("time"), &timestamp::rfc3339(at));
    line.word(key!("event"), "log_overflow");
    line.number(key!("dropped"), lost.access.saturating_add(lost.events));
    line.number(key!("events"), lost.events);
    line.end();
}

/// Whole lines, a piece of them.
fn first_lines(lines: &[u8]) -> &[u8] {
    let Some(most) = lines.get(..PIECE) else { return lines };
    let end = memchr::memrchr(b'\n', most).map_or(PIECE, |at| at + 1);
    most.get(..end).unwrap_or(most)
}
