//! Limits the lookups in the store of keys that the table does not have: one at a time for each key, however many
//! requests present it, and a rate limit for each client address, so that made-up keys do not load the store.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OnceCell;

use super::store::Unavailable;
use super::sync::Mutex;
use crate::throttle::name::network;
use crate::values::client_address::ClientAddress;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The maximum number of concurrent lookups. Beyond it the store counts as unavailable.
const MAX_CONCURRENT: usize = 1024;
/// The number of unknown keys that one address may present at once. Keys of existing sessions do not count.
const BURST: u64 = 100;
/// The time in milliseconds after which an address may present another unknown key.
const PAUSE: u64 = 100;
/// The number of counters for addresses. Addresses with the same counter share its limit.
const ADDRESSES: usize = 4096;
/// The number of entries for keys known to be absent, which they stay forever: 512 KiB. Fewer in tests, which make
/// thousands of tables.
const ABSENT: usize = if cfg!(test) { 1 << 10 } else { 1 << 16 };

type SharedLoad = OnceCell<Result<(), Unavailable>>;

/// The lookups in progress, and the state of the limits.
pub(super) struct Loads {
    flights: Mutex<HashMap<SessionKey, Arc<SharedLoad>>>,
    /// For each address the theoretical arrival time of the rate limit, in milliseconds (GCRA).
    paid: Box<[AtomicU64]>,
    /// A hash table with the fingerprints of absent keys; a new one overwrites the old one at its place.
    absent: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl std::fmt::Debug for Loads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loads").field("flights", &self.flights.lock().len()).finish_non_exhaustive()
    }
}

impl Default for Loads {
    fn default() -> Self {
        let zeros = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            flights: Mutex::default(),
            paid: zeros(ADDRESSES),
            absent: zeros(ABSENT),
            // Randomly keyed, so that an attacker cannot know which keys share an entry.
            hasher: RandomState::new(),
        }
    }
}

/// A caller that waits for a lookup. When the last one is dropped, the lookup is removed.
struct LoadWaiter<'a> {
    loads: &'a Loads,
    key: SessionKey,
    flight: Arc<SharedLoad>,
}

impl Drop for LoadWaiter<'_> {
    fn drop(&mut self) {
        let mut flights = self.loads.flights.lock();
        // Two references are this one and the map's. The number changes only under this lock.
        if Arc::strong_count(&self.flight) == 2 || self.flight.initialized() {
            flights.remove(&self.key);
        }
    }
}

impl Loads {
    /// Looks a key up with `fetch`, which returns whether the session exists. If a lookup of the same key is in
    /// progress, waits for its result instead. A lookup that finds no session counts against the limit of `from`.
    ///
    /// # Errors
    /// The store does not answer, or a limit is exceeded.
    pub(super) async fn ask(
        &self,
        key: &SessionKey,
        from: Option<ClientAddress>,
        now: Moment,
        fetch: impl Future<Output = Result<bool, Unavailable>>,
    ) -> Result<(), Unavailable> {
        let asking = self.join(key, from, now)?;
        let once = async {
            let found = fetch.await;
            match (found, from) {
                (Ok(false), _) => self.note_absent(key),
                // A failure of the store does not count against the client's address.
                (Ok(true) | Err(Unavailable), Some(from)) => self.return_token(from),
                (Ok(true) | Err(Unavailable), None) => {}
            }
            found.map(|_| ())
        };
        *asking.flight.get_or_init(|| once).await
    }

    fn join(&self, key: &SessionKey, from: Option<ClientAddress>, now: Moment) -> Result<LoadWaiter<'_>, Unavailable> {
        let mut flights = self.flights.lock();
        let flight = match flights.get(key) {
            Some(flight) => Arc::clone(flight),
            None if flights.len() >= MAX_CONCURRENT || !from.is_none_or(|from| self.take_token(from, now)) => {
                return Err(Unavailable);
            }
            None => {
                let flight = Arc::<SharedLoad>::default();
                flights.insert(*key, Arc::clone(&flight));
                flight
            }
        };
        Ok(LoadWaiter { loads: self, key: *key, flight })
    }

    /// Whether a key is known to be absent.
    pub(super) fn is_absent(&self, key: &SessionKey) -> bool {
        let (place, fingerprint) = self.place(key);
        place.is_some_and(|place| place.load(Ordering::Relaxed) == fingerprint)
    }

    pub(super) fn note_absent(&self, key: &SessionKey) {
        let (place, fingerprint) = self.place(key);
        if let Some(place) = place {
            place.store(fingerprint, Ordering::Relaxed);
        }
    }

    fn place(&self, key: &SessionKey) -> (Option<&AtomicU64>, u64) {
        let hash = self.hasher.hash_one(key);
        // 63 bits of the key: a collision is as unlikely as guessing half of a key.
        let fingerprint = key.affinity() | 1;
        (self.absent.get(hash as usize % ABSENT), fingerprint)
    }

    /// Counts a lookup against the limit of an address; `false` if the limit is exceeded.
    fn take_token(&self, from: ClientAddress, now: Moment) -> bool {
        let paid = |until: u64| {
            let next = until.max(now.millis()) + PAUSE;
            (next <= now.millis() + BURST * PAUSE).then_some(next)
        };
        let counter = self.counter(from);
        counter.is_some_and(|counter| counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok())
    }

    fn return_token(&self, from: ClientAddress) {
        if let Some(counter) = self.counter(from) {
            let _ =
                counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until| Some(until.saturating_sub(PAUSE)));
        }
    }

    fn counter(&self, from: ClientAddress) -> Option<&AtomicU64> {
        self.paid.get(self.hasher.hash_one(network(from)) as usize % ADDRESSES)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;
    use crate::values::session_id::SessionId;

    const NOW: Moment = Moment::from_seconds(1000);

    fn key() -> SessionKey {
        SessionId::generate().unwrap().key()
    }

    fn address(last: u8) -> ClientAddress {
        ClientAddress::Ip([10, 0, 0, last].into())
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_lookups_of_a_key_ask_the_store_once() {
        let (loads, one, asked, answer) = (Loads::default(), key(), Cell::new(0), Notify::new());
        let fetch = || async {
            asked.set(asked.get() + 1);
            answer.notified().await;
            Ok(false)
        };
        let all = join_all((0..50).map(|_| loads.ask(&one, Some(address(1)), NOW, fetch())));
        let answered = async { tokio::join!(all, async { answer.notify_one() }) };
        let (all, ()) = timeout(Duration::from_secs(1), answered).await.expect("one answer is for all");
        assert!(all.iter().all(Result::is_ok) && asked.get() == 1, "{}", asked.get());
        assert!(loads.is_absent(&one) && !loads.is_absent(&key()) && loads.flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_dropped_lookup_is_continued_by_the_next_waiter() {
        let (loads, one) = (Loads::default(), key());
        let mut first = Box::pin(loads.ask(&one, Some(address(1)), NOW, pending()));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        let mut second = Box::pin(loads.ask(&one, Some(address(2)), NOW, ready(Ok(true))));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert_eq!(second.await, Ok(()));
        let abandoned = Box::pin(loads.ask(&one, Some(address(1)), NOW, pending()));
        assert!(abandoned.now_or_never().is_none() && loads.flights.lock().is_empty(), "it is removed");
    }

    #[tokio::test]
    async fn lookups_of_unknown_keys_are_rate_limited_for_each_address() {
        let loads = Loads::default();
        let ask = |from, at, found| {
            let one = key();
            let loads = &loads;
            async move { loads.ask(&one, Some(from), at, ready(found)).await.is_ok() }
        };
        for _ in 0..3 * BURST {
            assert!(ask(address(1), NOW, Ok(true)).await, "existing sessions do not count");
            assert!(!ask(address(1), NOW, Err(Unavailable)).await, "failures of the store do not count");
        }
        for _ in 0..BURST {
            assert!(ask(address(1), NOW, Ok(false)).await);
        }
        assert!(!ask(address(1), NOW, Ok(true)).await, "beyond the burst a lookup is refused");
        assert!(ask(address(2), NOW, Ok(false)).await, "each address has its own limit");
        let later = NOW + Duration::from_millis(PAUSE);
        assert!(ask(address(1), later, Ok(false)).await && !ask(address(1), later, Ok(false)).await);
    }

    #[tokio::test]
    async fn concurrent_lookups_are_limited() {
        let loads = Loads::default();
        let mut waiting: Vec<_> = (0..MAX_CONCURRENT)
            .map(|number| {
                let (one, from) = (key(), ClientAddress::Ip([10, 1, (number / 50) as u8, 0].into()));
                let loads = &loads;
                Box::pin(async move { loads.ask(&one, Some(from), NOW, pending()).await })
            })
            .collect();
        for waiting in &mut waiting {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        assert_eq!(loads.ask(&key(), Some(address(9)), NOW, ready(Ok(true))).await, Err(Unavailable));
        waiting.pop();
        assert_eq!(loads.ask(&key(), Some(address(9)), NOW, ready(Ok(true))).await, Ok(()));
    }
}
