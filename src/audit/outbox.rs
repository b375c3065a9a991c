//! The events queued for delivery to a webhook. Events that unauthenticated clients can cause have a smaller queue and
//! are delivered last, so that a flood of refused sign-ins does not displace the end of a session.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::record::AuditRecord;

/// The capacity of the queue, in events.
const CAPACITY: usize = 10_000;
/// The capacity of the queue for events that unauthenticated clients can cause.
const UNAUTHENTICATED_ROOM: usize = 1000;

/// The two queues.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<OutboxState>,
    /// Notified when an event is added or the outbox is closed.
    changed: Notify,
    /// Notified when everything is delivered.
    empty: Condvar,
}

#[derive(Debug, Default)]
struct OutboxState {
    own: VecDeque<AuditRecord>,
    unauthenticated: VecDeque<AuditRecord>,
    /// Whether an event was taken out and [`Outbox::done`] has not been called yet.
    under_way: bool,
    closed: bool,
}

impl OutboxState {
    fn waiting(&self) -> usize {
        self.own.len() + self.unauthenticated.len() + usize::from(self.under_way)
    }
}

impl Outbox {
    /// Adds an event to its queue; `false` if the queue is full.
    pub(super) fn push(&self, record: &AuditRecord) -> bool {
        let mut state = self.state.lock();
        let (queue, room) = match record.is_unauthenticated {
            true => (&mut state.unauthenticated, UNAUTHENTICATED_ROOM),
            false => (&mut state.own, CAPACITY),
        };
        let fits = queue.len() < room;
        if fits {
            queue.push_back(record.clone());
            self.changed.notify_one();
        }
        fits
    }

    /// Waits for the next event; `None` when the outbox is closed and empty. After an event the caller has to call
    /// [`Self::done`].
    pub(super) async fn next(&self) -> Option<AuditRecord> {
        loop {
            {
                let mut state = self.state.lock();
                let next = state.own.pop_front();
                if let Some(record) = next.or_else(|| state.unauthenticated.pop_front()) {
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

    /// Marks the event that was taken out last as delivered or given up.
    pub(super) fn done(&self) {
        let mut state = self.state.lock();
        state.under_way = false;
        if state.waiting() == 0 {
            self.empty.notify_all();
        }
    }

    /// The number of queued events, including one that is being delivered.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiting()
    }

    /// Waits until every event is delivered or given up, at most for `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let mut state = self.state.lock();
        self.empty.wait_while_for(&mut state, |state| state.waiting() > 0, patience);
    }

    /// Closes the outbox: no further events are added, and pauses between attempts end.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits until the outbox is closed, at most for `patience`. Returns whether it is closed.
    pub(super) async fn closes_within(&self, patience: Duration) -> bool {
        let closed = async {
            // An added event notifies as well, so this is a loop.
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

    fn record(id: usize, is_unauthenticated: bool) -> AuditRecord {
        AuditRecord { id: id.to_string(), json: "{}".into(), is_unauthenticated }
    }

    #[tokio::test]
    async fn events_of_unauthenticated_clients_go_last_and_have_a_smaller_queue() {
        let outbox = Outbox::default();
        let taken = (0..3 * CAPACITY).filter(|number| outbox.push(&record(*number, true))).count();
        assert_eq!(taken, UNAUTHENTICATED_ROOM);
        assert!(outbox.push(&record(77, false)));
        assert_eq!(outbox.next().await.unwrap().id, "77");
        assert_eq!(outbox.next().await.unwrap().id, "0");
        assert_eq!((1..2 * CAPACITY).filter(|number| outbox.push(&record(*number, false))).count(), CAPACITY);
    }

    #[tokio::test]
    async fn it_ends_when_it_is_closed_and_empty() {
        let outbox = Outbox::default();
        assert!(outbox.push(&record(1, false)));
        outbox.close();
        assert!(outbox.closes_within(Duration::from_secs(60)).await);
        assert_eq!(outbox.next().await.unwrap().id, "1");
        assert_eq!(outbox.waiting(), 1, "the event that is being delivered is counted");
        outbox.done();
        outbox.flush(Duration::from_secs(60));
        assert!(outbox.next().await.is_none());
    }
}
