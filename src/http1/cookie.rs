//! The gateway's own cookies: their names, and the `Set-Cookie` headers that set and expire them. Requests are parsed
//! in [`super::own_cookies`].

use std::collections::BTreeSet;

use cookie::{Cookie, SameSite};
use http::HeaderValue;
use http::header::{COOKIE, SET_COOKIE};

use super::header_edits::{HeaderEdit, HeaderEdits};
use super::headers::Headers;
use crate::values::hop::Hop;
use crate::values::known_browser::{KNOWN_DAYS, KnownBrowser};
use crate::values::mac::Mac;
use crate::values::origin::Scheme;
use crate::values::own_path::OwnPath;
use crate::values::session_id::SessionId;

/// The names of all cookies of the gateway, derived from one configured name, and their attributes.
#[derive(Clone, Debug)]
pub struct SessionCookie {
    name: String,
    known: String,
    continued: String,
    hop: String,
    left: String,
    secure: bool,
    same_site: SameSite,
    /// Every name that the session cookie may have in a browser: with and without the prefixes.
    session_names: BTreeSet<String>,
    /// `session_names`, followed by the names of the other cookies.
    own_names: Vec<String>,
}

/// The suffixes of the gateway's other cookies: known browsers (the exemption from bans), the mark that detects a
/// "Continue" that leads back to the sign-in page, the hand-over from the login host, and the chain of redirects over
/// the other hosts after a logout.
pub const OTHER_COOKIES: [&str; 4] = ["-known", "-continued", "-hop", "-left"];

/// The lifetime of a cookie that waits for the browser to return from another host, in seconds.
const RETURN_SECONDS: i64 = 120;
/// The maximum number of cookies of one name that are checked: one is the gateway's, others may have been planted.
const MAX_KNOWN: usize = 4;
/// If the page that says who is signed in is requested again within this time, "Continue" has led back to it. In
/// seconds.
const CONTINUED_SECONDS: i64 = 10;

/// The kind of a cookie of the gateway, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnName {
    /// The exact name of the session cookie, the only one by which sessions are found.
    Session,
    /// The session cookie in another case or with another prefix. Sessions are not found by it.
    OtherSpelling,
    /// Another cookie of the gateway, in any case and with any prefix.
    NoSession,
}

impl SessionCookie {
    /// The cookies for the configured name `base`: with the prefix `__Host-` and `Secure` if the scheme is https.
    pub fn new(base: &str, scheme: Scheme, same_site: SameSite) -> Self {
        let secure = scheme == Scheme::Https;
        let name = |base: &str| if secure { format!("__Host-{base}") } else { base.to_owned() };
        let [known, continued, hop, left] = OTHER_COOKIES.map(|suffix| format!("{base}{suffix}"));
        let session_names = spellings(base);
        let others = [&known, &continued, &hop, &left].into_iter().flat_map(|base| spellings(base));
        let own_names = session_names.iter().cloned().chain(others).collect();
        let continued = if secure { format!("__Secure-{continued}") } else { continued };
        let [known, hop, left] = [known, hop, left].map(|base| name(&base));
        Self { name: name(base), known, continued, hop, left, secure, same_site, session_names, own_names }
    }

    /// The configured name.
    pub fn base(&self) -> &str {
        self.name.strip_prefix("__Host-").unwrap_or(&self.name)
    }

    /// The same cookies for another configured name.
    pub(crate) fn with_base(&self, base: &str) -> Self {
        let scheme = if self.secure { Scheme::Https } else { Scheme::Http };
        Self::new(base, scheme, self.same_site)
    }

    /// The well-formed known-browser cookies of a request, at most [`MAX_KNOWN`].
    pub(crate) fn find_known(&self, headers: &dyn Headers) -> Vec<KnownBrowser> {
        let pairs = headers.lines(&COOKIE).flat_map(pairs).map(split_pair);
        let ours = pairs.filter(|(name, _)| *name == self.known.as_bytes());
        ours.filter_map(|(_, value)| KnownBrowser::parse(value)).take(MAX_KNOWN).collect()
    }

    /// The well-formed hand-over cookies of a request, at most [`MAX_KNOWN`].
    pub(crate) fn find_hops(&self, headers: &dyn Headers) -> Vec<Hop> {
        let pairs = headers.lines(&COOKIE).flat_map(pairs).map(split_pair);
        let ours = pairs.filter(|(name, _)| *name == self.hop.as_bytes());
        ours.filter_map(|(_, value)| Hop::parse(value)).take(MAX_KNOWN).collect()
    }

    /// Whether this browser was shown the page "You are signed in" within the last seconds.
    pub(crate) fn has_continued(&self, headers: &dyn Headers) -> bool {
        let mut pairs = headers.lines(&COOKIE).flat_map(pairs).map(split_pair);
        pairs.any(|(name, _)| name == self.continued.as_bytes())
    }

    /// Whether the `Set-Cookie` value of an application sets or expires a cookie of the gateway.
    pub(crate) fn is_set_by(&self, line: &[u8]) -> bool {
        self.own_name(name_as_sent(line)).is_some()
    }

    /// Appends the edits that remove the gateway's cookies from the `Set-Cookie` headers of an application.
    pub fn response_edits(&self, headers: &dyn Headers, edits: &mut HeaderEdits) {
        if !headers.has(&SET_COOKIE) {
            return;
        }
        let lines = || headers.lines(&SET_COOKIE);
        let ours = |line: &[u8]| self.is_set_by(line);
        if lines().any(ours) {
            edits.push(HeaderEdit::Remove(SET_COOKIE));
            let others = lines().filter(|line| !ours(line)).filter_map(|line| HeaderValue::from_bytes(line).ok());
            edits.extend(others.map(|line| HeaderEdit::Add(SET_COOKIE, line)));
        }
    }

    /// The `Set-Cookie` value of a new session. It has no `Max-Age`, so browsers delete it when they are closed.
    pub(crate) fn set(&self, id: &SessionId) -> HeaderValue {
        let value = id.cookie_value();
        let mut cookie = self.cookie(&self.name, &value);
        cookie.set_same_site(self.same_site);
        let mut line = header_value(&cookie);
        line.set_sensitive(true);
        line
    }

    /// The `Set-Cookie` value that makes a browser known for [`KNOWN_DAYS`]. A sign-out does not expire it.
    pub(crate) fn set_known(&self, known: &KnownBrowser) -> HeaderValue {
        let value = known.cookie_value();
        let mut cookie = self.cookie(&self.known, &value);
        cookie.set_same_site(self.same_site);
        cookie.set_max_age(cookie::time::Duration::days(KNOWN_DAYS.into()));
        let mut line = header_value(&cookie);
        line.set_sensitive(true);
        line
    }

    /// The `Set-Cookie` value that records, for a few seconds and for this page only, that the browser was shown who is
    /// signed in.
    pub(crate) fn set_continued(&self, page: &OwnPath) -> HeaderValue {
        let mut cookie = self.cookie(&self.continued, "1");
        cookie.set_path(page.as_str());
        cookie.set_same_site(self.same_site);
        cookie.set_max_age(cookie::time::Duration::seconds(CONTINUED_SECONDS));
        header_value(&cookie)
    }

    /// The `Set-Cookie` value for a browser that is redirected to the login host. It returns by a redirect that may be
    /// cross-site.
    pub(crate) fn set_hop(&self, hop: &Hop) -> HeaderValue {
        let mut line = header_value(&self.cross_site_cookie(&self.hop, hop.cookie_value(), RETURN_SECONDS));
        line.set_sensitive(true);
        line
    }

    /// The `Set-Cookie` value that expires the cookie of [`Self::set_hop`].
    pub(crate) fn expire_hop(&self) -> HeaderValue {
        header_value(&self.cross_site_cookie(&self.hop, "", 0))
    }

    /// The `Set-Cookie` value for a browser that a logout redirects over the other hosts. It returns by a redirect that
    /// may be cross-site.
    pub(crate) fn set_left(&self, code: &Mac) -> HeaderValue {
        let mut line = header_value(&self.cross_site_cookie(&self.left, &code.encode(), RETURN_SECONDS));
        line.set_sensitive(true);
        line
    }

    /// The `Set-Cookie` value that expires the cookie of [`Self::set_left`].
    pub(crate) fn expire_left(&self) -> HeaderValue {
        header_value(&self.cross_site_cookie(&self.left, "", 0))
    }

    /// The well-formed cookies of [`Self::set_left`] in a request, at most [`MAX_KNOWN`].
    pub(crate) fn find_left(&self, headers: &dyn Headers) -> Vec<Mac> {
        let pairs = headers.lines(&COOKIE).flat_map(pairs).map(split_pair);
        let ours = pairs.filter(|(name, _)| *name == self.left.as_bytes());
        ours.filter_map(|(_, value)| Mac::parse(value)).take(MAX_KNOWN).collect()
    }

    /// A cookie that the browser also sends on cross-site redirects: never `SameSite=Strict`.
    fn cross_site_cookie<'a>(&self, name: &'a str, value: &'a str, seconds: i64) -> Cookie<'a> {
        let mut cookie = self.cookie(name, value);
        cookie.set_same_site(if self.same_site == SameSite::None { SameSite::None } else { SameSite::Lax });
        cookie.set_max_age(cookie::time::Duration::seconds(seconds));
        cookie
    }

    /// Whether browsers withhold the session cookie from cross-site navigations (`SameSite=Strict`).
    pub(crate) fn is_strict(&self) -> bool {
        self.same_site == SameSite::Strict
    }

    /// The `Set-Cookie` values that expire every session cookie of the gateway that the browser may hold.
    pub(crate) fn expire(&self) -> Vec<HeaderValue> {
        let expired = |name: &String| {
            // Browsers require `Secure` of prefixed cookies, also in order to expire them.
            let mut cookie = self.cookie(name, "");
            cookie.set_secure(self.secure || name.starts_with("__"));
            cookie.set_same_site(self.same_site);
            cookie.make_removal();
            header_value(&cookie)
        };
        self.session_names.iter().filter(|name| self.secure || !name.starts_with("__")).map(expired).collect()
    }

    fn cookie<'a>(&self, name: &'a str, value: &'a str) -> Cookie<'a> {
        Cookie::build((name, value)).path("/").http_only(true).secure(self.secure).build()
    }

    /// The kind of a cookie name; `None` for cookies of applications.
    pub(super) fn own_name(&self, name: &[u8]) -> Option<OwnName> {
        if name == self.name.as_bytes() {
            return Some(OwnName::Session);
        }
        let place = self.own_names.iter().position(|own| own.as_bytes().eq_ignore_ascii_case(name))?;
        Some(if place < self.session_names.len() { OwnName::OtherSpelling } else { OwnName::NoSession })
    }
}

/// The name under which a browser will send the cookie of a `Set-Cookie` value. A cookie without a name is sent as its
/// bare value, which may look like a pair again: `=exeunt=x` is sent as `exeunt=x`.
fn name_as_sent(line: &[u8]) -> &[u8] {
    let mut pair = split_at_byte(b';', line).0.trim_ascii();
    while let Some(rest) = pair.strip_prefix(b"=") {
        pair = rest.trim_ascii_start();
    }
    split_pair(pair).0
}

/// A cookie name without and with each prefix that browsers treat specially (RFC 6265bis 4.1.3).
fn spellings(base: &str) -> BTreeSet<String> {
    BTreeSet::from([base.to_owned(), format!("__Host-{base}"), format!("__Secure-{base}")])
}

fn header_value(cookie: &Cookie<'_>) -> HeaderValue {
    // Always valid: the configuration has checked the name, and the values are base64url.
    HeaderValue::try_from(cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static("invalid=; Max-Age=0"))
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (pair, others) = split_at_byte(b';', line);
        rest = others;
        Some(pair.trim_ascii())
    })
}

/// Name and value of a pair, without the white space around them.
pub(super) fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = split_at_byte(b'=', pair);
    (name.trim_ascii(), value.unwrap_or_default().trim_ascii())
}

/// The text before and after the first such byte. It uses `memchr`, since most requests have a long `Cookie` header.
fn split_at_byte(byte: u8, text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let split = memchr::memchr(byte, text).and_then(|at| text.split_at_checked(at));
    split.map_or((text, None), |(before, rest)| (before, rest.get(1..)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::mac::{MacKeys, MacPurpose};
    use crate::values::time::WallTime;
    use http::HeaderMap;

    fn cookie() -> SessionCookie {
        SessionCookie::new("exeunt", Scheme::Https, SameSite::Lax)
    }

    fn headers(name: http::HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn an_application_cannot_set_the_gateways_cookies() {
        let ours = [
            "__Host-exeunt=x; Path=/", " EXEUNT =; Max-Age=0", "\t__Secure-exeunt\t=x", "exeunt", "exeunt; Path=/",
            "=exeunt", "=exeunt=x", " = exeunt = x", "==exeunt=x", "=__host-exeunt-known=x", "exeunt-known",
        ];
        let others = ["a=b; Path=/", "=", "", "=a", "a=exeunt=x", "xexeunt=x", "a; exeunt=x", "\"exeunt\"=x", "c=d"];
        let set = headers(SET_COOKIE, &[&ours[..], &others].concat());
        let mut edits = Vec::new();
        cookie().response_edits(&set, &mut edits);
        let kept = others.map(|line| HeaderEdit::Add(SET_COOKIE, HeaderValue::from_static(line)));
        assert_eq!(edits, [vec![HeaderEdit::Remove(SET_COOKIE)], kept.to_vec()].concat());
        edits.clear();
        cookie().response_edits(&headers(SET_COOKIE, &["a=b"]), &mut edits);
        assert!(edits.is_empty());
    }

    #[test]
    fn cookies_are_set_and_expired_with_the_same_attributes() {
        let id = SessionId::generate().unwrap();
        let value = id.cookie_value();
        let set = cookie().set(&id);
        assert_eq!(set, format!("__Host-exeunt={value}; HttpOnly; SameSite=Lax; Secure; Path=/"));
        assert!(!format!("{set:?}").contains(&value));
        let expired: Vec<_> = cookie().expire().iter().map(|line| line.to_str().unwrap().to_owned()).collect();
        assert_eq!(expired.len(), 3);
        for line in expired {
            assert!(line.contains("Path=/") && line.contains("Max-Age=0") && line.contains("Secure"), "{line}");
        }
        let keys = MacKeys::generate().unwrap();
        let known = KnownBrowser::after_sign_in(None, "alice", &keys, WallTime(0)).unwrap();
        let line = cookie().set_known(&known);
        let text = line.to_str().unwrap().to_owned();
        assert!(!format!("{line:?}").contains(&known.cookie_value()));
        assert!(text.contains("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=15552000"), "{text}");
        let presented = headers(COOKIE, &[&format!("a=b; {}", text.split(';').next().unwrap())]);
        assert_eq!(cookie().find_known(&presented).iter().map(KnownBrowser::id).collect::<Vec<_>>(), [known.id()]);
        assert!(!cookie().read(&presented).has_session_cookie());
        let page = OwnPath::parse("/login").unwrap();
        let line = cookie().set_continued(&page).to_str().unwrap().to_owned();
        let want = "__Secure-exeunt-continued=1; HttpOnly; SameSite=Lax; Secure; Path=/login; Max-Age=10";
        assert_eq!(line, want);
        assert!(cookie().has_continued(&headers(COOKIE, &["a=b; __Secure-exeunt-continued=1"])));
        assert!(!cookie().has_continued(&headers(COOKIE, &["a=b; exeunt-continued=1"])));
    }

    #[test]
    fn the_hand_over_cookie_is_lax_and_expires_after_two_minutes() {
        let hop = Hop::generate().unwrap();
        let value = hop.cookie_value();
        let line = cookie().set_hop(&hop);
        assert!(!format!("{line:?}").contains(value));
        let want = format!("__Host-exeunt-hop={value}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=120");
        assert_eq!(line, want);
        assert_eq!(cookie().expire_hop(), want.replace(value, "").replace("=120", "=0"));
        let strict = SessionCookie::new("exeunt", Scheme::Http, SameSite::Strict);
        assert_eq!(strict.set_hop(&hop), format!("exeunt-hop={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age=120"));
        let none = SessionCookie::new("exeunt", Scheme::Https, SameSite::None);
        assert!(none.set_hop(&hop).to_str().unwrap().contains("SameSite=None; Secure"));
        let shown = headers(COOKIE, &[&format!("exeunt-hop=x; __Host-exeunt-hop=x; __Host-exeunt-hop={value}")]);
        let found: Vec<_> = cookie().find_hops(&shown).iter().map(Hop::hash).collect();
        assert_eq!((found, cookie().read(&shown).has_session_cookie()), (vec![hop.hash()], false));
        assert!(cookie().is_set_by(b"EXEUNT-hop=x") && cookie().is_set_by(b"__Secure-exeunt-hop=x"));
    }

    #[test]
    fn the_cookie_of_a_logout_over_other_hosts_is_lax_and_expires_after_two_minutes() {
        let keys = MacKeys::generate().unwrap();
        let code = keys.sign(MacPurpose::LeftBrowser, &[b"id"]);
        let line = cookie().set_left(&code);
        assert!(!format!("{line:?}").contains(&code.encode()));
        let want = format!("__Host-exeunt-left={}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=120", code.encode());
        assert_eq!(line, want);
        assert_eq!(cookie().expire_left(), want.replace(&code.encode(), "").replace("=120", "=0"));
        let shown = format!("exeunt-left={0}; __Host-exeunt-left=x; __Host-exeunt-left={0}", code.encode());
        let found = cookie().find_left(&headers(COOKIE, &[&shown]));
        assert_eq!(found.len(), 1, "only under its exact name");
        assert!(keys.verify(MacPurpose::LeftBrowser, &[b"id"], &found[0]));
        assert!(cookie().is_set_by(b"EXEUNT-left=x"));
    }

    #[test]
    fn over_plain_http_there_are_no_prefixes() {
        let (id, page) = (SessionId::generate().unwrap(), OwnPath::parse("/login").unwrap());
        let value = id.cookie_value();
        let plain = SessionCookie::new("exeunt", Scheme::Http, SameSite::Strict);
        assert!(plain.set_continued(&page).to_str().unwrap().starts_with("exeunt-continued=1;"));
        assert_eq!(plain.set(&id), format!("exeunt={value}; HttpOnly; SameSite=Strict; Path=/"));
        assert!(plain.expire().iter().all(|line| line.to_str().unwrap().starts_with("exeunt=;")));
    }
}
