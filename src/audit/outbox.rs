//! Events that wait for their delivery. Those that unauthenticated clients cause wait apart and go last: no number of
//! refused sign-ins keeps the end of a session from being told.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::record::AuditRecord;

/// Events that may wait.
const ROOM: usize = 10_000;
/// Events that unauthenticated clients caused and that may wait.
const STRANGERS_ROOM: usize = 1000;

/// The two queues.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<OutboxState>,
    /// An event was put in, or the outbox was closed.
    changed: Notify,
    /// Nothing is left to be delivered.
    empty: Condvar,
}

#[derive(Debug, Default)]
struct OutboxState {
    own: VecDeque<AuditRecord>,
    strangers: VecDeque<AuditRecord>,
    /// Whether one has been taken out and is not done.
    under_way: bool,
    closed: bool,
}

impl OutboxState {
    fn waiting(&self) -> usize {
        self.own.len() + self.strangers.len() + usize::from(self.under_way)
    }
}

impl Outbox {
    /// Puts an event behind the others. `false` if there is no room.
    pub(super) fn push(&self, record: &AuditRecord) -> bool {
        let mut state = self.state.lock();
        let (queue, room) = match record.is_strangers {
            true => (&mut state.strangers, STRANGERS_ROOM),
            false => (&mut state.own, ROOM),
        };
        let fits = queue.len() < room;
        if fits {
            queue.push_back(record.clone());
            self.changed.notify_one();
        }
        fits
    }

    /// Waits for the next event; `None` when there is none any more and none will come. Then [`Self::done`] is due.
    pub(super) async fn next(&self) -> Option<AuditRecord> {
        loop {
            {
                let mut state = self.state.lock();
                let next = state.own.pop_front();
                if let Some(record) = next.or_else(|| state.strangers.pop_front()) {
                    state.under_way = true;
                    return Some(record);
                }
                if state.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// The event that was taken out last is delivered or given up.
    pub(super) fn done(&self) {
        let mut state = self.state.lock();
        state.under_way = false;
        if state.waiting() == 0 {
            self.empty.notify_all();
        }
    }

    /// Events that wait, the one that is under way included.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiting()
    }

    /// Waits until nothing is left, but not longer than this.
    pub(super) fn flush(&self, patience: Duration) {
        let mut state = self.state.lock();
        self.empty.wait_while_for(&mut state, |state| state.waiting() > 0, patience);
    }

    /// No further events will come, and nobody waits for attempts any more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for as long as this, unless the outbox is closed. Whether it is.
    pub(super) async fn closes_within(&self, patience: Duration) -> bool {
        let closed = async {
            // Events that come meanwhile wake this up too.
            while !self.state.lock().closed {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(patience, closed).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: usize, is_strangers: bool) -> AuditRecord {
        AuditRecord { id: id.to_string(), json: "{}".into(), is_strangers }
    }

    #[tokio::test]
    async fn what_strangers_cause_goes_last_and_takes_little_room() {
        let outbox = Outbox::default();
        let taken = (0..3 * ROOM).filter(|number| outbox.push(&record(*number, true))).count();
        assert_eq!(taken, STRANGERS_ROOM);
        assert!(outbox.push(&record(77, false)));
        assert_eq!(outbox.next().await.unwrap().id, "77");
        assert_eq!(outbox.next().await.unwrap().id, "0");
        assert_eq!((1..2 * ROOM).filter(|number| outbox.push(&record(*number, false))).count(), ROOM);
    }

    #[tokio::test]
    async fn it_ends_when_it_is_closed_and_empty() {
        let outbox = Outbox::default();
        assert!(outbox.push(&record(1, false)));
        outbox.close();
        assert!(outbox.closes_within(Duration::from_secs(60)).await);
        assert_eq!(outbox.next().await.unwrap().id, "1");
        assert_eq!(outbox.waiting(), 1, "it is under way");
        outbox.done();
        outbox.flush(Duration::from_secs(60));
        assert!(outbox.next().await.is_none());
    }
}
