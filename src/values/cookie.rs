//! Our own cookies: found in a request, kept from the application, written and expired in an answer.

use std::collections::BTreeSet;

use cookie::{Cookie, SameSite};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::header_edits::{HeaderEdit, HeaderEdits};
use super::known_browser::{KNOWN_DAYS, KnownBrowser};
use super::origin::Scheme;
use super::own_path::OwnPath;
use super::session_id::{SessionId, SessionKey};

/// The names that one configured cookie name stands for, and how the cookie is set.
#[derive(Clone, Debug)]
pub struct SessionCookie {
    name: String,
    known: String,
    continued: String,
    secure: bool,
    same_site: SameSite,
    /// Every name that the session cookie may have in a browser.
    session_names: BTreeSet<String>,
    /// Those, and the names of the other cookies.
    own_names: Vec<String>,
}

/// Cookies under the name of known browsers that are looked at: one is ours, others may have been planted.
const MAX_KNOWN: usize = 4;
/// How soon after the page that says who is signed in the same page means that Continue led back to it.
const CONTINUED_SECONDS: i64 = 10;

/// What a request shows as session cookie.
#[derive(Debug)]
pub enum Presented {
    /// No cookie of ours.
    Nothing,
    /// One, well formed: the key of its session. Two with the same value are one.
    One(SessionKey),
    /// Something that is no cookie we could have set, or two that differ: as without a session, and the answer
    /// expires them.
    Unusable,
}

impl SessionCookie {
    /// The cookie `base`: with the prefix `__Host-` and `Secure` where browsers speak https.
    pub fn new(base: &str, scheme: Scheme, same_site: SameSite) -> Self {
        let secure = scheme == Scheme::Https;
        let name = |base: &str| if secure { format!("__Host-{base}") } else { base.to_owned() };
        let known = format!("{base}-known");
        let continued = format!("{base}-continued");
        let session_names = spellings(base);
        let others = [&known, &continued].into_iter().flat_map(|base| spellings(base));
        let own_names = session_names.iter().cloned().chain(others).collect();
        let continued = if secure { format!("__Secure-{continued}") } else { continued };
        let known = name(&known);
        Self { name: name(base), known, continued, secure, same_site, session_names, own_names }
    }

    /// Looks for the session cookie. Cookie lines are read as one (RFC 9113 8.2.3).
    pub fn find(&self, headers: &HeaderMap) -> Presented {
        let mut found: Option<&[u8]> = None;
        let mut quoted = false;
        for pair in headers.get_all(COOKIE).iter().flat_map(|line| pairs(line.as_bytes())) {
            let (name, value) = split_pair(pair);
            if name == self.name.as_bytes() {
                // Behind an open quote or an RFC 2109 version, a reader of the old rules sees no cookie here.
                if quoted || found.is_some_and(|other| other != value) {
                    return Presented::Unusable;
                }
                found = Some(value);
            }
            quoted |= opens_quote(value) || name == b"$Version";
        }
        match found.map(SessionKey::of_cookie_value) {
            None => Presented::Nothing,
            Some(Some(key)) => Presented::One(key),
            Some(None) => Presented::Unusable,
        }
    }

    /// What the browser shows of earlier sign-ins. What is not well formed is passed over.
    pub fn find_known(&self, headers: &HeaderMap) -> Vec<KnownBrowser> {
        let pairs = headers.get_all(COOKIE).iter().flat_map(|line| pairs(line.as_bytes())).map(split_pair);
        let ours = pairs.filter(|(name, _)| *name == self.known.as_bytes());
        ours.filter_map(|(_, value)| KnownBrowser::parse(value)).take(MAX_KNOWN).collect()
    }

    /// Whether this browser was told a few seconds ago who is signed in.
    pub fn has_continued(&self, headers: &HeaderMap) -> bool {
        let mut pairs = headers.get_all(COOKIE).iter().flat_map(|line| pairs(line.as_bytes())).map(split_pair);
        pairs.any(|(name, _)| name == self.continued.as_bytes())
    }

    /// Leaves the application the browser's cookies as one line, in order and byte for byte, but none of ours.
    pub fn keep_from_application(&self, headers: &mut HeaderMap) {
        if let Some(kept) = self.without_ours(headers) {
            match HeaderValue::try_from(kept) {
                Ok(value) if !value.is_empty() => drop(headers.insert(COOKIE, value)),
                _ => drop(headers.remove(COOKIE)),
            }
        }
    }

    /// The line of the others; `None` where one line without a cookie of ours stays as it is.
    fn without_ours(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        let mut kept = Vec::new();
        let (mut lines, mut ours) = (0, false);
        for line in headers.get_all(COOKIE) {
            lines += 1;
            kept.reserve(line.len() + 2);
            for pair in pairs(line.as_bytes()).filter(|pair| !pair.is_empty()) {
                if self.is_own(split_pair(pair).0) {
                    ours = true;
                    continue;
                }
                if !kept.is_empty() {
                    kept.extend_from_slice(b"; ");
                }
                kept.extend_from_slice(pair);
            }
        }
        (ours || lines > 1).then_some(kept)
    }

    /// What to do so that an application's answer neither sets nor expires a cookie of ours.
    pub fn response_edits(&self, headers: &HeaderMap, edits: &mut HeaderEdits) {
        if !headers.contains_key(SET_COOKIE) {
            return;
        }
        let lines = || headers.get_all(SET_COOKIE).iter();
        let ours = |line: &&HeaderValue| {
            let pair = line.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
            self.is_own(split_pair(pair.trim_ascii()).0)
        };
        if lines().any(|line| ours(&line)) {
            edits.push(HeaderEdit::Remove(SET_COOKIE));
            edits.extend(lines().filter(|line| !ours(line)).map(|line| HeaderEdit::Add(SET_COOKIE, line.clone())));
        }
    }

    /// The `Set-Cookie` line of a new session: no `Max-Age`, so it goes when the browser is closed.
    pub fn set(&self, id: &SessionId) -> HeaderValue {
        let value = id.cookie_value();
        let mut cookie = self.cookie(&self.name, &value);
        cookie.set_same_site(self.same_site);
        let mut line = header_value(&cookie);
        line.set_sensitive(true);
        line
    }

    /// The `Set-Cookie` line that makes a browser known. It outlives the session, and a sign-out too.
    pub fn set_known(&self, known: &KnownBrowser) -> HeaderValue {
        let value = known.cookie_value();
        let mut cookie = self.cookie(&self.known, &value);
        cookie.set_same_site(self.same_site);
        cookie.set_max_age(cookie::time::Duration::days(KNOWN_DAYS.into()));
        let mut line = header_value(&cookie);
        line.set_sensitive(true);
        line
    }

    /// The `Set-Cookie` line that says, for a few seconds and on this page alone, that this browser was told who is
    /// signed in.
    pub fn set_continued(&self, page: &OwnPath) -> HeaderValue {
        let mut cookie = self.cookie(&self.continued, "1");
        cookie.set_path(page.as_str());
        cookie.set_same_site(self.same_site);
        cookie.set_max_age(cookie::time::Duration::seconds(CONTINUED_SECONDS));
        header_value(&cookie)
    }

    /// The lines that make a browser forget every session cookie of ours that it may hold.
    pub fn expire(&self) -> Vec<HeaderValue> {
        let expired = |name: &String| {
            // A browser takes a prefixed cookie only with `Secure`, be it to set or to expire it.
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

    fn is_own(&self, name: &[u8]) -> bool {
        self.own_names.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A cookie's name in all the forms that browsers treat differently.
fn spellings(base: &str) -> BTreeSet<String> {
    BTreeSet::from([base.to_owned(), format!("__Host-{base}"), format!("__Secure-{base}")])
}

fn header_value(cookie: &Cookie<'_>) -> HeaderValue {
    // Cookie names are checked by the configuration, and our values are base64url.
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

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = split_at_byte(b'=', pair);
    (name.trim_ascii_end(), value.unwrap_or_default().trim_ascii_start())
}

/// What is before the first such byte, and what is behind it if there is one. Cookie lines are long, and every request
/// has one.
fn split_at_byte(byte: u8, text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let split = memchr::memchr(byte, text).and_then(|at| text.split_at_checked(at));
    split.map_or((text, None), |(before, rest)| (before, rest.get(1..)))
}

fn opens_quote(value: &[u8]) -> bool {
    value.first() == Some(&b'"') && (value.len() == 1 || value.last() != Some(&b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::mac::MacKeys;
    use crate::values::time::WallTime;

    fn cookie() -> SessionCookie {
        SessionCookie::new("exeunt", Scheme::Https, SameSite::Lax)
    }

    fn headers(name: http::HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn only_one_clear_cookie_is_a_session() {
        let id = SessionId::generate().unwrap();
        let other = SessionId::generate().unwrap().cookie_value();
        let value = id.cookie_value();
        let own = format!("__Host-exeunt={value}");
        let cases: [(&[&str], &str); 18] = [
            (&[], "nothing"),
            (&["a=b; c"], "nothing"),
            (&[&own], "one"),
            (&[&format!("a=b;{own} ;c=d")], "one"),
            (&["a=b", &own], "one"),
            (&[&own, &own], "one"),
            (&[&own, &format!("__Host-exeunt={other}")], "unusable"),
            (&["__Host-exeunt="], "unusable"),
            (&["__Host-exeunt=x"], "unusable"),
            (&[&format!("__Host-exeunt=\"{value}\"")], "unusable"),
            (&[&format!("=__Host-exeunt={value}")], "nothing"),
            (&[&format!("a=\"; {own}; \"")], "unusable"),
            (&[&format!("a=\"b; {own}")], "unusable"),
            (&[&format!("a=\"b\"; {own}")], "one"),
            (&[&format!("$Version=1; {own}")], "unusable"),
            (&[&format!("exeunt={value}")], "nothing"),
            (&[&format!("__host-exeunt={value}")], "nothing"),
            (&["__Host-exeunt_chunks=99999999"], "nothing"),
        ];
        for (lines, want) in cases {
            let got = match cookie().find(&headers(COOKIE, lines)) {
                Presented::Nothing => "nothing",
                Presented::One(found) => {
                    assert_eq!(found, id.key());
                    "one"
                }
                Presented::Unusable => "unusable",
            };
            assert_eq!(got, want, "{lines:?}");
        }
    }

    #[test]
    fn the_application_gets_the_others_byte_for_byte() {
        let cases: [(&[&str], &[&str]); 9] = [
            (&[], &[]),
            (&["a=b;  c=\"d;e\" ;"], &["a=b;  c=\"d;e\" ;"]),
            (&["__Host-exeunt=x"], &[]),
            (&["a=b; __Host-exeunt=x; c=d=e"], &["a=b; c=d=e"]),
            (&["a=b;exeunt=x;c"], &["a=b; c"]),
            (&["__SECURE-Exeunt=x; a=b"], &["a=b"]),
            (&["__Host-exeunt-known=x; a=b; exeunt-known=y; __Secure-exeunt-continued=1"], &["a=b"]),
            (&["a=b", "c=d"], &["a=b; c=d"]),
            (&["a=b", "exeunt=x", "a=c"], &["a=b; a=c"]),
        ];
        for (lines, want) in cases {
            let mut headers = headers(COOKIE, lines);
            cookie().keep_from_application(&mut headers);
            let kept: Vec<_> = headers.get_all(COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
            assert_eq!(kept, want, "{lines:?}");
        }
    }

    #[test]
    fn an_application_cannot_set_our_cookie() {
        let set = headers(SET_COOKIE, &["a=b; Path=/", "__Host-exeunt=x; Path=/", " EXEUNT =; Max-Age=0", "c=d"]);
        let mut edits = Vec::new();
        cookie().response_edits(&set, &mut edits);
        let kept = ["a=b; Path=/", "c=d"].map(|line| HeaderEdit::Add(SET_COOKIE, HeaderValue::from_static(line)));
        assert_eq!(edits, [vec![HeaderEdit::Remove(SET_COOKIE)], kept.to_vec()].concat());
        edits.clear();
        cookie().response_edits(&headers(SET_COOKIE, &["a=b"]), &mut edits);
        assert!(edits.is_empty());
    }

    #[test]
    fn set_and_expired_in_one_form() {
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
        assert!(matches!(cookie().find(&presented), Presented::Nothing));
        let page = OwnPath::parse("/login").unwrap();
        let line = cookie().set_continued(&page).to_str().unwrap().to_owned();
        let want = "__Secure-exeunt-continued=1; HttpOnly; SameSite=Lax; Secure; Path=/login; Max-Age=10";
        assert_eq!(line, want);
        assert!(cookie().has_continued(&headers(COOKIE, &["a=b; __Secure-exeunt-continued=1"])));
        assert!(!cookie().has_continued(&headers(COOKIE, &["a=b; exeunt-continued=1"])));
        let plain = SessionCookie::new("exeunt", Scheme::Http, SameSite::Strict);
        assert!(plain.set_continued(&page).to_str().unwrap().starts_with("exeunt-continued=1;"));
        assert_eq!(plain.set(&id), format!("exeunt={value}; HttpOnly; SameSite=Strict; Path=/"));
        assert!(plain.expire().iter().all(|line| line.to_str().unwrap().starts_with("exeunt=;")));
    }
}
