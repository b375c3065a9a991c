//! The way out for lines.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;

use super::access::AccessLine;
use super::event::Event;
use super::format;
use crate::values::time::WallTime;

/// Lines that may wait for the writer.
const QUEUE: usize = 8192;

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
    StandardError { queue: SyncSender<String>, dropped: Arc<AtomicU64> },
    Memory(Arc<Mutex<Vec<String>>>),
}

impl Log {
    /// To standard error, by a thread of its own.
    pub fn to_standard_error(settings: Settings) -> std::io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        std::thread::Builder::new().name("log".into()).spawn(move || write_all(&lines, &counter))?;
        Ok(Self { settings, sink: Sink::StandardError { queue, dropped } })
    }

    /// To memory, for tests.
    pub fn to_memory(settings: Settings) -> (Self, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        (Self { settings, sink: Sink::Memory(Arc::clone(&lines)) }, lines)
    }

    /// Whether access lines are wanted: nothing is formatted that nobody reads.
    pub fn wants_access(&self) -> bool {
        self.settings.access
    }

    /// Writes the line of an exchange.
    pub fn access(&self, line: &AccessLine<'_>) {
        if self.settings.access {
            self.write(match self.settings.format {
                Format::Text => format::text(&line.pairs()),
                Format::Json => format::json(line.pairs()),
                Format::Combined => line.combined(),
            });
        }
    }

    /// Writes the line of an event.
    pub fn event(&self, at: WallTime, event: &Event<'_>) {
        let pairs = event.pairs(at);
        self.write(match self.settings.format {
            Format::Json => format::json(pairs),
            Format::Text | Format::Combined => format::text(&pairs),
        });
    }

    fn write(&self, line: String) {
        match &self.sink {
            Sink::StandardError { queue, dropped } => {
                if queue.try_send(line).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Sink::Memory(lines) => lines.lock().push(line),
        }
    }
}

/// Writes what comes, in as few system calls as there are moments of rest.
fn write_all(lines: &Receiver<String>, dropped: &AtomicU64) {
    let mut batch = String::new();
    while let Ok(first) = lines.recv() {
        batch.clear();
        for line in std::iter::once(first).chain(lines.try_iter().take(256)) {
            batch.push_str(&line);
            batch.push('\n');
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            batch.push_str(&format!("event=log_overflow dropped={lost}\n"));
        }
        // There is nowhere to report to that standard error is gone.
        let _ = std::io::stderr().lock().write_all(batch.as_bytes());
    }
}
