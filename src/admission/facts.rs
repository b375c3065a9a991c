//! The facts about a request that rules decide on, parsed once and independent of pingora.

use http::header::{ACCEPT, EXPECT, HOST, ORIGIN, UPGRADE, USER_AGENT};
use http::{HeaderName, Method};

use crate::http1::headers::{Headers, RequestHead};
use crate::http1::method_override::{NoSingleMethod, method_override};
use crate::http1::nominated;
use crate::http1::provenance::Provenance;
use crate::routes::methods;
use crate::values::device::Device;
use crate::values::origin::{Authority, Origin};
use crate::values::own_hosts::{HostId, HostRefusal, OwnHosts};
use crate::values::reason::{Reason, Refusal};
use crate::values::remembered_key::RememberedKey;
use crate::values::target::{ASTERISK, Target};

static X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// The headers with which browsers mark a prefetch.
static PREFETCH: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

/// The facts about one request.
#[derive(Debug)]
pub(crate) struct RequestFacts<'a> {
    /// The method. Methods that are never passed on were refused before; the route decides on all others.
    pub(crate) method: &'a Method,
    /// The target, in all its readings.
    pub(crate) target: Target<'a>,
    /// The gateway's host that the request is for.
    pub(crate) host: HostId,
    /// The `Host` as the client wrote it, port included.
    pub(crate) authority: &'a str,
    /// The header lines, unchanged.
    pub(crate) headers: &'a dyn Headers,
    /// The last session cookie on this connection; `None` for a request without a connection.
    pub(crate) last_key: Option<&'a RememberedKey>,
    /// Where the request comes from.
    pub(crate) provenance: Provenance,
    /// The method in a method override header, which some applications obey instead of the request line.
    pub(crate) method_override: Result<Option<Method>, NoSingleMethod>,
    websocket: bool,
    /// Whether it is `OPTIONS *`, which concerns the whole server (RFC 9112 3.2.4).
    pub(crate) asks_server: bool,
}

impl<'a> RequestFacts<'a> {
    /// Reads a head. `provenance` is where it comes from.
    ///
    /// # Errors
    /// The refusal for the client.
    pub(crate) fn read(head: RequestHead<'a>, provenance: Provenance, hosts: &OwnHosts) -> Result<Self, Refusal> {
        let asks_server = head.target == ASTERISK && *head.method == Method::OPTIONS;
        let target = if asks_server { Target::parse(b"/")? } else { Target::parse(head.target)? };
        let authority = authority(head.headers, &target)?;
        let host = hosts.find(authority).map_err(not_own)?;
        check_expectation(head.headers)?;
        if nominated::nominates_end_to_end(head.headers) {
            return Err(Reason::HeadMalformed.into());
        }
        if methods::is_never_passed(head.method) {
            return Err(Reason::MethodNotAllowed.into());
        }
        Ok(Self {
            method: head.method,
            target,
            host,
            authority,
            headers: head.headers,
            last_key: head.last_key,
            provenance,
            method_override: method_override(head.headers),
            websocket: asks_for_websocket(head.headers),
            asks_server,
        })
    }

    /// A header's value, if there is exactly one line of it and it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.header(name)
    }

    /// Whether the request is a page navigation by a browser, so that the answer is HTML.
    pub(crate) fn is_browser(&self) -> bool {
        is_browser(self.headers)
    }

    /// Whether the client explicitly accepts JSON.
    pub(crate) fn wants_json(&self) -> bool {
        accepts(self.headers, "application/json")
    }

    /// Whether the client sends `Sec-Fetch-*` (W3C Fetch Metadata), as browsers do over https and on loopback.
    pub(crate) fn has_fetch_metadata(&self) -> bool {
        has_fetch_metadata(self.headers)
    }

    /// `Sec-Fetch-Site`.
    pub(crate) fn fetch_site(&self) -> Option<&'a str> {
        self.header(&SEC_FETCH_SITE)
    }

    /// Whether a browser sends it for a script or subresource of a page: it is neither a navigation nor another
    /// program.
    pub(crate) fn comes_from_page(&self) -> bool {
        self.headers.has(&X_REQUESTED_WITH) || self.has_fetch_metadata() && self.fetch_site() != Some("none")
    }

    /// The name of the browser or program.
    pub(crate) fn device(&self) -> Device {
        Device::from_user_agent(self.header(&USER_AGENT).unwrap_or(""))
    }

    /// Whether it is the navigation of a whole tab or window (not of a frame).
    pub(crate) fn is_document_navigation(&self) -> bool {
        self.header(&SEC_FETCH_MODE) == Some("navigate") && self.header(&SEC_FETCH_DEST) == Some("document")
    }

    /// Whether it is a prefetch.
    pub(crate) fn is_prefetch(&self) -> bool {
        PREFETCH.iter().any(|name| self.headers.has(name))
    }

    /// The `Origin` header: absent, an origin, or an error for everything else (also `null`).
    pub(crate) fn origin(&self) -> Option<Result<Origin, ()>> {
        self.headers.has(&ORIGIN).then(|| self.header(&ORIGIN).and_then(Origin::of_header).ok_or(()))
    }

    /// Whether an origin is that of this request's own address.
    pub(crate) fn comes_from_own_address(&self, origin: &Origin, hosts: &OwnHosts) -> bool {
        Authority::of_header(self.authority).is_some_and(|authority| hosts.is_origin_of(&authority, origin))
    }

    /// Whether this asks to become a WebSocket (RFC 6455 4.1).
    pub(crate) fn is_websocket(&self) -> bool {
        self.websocket
    }
}

fn asks_for_websocket(headers: &dyn Headers) -> bool {
    headers.header(&UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

/// Whether the request is a page navigation by a browser. Everything else counts as a program and gets JSON.
pub(crate) fn is_browser(headers: &dyn Headers) -> bool {
    match headers.single(&SEC_FETCH_MODE) {
        Some(mode) => mode == b"navigate",
        None => {
            let plain = !has_fetch_metadata(headers) && !headers.has(&X_REQUESTED_WITH);
            plain && accepts(headers, "text/html")
        }
    }
}

fn has_fetch_metadata(headers: &dyn Headers) -> bool {
    [&SEC_FETCH_SITE, &SEC_FETCH_MODE, &SEC_FETCH_DEST].iter().any(|name| headers.has(name))
}

fn accepts(headers: &dyn Headers, media_type: &str) -> bool {
    headers
        .texts(&ACCEPT)
        .flat_map(|line| line.split(','))
        .any(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(media_type)))
}

/// The value of `Host`, which must be present once. An absolute target has to name the same authority.
fn authority<'a>(headers: &'a dyn Headers, target: &Target<'_>) -> Result<&'a str, Refusal> {
    let Some(host) = headers.header(&HOST) else {
        return Err(if headers.has(&HOST) { Reason::HeadMalformed } else { Reason::HostMissing }.into());
    };
    match target.authority() {
        Some(other) if other != host => Err(Reason::HeadMalformed.into()),
        _ => Ok(host),
    }
}

/// The answer does not list the names that are served: not even for local clients, since behind a proxy on this machine
/// every client seems to be local.
fn not_own(problem: HostRefusal) -> Refusal {
    match problem {
        HostRefusal::Missing => Reason::HostMissing.into(),
        HostRefusal::Malformed => Reason::HeadMalformed.into(),
        HostRefusal::Foreign => Reason::HostNotServed.into(),
    }
}

/// Accepts 100-continue, the only registered expectation (RFC 9110 10.1.1).
fn check_expectation(headers: &dyn Headers) -> Result<(), Refusal> {
    let expected = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if headers.lines(&EXPECT).all(expected) { Ok(()) } else { Err(Reason::ExpectationUnknown.into()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use http::{Request, request};

    use crate::values::client_address::{Peer, TrustedProxies};

    /// A request of `head` lines (`Name: value`) to `http://app.test`, which is the gateway itself.
    pub(crate) fn request(method: &str, target: &str, head: &[&str]) -> request::Parts {
        let mut request = Request::builder().method(method).uri("/");
        if !head.iter().any(|line| line.starts_with("Host:")) {
            request = request.header("Host", "app.test");
        }
        for line in head {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(target.to_owned());
        parts
    }

    pub(crate) fn hosts() -> OwnHosts {
        let shop = crate::values::origin::Host::parse("shop.test").unwrap();
        OwnHosts::new(&Origin::parse("http://app.test").unwrap(), [shop])
    }

    pub(crate) fn facts<'a>(head: &'a request::Parts, hosts: &OwnHosts) -> Result<RequestFacts<'a>, Refusal> {
        let target = head.extensions.get::<String>().unwrap().as_bytes();
        let provenance = Provenance::of(Peer::Unix, &head.headers, &TrustedProxies::default());
        RequestFacts::read(RequestHead::of(head, target), provenance, hosts)
    }

    fn verdict(method: &str, target: &str, head: &[&str]) -> Result<(), Reason> {
        facts(&request(method, target, head), &hosts()).map(|_| ()).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn heads_that_contradict_themselves_are_refused() {
        use Reason::*;
        let cases: [(&str, &str, &[&str], Result<(), Reason>); 24] = [
            ("GET", "/", &[], Ok(())),
            ("GET", "/", &["Host: app.test."], Ok(())),
            ("GET", "/", &["Host: app.test:"], Ok(())),
            ("GET", "/", &["Host: APP.test:80"], Ok(())),
            ("GET", "http://app.test/x", &[], Ok(())),
            ("GET", "http://APP.TEST/x", &[], Err(HeadMalformed)),
            ("GET", "http://evil.test/x", &[], Err(HeadMalformed)),
            ("GET", "http://u@app.test/x", &[], Err(HeadMalformed)),
            ("GET", "admin/x", &[], Err(TargetAmbiguous)),
            ("OPTIONS", "*", &[], Ok(())),
            ("GET", "/", &["Host: evil.test"], Err(HostNotServed)),
            ("GET", "/", &["Host: app.test", "Host: app.test"], Err(HeadMalformed)),
            ("GET", "/", &["Host: app.test@evil.test"], Err(HeadMalformed)),
            ("GET", "/", &["Host: app.test, evil.test"], Err(HeadMalformed)),
            ("POST", "/", &["Expect: 100-continue"], Ok(())),
            ("POST", "/", &["Expect: foo"], Err(ExpectationUnknown)),
            ("POST", "/", &["Expect: 100-continue", "Expect: foo"], Err(ExpectationUnknown)),
            ("GET", "/", &["Connection: close, Host"], Err(HeadMalformed)),
            ("GET", "/", &["Connection: X-Forwarded-User"], Ok(())),
            ("PROPFIND", "/", &[], Ok(())),
            ("TRACE", "/", &[], Err(MethodNotAllowed)),
            ("CONNECT", "/", &[], Err(MethodNotAllowed)),
            ("PRI", "/", &[], Err(MethodNotAllowed)),
            ("BREW", "/", &[], Ok(())),
        ];
        for (method, target, head, want) in cases {
            assert_eq!(verdict(method, target, head), want, "{method} {target} {head:?}");
        }
    }

    #[test]
    fn an_unknown_host_gets_help_and_no_served_name() {
        let head = request("GET", "/", &["Host: evil.test"]);
        let refusal = facts(&head, &hosts()).unwrap_err();
        assert!(refusal.message.contains("exeunt check"), "{}", refusal.message);
        for name in ["app.test", "shop.test", "evil"] {
            assert!(!refusal.message.contains(name), "{}", refusal.message);
        }
    }

    #[test]
    fn a_missing_host_is_named() {
        let mut head = request("GET", "/", &["Host: "]);
        assert_eq!(facts(&head, &hosts()).unwrap_err().reason, Reason::HostMissing);
        head.headers.remove(HOST);
        let refusal = facts(&head, &hosts()).unwrap_err();
        assert_eq!(refusal.reason, Reason::HostMissing);
        assert!(refusal.message.contains("no Host header") && refusal.message.contains("health check"));
    }

    #[test]
    fn browsers_are_distinguished_from_programs() {
        let cases: [(&[&str], bool); 8] = [
            (&["Sec-Fetch-Mode: navigate"], true),
            (&["Sec-Fetch-Mode: navigate", "Accept: application/json"], true),
            (&["Sec-Fetch-Mode: cors", "Accept: text/html"], false),
            (&["Sec-Fetch-Site: none", "Accept: text/html"], false),
            (&["Accept: text/html,application/xhtml+xml;q=0.9"], true),
            (&["Accept: text/html", "X-Requested-With: XMLHttpRequest"], false),
            (&["Accept: */*"], false),
            (&[], false),
        ];
        for (head, want) in cases {
            let hosts = hosts();
            let head = request("GET", "/", head);
            assert_eq!(facts(&head, &hosts).unwrap().is_browser(), want, "{:?}", head.headers);
        }
    }
}
