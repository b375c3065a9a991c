//! `listen`, `public_url`, `hosts`, `trusted_proxies`: the gateway's addresses, and the proxies that it trusts.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;

use crate::values::client_address::TrustedProxies;
use crate::values::listen_address::{ListenAddress, ListenAddressError};
use crate::values::origin::{Host, Origin, Scheme};

use super::origins;
use super::raw::RawTable;
use super::refusal::ValueRefusal;

/// The addresses to listen on.
pub(crate) fn listen(file: &RawTable<'_>, folder: &Path) -> Vec<ListenAddress> {
    let Some(item) = file.required("listen", "listen = [\"127.0.0.1:8080\"]") else { return Vec::new() };
    let items = item.one_or_list();
    if items.is_empty() {
        item.location.problem(ValueRefusal::new("names no address to listen on").write("write [\"127.0.0.1:8080\"]"));
    }
    let mut seen: Vec<ListenAddress> = Vec::new();
    for item in items {
        let Some(address) = item.parse(|text| address(text, folder)) else { continue };
        match seen.iter().find(|other| collide(&address, other)) {
            Some(other) => item.location.problem(
                ValueRefusal::new(format!("{other} covers this address already"))
                    .write("remove it, or write another port"),
            ),
            None => seen.push(address),
        }
    }
    seen
}

/// An address to listen on; a relative path of a socket starts at `folder`.
pub(crate) fn address(text: &str, folder: &Path) -> Result<ListenAddress, ValueRefusal> {
    let read = |text: &str| text.parse::<ListenAddress>().map_err(|error| refused(text, &error));
    match read(text)? {
        ListenAddress::Unix(path) if path.is_relative() => read(&format!("unix:{}", folder.join(path).display())),
        address => Ok(address),
    }
}

fn refused(text: &str, error: &ListenAddressError) -> ValueRefusal {
    let said = error.to_string();
    let (why, write) = said.split_once(": write ").unwrap_or(("", said.trim_start_matches("write ")));
    let digits = text.rsplit(':').next().unwrap_or_default();
    let why = match why {
        "" if digits.parse::<u64>().is_ok_and(|port| port > 65_535) => ": ports end at 65535".to_owned(),
        "" => String::new(),
        why => format!(": {why}"),
    };
    let refusal = ValueRefusal::new(format!("\"{text}\" is not an address to listen on{why}"));
    match meant(text).filter(|meant| !write.contains(meant.as_str())) {
        Some(meant) => refusal.write(format!("write \"{meant}\"")),
        None => refusal.write(format!("write {write}")),
    }
}

/// The address that a text probably means.
fn meant(text: &str) -> Option<String> {
    let bare = text.trim().split_once("://").map_or(text.trim(), |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = bare.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((bare, "8080"));
    let host = match host {
        "*" => "[::]",
        "" | "localhost" => "127.0.0.1",
        host => host,
    };
    let port = port.parse::<u16>().unwrap_or(8080);
    let whole = format!("{host}:{port}");
    let is_address = matches!(whole.parse(), Ok(ListenAddress::Tcp(_)));
    is_address.then_some(whole)
}

/// Whether the operating system would refuse to bind both addresses.
fn collide(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => {
            let same_family = one.is_ipv4() == other.is_ipv4();
            let overlap =
                one.ip() == other.ip() || (same_family && (one.ip().is_unspecified() || other.ip().is_unspecified()));
            overlap && one.port() == other.port() && one.port() != 0
        }
        (one, other) => one == other,
    }
}

/// Whether a connection to `target` may reach one of these listeners. A connection to `0.0.0.0` reaches this machine.
pub(crate) fn reaches(target: &SocketAddr, listen: &[ListenAddress]) -> bool {
    // An IPv4-mapped IPv6 address is the same as the IPv4 address.
    let target_ip = target.ip().to_canonical();
    listen.iter().any(|address| match address {
        ListenAddress::Tcp(own) => {
            let own_ip = own.ip().to_canonical();
            let this_machine = |ip: IpAddr| ip.is_unspecified() || ip.is_loopback();
            let same = own_ip == target_ip
                || (own_ip.is_unspecified() && this_machine(target_ip))
                || (target_ip.is_unspecified() && this_machine(own_ip));
            own.port() == target.port() && same
        }
        ListenAddress::Unix(_) => false,
    })
}

/// The URL that users enter in the browser.
pub(crate) fn public_url(file: &RawTable<'_>) -> Option<Origin> {
    let item = file.required("public_url", "public_url = \"http://localhost:8080\"")?;
    let url = item.parse(origins::public_url)?;
    if url.scheme == Scheme::Http && !url.host.is_loopback() {
        item.location.warning(
            ValueRefusal::new("over plain http anyone on the network path can read passwords and cookies")
                .write(format!("write \"https://{}\", with a proxy in front that terminates TLS", url.host)),
        );
    }
    Some(url)
}

/// Further accepted host names.
pub(crate) fn hosts(file: &RawTable<'_>) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for item in file.list("hosts") {
        let Some(host) = item.parse(origins::host) else { continue };
        if hosts.contains(&host) {
            item.location
                .problem(ValueRefusal::new(format!("{host} is listed twice")).write("remove it, or the other one"));
        } else {
            hosts.push(host);
        }
    }
    hosts
}

/// The proxies whose `X-Forwarded-For` and `-Proto` are trusted.
pub(crate) fn trusted_proxies(file: &RawTable<'_>) -> TrustedProxies {
    let items = file.list("trusted_proxies");
    let is_unix = |text: Option<&str>| text == Some("unix");
    let (unix, networks): (Vec<_>, Vec<_>) = items.iter().partition(|item| is_unix(item.peek()));
    TrustedProxies {
        networks: networks.iter().filter_map(|item| item.parse(network)).collect(),
        unix: !unix.is_empty(),
    }
}

fn network(text: &str) -> Result<IpNet, ValueRefusal> {
    let single = |_| text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse::<IpNet>().or_else(single).map_err(|_| {
        ValueRefusal::new(format!("\"{text}\" is not an address or a network"))
            .write("write \"10.0.0.7\", \"10.0.0.0/24\" or \"unix\"")
    })?;
    if network.trunc() != network {
        return Err(ValueRefusal::new(format!(
            "{} is an address in a network, not the network itself",
            network.addr()
        ))
        .write(format!("write \"{}\" or \"{}\"", network.trunc(), network.addr())));
    }
    if is_ipv4_within_ipv6(&network) {
        return Err(ValueRefusal::new(
            "an IPv4 address in IPv6 form never matches: clients are known by the IPv4 form",
        )
        .write("write \"10.0.0.7\" or \"10.0.0.0/24\""));
    }
    if is_too_large(&network) {
        return Err(ValueRefusal::new("would trust nearly every address of the internet")
            .write("write \"10.0.0.7\", the proxy's own address"));
    }
    Ok(network)
}

/// Larger than any private network: 10.0.0.0/8, fc00::/7.
fn is_too_large(network: &IpNet) -> bool {
    let least = if network.addr().is_ipv4() { 8 } else { 7 };
    network.prefix_len() < least
}

/// IPv4-mapped addresses (RFC 4291 2.5.5.2) would never match, since peers are compared in IPv4 form.
fn is_ipv4_within_ipv6(network: &IpNet) -> bool {
    matches!(network, IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_networks_are_limited_in_size() {
        for good in ["10.0.0.0/8", "127.0.0.1", "::1", "fc00::/7", "192.168.0.0/16", "10.1.2.3/32"] {
            assert!(network(good).is_ok(), "{good}");
        }
        let bad = ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "2000::/3", "::ffff:0:0/96", "10.0.0.1/8", "*"];
        for bad in bad {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn upstreams_that_lead_back_to_the_gateway_are_detected() {
        let cases = [
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true),
            ("0.0.0.0:80", "[::ffff:127.0.0.2]:80", true),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80", true),
            ("127.0.0.1:80", "[::ffff:0.0.0.0]:80", true),
            ("10.0.0.1:80", "127.0.0.1:80", false),
            ("unix:/a", "127.0.0.1:80", false),
        ];
        for (own, target, want) in cases {
            assert_eq!(reaches(&target.parse().unwrap(), &[own.parse().unwrap()]), want, "{own} {target}");
        }
    }

    #[test]
    fn addresses_collide_as_the_system_sees_it() {
        let cases = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/b", false),
        ];
        for (one, other, want) in cases {
            let parse = |text: &str| text.parse::<ListenAddress>().unwrap();
            assert_eq!(collide(&parse(one), &parse(other)), want, "{one} {other}");
        }
    }
}
