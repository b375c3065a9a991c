//! Normalisation for the counters: which names count as one account, and which addresses as one client.

use std::net::{IpAddr, Ipv6Addr};

use crate::values::client_address::ClientAddress;

/// The prefix length of an IPv6 host, which usually has a whole /64 and can use any address in it.
const HOST: u32 = 64;
/// The prefix length of an IPv6 site, which usually has a /48: 65,536 networks of hosts.
const SITE: u32 = 48;

/// The name of an account for counting: `John`, `JOHN` and `john ` are the same, even if the user source distinguishes
/// them.
pub(crate) fn folded(user: &str) -> String {
    user.trim().to_lowercase()
}

/// The network that counts as one address.
pub(crate) fn network(client: ClientAddress) -> Option<IpAddr> {
    match client {
        ClientAddress::Ip(IpAddr::V6(address)) => Some(prefix(address, HOST).into()),
        ClientAddress::Ip(address) => Some(address),
        ClientAddress::Unix => None,
    }
}

/// The site, which is counted in addition; only for IPv6.
pub(super) fn site(client: ClientAddress) -> Option<Ipv6Addr> {
    match client {
        ClientAddress::Ip(IpAddr::V6(address)) => Some(prefix(address, SITE)),
        ClientAddress::Ip(IpAddr::V4(_)) | ClientAddress::Unix => None,
    }
}

fn prefix(address: Ipv6Addr, length: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & u128::MAX << (128 - length))
}

/// Whether a proxy of the operator could have this address: private, unique local, loopback, or a unix socket.
pub(super) fn may_be_a_proxy(client: ClientAddress) -> bool {
    match client {
        ClientAddress::Ip(IpAddr::V4(address)) => address.is_private() || address.is_loopback(),
        ClientAddress::Ip(IpAddr::V6(address)) => address.is_unique_local() || address.is_loopback(),
        ClientAddress::Unix => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddress {
        text.parse().map_or(ClientAddress::Unix, ClientAddress::Ip)
    }

    #[test]
    fn names_that_differ_in_case_and_white_space_are_one_account() {
        for user in ["John", "JOHN", "john ", "\tjohn"] {
            assert_eq!(folded(user), "john");
        }
        assert_eq!(folded("JÜRGEN"), folded("jürgen"));
        assert_ne!(folded("jo hn"), folded("john"));
    }

    #[test]
    fn the_addresses_of_an_ipv6_host_count_as_one() {
        let cases = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("unix", "unix", true),
            ("unix", "127.0.0.1", false),
        ];
        for (one, other, same) in cases {
            assert_eq!(network(client(one)) == network(client(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn the_networks_of_an_ipv6_site_count_as_one() {
        let cases = [
            ("2001:db8:0:1::1", "2001:db8:0:ffff::1", true),
            ("2001:db8:0:1::1", "2001:db8:1:1::1", false),
            ("192.0.2.1", "unix", true),
        ];
        for (one, other, same) in cases {
            assert_eq!(site(client(one)) == site(client(other)), same, "{one} {other}");
        }
        assert_eq!(site(client("192.0.2.1")), None);
    }

    #[test]
    fn proxies_have_private_addresses() {
        for (address, want) in [
            ("10.0.0.7", true),
            ("192.168.1.1", true),
            ("172.17.0.1", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("unix", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
            ("172.32.0.1", false),
        ] {
            assert_eq!(may_be_a_proxy(client(address)), want, "{address}");
        }
    }
}
