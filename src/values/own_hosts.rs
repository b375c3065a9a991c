//! The host names that this gateway serves, and the lookup of a `Host` header among them.

use std::collections::BTreeMap;

use super::origin::{Authority, Host, Origin, Scheme};

/// The hosts of the gateway: the login host first, then those of routes and of `hosts`.
#[derive(Clone, Debug)]
pub struct OwnHosts {
    scheme: Scheme,
    port: u16,
    names: Vec<Host>,
    /// The names and aliases. There are few, so comparisons cost less than a hash.
    index: BTreeMap<Box<str>, HostId>,
}

/// The index of a host of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HostId(usize);

impl HostId {
    /// The login host: the one of `public_url`.
    pub(crate) const LOGIN: Self = Self(0);

    /// The index of this host in lists by host.
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

/// Why a `Host` header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostRefusal {
    /// The header is empty.
    Missing,
    /// It is not a valid host.
    Malformed,
    /// The host is not served.
    Foreign,
}

/// The names that are aliases of each other if the host of `public_url` is a loopback name.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl OwnHosts {
    /// The hosts of a configuration. `public` is the origin of `public_url`; ports are not compared. If its host is a
    /// loopback name, all loopback names are aliases of it.
    pub fn new(public: &Origin, further: impl IntoIterator<Item = Host>) -> Self {
        let login = public.host.clone();
        let mut hosts = Self { scheme: public.scheme, port: public.port, names: Vec::new(), index: BTreeMap::new() };
        if login.is_loopback() {
            hosts.index.extend(LOOPBACK.map(|name| (name.into(), HostId::LOGIN)));
        }
        for host in std::iter::once(login).chain(further) {
            let next = HostId(hosts.names.len());
            let known = *hosts.index.entry(host.as_str().into()).or_insert(next);
            if known == next || hosts.names.is_empty() {
                hosts.names.push(host);
            }
        }
        hosts
    }

    /// The scheme of `public_url`.
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The number of hosts.
    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    /// The names, the login host first.
    pub(crate) fn names(&self) -> &[Host] {
        &self.names
    }

    /// Every name and alias, the login host first, as a list for messages.
    pub(crate) fn list(&self) -> String {
        let aliases =
            self.index.keys().map(|name| &**name).filter(|name| self.names.iter().all(|own| own.as_str() != *name));
        self.names.iter().map(Host::as_str).chain(aliases).collect::<Vec<_>>().join(", ")
    }

    /// The host that the value of a `Host` header names, in any letter case.
    ///
    /// # Errors
    /// [`HostRefusal`]
    pub(crate) fn find(&self, header: &str) -> Result<HostId, HostRefusal> {
        // The common case first: one host name, without a port and in lower case.
        if self.names.first().is_some_and(|login| login.as_str() == header) {
            return Ok(HostId::LOGIN);
        }
        if let Some(&host) = self.index.get(header) {
            return Ok(host);
        }
        if header.is_empty() {
            return Err(HostRefusal::Missing);
        }
        let authority = Authority::of_header(header).ok_or(HostRefusal::Malformed)?;
        self.host_id(&authority.host).ok_or(HostRefusal::Foreign)
    }

    /// The index of a host, if it is served.
    pub(crate) fn host_id(&self, host: &Host) -> Option<HostId> {
        self.index.get(host.as_str()).copied()
    }

    /// The origins of the hosts, with the port of `public_url`.
    pub fn origins(&self) -> impl Iterator<Item = Origin> + '_ {
        let origin = |host: &Host| Origin { scheme: self.scheme, host: host.clone(), port: self.port };
        self.names.iter().map(origin)
    }

    /// Whether an origin is that of a request with this `Host` header: with the same port, or with that of
    /// `public_url`, since a proxy in front may have removed the port.
    pub(crate) fn is_origin_of(&self, authority: &Authority, origin: &Origin) -> bool {
        let same_host = origin.scheme == self.scheme && origin.host == authority.host;
        same_host && (origin.port == authority.origin(self.scheme).port || origin.port == self.port)
    }

    /// The origin of a host, with the port of `public_url`.
    pub(crate) fn public_origin(&self, host: HostId) -> Option<Origin> {
        let host = self.names.get(host.index())?.clone();
        Some(Origin { scheme: self.scheme, host, port: self.port })
    }

    /// Whether an origin belongs to the gateway: its scheme, one of its hosts, and any port, since ports in `Host` are
    /// not compared either.
    pub(crate) fn owns(&self, origin: &Origin) -> bool {
        origin.scheme == self.scheme && self.host_id(&origin.host).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(public: &str, further: &[&str]) -> OwnHosts {
        let further = further.iter().map(|host| Host::parse(host).unwrap());
        OwnHosts::new(&Origin::parse(public).unwrap(), further)
    }

    #[test]
    fn a_host_is_found_with_any_port_and_case() {
        let own = hosts("https://app.test", &["shop.test", "app.test"]);
        assert_eq!(own.count(), 2);
        let cases = [
            ("app.test", Ok(0)),
            ("APP.Test", Ok(0)),
            ("app.test:443", Ok(0)),
            ("app.test:8080", Ok(0)),
            ("shop.test", Ok(1)),
            ("evil.test", Err(HostRefusal::Foreign)),
            ("a.app.test", Err(HostRefusal::Foreign)),
            ("localhost", Err(HostRefusal::Foreign)),
            ("app.test.", Ok(0)),
            ("app.test:", Ok(0)),
            ("Shop.test.:", Ok(1)),
            ("evil.test.", Err(HostRefusal::Foreign)),
            ("", Err(HostRefusal::Missing)),
            (".", Err(HostRefusal::Malformed)),
            ("app.test..", Err(HostRefusal::Malformed)),
            ("app.test::", Err(HostRefusal::Malformed)),
            ("app.test:99999", Err(HostRefusal::Malformed)),
            ("app.test/evil", Err(HostRefusal::Malformed)),
            ("app.test@evil.test", Err(HostRefusal::Malformed)),
            ("app.test, evil.test", Err(HostRefusal::Malformed)),
        ];
        for (header, want) in cases {
            assert_eq!(own.find(header).map(HostId::index), want, "{header:?}");
        }
    }

    #[test]
    fn loopback_names_are_aliases_if_the_public_url_has_one() {
        for public in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:80"] {
            let own = hosts(public, &["shop.test", "127.0.0.1"]);
            for header in [
                "localhost", "localhost.", "localhost:", "127.0.0.1.", "[::1]:", "localhost:1", "127.0.0.1:8080",
                "[::1]", "[::1]:8080", "[0::1]:8080",
            ] {
                assert_eq!(own.find(header), Ok(HostId::LOGIN), "{public} {header}");
            }
            assert_eq!(own.find("shop.test").map(HostId::index), Ok(1));
        }
    }

    #[test]
    fn the_list_has_every_name_that_is_found() {
        assert_eq!(hosts("https://app.test", &["shop.test", "app.test"]).list(), "app.test, shop.test");
        assert_eq!(hosts("http://localhost", &["shop.test"]).list(), "localhost, shop.test, 127.0.0.1, [::1]");
        assert_eq!(hosts("http://127.0.0.2", &[]).list(), "127.0.0.2, 127.0.0.1, [::1], localhost");
    }

    #[test]
    fn the_gateways_origins_are_recognised_by_scheme_and_host() {
        let own = hosts("https://app.test", &["shop.test"]);
        let owns = |text: &str| own.owns(&Origin::parse(text).unwrap());
        assert!(owns("https://app.test") && owns("https://shop.test:8443"));
        assert!(!owns("http://app.test") && !owns("https://evil.test"));
        assert_eq!(
            own.origins().map(|origin| origin.to_string()).collect::<Vec<_>>(),
            ["https://app.test", "https://shop.test"]
        );
    }
}
