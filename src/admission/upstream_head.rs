//! What the application is told, and what it may tell the browser: the head of a forwarded request and of its answer.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, EXPECT, HOST, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::facts::RequestFacts;
use super::identity_headers::IdentityHeaders;
use super::permit::Permit;
use super::service_worker::{self, SERVICE_WORKER_ALLOWED};
use crate::values::client_address::Provenance;
use crate::values::cookie::SessionCookie;
use crate::values::header_edits::{HeaderEdit, HeaderEdits};
use crate::values::header_names::{NameSet, OwnHeaders};
use crate::values::origin::{Authority, Scheme};
use crate::values::own_path::OwnPages;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
static X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Where a request comes from, as the application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    client: Option<HeaderValue>,
    proto: HeaderValue,
    host: HeaderValue,
    port: HeaderValue,
}

/// The rules for heads of one configuration.
#[derive(Debug)]
pub struct HeadRules {
    own: OwnHeaders,
    identity: IdentityHeaders,
    identity_names: NameSet,
    cookie: SessionCookie,
    scheme: Scheme,
    own_pages: OwnPages,
}

impl HeadRules {
    /// Rules that send the identity under these headers and keep this cookie to ourselves.
    pub fn new(identity: IdentityHeaders, cookie: SessionCookie, scheme: Scheme, own_pages: OwnPages) -> Self {
        let own = OwnHeaders::new(identity.names().cloned());
        let identity_names = NameSet::new(identity.names().cloned().collect());
        Self { own, identity, identity_names, cookie, scheme, own_pages }
    }

    /// Where a request comes from, as the application is told.
    pub fn origin(&self, facts: &RequestFacts<'_>) -> Forwarded {
        // There is one, it is where the authority comes from.
        let host = facts.headers.get(HOST).cloned();
        forwarded(&facts.provenance, facts.authority, host.unwrap_or(HeaderValue::from_static("")), self.scheme)
    }

    /// Edits the request as it leaves: what clients may not say goes, then the operator's changes, then what we tell
    /// (where it comes from, and who it is), so that nothing stands over it.
    pub fn request(&self, headers: &mut HeaderMap, permit: &Permit, origin: &Forwarded) {
        let claimed: Vec<HeaderName> = headers.keys().filter(|name| self.own.claims(name)).cloned().collect();
        claimed.iter().for_each(|name| drop(headers.remove(name)));
        self.cookie.keep_from_application(headers);
        // Room for all that comes, so that the table grows once.
        headers.reserve(FORWARDED_LINES + self.identity.count());
        let route = permit.route();
        route.request_headers.iter().for_each(|edit| edit.apply(headers));
        origin.tell(headers);
        if let Some(session) = permit.session() {
            self.identity.tell(session.identity(), headers);
        }
        if let Some(host) = route.upstream_host.as_ref().and_then(host_value) {
            headers.insert(HOST, host);
        }
    }

    /// Whether an answer would let a service worker stand in front of our addresses.
    fn is_widened(&self, headers: &HeaderMap, permit: &Permit) -> bool {
        let scope = headers.get(&SERVICE_WORKER_ALLOWED).filter(|_| !permit.route().service_workers);
        scope.is_some_and(|scope| service_worker::widens(scope.to_str().unwrap_or(""), &self.own_pages))
    }

    /// The edits of an answer as it is passed on.
    pub fn response(&self, headers: &HeaderMap, permit: &Permit) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        match permit.session() {
            // Whatever this answer sets belongs to somebody who is not signed in any more.
            Some(session) if session.has_ended() => edits.push(HeaderEdit::Remove(SET_COOKIE)),
            _ => self.cookie.response_edits(headers, &mut edits),
        }
        // One pass over the few names instead of a look for each rare one.
        for name in headers.keys() {
            if self.identity_names.contains(name) {
                edits.push(HeaderEdit::Remove(name.clone()));
            } else if *name == CLEAR_SITE_DATA {
                edits.extend(clear_site_data(headers));
            } else if *name == SERVICE_WORKER_ALLOWED && self.is_widened(headers, permit) {
                edits.push(HeaderEdit::Remove(name.clone()));
            }
        }
        edits.extend(permit.route().response_headers.iter().cloned());
        if permit.session().is_some() {
            edits.extend(cache_protection(headers));
        }
        edits
    }
}

/// Names that `[route.headers]` may not set: they are ours, the connection's, or decide how a message is read.
pub fn is_reserved(name: &HeaderName) -> bool {
    const CONNECTION: [&str; 5] = ["connection", "transfer-encoding", "content-length", "upgrade", "te"];
    let own = OwnHeaders::new([HOST, COOKIE, SET_COOKIE, EXPECT]);
    own.claims(name) || CONNECTION.contains(&name.as_str())
}

fn host_value(host: &Authority) -> Option<HeaderValue> {
    HeaderValue::try_from(host.to_string()).ok()
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

/// How many lines [`Forwarded::tell`] writes.
const FORWARDED_LINES: usize = 4;

impl Forwarded {
    fn tell(&self, headers: &mut HeaderMap) {
        if let Some(client) = &self.client {
            headers.insert(&X_FORWARDED_FOR, client.clone());
        }
        headers.insert(&X_FORWARDED_PROTO, self.proto.clone());
        headers.insert(&X_FORWARDED_HOST, self.host.clone());
        headers.insert(&X_FORWARDED_PORT, self.port.clone());
    }
}

const fn default_port(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "80",
        Scheme::Https => "443",
    }
}

/// An application may clear what it keeps in a browser, but not cookies: browsers take those of the whole domain, ours
/// among them, and the session would go on here with nobody holding its cookie (W3C Clear Site Data 3.1).
fn clear_site_data(headers: &HeaderMap) -> Option<HeaderEdit> {
    let lines = || headers.get_all(&CLEAR_SITE_DATA).iter().map(|line| line.to_str().unwrap_or(""));
    let kinds = || lines().flat_map(|line| line.split(',')).map(str::trim);
    let ours = |kind: &str| matches!(kind, "\"cookies\"" | "\"*\"" | "");
    if !kinds().any(ours) {
        return None;
    }
    let kept = kinds().filter(|kind| !ours(kind)).collect::<Vec<_>>().join(", ");
    let kept = HeaderValue::try_from(kept).ok().filter(|kept| !kept.is_empty());
    Some(kept.map_or_else(
        || HeaderEdit::Remove(CLEAR_SITE_DATA.clone()),
        |kept| HeaderEdit::Set(CLEAR_SITE_DATA.clone(), kept),
    ))
}

/// Keeps what a signed-in person sees out of the next person's back button, and out of shared caches. An
/// application that marks its answer as public knows better.
fn cache_protection(headers: &HeaderMap) -> Option<HeaderEdit> {
    let all = headers.get_all(CACHE_CONTROL);
    let lines = || all.iter().map(|line| line.to_str().unwrap_or(""));
    let directives = || lines().flat_map(|line| line.split(',')).map(|one| one.trim().split('=').next().unwrap_or(""));
    let has = |names: &[&str]| directives().any(|one| names.iter().any(|name| name.eq_ignore_ascii_case(one)));
    if has(&["public", "s-maxage", "immutable"]) {
        return None;
    }
    let value = if is_html(headers) {
        HeaderValue::from_static("no-store")
    } else if has(&["private", "no-store"]) {
        return None;
    } else {
        let control: String = lines().filter(|line| !line.is_empty()).flat_map(|line| [line, ", "]).collect();
        HeaderValue::try_from(control.to_ascii_lowercase() + "private").ok()?
    };
    Some(HeaderEdit::Set(CACHE_CONTROL, value))
}

fn is_html(headers: &HeaderMap) -> bool {
    let html = |value: &[u8]| value.get(..9).is_some_and(|head| head.eq_ignore_ascii_case(b"text/html"));
    headers.get(CONTENT_TYPE).is_some_and(|value| html(value.as_bytes().trim_ascii_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_in_pages_are_not_kept() {
        let cases = [
            (Some("text/html;charset=utf-8"), None, Some("no-store")),
            (Some("Text/HTML"), Some("private, no-cache"), Some("no-store")),
            (Some("text/html"), Some("public, max-age=60"), None),
            (Some("text/html"), Some("s-maxage=60"), None),
            (Some("text/css"), None, Some("private")),
            (Some("text/css"), Some("max-age=60"), Some("max-age=60, private")),
            (Some("text/css"), Some("Max-Age=60, Immutable"), None),
            (Some("text/css"), Some("private"), None),
            (Some("text/css"), Some("no-store"), None),
            (None, None, Some("private")),
        ];
        for (content_type, control, want) in cases {
            let mut headers = HeaderMap::new();
            content_type.map(|value| headers.insert(CONTENT_TYPE, HeaderValue::from_static(value)));
            control.map(|value| headers.insert(CACHE_CONTROL, HeaderValue::from_static(value)));
            let want = want.map(|value| HeaderEdit::Set(CACHE_CONTROL, HeaderValue::from_static(value)));
            assert_eq!(cache_protection(&headers), want, "{content_type:?} {control:?}");
        }
    }

    #[test]
    fn an_application_clears_no_cookies() {
        let cases: [(&[&str], Option<Option<&str>>); 6] = [
            (&[], None),
            (&["\"cache\", \"storage\""], None),
            (&["\"cookies\""], Some(None)),
            (&["\"*\""], Some(None)),
            (&["\"storage\",\"cookies\"", "\"cache\""], Some(Some("\"storage\", \"cache\""))),
            (&["\u{e4}"], Some(None)),
        ];
        for (lines, want) in cases {
            let line = |line: &&str| (CLEAR_SITE_DATA.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
            let got = clear_site_data(&lines.iter().map(line).collect());
            let want = want.map(|kept| match kept {
                None => HeaderEdit::Remove(CLEAR_SITE_DATA.clone()),
                Some(kept) => HeaderEdit::Set(CLEAR_SITE_DATA.clone(), HeaderValue::from_static(kept)),
            });
            assert_eq!(got, want, "{lines:?}");
        }
    }

    #[test]
    fn where_a_request_comes_from_is_told_by_us() {
        let provenance = |scheme| Provenance {
            client: crate::values::client_address::ClientAddress::Unix,
            scheme,
            forwarded_for: Some(HeaderValue::from_static("192.0.2.7")),
        };
        let told = |scheme, authority, public| {
            let mut headers = HeaderMap::new();
            forwarded(&provenance(scheme), authority, HeaderValue::from_static(authority), public).tell(&mut headers);
            headers.values().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(told(None, "app.test", Scheme::Http), ["192.0.2.7", "http", "app.test", "80"]);
        assert_eq!(told(None, "app.test:8443", Scheme::Https), ["192.0.2.7", "https", "app.test:8443", "8443"]);
        assert_eq!(told(None, "app.test:", Scheme::Http), ["192.0.2.7", "http", "app.test:", "80"]);
        assert_eq!(told(Some(Scheme::Http), "[::1]", Scheme::Https), ["192.0.2.7", "http", "[::1]", "80"]);
    }

    #[test]
    fn operators_cannot_set_what_is_ours() {
        for name in ["x-forwarded-user", "remote-user", "host", "cookie", "set-cookie", "content-length", "connection"]
        {
            assert!(is_reserved(&HeaderName::from_static(name)), "{name}");
        }
        assert!(!is_reserved(&HeaderName::from_static("x-frame-options")));
    }
}
