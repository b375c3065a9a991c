//! Connections to upstreams that are kept for the next request.
//!
//! A table under one lock that is held briefly: a connection is taken out, or put back, in one step, and no task or
//! timer waits on it meanwhile. The sweep of the deadlines closes connections that were idle too long.

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

/// Which connections are interchangeable: those with the same endpoint and the same trusted authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UpstreamKey {
    endpoint: u64,
    trust: u64,
}

impl UpstreamKey {
    /// The endpoint's number has its server name in it; what is reached in plain text has none.
    pub(super) fn of(endpoint: &Endpoint, trust: &UpstreamTrust) -> Self {
        Self { endpoint: endpoint.id(), trust: trust.id() }
    }
}

/// A connection that one of its requests has authenticated. It serves the session of that request, on the client's
/// connection that it came on.
#[derive(Debug)]
pub(super) struct AuthenticatedConnection {
    pub(super) key: UpstreamKey,
    pub(super) owner: Arc<Session>,
    pub(super) stream: UpstreamStream,
}

/// A request that may not be sent twice takes a connection only if it was used so recently: so it does not get one that
/// the application has just closed.
const JUST_USED: Duration = Duration::from_secs(1);
/// Kept in all.
const MOST: usize = 1024;
/// Kept to one endpoint.
const MOST_EACH: usize = 256;

/// The idle upstream connections.
#[derive(Debug)]
pub(super) struct IdleConnections {
    kept: Mutex<KeptConnections>,
    /// How many milliseconds one may be idle.
    limit: AtomicU64,
}

#[derive(Debug, Default)]
struct KeptConnections {
    /// By endpoint, the one that was used last at the end.
    shelves: HashMap<UpstreamKey, VecDeque<KeptConnection>, BuildHasherDefault<KeyHasher>>,
    count: usize,
}

/// The numbers of a key come from configuration and are spread already.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
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

    /// From now on a kept connection may be idle for this long.
    pub(super) fn set_limit(&self, limit: Duration) {
        self.limit.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A living connection, the one that was used last. For what may not be sent again only if that was just now, and
    /// the system itself is asked whether it lives.
    pub(super) fn take(&self, key: UpstreamKey, now: Moment, may_repeat: bool) -> Option<UpstreamStream> {
        let oldest = if may_repeat { Duration::MAX } else { JUST_USED };
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

    /// Keeps a connection that was used until now. `promised`: so long the upstream said that it keeps it.
    pub(super) fn put(&self, key: UpstreamKey, mut stream: UpstreamStream, now: Moment, promised: Option<Duration>) {
        // A second earlier than the upstream, so that no request is sent while the upstream closes.
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
        // Closed without the lock.
        drop(too_many);
    }

    /// Closes connections that were idle too long, and those that the other side has closed.
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
    /// Removes the least recently used one when a limit is reached: of its endpoint, or of all.
    fn make_room(&mut self, key: UpstreamKey) -> Option<KeptConnection> {
        let full = self.shelves.get(&key).is_some_and(|shelf| shelf.len() >= MOST_EACH);
        let from = if full { key } else { self.least_recent().filter(|_| self.count >= MOST)? };
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

        /// Keeps a new connection, and gives its other end.
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
    async fn one_is_taken_once_and_by_its_own_alone() {
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
    async fn what_may_not_be_repeated_takes_only_what_was_just_used() {
        let table = Harness::new();
        let _end = table.keep(ONE, None);
        table.clock_handle.advance(Duration::from_millis(1001));
        assert!(!table.takes(ONE, false) && table.takes(ONE, true));
        let _end = table.keep(ONE, None);
        table.clock_handle.advance(Duration::from_secs(1));
        assert!(table.takes(ONE, false));
    }

    #[tokio::test]
    async fn what_has_stood_too_long_is_closed() {
        let table = Harness::new();
        let _ends = [table.keep(ONE, None), table.keep(ONE, Some(Duration::from_secs(5)))];
        assert!(table.keep(ONE, Some(Duration::from_secs(1))).try_write(b"x").is_err(), "closed at once");
        table.clock_handle.advance(Duration::from_secs(4));
        assert_eq!(table.idle.count(), 2);
        table.idle.sweep(table.clock.now());
        assert_eq!(table.idle.count(), 1, "the upstream said five seconds");
        table.clock_handle.advance(LIMIT - Duration::from_secs(4));
        assert!(!table.takes(ONE, true), "also before a sweep");
        assert_eq!(table.idle.count(), 0);
    }

    #[tokio::test]
    async fn one_that_is_closed_or_speaks_unasked_is_not_used() {
        let table = Harness::new();
        drop(table.keep(ONE, None));
        let talkative = table.keep(ONE, None);
        talkative.writable().await.unwrap();
        talkative.try_write(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        // What has happened to a socket is known when the system has told.
        while table.idle.count() > 0 {
            tokio::task::yield_now().await;
            table.idle.sweep(table.clock.now());
        }
        let _end = table.keep(ONE, None);
        assert!(table.takes(ONE, true));
    }

    /// Without a turn of the runtime, which would tell.
    #[tokio::test]
    async fn what_may_not_be_repeated_meets_no_connection_that_was_closed_just_now() {
        let table = Harness::new();
        drop(table.keep(ONE, None));
        assert!(!table.takes(ONE, false));
        let _end = table.keep(ONE, None);
        assert!(table.takes(ONE, false));
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_the_least_recent_goes() {
        let table = Harness::new();
        let mut ends = Vec::new();
        for number in 0..MOST as u64 + 1 {
            ends.push(table.keep(UpstreamKey { endpoint: number, trust: 1 }, None));
            table.clock_handle.advance(Duration::from_millis(1));
        }
        assert_eq!(table.idle.count(), MOST);
        assert!(
            !table.takes(UpstreamKey { endpoint: 0, trust: 1 }, true)
                && table.takes(UpstreamKey { endpoint: 1, trust: 1 }, true)
        );
        let table = Harness::new();
        let ends: Vec<_> = (0..=MOST_EACH).map(|_| table.keep(ONE, None)).collect();
        assert_eq!((table.idle.count(), ends.len()), (MOST_EACH, MOST_EACH + 1));
    }
}
