//! The parsed URL of a server to which the gateway sends requests.

use std::fmt;

use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use thiserror::Error;
use url::{Host, Url};

/// The maximum length of a URL in bytes.
const MAX_URL_LENGTH: usize = 2048;

/// The destination of requests.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OutboundEndpoint {
    /// The name that the server's certificate must have; `None` for plain http.
    pub(super) server_name: Option<ServerName<'static>>,
    /// The host name or address to connect to.
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of the `Host` header.
    pub(super) authority: HeaderValue,
    /// The request target: path and query.
    pub(super) target: Uri,
}

/// Why a text is not an address that requests can be sent to. Its message says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum OutboundEndpointError {
    /// It is not an address of http or https, or too long.
    #[error("must be an address: write \"https://audit.example.com/exeunt\"")]
    Malformed,
    /// `https://user:password@host/`.
    #[error("must not contain a user or a password: requests are signed with the secret instead")]
    HasUser,
    /// `https://host/#a`.
    #[error("must not contain a fragment: write it without \"#\" and what follows")]
    HasFragment,
}

impl OutboundEndpoint {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Self, OutboundEndpointError> {
        let wrong = OutboundEndpointError::Malformed;
        let url = Url::parse(text).ok().filter(|_| text.len() <= MAX_URL_LENGTH).ok_or(wrong)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundEndpointError::HasUser);
        }
        if url.fragment().is_some() {
            return Err(OutboundEndpointError::HasFragment);
        }
        let host = match url.host().ok_or(wrong)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let server_name = match url.scheme() {
            "https" => Some(ServerName::try_from(host.clone()).map_err(|_| wrong)?),
            _ => None,
        };
        let authority = url[url::Position::BeforeHost..url::Position::AfterPort].parse().map_err(|_| wrong)?;
        let target = url[url::Position::BeforePath..url::Position::AfterQuery].parse().map_err(|_| wrong)?;
        let port = url.port_or_known_default().ok_or(wrong)?;
        Ok(Self { server_name, host, port, authority, target })
    }

    /// Whether requests travel unencrypted over a network: plain http to a host other than loopback.
    pub(crate) fn is_exposed(&self) -> bool {
        let is_loopback = self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        self.server_name.is_none() && !is_loopback
    }
}

/// Without path and query, which may contain a token.
impl fmt::Debug for OutboundEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.server_name.is_some() { "https" } else { "http" };
        write!(f, "{scheme}://{}/…", self.authority.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_parsed() {
        let cases = [
            ("https://audit.test/a?b=c", "audit.test", 443, "audit.test", "/a?b=c", true),
            ("http://127.0.0.1:9000", "127.0.0.1", 9000, "127.0.0.1:9000", "/", false),
            ("https://[::1]:8443/x", "::1", 8443, "[::1]:8443", "/x", true),
            ("http://AUDIT.test:80/", "audit.test", 80, "audit.test", "/", false),
        ];
        for (text, host, port, authority, target, tls) in cases {
            let read = OutboundEndpoint::parse(text).unwrap();
            let got = (read.host.as_str(), read.port, read.authority.to_str().unwrap(), read.target.to_string());
            assert_eq!(got, (host, port, authority, target.to_owned()), "{text}");
            assert_eq!(read.server_name.is_some(), tls, "{text}");
        }
        for text in ["", "audit.test", "ftp://a.test/", "http://u:p@a.test/", "http://a.test/#x", "https://"] {
            assert!(OutboundEndpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_http_is_exposed_except_to_loopback() {
        for (text, exposed) in [
            ("http://audit.test/", true),
            ("http://10.0.0.1/", true),
            ("https://audit.test/", false),
            ("http://127.0.0.1:1/", false),
            ("http://[::1]/", false),
            ("http://localhost/", false),
        ] {
            assert_eq!(OutboundEndpoint::parse(text).unwrap().is_exposed(), exposed, "{text}");
        }
        assert_eq!(format!("{:?}", OutboundEndpoint::parse("https://a.test/token?x=1").unwrap()), "https://a.test/…");
    }
}
