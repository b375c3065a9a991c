//! The origin of a request: the peer of the connection, or the client that trusted proxies in front report.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue};

use super::headers::{Headers, text};
use crate::values::client_address::{ClientAddress, Peer, TrustedProxies};
use crate::values::origin::Scheme;

/// The origin of a request, from its connection and the headers of trusted proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// The client's address.
    pub(crate) client: ClientAddress,
    /// The scheme between the client and the first trusted hop, if a trusted hop reports it.
    pub(crate) scheme: Option<Scheme>,
    /// Whether the peer of the connection is a trusted proxy.
    pub(crate) by_trusted_proxy: bool,
    /// The value for `X-Forwarded-For`: the addresses of the client and of the proxies, as trusted proxies report them.
    pub(crate) chain: Option<HeaderValue>,
}

/// The maximum number of hops that are read from `X-Forwarded-For`; the rest is not trusted.
const MAX_HOPS: usize = 32;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Provenance {
    /// Walks the hops from the peer of the connection towards the client, as long as the reporting hop is trusted.
    pub(crate) fn of(peer: Peer, headers: &dyn Headers, trusted: &TrustedProxies) -> Self {
        let mut client = match peer {
            Peer::Tcp(address) => ClientAddress::Ip(address.ip().to_canonical()),
            Peer::Unix => ClientAddress::Unix,
        };
        if !trusted.trusts(client) {
            return Self { client, scheme: None, by_trusted_proxy: false, chain: None };
        }
        let scheme = last_value(headers, &X_FORWARDED_PROTO).and_then(Scheme::parse);
        let mut chain = match client {
            ClientAddress::Ip(address) => address.to_string(),
            ClientAddress::Unix => String::new(),
        };
        for hop in hops_nearest_first(headers).take(MAX_HOPS) {
            let Some(hop) = parse_hop(hop) else { break };
            client = ClientAddress::Ip(hop);
            let separator = if chain.is_empty() { "" } else { ", " };
            chain = format!("{hop}{separator}{chain}");
            if !trusted.trusts(client) {
                break;
            }
        }
        let chain = (!chain.is_empty()).then(|| HeaderValue::try_from(chain)).and_then(Result::ok);
        Self { client, scheme, by_trusted_proxy: true, chain }
    }
}

fn last_value<'a>(headers: &'a dyn Headers, name: &'a HeaderName) -> Option<&'a str> {
    text(headers.lines(name).last()?)?.rsplit(',').next().map(str::trim)
}

fn hops_nearest_first(headers: &dyn Headers) -> impl Iterator<Item = &str> {
    let lines: Vec<_> = headers.lines(&X_FORWARDED_FOR).collect();
    lines.into_iter().rev().flat_map(|line| text(line).unwrap_or("").rsplit(',').map(str::trim))
}

/// An address, with or without a port.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let address = bracketed.and_then(|text| text.parse().ok()).or_else(|| text.parse().ok());
    address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip())).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn described(provenance: &Provenance) -> &str {
        provenance.chain.as_ref().map_or("", |value| value.to_str().unwrap())
    }

    fn provenance(trusted: &[&str], peer: &str, forwarded_for: &[&str], proto: &str) -> Provenance {
        let networks = trusted.iter().filter_map(|text| text.parse().ok()).collect();
        let trusted = TrustedProxies { networks, unix: trusted.contains(&"unix") };
        let value = |text: &&str| HeaderValue::from_str(text).unwrap();
        let mut headers: HeaderMap = forwarded_for.iter().map(|line| (X_FORWARDED_FOR.clone(), value(line))).collect();
        headers.insert(X_FORWARDED_PROTO.clone(), value(&proto));
        let peer = peer.parse().map_or(Peer::Unix, Peer::Tcp);
        Provenance::of(peer, &headers, &trusted)
    }

    #[test]
    fn no_proxy_is_trusted_by_default() {
        let got = provenance(&[], "192.0.2.7:1000", &["127.0.0.1"], "https");
        let client = ClientAddress::Ip("192.0.2.7".parse().unwrap());
        assert_eq!(got, Provenance { client, scheme: None, by_trusted_proxy: false, chain: None });
        let unknown = provenance(&[], "x", &["127.0.0.1"], "https");
        assert_eq!(unknown, Provenance { client: ClientAddress::Unix, ..got });
    }

    #[test]
    fn trust_ends_at_the_first_hop_that_is_not_trusted() {
        let cases: [(&[&str], &[&str], &str, &str); 6] = [
            (&["10.0.0.0/8"], &["203.0.113.9"], "203.0.113.9", "203.0.113.9, 10.0.0.1"),
            (&["10.0.0.0/8"], &["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9", "203.0.113.9, 10.0.0.2, 10.0.0.1"),
            (&["10.0.0.0/8"], &["1.1.1.1", "203.0.113.9"], "203.0.113.9", "203.0.113.9, 10.0.0.1"),
            (&["10.0.0.0/8"], &["unknown"], "10.0.0.1", "10.0.0.1"),
            (&["10.0.0.0/8"], &["[2001:db8::1]:99"], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
            (&["10.0.0.0/8"], &[], "10.0.0.1", "10.0.0.1"),
        ];
        for (trusted, lines, client, forwarded_for) in cases {
            let got = provenance(trusted, "10.0.0.1:1", lines, "https");
            assert_eq!(got.client.to_string(), client, "{lines:?}");
            assert_eq!(described(&got), forwarded_for, "{lines:?}");
            assert_eq!(got.scheme, Some(Scheme::Https));
        }
        assert_eq!(described(&provenance(&["unix"], "x", &["203.0.113.9"], "http")), "203.0.113.9");
    }
}
