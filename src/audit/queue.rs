//! The queues between the threads that format lines and the one thread that writes them. There are two, both bounded,
//! since a log that is not read must not block the gateway: events are written before access lines and have a separate
//! capacity, so that a flood of requests displaces no sign-in and no receipt. Lines that do not fit are counted.

use std::mem;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The capacity for events, in bytes.
pub(super) const EVENT_ROOM: usize = 4 * 1024 * 1024;
/// The part of [`EVENT_ROOM`] that events of unauthenticated clients may fill.
const UNAUTHENTICATED_ROOM: usize = EVENT_ROOM / 2;
/// The capacity for access lines, in bytes.
pub(super) const ACCESS_ROOM: usize = 2 * 1024 * 1024;
/// When this many bytes of access lines are queued, the writer does not wait for the end of the tick.
const PROMPT: usize = ACCESS_ROOM / 4;
/// Access lines that arrive within this time are written together.
const TICK: Duration = Duration::from_millis(50);
/// Larger buffers are shrunk to this size when the queues are empty, in bytes.
const KEPT: usize = 64 * 1024;

/// The kind of a line. It decides which lines are written first, and which are dropped first when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// An audit event.
    Event,
    /// An event that unauthenticated clients can cause, or a message of the program.
    Unauthenticated,
    /// An access line.
    Access,
}

/// The two queues.
#[derive(Debug, Default)]
pub(super) struct LineQueue {
    state: Mutex<LineQueueState>,
    /// Notified when there is something to write.
    comes: Condvar,
    /// Notified when everything is written.
    done: Condvar,
    /// Notified when the queue is closed.
    closes: Condvar,
}

#[derive(Debug, Default)]
struct LineQueueState {
    events: Vec<u8>,
    access: Vec<u8>,
    lost: DroppedLines,
    writer: WriterState,
    /// Whether a thread waits for the queues to be empty.
    hurry: bool,
    closed: bool,
}

/// The numbers of lines that were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DroppedLines {
    pub(super) events: u64,
    pub(super) access: u64,
}

/// The state of the writing thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum WriterState {
    /// It writes, or collects the access lines of a tick.
    #[default]
    Busy,
    /// It sleeps until it is woken.
    Resting,
}

impl LineQueue {
    /// Adds one or more complete lines to the queue of the rank; `false` if they do not fit.
    pub(super) fn push(&self, rank: Rank, line: &[u8]) -> bool {
        let mut state = self.state.lock();
        let (queue, room) = match rank {
            Rank::Event => (&mut state.events, EVENT_ROOM),
            Rank::Unauthenticated => (&mut state.events, UNAUTHENTICATED_ROOM),
            Rank::Access => (&mut state.access, ACCESS_ROOM),
        };
        if queue.len() + line.len() > room {
            let lost = if rank == Rank::Access { &mut state.lost.access } else { &mut state.lost.events };
            *lost = lost.saturating_add(1);
            return false;
        }
        queue.extend_from_slice(line);
        // No system call for an access line while the writer is awake anyway.
        if rank != Rank::Access || state.writer == WriterState::Resting || state.access.len() >= PROMPT {
            state.writer = WriterState::Busy;
            self.comes.notify_one();
        }
        true
    }

    /// The size of the queued events in bytes.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().events.len()
    }

    /// Waits until the queue is closed, at most for `patience`. Returns whether it is closed.
    pub(super) fn closes_within(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        self.closes.wait_while_for(&mut state, |state| !state.closed, patience);
        state.closed
    }

    /// Closes the queue: no further lines are added, and the writer ends when it is empty.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.comes.notify_one();
        self.closes.notify_all();
    }

    /// Waits until everything is written, at most for `patience` without progress.
    pub(super) fn flush(&self, patience: Duration) {
        let mut state = self.state.lock();
        while !(state.is_empty() && state.writer == WriterState::Resting) {
            state.hurry = true;
            self.comes.notify_one();
            if self.done.wait_for(&mut state, patience).timed_out() {
                return;
            }
        }
    }

    /// Waits for lines and moves them into the buffers: events at once, access lines at the end of a tick. `access` is
    /// filled only if the caller has emptied it. `None` when the queue is closed and empty.
    pub(super) fn take(&self, events: &mut Vec<u8>, access: &mut Vec<u8>) -> Option<DroppedLines> {
        events.clear();
        let mut state = self.state.lock();
        if access.is_empty() {
            self.gather(&mut state);
        }
        let over = state.closed && state.is_empty() && access.is_empty();
        mem::swap(&mut state.events, events);
        if access.is_empty() {
            mem::swap(&mut state.access, access);
        }
        (!over).then(|| mem::take(&mut state.lost))
    }

    /// Waits for the end of a tick, unless something is urgent. If nothing was queued by then, sleeps until a line
    /// comes, which is then written at once.
    fn gather(&self, state: &mut MutexGuard<'_, LineQueueState>) {
        while !state.is_urgent() && !self.comes.wait_for(state, TICK).timed_out() {}
        while state.is_empty() && !state.closed {
            state.rest();
            self.done.notify_all();
            self.comes.wait(state);
        }
        state.writer = WriterState::Busy;
    }
}

impl LineQueueState {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.access.is_empty() && self.lost == DroppedLines::default()
    }

    fn is_urgent(&self) -> bool {
        !self.events.is_empty() || self.access.len() >= PROMPT || self.hurry || self.closed
    }

    fn rest(&mut self) {
        self.events.shrink_to(KEPT);
        self.access.shrink_to(KEPT);
        self.hurry = false;
        self.writer = WriterState::Resting;
    }
}
