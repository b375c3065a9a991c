//! The queues between the threads that format lines and the one thread that writes them. There are two, both bounded,
//! since a log that is not read must not stop the gateway: events go before access lines and have space of their own,
//! so that no load of requests displaces a sign-in or a receipt. Lines that do not fit are counted.

use std::mem;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// Bytes of events that may wait.
pub(super) const EVENT_ROOM: usize = 4 * 1024 * 1024;
/// The part of it that events of unauthenticated clients may take.
const STRANGERS_ROOM: usize = EVENT_ROOM / 2;
/// Bytes of access lines that may wait.
pub(super) const ACCESS_ROOM: usize = 2 * 1024 * 1024;
/// With this many bytes of access lines the writer does not wait for the tick.
const PROMPT: usize = ACCESS_ROOM / 4;
/// Access lines of one such time are written together.
const TICK: Duration = Duration::from_millis(50);
/// Buffers of a quiet time are not larger.
const KEPT: usize = 64 * 1024;

/// Which lines are written first, and which are dropped first when the space is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// What happened to a session.
    Event,
    /// An event that unauthenticated clients can cause, or a message of the program.
    Stranger,
    /// One exchange.
    Access,
}

/// The two queues.
#[derive(Debug, Default)]
pub(super) struct LineQueue {
    state: Mutex<LineQueueState>,
    /// Something is to be written.
    comes: Condvar,
    /// Nothing is left to be written.
    done: Condvar,
    /// No further lines will come.
    closes: Condvar,
}

#[derive(Debug, Default)]
struct LineQueueState {
    events: Vec<u8>,
    access: Vec<u8>,
    lost: DroppedLines,
    writer: Writer,
    /// A thread waits for the queues to be empty.
    hurry: bool,
    closed: bool,
}

/// Lines that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DroppedLines {
    pub(super) events: u64,
    pub(super) access: u64,
}

/// What the writing thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    /// It writes, or gathers what comes within a tick.
    #[default]
    Busy,
    /// It sleeps until it is woken.
    Resting,
}

impl LineQueue {
    /// Puts a line, or several, behind the others of its rank. `false` if there is no room.
    pub(super) fn push(&self, rank: Rank, line: &[u8]) -> bool {
        let mut state = self.state.lock();
        let (queue, room) = match rank {
            Rank::Event => (&mut state.events, EVENT_ROOM),
            Rank::Stranger => (&mut state.events, STRANGERS_ROOM),
            Rank::Access => (&mut state.access, ACCESS_ROOM),
        };
        if queue.len() + line.len() > room {
            let lost = if rank == Rank::Access { &mut state.lost.access } else { &mut state.lost.events };
            *lost = lost.saturating_add(1);
            return false;
        }
        queue.extend_from_slice(line);
        // No system call for an access line while the writer is awake anyway.
        if rank != Rank::Access || state.writer == Writer::Resting || state.access.len() >= PROMPT {
            state.writer = Writer::Busy;
            self.comes.notify_one();
        }
        true
    }

    /// Bytes of events that wait.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().events.len()
    }

    /// Waits for as long as this, unless the queue is closed. Whether it is.
    pub(super) fn closes_within(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        self.closes.wait_while_for(&mut state, |state| !state.closed, patience);
        state.closed
    }

    /// No further lines will come: the queues hold the rest.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.comes.notify_one();
        self.closes.notify_all();
    }

    /// Waits until everything is written, but not longer than this.
    pub(super) fn flush(&self, patience: Duration) {
        let mut state = self.state.lock();
        while !(state.is_empty() && state.writer == Writer::Resting) {
            state.hurry = true;
            self.comes.notify_one();
            if self.done.wait_for(&mut state, patience).timed_out() {
                return;
            }
        }
    }

    /// Waits for lines and hands them over: events at once, access lines by the tick, `access` only where it has been
    /// emptied. `None` when there is nothing any more and nothing will come.
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

    /// Lets a tick pass in which access lines come together. Where none did, rests until a line comes, which is then
    /// written at once.
    fn gather(&self, state: &mut MutexGuard<'_, LineQueueState>) {
        while !state.is_urgent() && !self.comes.wait_for(state, TICK).timed_out() {}
        while state.is_empty() && !state.closed {
            state.rest();
            self.done.notify_all();
            self.comes.wait(state);
        }
        state.writer = Writer::Busy;
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
        self.writer = Writer::Resting;
    }
}
