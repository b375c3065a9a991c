//! The peer of a client's connection, the client's address, and the trusted proxies in front.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::BufMut;
use ipnet::IpNet;

use super::affinity;

/// The peer of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A program on this machine, over a unix socket.
    Unix,
}

/// The client's address, according to trusted proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// An address; IPv4-mapped IPv6 addresses are shown as IPv4.
    Ip(IpAddr),
    /// A program on this machine that is not a trusted proxy or did not report an address.
    Unix,
}

impl ClientAddress {
    /// Parses the output of [`fmt::Display`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "unix" => Some(Self::Unix),
            address => address.parse().ok().map(Self::Ip),
        }
    }

    /// Appends the output of [`fmt::Display`]. A separate function, since every request needs it and the standard
    /// library takes about a thousand instructions for an IPv4 address.
    pub(crate) fn write_to(self, out: &mut impl BufMut) {
        let address = match self {
            Self::Ip(IpAddr::V4(address)) => address,
            other => return out.put_slice(other.to_string().as_bytes()),
        };
        for (at, octet) in address.octets().into_iter().enumerate() {
            if at > 0 {
                out.put_u8(b'.');
            }
            if octet >= 100 {
                out.put_u8(b'0' + octet / 100);
            }
            if octet >= 10 {
                out.put_u8(b'0' + octet / 10 % 10);
            }
            out.put_u8(b'0' + octet % 10);
        }
    }

    /// The hash by which this client's upstream is chosen.
    pub(crate) fn affinity(self) -> u64 {
        match self {
            Self::Ip(IpAddr::V4(address)) => affinity::of(&[&address.octets()]),
            Self::Ip(IpAddr::V6(address)) => affinity::of(&[&address.octets()]),
            Self::Unix => affinity::of(&[]),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// The proxies in front whose `X-Forwarded-For` and `-Proto` are trusted. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// The networks of trusted proxies.
    pub networks: Vec<IpNet>,
    /// Whether clients of the gateway's unix sockets are trusted proxies.
    pub unix: bool,
}

impl TrustedProxies {
    /// Whether a hop with this address is a trusted proxy.
    pub(crate) fn trusts(&self, address: ClientAddress) -> bool {
        match address {
            ClientAddress::Ip(address) => self.networks.iter().any(|network| network.contains(&address)),
            ClientAddress::Unix => self.unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_by_the_standard_library() {
        for address in ["0.0.0.0", "1.20.99.100", "127.0.0.1", "109.110.200.255", "2001:db8::1", "::1"] {
            let address: IpAddr = address.parse().unwrap();
            let mut written = Vec::new();
            ClientAddress::Ip(address).write_to(&mut written);
            assert_eq!(written, address.to_string().as_bytes());
        }
    }
}
