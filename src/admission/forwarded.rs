//! The `X-Forwarded-*` headers. Applications receive only those that the gateway writes.

use bytes::BytesMut;
use http::HeaderValue;

use super::facts::RequestFacts;
use crate::http1::header_edits::put_parts;
use crate::http1::provenance::Provenance;
use crate::values::client_address::ClientAddress;
use crate::values::origin::Scheme;

/// The values of `X-Forwarded-*` for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    client: ClientAddress,
    chain: Option<HeaderValue>,
    scheme: Scheme,
    host: Box<str>,
}

impl Forwarded {
    /// The values for a client's request. `public` is the scheme unless a trusted proxy sends another one.
    pub(super) fn of(facts: &RequestFacts<'_>, public: Scheme) -> Self {
        Self::new(&facts.provenance, facts.authority, public)
    }

    fn new(provenance: &Provenance, authority: &str, public: Scheme) -> Self {
        Self {
            client: provenance.client,
            chain: provenance.chain.clone(),
            scheme: provenance.scheme.unwrap_or(public),
            host: authority.into(),
        }
    }

    /// The values for a request that the gateway makes itself on behalf of this client.
    pub(crate) fn for_own_request(client: ClientAddress, scheme: Scheme, authority: &str) -> Self {
        Self { client, chain: None, scheme, host: authority.into() }
    }

    /// The origin of the address that the client requested.
    pub(super) fn origin(&self) -> String {
        let host = self.host.trim_end_matches(':');
        let default = format!(":{}", default_port(self.scheme));
        format!("{}://{}", self.scheme.as_str(), host.strip_suffix(&default).unwrap_or(host))
    }

    /// The `Host` of the request, as the client wrote it.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Writes the headers.
    pub(super) fn put(&self, to: &mut BytesMut) {
        match (&self.chain, self.client) {
            (Some(chain), _) => put_parts(to, &[b"X-Forwarded-For: ", chain.as_bytes(), b"\r\n"]),
            (None, ClientAddress::Ip(_)) => {
                to.extend_from_slice(b"X-Forwarded-For: ");
                self.client.write_to(to);
                to.extend_from_slice(b"\r\n");
            }
            (None, ClientAddress::Unix) => {}
        }
        let (proto, host, port) = (self.scheme.as_str().as_bytes(), self.host.as_bytes(), self.port().as_bytes());
        put_parts(to, &[b"X-Forwarded-Proto: ", proto, b"\r\nX-Forwarded-Host: ", host]);
        put_parts(to, &[b"\r\nX-Forwarded-Port: ", port, b"\r\n"]);
    }

    fn port(&self) -> &str {
        let colon = self.host.as_bytes().iter().rposition(|&byte| byte == b':');
        let port = colon.and_then(|at| self.host.get(at + 1..));
        port.filter(|port| !port.is_empty() && !port.ends_with(']')).unwrap_or(default_port(self.scheme))
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
    fn forwarded_headers_are_set_by_the_gateway() {
        let provenance = |scheme| Provenance {
            client: ClientAddress::Ip("192.0.2.7".parse().unwrap()),
            scheme,
            by_trusted_proxy: false,
            chain: None,
        };
        let told = |scheme, authority, public| {
            let mut lines = BytesMut::new();
            Forwarded::new(&provenance(scheme), authority, public).put(&mut lines);
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
