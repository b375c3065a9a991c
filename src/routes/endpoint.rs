//! One endpoint of an upstream, and whether connecting to it has failed lately.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::values::affinity;
use crate::values::time::{Clock, Moment};

/// How long an endpoint is not chosen after a connection to it failed, as long as there are others.
pub(crate) const PAUSE: Duration = Duration::from_secs(10);

/// How many endpoints one exchange tries to connect to.
pub(crate) const MAX_CONNECTS: usize = 3;

/// What a connection is made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndpointAddress {
    /// An address and port.
    Tcp(SocketAddr),
    /// The absolute path of a unix socket.
    Unix(PathBuf),
}

/// One endpoint of an upstream: shared by all routes that name the upstream, and the same object for as long as the
/// name resolves to its address.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: EndpointAddress,
    server_name: Option<Box<str>>,
    id: u64,
    /// The end of its pause after a failure, in milliseconds of the clock; zero if it is not paused.
    paused_until: AtomicU64,
}

impl Endpoint {
    /// An endpoint whose health is not known yet. With a server name it is reached over TLS.
    pub(crate) fn new(address: EndpointAddress, server_name: Option<&str>) -> Self {
        Self {
            id: id_of(&address, server_name),
            address,
            server_name: server_name.map(Into::into),
            paused_until: AtomicU64::new(0),
        }
    }

    /// Where to connect.
    pub(crate) fn address(&self) -> &EndpointAddress {
        &self.address
    }

    /// The name that the certificate must be valid for; `None` for plain HTTP. Never empty.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// A number that depends on address and server name only, so that it is the same after a restart.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Pauses the endpoint for [`PAUSE`], as long as there are others.
    pub(crate) fn failed_to_connect(&self, now: Moment) {
        self.paused_until.store((now + PAUSE).millis(), Ordering::Relaxed);
    }

    /// Ends a pause early, after a connection succeeded.
    pub(crate) fn connected(&self) {
        if self.paused_until.load(Ordering::Relaxed) != 0 {
            self.paused_until.store(0, Ordering::Relaxed);
        }
    }

    /// The end of its pause, in milliseconds of the clock; zero if it is not paused.
    pub(super) fn pause_ends(&self, clock: &Clock) -> u64 {
        let until = self.paused_until.load(Ordering::Relaxed);
        // Most endpoints are never paused, so the clock is not read for them.
        if until != 0 && until > clock.now().millis() { until } else { 0 }
    }
}

fn id_of(address: &EndpointAddress, server_name: Option<&str>) -> u64 {
    let name = server_name.unwrap_or("").as_bytes();
    match address {
        EndpointAddress::Tcp(SocketAddr::V4(at)) => affinity::of(&[&at.ip().octets(), &at.port().to_be_bytes(), name]),
        EndpointAddress::Tcp(SocketAddr::V6(at)) => {
            affinity::of(&[&at.ip().octets(), &at.scope_id().to_be_bytes(), &at.port().to_be_bytes(), name])
        }
        EndpointAddress::Unix(path) => affinity::of(&[path.as_os_str().as_bytes(), name]),
    }
}

/// The endpoints that one exchange has failed to connect to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailedEndpoints {
    ids: [u64; MAX_CONNECTS],
    count: usize,
}

impl FailedEndpoints {
    /// No endpoint.
    pub(crate) const NOTHING: Self = Self { ids: [0; MAX_CONNECTS], count: 0 };

    /// Adds an endpoint; without effect once there are [`MAX_CONNECTS`].
    pub(crate) fn insert(&mut self, endpoint: &Endpoint) {
        if let Some(free) = self.ids.get_mut(self.count) {
            *free = endpoint.id();
            self.count += 1;
        }
    }

    /// Whether the endpoint was tried.
    pub(crate) fn contains(&self, endpoint: &Endpoint) -> bool {
        self.ids.iter().take(self.count).any(|&id| id == endpoint.id())
    }

    /// Whether nothing has been tried.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether [`MAX_CONNECTS`] endpoints have been tried.
    pub(crate) fn is_full(&self) -> bool {
        self.count == MAX_CONNECTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::new(EndpointAddress::Tcp(text.parse().unwrap()), None)
    }

    #[test]
    fn an_id_depends_on_address_and_server_name() {
        let address = || EndpointAddress::Tcp("10.0.0.1:443".parse().unwrap());
        let plain = Endpoint::new(address(), None);
        let tls = Endpoint::new(address(), Some("app.test"));
        assert_ne!(plain.id(), tls.id());
        assert_eq!(plain.id(), Endpoint::new(address(), None).id());
        assert_eq!((plain.server_name(), tls.server_name()), (None, Some("app.test")));
        // Another number would move every client to another upstream after an update.
        assert_eq!(plain.id(), 0xa54f_26af_a026_85be);
    }

    #[test]
    fn at_most_three_endpoints_are_tried() {
        let all = [1, 2, 3, 4].map(|n| endpoint(&format!("10.0.0.{n}:80")));
        let mut tried = FailedEndpoints::NOTHING;
        assert!(tried.is_empty());
        for one in &all {
            assert!(!tried.contains(one));
            tried.insert(one);
        }
        assert!(tried.is_full() && !tried.is_empty());
        assert_eq!(all.iter().map(|one| tried.contains(one)).collect::<Vec<_>>(), [true, true, true, false]);
    }
}
