//! Rewrites redirects to an application's internal address.
//!
//! An application that does not know its public address answers `Location: http://localhost:9000/dir/`. A browser
//! cannot reach that, or reaches it past the gateway. An address with the application's own authority is rewritten to
//! the origin that the browser requested.

use http::header::{CONTENT_LOCATION, LOCATION, REFRESH};
use http::{HeaderName, HeaderValue};
use url::Url;

use crate::http1::header_edits::{HeaderEdit, HeaderEdits};
use crate::http1::headers::Headers;
use crate::http1::refresh;
use crate::routes::table::Route;
use crate::values::origin::{Authority, Host, Origin, Scheme};
use crate::values::own_hosts::OwnHosts;

/// The headers of an answer that contain an address to rewrite.
pub(crate) static ADDRESS_HEADERS: [HeaderName; 3] = [LOCATION, CONTENT_LOCATION, REFRESH];

/// What decides which addresses are the application's own, and how they are rewritten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicAddress<'a> {
    /// The route of the answer.
    pub(crate) route: &'a Route,
    /// The hosts that are served here.
    pub(crate) hosts: &'a OwnHosts,
    /// The `Host` of the request, port included.
    pub(crate) asked: &'a str,
}

impl PublicAddress<'_> {
    /// Adds the edits that rewrite every line of one of the [`ADDRESS_HEADERS`] headers.
    pub(crate) fn edit(&self, name: &HeaderName, headers: &dyn Headers, edits: &mut HeaderEdits) {
        if *name == REFRESH
            && let Some(joined) = joined(name, headers)
        {
            // Browsers join all lines of this header.
            let rewritten = self.rewritten(name, &joined);
            edits.extend(rewritten.map(|value| HeaderEdit::Set(name.clone(), value)));
            return;
        }
        let lines: Vec<_> = headers.lines(name).map(|line| (line, self.rewritten(name, line))).collect();
        if lines.iter().all(|(_, rewritten)| rewritten.is_none()) {
            return;
        }
        edits.push(HeaderEdit::Remove(name.clone()));
        let lines = lines.into_iter().map(|(line, rewritten)| rewritten.or_else(|| HeaderValue::from_bytes(line).ok()));
        edits.extend(lines.flatten().map(|line| HeaderEdit::Add(name.clone(), line)));
    }

    fn rewritten(&self, name: &HeaderName, value: &[u8]) -> Option<HeaderValue> {
        let place = if *name == REFRESH { refresh::address(value)? } else { 0..value.len() };
        let absolute = AbsoluteAddress::read(value.get(place.clone())?)?;
        let origin = self.public(&absolute)?.to_string();
        let before = value.get(..place.start)?;
        let behind = value.get(place.start + absolute.length..)?;
        HeaderValue::from_bytes(&[before, origin.as_bytes(), behind].concat()).ok()
    }

    /// The public form of an address that is the application's internal one; `None` for every other address.
    fn public(&self, absolute: &AbsoluteAddress) -> Option<Origin> {
        let origin =
            if self.is_the_applications(absolute) { self.asked_origin()? } else { self.of_own_host(absolute)? };
        let lowers = absolute.scheme == Scheme::Https && origin.scheme == Scheme::Http;
        (!lowers).then_some(origin)
    }

    fn is_the_applications(&self, absolute: &AbsoluteAddress) -> bool {
        let AbsoluteAddress { scheme, host, port, .. } = absolute;
        let told = self.route.upstream_host.as_ref().filter(|told| told.host == *host);
        let its_port = |told: &Authority| told.port.unwrap_or(scheme.default_port()) == *port;
        told.is_some_and(|told| its_port(told) || self.route.pool.listens_at(*port))
            || self.route.pool.is_at(*scheme, host, *port)
    }

    /// An address at one of the gateway's hosts that the application has put together wrongly: with the port that it
    /// listens on, or with http although browsers use https.
    fn of_own_host(&self, absolute: &AbsoluteAddress) -> Option<Origin> {
        let asked = self.asked_origin()?;
        let id = self.hosts.host_id(&absolute.host)?;
        let same = self.hosts.host_id(&asked.host) == Some(id);
        let public = if same { asked } else { Origin { host: absolute.host.clone(), ..self.hosts.public_origin(id)? } };
        let plain = absolute.scheme == Scheme::Http && public.scheme == Scheme::Https;
        let its_port = self.route.pool.listens_at(absolute.port);
        (its_port || plain && matches!(absolute.port, 80 | 443) || plain && absolute.port == public.port)
            .then_some(public)
    }

    /// The origin that the browser requested. If a proxy in front has removed the port, it is that of `public_url`.
    fn asked_origin(&self) -> Option<Origin> {
        let asked = Authority::parse(self.asked)?;
        let public = self.hosts.public_origin(self.hosts.host_id(&asked.host)?)?;
        Some(Origin { port: asked.port.unwrap_or(public.port), host: asked.host, ..public })
    }
}

/// All lines of a header, joined; `None` if there is only one.
fn joined(name: &HeaderName, headers: &dyn Headers) -> Option<Vec<u8>> {
    let lines: Vec<_> = headers.lines(name).collect();
    (lines.len() > 1).then(|| lines.join(b", ".as_slice()))
}

/// The beginning of an absolute address, as browsers read it.
#[derive(Debug, PartialEq, Eq)]
struct AbsoluteAddress {
    scheme: Scheme,
    host: Host,
    port: u16,
    /// The length of scheme and authority, in bytes.
    length: usize,
}

impl AbsoluteAddress {
    /// `None` if it is not an absolute http or https URL, or if programs would read its authority in different ways:
    /// with userinfo, a backslash or control characters.
    fn read(text: &[u8]) -> Option<Self> {
        let colon = text.iter().position(|&byte| byte == b':')?;
        let scheme = Scheme::parse(std::str::from_utf8(text.get(..colon)?).ok()?)?;
        let behind = text.get(colon..)?.strip_prefix(b"://")?;
        let end = behind.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(behind.len());
        let authority = behind.get(..end)?;
        let odd = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'@' | b'\\');
        if authority.is_empty() || authority.iter().any(odd) {
            return None;
        }
        let url = Url::parse(&format!("{}://{}/", scheme.as_str(), std::str::from_utf8(authority).ok()?)).ok()?;
        let host = url.host_str()?;
        let host = Host::parse(host.strip_suffix('.').unwrap_or(host))?;
        Some(Self { scheme, host, port: url.port_or_known_default()?, length: colon + "://".len() + end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::access::Access;
    use crate::routes::resolver::Upstreams;
    use crate::routes::settings::tests::route;
    use crate::values::time::Clock;
    use crate::values::upstream_address::UpstreamAddress;
    use http::HeaderMap;
    use tokio::runtime::Handle;

    /// The `Location` that the browser receives, with this public URL, upstream and requested host.
    fn seen(public: &str, upstream: &str, asked: &str, location: &str) -> String {
        received(public, upstream, None, asked, &LOCATION, location)
    }

    fn received(
        public: &str,
        upstream: &str,
        host: Option<&str>,
        asked: &str,
        name: &HeaderName,
        value: &str,
    ) -> String {
        let mut settings = route("/", Access::SignedIn);
        settings.upstreams = upstream.split(' ').map(|text| UpstreamAddress::parse(text).unwrap()).collect();
        settings.upstream_host = host.map(|host| Authority::parse(host).unwrap());
        let route = settings.assemble(&Upstreams::new(Handle::current()), &Clock::system());
        let hosts = OwnHosts::new(&Origin::parse(public).unwrap(), [Host::parse("shop.test").unwrap()]);
        let line = |line: &str| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
        let mut headers: HeaderMap = value.split(" | ").map(line).collect();
        let mut edits = HeaderEdits::new();
        PublicAddress { route: &route, hosts: &hosts, asked }.edit(name, &headers, &mut edits);
        edits.iter().for_each(|edit| edit.apply(&mut headers));
        let lines: Vec<_> = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        lines.join(" | ")
    }

    #[tokio::test]
    async fn the_applications_own_addresses_are_rewritten() {
        let (local, named) = ("http://localhost:9000", "http://app.internal");
        let cases = [
            (local, "http://localhost:9000/dir/", "https://wiki.test/dir/"),
            (local, "HTTP://LOCALHOST:9000", "https://wiki.test"),
            (local, "http://localhost:09000?x#y", "https://wiki.test?x#y"),
            (local, "https://localhost:9000/%zz\u{e4}", "https://wiki.test/%zz\u{e4}"),
            (local, "http://localhost.:9000/", "https://wiki.test/"),
            (local, "http://%6cocalhost:9000/", "https://wiki.test/"),
            ("http://127.0.0.1:9000", "http://127.1:9000/", "https://wiki.test/"),
            ("http://[::1]:9000", "http://[0:0::1]:9000/", "https://wiki.test/"),
            ("http://10.0.0.1 http://10.0.0.2:81", "http://10.0.0.2:81/x", "https://wiki.test/x"),
            (named, "http://app.internal/x", "https://wiki.test/x"),
            (named, "http://app.internal:80/x", "https://wiki.test/x"),
            (named, "http://app.internal:/x", "https://wiki.test/x"),
            (named, "https://app.internal/x", "https://wiki.test/x"),
            (local, "http://wiki.test:9000/x", "https://wiki.test/x"),
            (local, "http://wiki.test/x", "https://wiki.test/x"),
            (local, "http://wiki.test:443/x", "https://wiki.test/x"),
            (local, "http://shop.test:9000/x", "https://shop.test/x"),
            ("unix:/run/app.sock", "http://wiki.test/x", "https://wiki.test/x"),
        ];
        for (upstream, location, want) in cases {
            assert_eq!(seen("https://wiki.test", upstream, "wiki.test", location), want, "{upstream} {location}");
        }
    }

    #[tokio::test]
    async fn other_addresses_are_not_rewritten() {
        let kept = [
            "/dir/", "dir", "?x", "", "//localhost:9000/x", "http:/localhost:9000/", "http:localhost:9000",
            "http://u@localhost:9000/", "http://localhost:9000@evil.test/", "http://localhost:9000\\x",
            "http:\\\\localhost:9000/", "http://local\thost:9000/", "http://localhost:9001/", "http://localhost/",
            "http://localhost:9000x/", "http://localhost:99999/", "http://evil.test:9000/", "http://xlocalhost:9000/",
            "https://wiki.test/x", "https://wiki.test:8443/", "http://wiki.test:8080/", "ftp://localhost:9000/",
            "javascript:alert(1)", "http://", "http:///x", "https://sso.test/",
        ];
        for location in kept {
            let seen = seen("https://wiki.test", "http://localhost:9000", "wiki.test", location);
            assert_eq!(seen, location);
        }
        for location in ["https://wiki.test/x", "https://localhost:9000/x", "http://wiki.test/x"] {
            let seen = seen("http://wiki.test", "http://localhost:9000", "wiki.test", location);
            assert_eq!(seen, location, "never from https to http");
        }
    }

    #[tokio::test]
    async fn redirects_keep_the_requested_port_and_name() {
        let cases = [
            ("http://localhost:8080", "localhost:8080", "http://localhost:9000/x", "http://localhost:8080/x"),
            ("http://localhost:8080", "localhost", "http://localhost:9000/x", "http://localhost:8080/x"),
            ("http://localhost:8080", "127.0.0.1:8080", "http://localhost:9000/x", "http://127.0.0.1:8080/x"),
            ("http://localhost:8080", "localhost:8080", "http://localhost:8080/x", "http://localhost:8080/x"),
            ("https://wiki.test:8443", "wiki.test", "http://wiki.test/x", "https://wiki.test:8443/x"),
            ("https://wiki.test", "shop.test", "http://localhost:9000/x", "https://shop.test/x"),
        ];
        for (public, asked, location, want) in cases {
            assert_eq!(seen(public, "http://localhost:9000", asked, location), want, "{public} {asked} {location}");
        }
    }

    #[tokio::test]
    async fn the_upstream_host_counts_as_the_applications_own() {
        let location_for = |host, location| {
            received("https://wiki.test", "http://127.0.0.1:9000", Some(host), "wiki.test", &LOCATION, location)
        };
        assert_eq!(location_for("inner", "http://inner/x"), "https://wiki.test/x");
        assert_eq!(location_for("inner", "http://inner:9000/x"), "https://wiki.test/x");
        assert_eq!(location_for("inner:81", "http://inner:81/x"), "https://wiki.test/x");
        assert_eq!(location_for("inner:81", "http://inner:82/x"), "http://inner:82/x");
    }

    #[tokio::test]
    async fn every_line_is_rewritten() {
        let two = "http://localhost:9000/x | /y | http://evil.test/ | http://localhost:9000/z";
        let want = "https://wiki.test/x | /y | http://evil.test/ | https://wiki.test/z";
        assert_eq!(seen("https://wiki.test", "http://localhost:9000", "wiki.test", two), want);
    }

    #[tokio::test]
    async fn a_refresh_is_rewritten_in_every_spelling() {
        let refresh =
            |value| received("https://wiki.test", "http://localhost:9000", None, "wiki.test", &REFRESH, value);
        assert_eq!(refresh("0; url=http://localhost:9000/x"), "0; url=https://wiki.test/x");
        assert_eq!(refresh("3;URL='http://localhost:9000/x'; y"), "3;URL='https://wiki.test/x'; y");
        assert_eq!(refresh("0; url=/x"), "0; url=/x");
        assert_eq!(refresh("5"), "5");
        assert_eq!(refresh("0 | url=http://localhost:9000/x"), "0, url=https://wiki.test/x", "the lines are joined");
        assert_eq!(refresh("0 | url=/x"), "0 | url=/x");
    }
}
