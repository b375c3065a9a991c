//! The address of an upstream, in the notation of the configuration.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::origin::{Authority, Host, Scheme};

/// One upstream as configured: `http://host[:port]`, `https://host[:port]`, `unix:/path` or `demo`.
///
/// There is no path: the application receives the path that was checked, without a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamAddress {
    /// An application reached over TCP.
    Tcp {
        /// `http`, or `https` with the certificate verified for `host`.
        scheme: Scheme,
        /// The name to be resolved, or the IP address.
        host: Host,
        /// The port; the default port of the scheme if none is given.
        port: u16,
    },
    /// Plain HTTP over the unix socket with this absolute path.
    Unix(PathBuf),
    /// The built-in sample application. Its address is known when it has been started.
    Sample,
}

/// The address of the sample application in the configuration.
const SAMPLE: &str = "demo";

/// The maximum length of the path of a unix socket on Linux in bytes, without the terminating NUL.
const MAX_SOCKET_PATH: usize = 107;

/// A mistake in an upstream address, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}; write {write}")]
pub struct BadUpstreamAddress {
    /// The mistake, as the end of a sentence that begins with the address.
    pub(crate) problem: &'static str,
    /// What to write instead.
    pub(crate) write: String,
}

impl UpstreamAddress {
    /// Parses an address.
    ///
    /// # Errors
    /// [`BadUpstreamAddress`], with a correction: for `host:port` the same with `http://`, for an address with a path
    /// the same without it.
    pub fn parse(text: &str) -> Result<Self, BadUpstreamAddress> {
        if text == SAMPLE {
            return Ok(Self::Sample);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return parse_unix(path);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(without_scheme(text));
        };
        let Some(scheme) = Scheme::parse(scheme) else {
            return Err(bad("must begin with http:// or https://", format!("\"http://{rest}\"")));
        };
        parse_tcp(scheme, rest)
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { scheme: Scheme::Https, .. })
    }

    /// The socket address, if the host is an IP address and needs no resolving.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        let Self::Tcp { host, port, .. } = self else { return None };
        Some(SocketAddr::new(host.ip()?, *port))
    }

    /// The name or address that a TLS certificate must be valid for, IPv6 without brackets; `None` without TLS.
    /// Never empty.
    pub(crate) fn server_name(&self) -> Option<&str> {
        match self {
            Self::Tcp { scheme: Scheme::Https, host, .. } => Some(unbracketed(host)),
            _ => None,
        }
    }
}

fn parse_tcp(scheme: Scheme, rest: &str) -> Result<UpstreamAddress, BadUpstreamAddress> {
    let name = scheme.as_str();
    if let Some(end) = rest.find(['/', '?', '#']) {
        let (authority, _) = rest.split_at(end);
        return Err(bad("must end after host and port", format!("\"{name}://{authority}\"")));
    }
    if let Some((_, authority)) = rest.rsplit_once('@') {
        return Err(bad("must not contain a user name", format!("\"{name}://{authority}\"")));
    }
    let authority = Authority::parse(rest).filter(|authority| authority.port != Some(0));
    let Some(Authority { host, port }) = authority else {
        return Err(bad("has no valid host and port", format!("\"{name}://127.0.0.1:9000\"")));
    };
    // The engine would verify the certificate of `a_b.example.com` for `a-b.example.com`.
    if scheme == Scheme::Https && host.as_str().contains('_') {
        return Err(bad(
            "has an underscore, which no certificate can contain",
            format!("\"{name}://{}\", a host name of letters, digits and hyphens", rest.replace('_', "-")),
        ));
    }
    Ok(UpstreamAddress::Tcp { scheme, host, port: port.unwrap_or(scheme.default_port()) })
}

fn parse_unix(path: &str) -> Result<UpstreamAddress, BadUpstreamAddress> {
    let example = || "\"unix:/run/app/http.sock\"".to_owned();
    if !path.starts_with('/') {
        return Err(bad("must have the absolute path of a socket", example()));
    }
    if path.len() > MAX_SOCKET_PATH || path.contains('\0') || path.ends_with('/') {
        return Err(bad("is not a path that a socket can have (107 bytes at most)", example()));
    }
    Ok(UpstreamAddress::Unix(PathBuf::from(path)))
}

fn without_scheme(text: &str) -> BadUpstreamAddress {
    if text.starts_with('/') {
        return bad("has no scheme", format!("\"unix:{text}\""));
    }
    let rest = if Authority::parse(text).is_some() { text } else { "127.0.0.1:9000" };
    bad("has no scheme", format!("\"http://{rest}\""))
}

fn bad(problem: &'static str, write: String) -> BadUpstreamAddress {
    BadUpstreamAddress { problem, write }
}

fn unbracketed(host: &Host) -> &str {
    let text = host.as_str();
    text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text)
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sample => f.write_str(SAMPLE),
            Self::Unix(path) => write!(f, "unix:{}", Path::display(path)),
            Self::Tcp { scheme, host, port } => write!(f, "{}://{host}:{port}", scheme.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_and_normalised() {
        let cases = [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("HTTP://App.Internal", "http://app.internal:80"),
            ("https://app.internal", "https://app.internal:443"),
            ("http://[::1]", "http://[::1]:80"),
            ("https://[0:0::1]:8443", "https://[::1]:8443"),
            ("http://my_app:3000", "http://my_app:3000"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("demo", "demo"),
        ];
        for (text, want) in cases {
            assert_eq!(UpstreamAddress::parse(text).unwrap().to_string(), want, "{text}");
        }
    }

    #[test]
    fn an_error_says_what_to_write() {
        let cases = [
            ("127.0.0.1:9000", "\"http://127.0.0.1:9000\""),
            ("localhost:9000", "\"http://localhost:9000\""),
            ("app", "\"http://app\""),
            ("", "\"http://127.0.0.1:9000\""),
            ("/run/app.sock", "\"unix:/run/app.sock\""),
            ("http://app:80/", "\"http://app:80\""),
            ("http://app/base?x#y", "\"http://app\""),
            ("https://app?x", "\"https://app\""),
            ("http://user:secret@app:80", "\"http://app:80\""),
            ("ftp://app", "\"http://app\""),
            ("http://app:0", "\"http://127.0.0.1:9000\""),
            ("http://app:99999", "\"http://127.0.0.1:9000\""),
            ("http://", "\"http://127.0.0.1:9000\""),
            ("http://a b", "\"http://127.0.0.1:9000\""),
            ("https://a_b.example.com", "\"https://a-b.example.com\", a host name of letters, digits and hyphens"),
            ("unix:run/app.sock", "\"unix:/run/app/http.sock\""),
            ("unix:", "\"unix:/run/app/http.sock\""),
            ("unix:/run/app/", "\"unix:/run/app/http.sock\""),
        ];
        for (text, want) in cases {
            assert_eq!(UpstreamAddress::parse(text).unwrap_err().write, want, "{text}");
        }
        let path = |length: usize| UpstreamAddress::parse(&format!("unix:/{}", "x".repeat(length - 1)));
        assert!(path(107).is_ok() && path(108).is_err());
        let message = UpstreamAddress::parse("app").unwrap_err().to_string();
        assert_eq!(message, "has no scheme; write \"http://app\"");
    }

    #[test]
    fn every_tls_upstream_has_a_server_name() {
        let name = |text: &str| {
            let address = UpstreamAddress::parse(text).unwrap();
            assert_eq!(address.is_tls(), address.server_name().is_some());
            address.server_name().map(str::to_owned)
        };
        assert_eq!(name("https://App.test").as_deref(), Some("app.test"));
        assert_eq!(name("https://[::1]:8443").as_deref(), Some("::1"));
        assert_eq!(name("https://10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(name("http://app.test"), None);
        assert_eq!(name("unix:/run/app.sock"), None);
        assert_eq!(name("demo"), None);
    }

    #[test]
    fn literals_need_no_resolving() {
        let literal = |text: &str| UpstreamAddress::parse(text).unwrap().literal();
        assert_eq!(literal("http://10.0.0.1"), Some("10.0.0.1:80".parse().unwrap()));
        assert_eq!(literal("https://[::1]"), Some("[::1]:443".parse().unwrap()));
        assert_eq!(literal("http://app.test"), None);
        assert_eq!(literal("unix:/run/app.sock"), None);
    }
}
