//! The connections that are open: how many may be, which of them have overstayed, and when all are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use tokio::sync::Notify;

use super::connection::Connection;
use super::stage::Limits;
use crate::values::time::Moment;

/// All open connections.
#[derive(Debug)]
pub(super) struct Table {
    connections: DashMap<u64, Arc<Connection>>,
    next: AtomicU64,
    open: AtomicUsize,
    most: usize,
    changed: Notify,
}

/// One connection's place in the table, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    number: u64,
}

impl Table {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            connections: DashMap::new(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            most,
            changed: Notify::new(),
        })
    }

    /// A place for one more connection, if there is one.
    pub(super) fn enter(self: &Arc<Self>, connection: &Arc<Connection>) -> Option<Place> {
        let one_more = |open| (open < self.most).then_some(open + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.connections.insert(number, Arc::clone(connection));
        self.changed.notify_waiters();
        Some(Place { table: Arc::clone(self), number })
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Ends what has overstayed.
    pub(super) fn sweep(&self, now: Moment, limits: &Limits) {
        self.for_each(|connection| connection.sweep(now, limits));
    }

    pub(super) fn for_each(&self, act: impl Fn(&Connection)) {
        self.connections.iter().for_each(|entry| act(entry.value()));
    }

    /// Waits until no connection is open.
    pub(super) async fn empty(&self) {
        self.reach(0).await;
    }

    /// Waits until exactly this many connections are open.
    pub(super) async fn reach(&self, open: usize) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.open() == open {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.connections.remove(&self.number);
        self.table.open.fetch_sub(1, Ordering::AcqRel);
        self.table.changed.notify_waiters();
    }
}
