//! The pool of idle connections to upstreams.
//!
//! A table under one lock that is held briefly. There is no task or timer for each idle connection: the sweep of the
//! deadlines closes those that were idle for too long.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::upstream_stream::UpstreamStream;
use crate::routes::endpoint::Endpoint;
use crate::routes::upstream_trust::UpstreamTrust;
use crate::session::record::Session;
use crate::values::time::Moment;

/// The key of interchangeable connections: the same endpoint and the same trusted authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UpstreamKey {
    endpoint: u64,
    trust: u64,
}

impl UpstreamKey {
    /// The endpoint's id includes its server name; endpoints in plain text have none.
    pub(super) fn of(endpoint: &Endpoint, trust: &UpstreamTrust) -> Self {
        Self { endpoint: endpoint.id(), trust: trust.id() }
    }
}

/// A connection that one of its requests has authenticated (NTLM, Negotiate). It is only used for that request's
/// session and client connection.
#[derive(Debug)]
pub(super) struct AuthenticatedConnection {
    pub(super) key: UpstreamKey,
    pub(super) owner: Arc<Session>,
    pub(super) stream: UpstreamStream,
}

/// A request that is not idempotent only reuses a connection that was used within this time, so that it does not get
/// one that the application is just closing.
const MAX_IDLE_UNSAFE: Duration = Duration::from_secs(1);
/// The maximum number of idle connections.
const MAX_CONNECTIONS: usize = 1024;
/// The maximum number of idle connections to one endpoint.
const MAX_PER_ENDPOINT: usize = 256;

/// The idle upstream connections.
#[derive(Debug)]
pub(super) struct IdleConnections {
    kept: Mutex<KeptConnections>,
    /// How long a connection may be idle, in milliseconds.
    limit: AtomicU64,
}

#[derive(Debug, Default)]
struct KeptConnections {
    /// By endpoint, the most recently used one last.
    shelves: HashMap<UpstreamKey, VecDeque<KeptConnection>, BuildHasherDefault<UpstreamKeyHasher>>,
    count: usize,
}

/// A trivial hasher: the numbers of a key are hashes already, and come from the configuration.
#[derive(Default)]
struct UpstreamKeyHasher(u64);

impl Hasher for UpstreamKeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = self.0.rotate_left(5) ^ number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
struct KeptConnection {
    stream: UpstreamStream,
    used: Moment,
    until: Moment,
}

impl IdleConnections {
    pub(super) fn new(limit: Duration) -> Self {
        let idle = Self { kept: Mutex::default(), limit: AtomicU64::new(0) };
        idle.set_limit(limit);
        idle
    }

    /// Sets how long a connection may be idle.
    pub(super) fn set_limit(&self, limit: Duration) {
        self.limit.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Takes the most recently used open connection. For a request that is not idempotent it must have been used just
    /// now, and the operating system is asked whether it is still open.
    pub(super) fn take(&self, key: UpstreamKey, now: Moment, may_repeat: bool) -> Option<UpstreamStream> {
        let oldest = if may_repeat { Duration::MAX } else { MAX_IDLE_UNSAFE };
        loop {
            let mut kept = self.kept.lock();
            let shelf = kept.shelves.get_mut(&key)?;
            let one = shelf.pop_back_if(|one| now.duration_since(one.used) <= oldest)?;
            kept.count -= 1;
            drop(kept);
            let mut stream = one.stream;
            if now < one.until && stream.is_silent() && (may_repeat || stream.is_open()) {
                return Some(stream);
            }
        }
    }

    /// Adds a connection that was used until now. `promised` is the upstream's keep-alive timeout, if it sent one.
    pub(super) fn put(&self, key: UpstreamKey, mut stream: UpstreamStream, now: Moment, promised: Option<Duration>) {
        // A second less than the upstream's, so that no request is sent while the upstream closes.
        let promised = promised.map_or(Duration::MAX, |promised| promised.saturating_sub(Duration::from_secs(1)));
        let limit = Duration::from_millis(self.limit.load(Ordering::Relaxed)).min(promised);
        if limit.is_zero() || !stream.is_silent() {
            return;
        }
        let one = KeptConnection { stream, used: now, until: now + limit };
        let mut kept = self.kept.lock();
        let too_many = kept.make_room(key);
        kept.shelves.entry(key).or_default().push_back(one);
        kept.count += 1;
        drop(kept);
        // Closed after the lock is released.
        drop(too_many);
    }

    /// Closes connections that were idle for too long, or that the upstream has closed.
    pub(super) fn sweep(&self, now: Moment) {
        let mut over = Vec::new();
        let mut kept = self.kept.lock();
        for shelf in kept.shelves.values_mut() {
            let mut at = 0;
            while let Some(one) = shelf.get_mut(at) {
                if now < one.until && one.stream.is_silent() {
                    at += 1;
                } else {
                    over.extend(shelf.remove(at));
                }
            }
        }
        kept.count -= over.len();
        kept.shelves.retain(|_, shelf| !shelf.is_empty());
        drop(kept);
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.kept.lock().count
    }
}

impl KeptConnections {
    /// If a limit is reached, removes the least recently used connection: of this endpoint, or of all.
    fn make_room(&mut self, key: UpstreamKey) -> Option<KeptConnection> {
        let full = self.shelves.get(&key).is_some_and(|shelf| shelf.len() >= MAX_PER_ENDPOINT);
        let from = if full { key } else { self.least_recent().filter(|_| self.count >= MAX_CONNECTIONS)? };
        let one = self.shelves.get_mut(&from)?.pop_front()?;
        self.count -= 1;
        Some(one)
    }

    fn least_recent(&self) -> Option<UpstreamKey> {
        let first = |(key, shelf): (&UpstreamKey, &VecDeque<KeptConnection>)| shelf.front().map(|one| (one.used, *key));
        self.shelves.iter().filter_map(first).min_by_key(|(used, _)| *used).map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::transport::Transport;
    use crate::values::time::{Clock, ManualClock};
    use tokio::net::UnixStream;

    const LIMIT: Duration = Duration::from_secs(60);

    struct Harness {
        idle: IdleConnections,
        clock: Clock,
        clock_handle: ManualClock,
    }

    impl Harness {
        fn new() -> Self {
            let (clock, clock_handle) = Clock::manual();
            Self { idle: IdleConnections::new(LIMIT), clock, clock_handle }
        }

        /// Adds a new connection, and returns its other end.
        fn keep(&self, key: UpstreamKey, promised: Option<Duration>) -> UnixStream {
            let (ours, theirs) = UnixStream::pair().unwrap();
            self.idle.put(key, UpstreamStream::Plain(Transport::Unix(ours)), self.clock.now(), promised);
            theirs
        }

        fn takes(&self, key: UpstreamKey, may_repeat: bool) -> bool {
            self.idle.take(key, self.clock.now(), may_repeat).is_some()
        }
    }

    const ONE: UpstreamKey = UpstreamKey { endpoint: 1, trust: 1 };

    #[tokio::test]
    async fn a_connection_is_taken_once_and_by_its_own_key_only() {
        let table = Harness::new();
        let _end = table.keep(ONE, None);
        assert!(
            !table.takes(UpstreamKey { endpoint: 2, ..ONE }, true)
                && !table.takes(UpstreamKey { trust: 2, ..ONE }, true)
        );
        assert!(table.takes(ONE, true));
        assert!(!table.takes(ONE, true) && table.idle.count() == 0);
    }

    #[tokio::test]
    async fn non_idempotent_requests_reuse_recent_connections_only() {
        let table = Harness::new();
        let _end = table.keep(ONE, None);
        table.clock_handle.advance(Duration::from_millis(1001));
        assert!(!table.takes(ONE, false) && table.takes(ONE, true));
        let _end = table.keep(ONE, None);
        table.clock_handle.advance(Duration::from_secs(1));
        assert!(table.takes(ONE, false));
    }

    #[tokio::test]
    async fn connections_that_are_idle_for_too_long_are_closed() {
        let table = Harness::new();
        let _ends = [table.keep(ONE, None), table.keep(ONE, Some(Duration::from_secs(5)))];
        assert!(table.keep(ONE, Some(Duration::from_secs(1))).try_write(b"x").is_err(), "closed at once");
        table.clock_handle.advance(Duration::from_secs(4));
        assert_eq!(table.idle.count(), 2);
        table.idle.sweep(table.clock.now());
        assert_eq!(table.idle.count(), 1, "the upstream's timeout is five seconds");
        table.clock_handle.advance(LIMIT - Duration::from_secs(4));
        assert!(!table.takes(ONE, true), "not even before a sweep");
        assert_eq!(table.idle.count(), 0);
    }

    #[tokio::test]
    async fn closed_connections_and_those_with_unrequested_data_are_not_used() {
        let table = Harness::new();
        drop(table.keep(ONE, None));
        let talkative = table.keep(ONE, None);
        talkative.writable().await.unwrap();
        talkative.try_write(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        // The runtime learns of the close when the system reports it.
        while table.idle.count() > 0 {
            tokio::task::yield_now().await;
            table.idle.sweep(table.clock.now());
        }
        let _end = table.keep(ONE, None);
        assert!(table.takes(ONE, true));
    }

    /// The runtime does not run in between, so only the system knows of the close.
    #[tokio::test]
    async fn non_idempotent_requests_get_no_just_closed_connection() {
        let table = Harness::new();
        drop(table.keep(ONE, None));
        assert!(!table.takes(ONE, false));
        let _end = table.keep(ONE, None);
        assert!(table.takes(ONE, false));
    }

    #[tokio::test]
    async fn a_full_pool_drops_the_least_recent_connection() {
        let table = Harness::new();
        let mut ends = Vec::new();
        for number in 0..MAX_CONNECTIONS as u64 + 1 {
            ends.push(table.keep(UpstreamKey { endpoint: number, trust: 1 }, None));
            table.clock_handle.advance(Duration::from_millis(1));
        }
        assert_eq!(table.idle.count(), MAX_CONNECTIONS);
        assert!(
            !table.takes(UpstreamKey { endpoint: 0, trust: 1 }, true)
                && table.takes(UpstreamKey { endpoint: 1, trust: 1 }, true)
        );
        let table = Harness::new();
        let ends: Vec<_> = (0..=MAX_PER_ENDPOINT).map(|_| table.keep(ONE, None)).collect();
        assert_eq!((table.idle.count(), ends.len()), (MAX_PER_ENDPOINT, MAX_PER_ENDPOINT + 1));
    }
}
