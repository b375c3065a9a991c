//! The upstreams of one route, and the choice of one for each exchange.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::endpoint::{Endpoint, FailedEndpoints};
use super::resolver::Upstream;
use super::upstream_trust::UpstreamTrust;
use crate::values::origin::{Host, Scheme};
use crate::values::time::Clock;

/// Timeouts and trusted certificate authorities for a route's upstreams.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamSettings {
    /// Timeout for one connection attempt, its TLS handshake included, and for the first resolution of a name.
    /// An exchange makes at most [`MAX_CONNECTS`](super::endpoint::MAX_CONNECTS) attempts. Default: 5 s.
    pub(crate) connect_timeout: Duration,
    /// The longest time from the end of a request to the head of its response, and the longest time without
    /// progress while a request is sent. Default: 60 s.
    pub(crate) response_timeout: Duration,
    /// The longest time without data within the body of a response, such as an event stream. Default: 1 h.
    pub(crate) stream_timeout: Duration,
    /// The certificate authorities trusted for upstreams over TLS.
    pub(crate) trust: Arc<UpstreamTrust>,
}

impl UpstreamSettings {
    /// The default timeouts, with these certificate authorities.
    pub(crate) fn new(trust: Arc<UpstreamTrust>) -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(3600),
            trust,
        }
    }
}

/// The upstreams of one route.
#[derive(Debug)]
pub(crate) struct Pool {
    upstreams: Box<[Arc<Upstream>]>,
    settings: UpstreamSettings,
    clock: Clock,
}

impl Pool {
    /// A pool of these upstreams.
    pub(crate) fn new(upstreams: Vec<Arc<Upstream>>, settings: UpstreamSettings, clock: Clock) -> Self {
        Self { upstreams: upstreams.into(), settings, clock }
    }

    /// Its timeouts and trusted certificate authorities.
    pub(crate) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// Whether an address with this scheme, host and port is that of one of its upstreams, bypassing the gateway.
    pub(crate) fn is_at(&self, scheme: Scheme, host: &Host, port: u16) -> bool {
        self.upstreams.iter().any(|upstream| upstream.is_at(scheme, host, port))
    }

    /// The scheme of its upstreams; of the first one if they differ.
    pub(crate) fn scheme(&self) -> Scheme {
        self.upstreams.first().map_or(Scheme::Http, |upstream| upstream.scheme())
    }

    /// Whether one of its upstreams listens at this port.
    pub(crate) fn listens_at(&self, port: u16) -> bool {
        self.upstreams.iter().any(|upstream| upstream.listens_at(port))
    }

    /// The endpoint for an exchange, among those that it has not tried: always the same one for an `affinity` (a hash
    /// of the session, or of the client's address) as long as it is not paused after a failure. If all are paused, the
    /// one whose pause ends first.
    ///
    /// `None` if no endpoint is left to try, or no name has been resolved yet.
    pub(crate) fn pick(&self, affinity: u64, tried: &FailedEndpoints) -> Option<Arc<Endpoint>> {
        if tried.is_full() {
            return None;
        }
        let mut best: Option<(_, Arc<Endpoint>)> = None;
        for upstream in &self.upstreams {
            for endpoint in upstream.endpoints().iter().filter(|endpoint| !tried.contains(endpoint)) {
                let rank = (endpoint.pause_ends(&self.clock), Reverse(score(affinity, endpoint.id())));
                if best.as_ref().is_none_or(|(lowest, _)| rank < *lowest) {
                    best = Some((rank, Arc::clone(endpoint)));
                }
            }
        }
        best.map(|(_, endpoint)| endpoint)
    }

    /// Like [`Pool::pick`], but right after the start it waits for the first address of a name, at most
    /// `connect_timeout`.
    pub(crate) async fn choose(&self, affinity: u64, tried: &FailedEndpoints) -> Option<Arc<Endpoint>> {
        let picked = self.pick(affinity, tried);
        if picked.is_some() || !tried.is_empty() {
            return picked;
        }
        let first = async {
            for upstream in &self.upstreams {
                upstream.first_attempt().await;
                if !upstream.endpoints().is_empty() {
                    return;
                }
            }
        };
        // The addresses that are known by then are used, also after a timeout.
        let _ = timeout(self.settings.connect_timeout, first).await;
        self.pick(affinity, tried)
    }

    /// Pauses an endpoint that could not be connected to.
    pub(crate) fn failed_to_connect(&self, endpoint: &Endpoint) {
        endpoint.failed_to_connect(self.clock.now());
    }
}

/// The score of an endpoint in rendezvous hashing; the highest one is chosen. When an endpoint is added or removed,
/// only the affinities that it gains or loses move.
fn score(affinity: u64, id: u64) -> u64 {
    // The finaliser of splitmix64: every bit of the input reaches every bit of the output.
    let mut mixed = (affinity ^ id).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::PAUSE;
    use super::super::resolver::Upstreams;
    use super::*;
    use crate::values::upstream_address::UpstreamAddress;
    use futures_util::FutureExt;
    use tokio::runtime::Handle;

    fn pool_of(texts: &[&str], clock: Clock) -> Pool {
        let upstreams = Upstreams::new(Handle::current());
        let addresses = texts.iter().map(|text| UpstreamAddress::parse(text).unwrap());
        let settings = UpstreamSettings::new(UpstreamTrust::none());
        Pool::new(addresses.map(|address| upstreams.get(&address)).collect(), settings, clock)
    }

    fn numbered(count: u8) -> Vec<String> {
        (1..=count).map(|n| format!("http://10.0.0.{n}")).collect()
    }

    fn pool(count: u8, clock: Clock) -> Pool {
        pool_of(&numbered(count).iter().map(String::as_str).collect::<Vec<_>>(), clock)
    }

    const NOTHING: FailedEndpoints = FailedEndpoints::NOTHING;

    #[tokio::test]
    async fn an_affinity_keeps_its_endpoint_and_all_endpoints_are_used() {
        let pool = pool(4, Clock::manual().0);
        let mut used = std::collections::HashMap::new();
        for affinity in 0..4000 {
            let picked = pool.pick(affinity, &NOTHING).unwrap();
            assert!(Arc::ptr_eq(&picked, &pool.pick(affinity, &NOTHING).unwrap()));
            *used.entry(picked.id()).or_insert(0) += 1;
        }
        assert_eq!(used.len(), 4);
        assert!(used.values().all(|&count| (800..1200).contains(&count)), "{used:?}");
    }

    /// A session stays with its endpoint over restarts and from one version to the next.
    #[test]
    fn scores_are_those_of_splitmix64() {
        let scores = [(0, 0), (1, 2), (u64::MAX, 5)].map(|(affinity, id)| score(affinity, id));
        assert_eq!(scores, [0xe220_a839_7b1d_cdaf, 0x1d0b_14e4_db01_8fed, 0xe8f9_38e3_d92c_0f81]);
    }

    #[tokio::test]
    async fn a_new_endpoint_takes_only_its_share() {
        let (few, more) = (pool(4, Clock::manual().0), pool(5, Clock::manual().0));
        let moved = (0..4000).filter(|&affinity| {
            let (before, after) = (few.pick(affinity, &NOTHING).unwrap(), more.pick(affinity, &NOTHING).unwrap());
            before.id() != after.id()
        });
        let moved = moved.count();
        assert!((600..1000).contains(&moved), "a fifth of 4000 is expected to move, {moved} did");
    }

    #[tokio::test]
    async fn a_failed_endpoint_is_paused_and_used_again_later() {
        let (clock, clock_handle) = Clock::manual();
        let pool = pool(2, clock);
        let first = pool.pick(7, &NOTHING).unwrap();
        pool.failed_to_connect(&first);
        assert_ne!(pool.pick(7, &NOTHING).unwrap().id(), first.id());
        clock_handle.advance(PAUSE);
        assert_eq!(pool.pick(7, &NOTHING).unwrap().id(), first.id());
    }

    #[tokio::test]
    async fn a_successful_connect_ends_a_pause() {
        let pool = pool(2, Clock::manual().0);
        let first = pool.pick(7, &NOTHING).unwrap();
        pool.failed_to_connect(&first);
        first.connected();
        assert_eq!(pool.pick(7, &NOTHING).unwrap().id(), first.id());
    }

    #[tokio::test]
    async fn of_paused_endpoints_the_one_whose_pause_ends_first_is_chosen() {
        let (clock, clock_handle) = Clock::manual();
        let pool = pool(2, clock);
        let first = pool.pick(7, &NOTHING).unwrap();
        pool.failed_to_connect(&first);
        clock_handle.advance(Duration::from_secs(1));
        let second = pool.pick(7, &NOTHING).unwrap();
        pool.failed_to_connect(&second);
        assert_eq!(pool.pick(7, &NOTHING).unwrap().id(), first.id());
        let mut tried = NOTHING;
        tried.insert(&first);
        assert_eq!(pool.pick(7, &tried).unwrap().id(), second.id());
    }

    #[tokio::test]
    async fn each_endpoint_is_tried_once_and_three_at_most() {
        for (count, want) in [(1, 1), (2, 2), (3, 3), (8, 3)] {
            let pool = pool(count, Clock::manual().0);
            let mut tried = NOTHING;
            let mut picks = 0;
            while let Some(endpoint) = pool.pick(7, &tried) {
                tried.insert(&endpoint);
                pool.failed_to_connect(&endpoint);
                picks += 1;
            }
            assert_eq!(picks, want, "of {count}");
        }
    }

    #[tokio::test]
    async fn the_first_exchange_waits_for_the_name() {
        let pool = pool_of(&["http://localhost:9"], Clock::system());
        assert!(pool.choose(7, &NOTHING).await.is_some());
        let pool = pool_of(&["http://no-such-name.invalid:9"], Clock::system());
        assert!(pool.choose(7, &NOTHING).await.is_none());
    }

    #[tokio::test]
    async fn an_unresolved_name_is_skipped_if_there_is_another_endpoint() {
        let pool = pool_of(&["http://no-such-name.invalid:9", "http://10.0.0.1"], Clock::system());
        assert!(pool.choose(7, &NOTHING).now_or_never().unwrap().is_some());
    }
}
