//! `X-Forwarded-*`: where a request comes from, as the application is told. Written by us alone.

use bytes::BytesMut;
use http::HeaderValue;
use http::header::HOST;

use super::facts::RequestFacts;
use crate::http1::header_edits::put_parts;
use crate::http1::provenance::Provenance;
use crate::values::origin::Scheme;

/// Where a request comes from, as the application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    client: Option<HeaderValue>,
    proto: HeaderValue,
    host: HeaderValue,
    port: HeaderValue,
}

impl Forwarded {
    /// Where this request comes from. `public` is how browsers reach us where nobody who is believed says more.
    pub(super) fn of(facts: &RequestFacts<'_>, public: Scheme) -> Self {
        // There is one, it is where the authority comes from.
        let host = facts.headers.first(&HOST).and_then(|host| HeaderValue::from_bytes(host).ok());
        forwarded(&facts.provenance, facts.authority, host.unwrap_or(HeaderValue::from_static("")), public)
    }

    /// The `Host` that was asked, as the client wrote it.
    pub(super) fn host(&self) -> &str {
        self.host.to_str().unwrap_or("")
    }
}

/// `X-Forwarded-*` from what we know ourselves. `host` is the authority as a header's value.
fn forwarded(provenance: &Provenance, authority: &str, host: HeaderValue, public: Scheme) -> Forwarded {
    let scheme = provenance.scheme.unwrap_or(public);
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| !port.is_empty() && !port.ends_with(']'));
    let port = port.and_then(|port| HeaderValue::from_str(port).ok());
    Forwarded {
        client: provenance.forwarded_for.clone(),
        proto: HeaderValue::from_static(scheme.as_str()),
        host,
        port: port.unwrap_or_else(|| HeaderValue::from_static(default_port(scheme))),
    }
}

impl Forwarded {
    /// Writes it.
    pub(super) fn put(&self, to: &mut BytesMut) {
        if let Some(client) = &self.client {
            put_parts(to, &[b"X-Forwarded-For: ", client.as_bytes(), b"\r\n"]);
        }
        let (proto, host, port) = (self.proto.as_bytes(), self.host.as_bytes(), self.port.as_bytes());
        put_parts(to, &[b"X-Forwarded-Proto: ", proto, b"\r\nX-Forwarded-Host: ", host]);
        put_parts(to, &[b"\r\nX-Forwarded-Port: ", port, b"\r\n"]);
    }
}

const fn default_port(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "80",
        Scheme::Https => "443",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_request_comes_from_is_told_by_us() {
        let provenance = |scheme| Provenance {
            client: crate::values::client_address::ClientAddress::Unix,
            scheme,
            by_trusted_proxy: false,
            forwarded_for: Some(HeaderValue::from_static("192.0.2.7")),
        };
        let told = |scheme, authority, public| {
            let mut lines = BytesMut::new();
            forwarded(&provenance(scheme), authority, HeaderValue::from_static(authority), public).put(&mut lines);
            let lines = String::from_utf8(lines.to_vec()).unwrap();
            let names =
                ["X-Forwarded-For: ", "\r\nX-Forwarded-Proto: ", "\r\nX-Forwarded-Host: ", "\r\nX-Forwarded-Port: "];
            let values = names.iter().fold(lines, |lines, name| lines.replacen(name, "|", 1));
            values.trim_end().split('|').skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(told(None, "app.test", Scheme::Http), ["192.0.2.7", "http", "app.test", "80"]);
        assert_eq!(told(None, "app.test:8443", Scheme::Https), ["192.0.2.7", "https", "app.test:8443", "8443"]);
        assert_eq!(told(None, "app.test:", Scheme::Http), ["192.0.2.7", "http", "app.test:", "80"]);
        assert_eq!(told(Some(Scheme::Http), "[::1]", Scheme::Https), ["192.0.2.7", "http", "[::1]", "80"]);
    }
}
