//! Resolves the names of upstreams to endpoints, in the background.
//!
//! pingora would resolve synchronously, on the thread that serves requests, and panic on a failure. Here each
//! upstream with a name has a task, which runs as long as a route uses the upstream.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::endpoint::{Endpoint, EndpointAddress};
use crate::values::origin::{Host, Scheme};
use crate::values::upstream_address::UpstreamAddress;
use crate::vault::learned::LearnedNames;

/// The interval between two resolutions of a name.
const REFRESH: Duration = Duration::from_secs(30);
/// The interval as long as no resolution has succeeded.
const RETRY: Duration = Duration::from_secs(2);
/// Timeout of one resolution.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of addresses of one name. The lowest ones are used, so that round-robin DNS changes nothing.
const MAX_ADDRESSES: usize = 16;

/// One configured upstream and the endpoints that it has at present.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: UpstreamAddress,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Whether the first resolution has ended, with or without success.
    attempted: watch::Sender<bool>,
}

/// All upstreams in use. They are kept over a reload, with the state of each endpoint: its health and its kept
/// connections.
#[derive(Debug)]
pub struct Upstreams {
    in_use: Mutex<HashMap<UpstreamAddress, Weak<Upstream>>>,
    /// The cookie names learned from the applications behind each list of upstreams.
    learned: Mutex<HashMap<Box<[UpstreamAddress]>, Weak<LearnedNames>>>,
    /// Limits the concurrent logout calls to each list of upstreams.
    call_turns: Mutex<HashMap<Box<[UpstreamAddress]>, Weak<Semaphore>>>,
    sample: OnceLock<SocketAddr>,
    runtime: Handle,
}

impl Upstreams {
    /// An empty set. The tasks that resolve names run on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        let (in_use, learned, call_turns) = Default::default();
        Self { in_use, learned, call_turns, sample: OnceLock::new(), runtime }
    }

    /// Sets the address at which the built-in sample application listens. Call it before [`Self::get`] is asked for
    /// the sample: otherwise that upstream has no endpoint.
    pub(crate) fn sample_listens_at(&self, address: SocketAddr) {
        // The sample is started once per process.
        self.sample.get_or_init(|| address);
    }

    /// The upstream with this address: the one that is already in use, or a new one, whose resolution is started.
    pub(crate) fn get(&self, address: &UpstreamAddress) -> Arc<Upstream> {
        let mut in_use = self.in_use.lock();
        if let Some(upstream) = in_use.get(address).and_then(Weak::upgrade) {
            return upstream;
        }
        in_use.retain(|_, upstream| upstream.strong_count() > 0);
        let upstream = Arc::new(Upstream::new(address.clone(), self.sample.get().copied()));
        in_use.insert(address.clone(), Arc::downgrade(&upstream));
        if !*upstream.attempted.borrow() {
            let task = resolve_periodically(Arc::downgrade(&upstream), look_up);
            self.runtime.spawn(task);
        }
        upstream
    }
}

impl Upstreams {
    /// The learned names of the cookies that the applications at these addresses set as HttpOnly.
    pub(crate) fn learned(&self, addresses: &[UpstreamAddress]) -> Arc<LearnedNames> {
        one_for(&self.learned, addresses, LearnedNames::default)
    }

    /// The learned names for every list of upstreams in use.
    pub(crate) fn all_learned(&self) -> Vec<(String, Arc<LearnedNames>)> {
        let text = |list: &[UpstreamAddress]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let known = self.learned.lock();
        known.iter().filter_map(|(list, names)| Some((text(list), names.upgrade()?))).collect()
    }

    /// Limits the concurrent logout calls to these addresses, of those that no browser waits for.
    pub(crate) fn call_turns(&self, addresses: &[UpstreamAddress]) -> Arc<Semaphore> {
        one_for(&self.call_turns, addresses, || Semaphore::new(MAX_CONCURRENT_CALLS))
    }
}

/// The maximum number of concurrent logout calls to one list of upstreams, of those that no browser waits for.
const MAX_CONCURRENT_CALLS: usize = 8;

/// The value that all routes with this list of upstreams share; a new one if no route has it yet.
fn one_for<T>(
    known: &Mutex<HashMap<Box<[UpstreamAddress]>, Weak<T>>>,
    addresses: &[UpstreamAddress],
    make: impl FnOnce() -> T,
) -> Arc<T> {
    let mut known = known.lock();
    if let Some(one) = known.get(addresses).and_then(Weak::upgrade) {
        return one;
    }
    known.retain(|_, one| one.strong_count() > 0);
    let one = Arc::new(make());
    known.insert(addresses.into(), Arc::downgrade(&one));
    one
}

impl Upstream {
    fn new(address: UpstreamAddress, sample: Option<SocketAddr>) -> Self {
        let fixed = match &address {
            UpstreamAddress::Unix(path) => Some(EndpointAddress::Unix(path.clone())),
            UpstreamAddress::Tcp { .. } => address.literal().map(EndpointAddress::Tcp),
            UpstreamAddress::Sample => sample.map(EndpointAddress::Tcp),
        };
        let fixed = fixed.map(|fixed| Arc::new(Endpoint::new(fixed, address.server_name())));
        Self {
            attempted: watch::Sender::new(fixed.is_some() || address == UpstreamAddress::Sample),
            endpoints: ArcSwap::from_pointee(fixed.into_iter().collect()),
            address,
        }
    }

    /// http or https.
    pub(super) fn scheme(&self) -> Scheme {
        if self.address.is_tls() { Scheme::Https } else { Scheme::Http }
    }

    /// Whether an address with this scheme, host and port is that of this upstream: by its configured name, or by one
    /// of its resolved addresses. The default ports of http and https match each other.
    pub(super) fn is_at(&self, scheme: Scheme, host: &Host, port: u16) -> bool {
        let named = match &self.address {
            UpstreamAddress::Tcp { scheme: own, host: named, port: at } => {
                let usual = port == scheme.default_port() && *at == own.default_port();
                named == host && (*at == port || usual)
            }
            UpstreamAddress::Unix(_) | UpstreamAddress::Sample => false,
        };
        let at = |endpoint: &Arc<Endpoint>| match endpoint.address() {
            EndpointAddress::Tcp(place) => place.port() == port && host.ip() == Some(place.ip()),
            EndpointAddress::Unix(_) => false,
        };
        named || self.endpoints().iter().any(at)
    }

    /// Whether it listens on this port. Applications on a unix socket use their scheme's default port in addresses.
    pub(super) fn listens_at(&self, port: u16) -> bool {
        match &self.address {
            UpstreamAddress::Tcp { port: own, .. } => *own == port,
            UpstreamAddress::Unix(_) => port == Scheme::Http.default_port(),
            UpstreamAddress::Sample => false,
        }
    }

    /// Its endpoints at this moment; none before the first answer.
    pub(super) fn endpoints(&self) -> Guard<Arc<Vec<Arc<Endpoint>>>> {
        self.endpoints.load()
    }

    /// Waits until the first resolution has ended, with or without success. The caller sets a timeout.
    pub(super) async fn first_attempt(&self) {
        // It fails only if the sender is dropped, and `self` owns the sender.
        let _ = self.attempted.subscribe().wait_for(|attempted| *attempted).await;
    }

    /// Applies the result of a resolution; after a failure the last addresses stay. An address that was there before
    /// keeps its endpoint object.
    fn accept(&self, answer: io::Result<Vec<SocketAddr>>) {
        match answer {
            Ok(addresses) if !addresses.is_empty() => self.endpoints.store(Arc::new(self.renew(addresses))),
            Ok(_) => tracing::warn!(upstream = %self.address, "the name resolves to no address"),
            Err(error) => tracing::warn!(upstream = %self.address, %error, "the name cannot be resolved"),
        }
        self.attempted.send_replace(true);
    }

    fn renew(&self, mut addresses: Vec<SocketAddr>) -> Vec<Arc<Endpoint>> {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_ADDRESSES);
        let known = self.endpoints.load();
        let endpoint = |address| {
            let place = EndpointAddress::Tcp(address);
            let same = known.iter().find(|endpoint| *endpoint.address() == place);
            let new = || Arc::new(Endpoint::new(place.clone(), self.address.server_name()));
            same.map_or_else(new, Arc::clone)
        };
        addresses.into_iter().map(endpoint).collect()
    }

    fn pause(&self) -> Duration {
        if self.endpoints.load().is_empty() { RETRY } else { REFRESH }
    }
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// Resolves the upstream's name periodically, until the upstream is no longer in use.
async fn resolve_periodically<L, A>(upstream: Weak<Upstream>, look_up: L)
where
    L: Fn(String, u16) -> A,
    A: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    while let Some(upstream) = upstream.upgrade() {
        let UpstreamAddress::Tcp { host, port, .. } = &upstream.address else { return };
        let answer = timeout(LOOKUP_TIMEOUT, look_up(host.as_str().to_owned(), *port)).await;
        upstream.accept(answer.unwrap_or_else(|elapsed| Err(elapsed.into())));
        let pause = upstream.pause();
        drop(upstream);
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(text: &str) -> Upstream {
        Upstream::new(UpstreamAddress::parse(text).unwrap(), None)
    }

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| format!("{text}:80").parse().unwrap()).collect()
    }

    fn places(upstream: &Upstream) -> Vec<EndpointAddress> {
        upstream.endpoints().iter().map(|endpoint| endpoint.address().clone()).collect()
    }

    #[test]
    fn an_address_needs_no_resolving() {
        for text in ["http://127.0.0.1:9000", "https://[::1]", "unix:/run/app.sock"] {
            let upstream = upstream(text);
            assert!(*upstream.attempted.borrow());
            assert_eq!(upstream.endpoints().len(), 1, "{text}");
        }
    }

    #[test]
    fn a_failure_keeps_the_last_good_answer() {
        let upstream = upstream("http://app.test");
        upstream.accept(Err(io::ErrorKind::NotFound.into()));
        assert!(upstream.endpoints().is_empty());
        assert_eq!(upstream.pause(), RETRY);
        upstream.accept(Ok(addresses(&["10.0.0.2", "10.0.0.1"])));
        let before = places(&upstream);
        assert_eq!(before.len(), 2);
        upstream.accept(Err(io::ErrorKind::NotFound.into()));
        upstream.accept(Ok(Vec::new()));
        assert_eq!(places(&upstream), before);
        assert_eq!(upstream.pause(), REFRESH);
    }

    #[test]
    fn a_resolved_address_keeps_its_endpoint() {
        let upstream = upstream("http://app.test");
        upstream.accept(Ok(addresses(&["10.0.0.1", "10.0.0.2"])));
        let first = upstream.endpoints().first().cloned().unwrap();
        upstream.accept(Ok(addresses(&["10.0.0.3", "10.0.0.1"])));
        assert!(Arc::ptr_eq(&first, upstream.endpoints().first().unwrap()));
        upstream.accept(Ok(addresses(&["10.0.0.3"])));
        upstream.accept(Ok(addresses(&["10.0.0.1"])));
        let again = upstream.endpoints().first().cloned().unwrap();
        assert!(!Arc::ptr_eq(&first, &again), "nothing is remembered of it");
    }

    #[test]
    fn at_most_sixteen_addresses_and_always_the_same_ones() {
        let upstream = upstream("http://app.test");
        let mut many: Vec<String> = (1..=40).map(|n| format!("10.0.0.{n}")).collect();
        upstream.accept(Ok(addresses(&many.iter().map(String::as_str).collect::<Vec<_>>())));
        let before = places(&upstream);
        assert_eq!(before.len(), MAX_ADDRESSES);
        many.rotate_left(17);
        upstream.accept(Ok(addresses(&many.iter().map(String::as_str).collect::<Vec<_>>())));
        assert_eq!(places(&upstream), before);
    }

    #[tokio::test]
    async fn the_sample_has_its_address_after_it_was_started() {
        let upstreams = Upstreams::new(Handle::current());
        let early = upstreams.get(&UpstreamAddress::Sample);
        early.first_attempt().await;
        assert!(early.endpoints().is_empty());
        drop(early);
        upstreams.sample_listens_at("127.0.0.1:4711".parse().unwrap());
        let places = places(&upstreams.get(&UpstreamAddress::Sample));
        assert_eq!(places, [EndpointAddress::Tcp("127.0.0.1:4711".parse().unwrap())]);
    }

    #[tokio::test]
    async fn a_name_is_resolved_in_the_background_and_shared() {
        let upstreams = Upstreams::new(Handle::current());
        let address = UpstreamAddress::parse("http://localhost:9").unwrap();
        let upstream = upstreams.get(&address);
        assert!(Arc::ptr_eq(&upstream, &upstreams.get(&address)));
        upstream.first_attempt().await;
        assert!(!upstream.endpoints().is_empty());
    }

    #[tokio::test]
    async fn upstreams_in_use_are_shared_and_others_dropped() {
        let upstreams = Upstreams::new(Handle::current());
        let [one, other, third] =
            ["http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3"].map(|text| UpstreamAddress::parse(text).unwrap());
        let (kept, dropped) = (upstreams.get(&one), upstreams.get(&other));
        assert!(Arc::ptr_eq(&kept, &upstreams.get(&one)));
        drop(dropped);
        let _third = upstreams.get(&third);
        assert!(Arc::ptr_eq(&kept, &upstreams.get(&one)));
        assert_eq!(upstreams.in_use.lock().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_refreshes_and_ends_with_its_upstream() {
        let upstream = Arc::new(upstream("http://app.test"));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let answer = move |host: String, port| {
            let mut calls = seen.lock();
            calls.push((host, port));
            let round = calls.len();
            async move { Ok(vec![SocketAddr::from(([10, 0, 0, u8::try_from(round).unwrap()], port))]) }
        };
        let task = tokio::spawn(resolve_periodically(Arc::downgrade(&upstream), answer));
        upstream.first_attempt().await;
        let first = places(&upstream);
        sleep(REFRESH + Duration::from_secs(1)).await;
        assert_eq!(*calls.lock(), vec![("app.test".to_owned(), 80); 2]);
        assert_ne!(places(&upstream), first);
        drop(upstream);
        task.await.unwrap();
    }
}
