//! The way out for lines.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::access::AccessLine;
use super::event::Event;
use super::line::{self, Line, key};
use super::queue::{Lost, Queue, Rank};
use super::stamp::{self, Stamp};
use crate::values::time::{Clock, WallTime};

/// Access lines are written in pieces of this many bytes, so that an event waits for no more than one of them.
const PIECE: usize = 64 * 1024;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value`.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// Access lines in the combined log format, events as text.
    Combined,
}

/// What `[log]` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The format.
    pub format: Format,
    /// Whether exchanges are logged; events always are.
    pub access: bool,
}

/// Writes lines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    settings: Settings,
    sink: Sink,
}

#[derive(Clone, Debug)]
enum Sink {
    Thread(Arc<Entrance>),
    Memory(Arc<Mutex<Vec<String>>>),
}

/// The queue, from the side of those who make lines: when the last of them is gone, the thread writes the rest and
/// ends.
#[derive(Debug)]
struct Entrance(Arc<Queue>);

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Where a thread makes its lines.
#[derive(Default)]
struct Draft {
    line: Vec<u8>,
    stamp: Stamp,
}

thread_local! {
    static DRAFT: RefCell<Draft> = RefCell::default();
}

impl Log {
    /// To standard error, by a thread of its own.
    pub fn to_standard_error(settings: Settings, clock: &Clock) -> io::Result<Self> {
        Self::to(settings, clock, io::stderr())
    }

    /// To `output`, by a thread of its own.
    pub fn to(settings: Settings, clock: &Clock, output: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (of_thread, clock) = (Arc::clone(&queue), clock.clone());
        let write = move || write_all(&of_thread, output, &clock, settings.format);
        std::thread::Builder::new().name("log".into()).spawn(write)?;
        Ok(Self { settings, sink: Sink::Thread(Arc::new(Entrance(queue))) })
    }

    /// To memory, for tests.
    pub fn to_memory(settings: Settings) -> (Self, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        (Self { settings, sink: Sink::Memory(Arc::clone(&lines)) }, lines)
    }

    /// How lines are written.
    pub fn format(&self) -> Format {
        self.settings.format
    }

    /// Whether access lines are wanted: nothing is noted that nobody reads.
    pub fn wants_access(&self) -> bool {
        self.settings.access
    }

    /// Writes the line of an exchange: the same buffer for every line of a thread, and no wake-up while the writing
    /// thread is at work.
    pub fn access(&self, line: &AccessLine<'_>) {
        if !self.settings.access {
            return;
        }
        // A thread that ends has no draft any more.
        let _ = DRAFT.try_with(|draft| {
            let draft = &mut *draft.borrow_mut();
            draft.line.clear();
            line.write(self.settings.format, &mut draft.stamp, &mut draft.line);
            self.push(Rank::Access, &draft.line);
        });
    }

    /// Writes the line of an event.
    pub fn event(&self, at: WallTime, event: &Event<'_>) {
        let mut line = Vec::with_capacity(256);
        event.write(at, self.settings.format == Format::Json, &mut line);
        self.push(if event.is_strangers() { Rank::Stranger } else { Rank::Event }, &line);
    }

    /// Where the program's own messages are written: in the same order, and without waiting for whoever reads.
    pub fn messages(&self) -> Messages {
        Messages(self.clone())
    }

    /// Waits until everything is written, but not longer than this.
    pub fn flush(&self, patience: Duration) {
        match &self.sink {
            Sink::Thread(entrance) => entrance.0.flush(patience),
            Sink::Memory(_) => {}
        }
    }

    fn push(&self, rank: Rank, line: &[u8]) {
        match &self.sink {
            Sink::Thread(entrance) => entrance.0.push(rank, line),
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
        line::message(message, self.0.settings.format == Format::Json, &mut line);
        self.0.push(Rank::Stranger, &line);
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what comes, events first, until nothing can come any more.
fn write_all(queue: &Queue, mut output: impl Write, clock: &Clock, format: Format) {
    let (mut events, mut access, mut written) = (Vec::new(), Vec::new(), 0);
    while let Some(lost) = queue.take(&mut events, &mut access) {
        if lost != Lost::default() {
            overflow(lost, clock.wall(), format, &mut events);
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
fn overflow(lost: Lost, at: WallTime, format: Format, out: &mut Vec<u8>) {
    let mut line = Line::begin(out, format == Format::Json);
    line.word(key!("time"), &stamp::rfc3339(at));
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
