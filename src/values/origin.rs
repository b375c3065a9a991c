//! Hosts and origins, as browsers, the configuration and the `Host` header name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The scheme of a URL: that of the gateway for browsers, or of an allowed return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The scheme in lower case.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL without one.
    pub(crate) const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Parses a scheme in any letter case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
    }
}

/// A host name without port, in lower case: letters, digits, hyphens, underscores and dots, an IPv4 address, or an IPv6
/// address in brackets. It has no trailing dot, user information, escapes or non-ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Box<str>);

/// The maximum length of a host name in characters (RFC 1035 2.3.4).
const MAX_HOST: usize = 253;

impl Host {
    /// Parses a host name in any letter case; `None` if it is not valid.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(literal) = text.strip_prefix('[') {
            let address: Ipv6Addr = literal.strip_suffix(']')?.parse().ok()?;
            return Some(Self(format!("[{address}]").into()));
        }
        let named = !text.is_empty() && text.len() <= MAX_HOST && text.split('.').all(is_label);
        // To browsers a host with a numeric last label is an IPv4 address; only the dotted decimal form is allowed.
        let numeric = text.rsplit('.').next().is_some_and(is_number);
        let sound = named && (!numeric || text.parse::<Ipv4Addr>().is_ok()) && is_readable(text);
        sound.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The name in lower case.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The IP address, if the host is one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        let unbracketed = self.0.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        unbracketed.unwrap_or(&self.0).parse().ok()
    }

    /// Whether the host is a loopback name: `localhost`, `[::1]`, or an address in 127.0.0.0/8.
    pub(crate) fn is_loopback(&self) -> bool {
        matches!(self.as_str(), "localhost" | "[::1]") || self.is_loopback_v4()
    }

    fn is_loopback_v4(&self) -> bool {
        self.0.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether this host is a subdomain of `parent`.
    pub(crate) fn is_subdomain_of(&self, parent: &Host) -> bool {
        self.0.strip_suffix(parent.as_str()).is_some_and(|head| head.ends_with('.'))
    }
}

fn is_label(label: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(sound) && !label.starts_with('-') && !label.ends_with('-')
}

/// Whether browsers accept an internationalised name: they refuse invalid Punycode.
fn is_readable(text: &str) -> bool {
    let encoded = |label: &str| label.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("xn--"));
    !text.split('.').any(encoded) || url::Host::parse(text).is_ok()
}

/// Whether the URL standard takes the last label of a host for a number: digits, or `0x` at its beginning.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("0x"));
    hexadecimal || (!label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host with an optional port, as in a `Host` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The host in lower case.
    pub(crate) host: Host,
    /// The port, if there is one.
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// Parses `host` or `host:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        Some(Self { host: Host::parse(host)?, port })
    }

    /// Parses the value of a `Host` header. Also accepts a trailing dot (`localhost.`), and a colon without a port
    /// (`localhost:`, RFC 3986 3.2.3).
    pub(crate) fn of_header(text: &str) -> Option<Self> {
        let (host, port) = split_port(text.strip_suffix(':').unwrap_or(text))?;
        let name = host.strip_suffix('.').filter(|name| !name.ends_with(']'));
        Some(Self { host: Host::parse(name.unwrap_or(host))?, port })
    }

    /// The origin of a page with this authority and `scheme`.
    pub(crate) fn origin(&self, scheme: Scheme) -> Origin {
        Origin { scheme, host: self.host.clone(), port: self.port.unwrap_or(scheme.default_port()) }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Splits the port off. `None` if there is a colon without a valid port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let colon = match text.rfind(']') {
        Some(bracket) => text.get(bracket..)?.find(':').map(|at| bracket + at),
        None => text.find(':'),
    };
    let Some(colon) = colon else { return Some((text, None)) };
    let (host, port) = text.split_at_checked(colon)?;
    parse_port(port.strip_prefix(':')?).map(|port| (host, Some(port)))
}

/// Parses a port. Only digits are allowed, so `+80` and an empty port are refused.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// An origin: scheme, host and port (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The scheme.
    pub(crate) scheme: Scheme,
    /// The host.
    pub(crate) host: Host,
    /// The port, or the default port of the scheme.
    pub(crate) port: u16,
}

impl Origin {
    /// Parses `scheme://host[:port]`, from an `Origin` header or the configuration, without a path.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        Some(Authority::parse(rest)?.origin(Scheme::parse(scheme)?))
    }

    /// Parses the value of an `Origin` header. Also accepts a trailing dot, which browsers keep.
    pub(crate) fn of_header(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        Some(Authority::of_header(rest)?.origin(Scheme::parse(scheme)?))
    }

    /// Whether the port is the default port of the scheme.
    pub(crate) fn has_default_port(&self) -> bool {
        self.port == self.scheme.default_port()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.has_default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_converted_to_lower_case_and_invalid_ones_refused() {
        let cases = [
            ("app.test", Some("app.test")),
            ("APP.Test", Some("app.test")),
            ("a_b.test", Some("a_b.test")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[::1]", Some("[::1]")),
            ("[0:0:0:0:0:0:0:1]", Some("[::1]")),
            ("", None),
            ("app.test.", None),
            ("app..test", None),
            ("-a.test", None),
            ("a b", None),
            ("app.test/evil", None),
            ("user@app.test", None),
            ("äpp.test", None),
            ("XN--bcher-kva.test", Some("xn--bcher-kva.test")),
            ("xn--a.test", None),
            ("app.xn--99999999.test", None),
            ("app%2etest", None),
            ("127.1", None),
            ("0x7f.0.0.1", None),
            ("2130706433", None),
            ("0177.0.0.1", None),
            ("[::1", None),
            ("[fe80::1%25eth0]", None),
        ];
        for (text, want) in cases {
            assert_eq!(Host::parse(text).as_ref().map(Host::as_str), want, "{text:?}");
        }
    }

    #[test]
    fn ports_are_digits() {
        let cases = [
            ("app.test", Some(None)),
            ("app.test:443", Some(Some(443))),
            ("[::1]:8080", Some(Some(8080))),
            ("[::1]", Some(None)),
            ("app.test:", None),
            ("app.test:+80", None),
            ("app.test:99999", None),
            ("app.test:80:80", None),
            ("a, b", None),
        ];
        for (text, want) in cases {
            let read = Authority::parse(text);
            assert_eq!(read.as_ref().map(|authority| authority.port), want, "{text:?}");
            assert!(read.is_none_or(|authority| authority.to_string() == text), "{text:?}");
        }
    }

    #[test]
    fn headers_may_name_hosts_with_a_trailing_dot_or_colon() {
        let cases = [
            ("localhost.", Some(("localhost", None))),
            ("localhost:", Some(("localhost", None))),
            ("localhost.:", Some(("localhost", None))),
            ("LocalHost.:8080", Some(("localhost", Some(8080)))),
            ("127.0.0.1.", Some(("127.0.0.1", None))),
            ("[::1]:", Some(("[::1]", None))),
            ("[::1].", None),
            ("[::1.]", None),
            ("localhost..", None),
            ("localhost::", None),
            ("localhost:.", None),
            (".", None),
            (":", None),
            (":80", None),
            ("", None),
        ];
        for (text, want) in cases {
            let read = Authority::of_header(text);
            let read = read.as_ref().map(|authority| (authority.host.as_str(), authority.port));
            assert_eq!(read, want, "{text:?}");
            let origin = Origin::of_header(&format!("http://{text}"));
            assert_eq!(origin.is_some(), want.is_some(), "{text:?}");
        }
        assert_eq!(Origin::of_header("http://app.test."), Origin::parse("http://app.test"));
    }

    #[test]
    fn an_origin_reads_back() {
        for text in ["http://app.test", "https://app.test:8443", "http://[::1]:8080"] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Origin::parse("https://app.test:443"), Origin::parse("HTTPS://APP.test"));
        for text in ["null", "", "app.test", "ftp://app.test", "https://app.test/", "https://u@app.test"] {
            assert_eq!(Origin::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn subdomains_are_cut_at_a_dot() {
        let parent = Host::parse("app.test").unwrap();
        let under = |text: &str| Host::parse(text).unwrap().is_subdomain_of(&parent);
        assert!(under("a.app.test") && under("a.b.app.test"));
        assert!(!under("app.test") && !under("xapp.test") && !under("a.xapp.test") && !under("app.test.evil"));
    }
}
