//! The table of open connections: enforces limits and deadlines, and reports when all are closed.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::Notify;

use super::connection::Connection;
use super::connection_state::ConnectionTimeouts;
use super::settings::ServerSettings;
use crate::values::client_address::{ClientAddress, Peer, TrustedProxies};
use crate::values::reason::Reason;
use crate::values::time::Moment;

/// All open connections.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    connections: DashMap<u64, Arc<Connection>>,
    next: AtomicU64,
    open: AtomicUsize,
    by_address: DashMap<IpAddr, usize>,
    limits: ArcSwap<ConnectionLimits>,
    changed: Notify,
}

/// The maximum numbers of connections.
#[derive(Debug)]
pub(super) struct ConnectionLimits {
    all: usize,
    each: usize,
    trusted: TrustedProxies,
}

impl ConnectionLimits {
    pub(super) fn of(settings: &ServerSettings) -> Self {
        let ServerSettings { connections, connections_per_address, trusted, .. } = settings;
        Self { all: *connections, each: *connections_per_address, trusted: trusted.clone() }
    }

    /// The address under which a connection is counted; `None` for loopback and proxies in front, which have many
    /// clients.
    fn counts_as(&self, peer: Peer) -> Option<IpAddr> {
        let Peer::Tcp(address) = peer else { return None };
        let address = address.ip().to_canonical();
        let many = address.is_loopback() || self.trusted.trusts(ClientAddress::Ip(address));
        (!many).then(|| network_of(address))
    }
}

/// A client with one IPv6 address usually has all of its /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// A connection's slot in the table, freed when dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    table: Arc<ConnectionTable>,
    number: u64,
    address: Option<IpAddr>,
}

impl ConnectionTable {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            connections: DashMap::new(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            by_address: DashMap::new(),
            limits: ArcSwap::from_pointee(limits),
            changed: Notify::new(),
        })
    }

    /// Replaces the limits. Open connections stay.
    pub(super) fn set_limits(&self, limits: ConnectionLimits) {
        self.limits.store(Arc::new(limits));
    }

    /// Adds a connection.
    ///
    /// # Errors
    /// A limit is reached: of all connections, or for this address.
    pub(super) fn enter(self: &Arc<Self>, connection: &Arc<Connection>) -> Result<ConnectionSlot, Reason> {
        let limits = self.limits.load();
        let one_more = |open| (open < limits.all).then_some(open + 1);
        if self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_err() {
            return Err(Reason::TooManyConnections);
        }
        let address = limits.counts_as(connection.peer());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = ConnectionSlot { table: Arc::clone(self), number, address };
        if let Some(address) = address {
            let mut count = self.by_address.entry(address).or_default();
            *count += 1;
            if *count > limits.each {
                // The slot's drop locks the same entry.
                drop(count);
                return Err(Reason::AddressBusy);
            }
        }
        self.connections.insert(number, Arc::clone(connection));
        self.changed.notify_waiters();
        Ok(slot)
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Ends the connections whose time is over.
    pub(super) fn sweep(&self, now: Moment, limits: &ConnectionTimeouts) {
        self.for_each(|connection| connection.sweep(now, limits));
    }

    pub(super) fn for_each(&self, act: impl Fn(&Connection)) {
        self.connections.iter().for_each(|entry| act(entry.value()));
    }

    /// The number of connections for which `holds` is true.
    pub(super) fn count_if(&self, holds: impl Fn(&Connection) -> bool) -> usize {
        self.connections.iter().filter(|entry| holds(entry.value())).count()
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

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.table.connections.remove(&self.number);
        if let Some(address) = self.address {
            self.table.by_address.alter(&address, |_, count| count.saturating_sub(1));
            self.table.by_address.remove_if(&address, |_, count| *count == 0);
        }
        self.table.open.fetch_sub(1, Ordering::AcqRel);
        self.table.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::time::Clock;

    fn enter(table: &Arc<ConnectionTable>, address: &str) -> Result<ConnectionSlot, Reason> {
        let peer = if address == "unix" { Peer::Unix } else { Peer::Tcp(format!("{address}:1").parse().unwrap()) };
        table.enter(&Connection::new(peer, Clock::manual().0, Arc::default()))
    }

    fn table(all: usize, each: usize) -> Arc<ConnectionTable> {
        let trusted = TrustedProxies { networks: vec!["10.0.0.0/8".parse().unwrap()], unix: false };
        ConnectionTable::new(ConnectionLimits { all, each, trusted })
    }

    #[test]
    fn connections_of_an_address_are_limited_and_freed() {
        let table = table(100, 2);
        let slots = [enter(&table, "192.0.2.7").unwrap(), enter(&table, "192.0.2.7").unwrap()];
        assert_eq!(enter(&table, "192.0.2.7").unwrap_err(), Reason::AddressBusy);
        assert_eq!(enter(&table, "[::ffff:192.0.2.7]").unwrap_err(), Reason::AddressBusy);
        let other = enter(&table, "192.0.2.8").unwrap();
        assert_eq!((table.open(), table.connections.len()), (3, 3), "who was refused holds nothing");
        drop((slots, other));
        assert!(table.by_address.is_empty() && table.open() == 0);
        enter(&table, "192.0.2.7").unwrap();
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let table = table(100, 1);
        let _first = enter(&table, "[2001:db8::1]").unwrap();
        assert_eq!(enter(&table, "[2001:db8::ffff:1]").unwrap_err(), Reason::AddressBusy);
        assert!(enter(&table, "[2001:db8:0:1::1]").is_ok());
    }

    #[test]
    fn loopback_and_proxies_are_only_limited_in_total() {
        for many in ["127.0.0.1", "[::1]", "10.1.2.3", "unix"] {
            let table = table(2, 1);
            let _places = [enter(&table, many).unwrap(), enter(&table, many).unwrap()];
            assert_eq!(enter(&table, many).unwrap_err(), Reason::TooManyConnections, "{many}");
        }
    }
}
