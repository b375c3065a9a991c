//! Request headers that are removed by default, and that a route passes on (`pass_headers`).

use http::HeaderName;

/// Who may send such a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The peer of the connection, if it is one of `trusted_proxies`.
    TrustedProxy,
    /// Any client.
    Anybody,
}

/// The headers of one route, each with its senders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassHeaders(Vec<(HeaderName, Sender)>);

impl PassHeaders {
    /// These headers, with their senders.
    pub fn new(headers: Vec<(HeaderName, Sender)>) -> Self {
        Self(headers)
    }

    /// Whether a header is passed on. `by_trusted_proxy` says whether a trusted proxy sent it.
    pub(crate) fn pass(&self, name: &HeaderName, by_trusted_proxy: bool) -> bool {
        let passes = |sender: Sender| sender == Sender::Anybody || by_trusted_proxy;
        self.0.iter().any(|(known, sender)| known == name && passes(*sender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_passes_from_the_allowed_senders() {
        let [host, scheme] = ["x-original-host", "x-scheme"].map(HeaderName::from_static);
        let passed = PassHeaders::new(vec![(host.clone(), Sender::TrustedProxy), (scheme.clone(), Sender::Anybody)]);
        let cases = [(&host, true, true), (&host, false, false), (&scheme, true, true), (&scheme, false, true)];
        for (name, trusted, want) in cases {
            assert_eq!(passed.pass(name, trusted), want, "{name} {trusted}");
        }
        assert!(!passed.pass(&HeaderName::from_static("x-host"), true));
    }
}
