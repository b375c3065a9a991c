//! Finds the gateway's cookies in the `Cookie` headers of a request, and removes them for the application, in one pass.
//!
//! A header is parsed as RFC 6265 says: pairs between semicolons; quotes and `$Version` have no meaning. Every value is
//! checked; their number is bounded by the size of the head.

use bytes::BytesMut;
use http::header::COOKIE;
use memchr::memchr;

use super::cookie::{OwnName, SessionCookie, split_pair};
use super::header_edits::put_parts;
use super::headers::Headers;
use crate::values::remembered_key::RememberedKey;
use crate::values::session_id::SessionKey;

/// A session id in a cookie of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedSession {
    /// The key of the session.
    pub key: SessionKey,
    /// Whether the cookie has the exact name of the session cookie. Under another spelling of the name, the session is
    /// not used and can only be ended.
    pub opens: bool,
}

/// The gateway's cookies in one request.
#[derive(Debug, Default)]
pub struct OwnCookies {
    /// The first session, without an allocation: most requests name only one.
    first: Option<NamedSession>,
    further: Vec<NamedSession>,
    presented: bool,
    malformed: bool,
    kept: ApplicationCookies,
}

/// The cookies for the application: those of the browser in order and byte for byte, without the gateway's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ApplicationCookies {
    /// The request has at most one `Cookie` header, without a cookie of the gateway: it is forwarded unchanged.
    #[default]
    Untouched,
    /// The value of the one `Cookie` header that replaces those of the request.
    Line(Vec<u8>),
    /// There are no cookies besides the gateway's.
    Nothing,
}

impl OwnCookies {
    /// Every session named by a well-formed value in a session cookie of any spelling, in order.
    pub fn named(&self) -> impl Iterator<Item = NamedSession> {
        self.first.into_iter().chain(self.further.iter().copied())
    }

    /// Whether there is a session cookie in any spelling, well-formed or not.
    pub fn has_session_cookie(&self) -> bool {
        self.presented
    }

    /// Whether the session cookie has a malformed value or several different ones. At most one is from the gateway, so
    /// the browser's cookie should be expired.
    pub fn has_unusable(&self) -> bool {
        let mut opening = self.named().filter(|named| named.opens);
        let first = opening.next();
        self.malformed || opening.any(|other| Some(other) != first)
    }

    /// Returns the cookies for the application.
    pub fn into_application_cookies(self) -> ApplicationCookies {
        self.kept
    }

    fn note(&mut self, name: OwnName, value: &[u8], last: Option<&RememberedKey>) {
        let opens = match name {
            OwnName::Session => true,
            OwnName::OtherSpelling => false,
            OwnName::NoSession => return,
        };
        self.presented = true;
        let key = last.map_or_else(|| SessionKey::of_cookie_value(value), |last| last.of_cookie_value(value));
        let named = key.map(|key| NamedSession { key, opens });
        match (named, self.first) {
            (None, _) => self.malformed |= opens,
            (Some(named), None) => self.first = Some(named),
            (Some(named), Some(first)) if named != first => self.further.push(named),
            _ => {}
        }
    }
}

impl ApplicationCookies {
    /// Writes the `Cookie` header, if it replaces those of the request.
    pub(crate) fn put(&self, to: &mut BytesMut) {
        if let Self::Line(line) = self {
            put_parts(to, &[b"Cookie: ", line, b"\r\n"]);
        }
    }
}

impl SessionCookie {
    /// Parses the `Cookie` headers of a request. Several are read as one, joined by semicolons (RFC 9113 8.2.3).
    pub fn read(&self, headers: &dyn Headers) -> OwnCookies {
        self.read_with(headers, None)
    }

    /// Like [`Self::read`]. `last` is the last session cookie of the connection, whose key does not have to be computed
    /// again.
    pub(crate) fn read_with(&self, headers: &dyn Headers, last: Option<&RememberedKey>) -> OwnCookies {
        let mut found = OwnCookies::default();
        let mut lines = headers.lines(&COOKIE);
        let (first, second) = (lines.next(), lines.next());
        let mut changed = second.is_some();
        let mut kept = Vec::new();
        for line in first.into_iter().chain(second).chain(lines) {
            self.read_line(line, last, &mut found, &mut changed, &mut kept);
        }
        if changed {
            found.kept = if kept.is_empty() { ApplicationCookies::Nothing } else { ApplicationCookies::Line(kept) };
        }
        found
    }

    /// Parses one header. `changed` says whether the kept cookies differ from the received ones, so that they are
    /// copied to `kept`.
    fn read_line(
        &self,
        line: &[u8],
        last: Option<&RememberedKey>,
        found: &mut OwnCookies,
        changed: &mut bool,
        kept: &mut Vec<u8>,
    ) {
        let part = |from: usize, to: usize| line.get(from..to).unwrap_or_default();
        let (mut run, mut at) = (0, 0);
        while at <= line.len() {
            let end = memchr(b';', part(at, line.len())).map_or(line.len(), |length| at + length);
            let (name, value) = split_pair(part(at, end));
            if let Some(own) = self.own_name(name) {
                found.note(own, value, last);
                keep(part(run, at), kept, line.len());
                (run, *changed) = (end + 1, true);
            }
            at = end + 1;
        }
        if *changed {
            keep(part(run, line.len()), kept, line.len());
        }
    }
}

/// Appends a run of pairs, without separators at its ends.
fn keep(run: &[u8], kept: &mut Vec<u8>, room: usize) {
    let is_edge = |byte: &u8| byte.is_ascii_whitespace() || *byte == b';';
    let from = run.iter().position(|byte| !is_edge(byte)).unwrap_or(run.len());
    let to = run.iter().rposition(|byte| !is_edge(byte)).map_or(from, |last| last + 1);
    let Some(run) = run.get(from..to).filter(|run| !run.is_empty()) else { return };
    if kept.is_empty() {
        *kept = Vec::with_capacity(room);
    } else {
        kept.extend_from_slice(b"; ");
    }
    kept.extend_from_slice(run);
}

#[cfg(test)]
mod tests {
    use super::super::cookie::OTHER_COOKIES;
    use super::*;
    use crate::values::origin::Scheme;
    use crate::values::session_id::SessionId;
    use cookie::SameSite;
    use http::{HeaderMap, HeaderValue};

    fn cookie() -> SessionCookie {
        SessionCookie::new("exeunt", Scheme::Https, SameSite::Lax)
    }

    /// The `Cookie` headers that the application receives.
    fn left(kept: ApplicationCookies, came: &HeaderMap) -> Vec<String> {
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        match kept {
            ApplicationCookies::Untouched => came.get_all(COOKIE).iter().map(|line| text(line.as_bytes())).collect(),
            ApplicationCookies::Line(line) => vec![text(&line)],
            ApplicationCookies::Nothing => Vec::new(),
        }
    }

    fn read(lines: &[&str]) -> OwnCookies {
        let headers: HeaderMap =
            lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect();
        cookie().read(&headers)
    }

    /// A well-formed cookie value, and the key of its session.
    fn value() -> (String, SessionKey) {
        let id = SessionId::generate().unwrap();
        (id.cookie_value(), id.key())
    }

    #[test]
    fn every_value_under_the_gateways_names_is_checked() {
        let ((a, key_a), (b, key_b)) = (value(), value());
        let own = format!("__Host-exeunt={a}");
        let opens = NamedSession { key: key_a, opens: true };
        let ends = NamedSession { key: key_a, opens: false };
        let other = NamedSession { key: key_b, opens: true };
        let cases: [(&[&str], &[NamedSession], bool); 30] = [
            (&[], &[], false),
            (&["a=b; c"], &[], false),
            (&[&own], &[opens], false),
            (&[&format!("a=b;{own} ;c=d")], &[opens], false),
            (&[&format!("a=b;\t__Host-exeunt\t= {a}\t; c")], &[opens], false),
            (&["a=b", &own, "c"], &[opens], false),
            (&[&own, &own], &[opens], false),
            (&[&format!("a=\"; {own}; \"")], &[opens], false),
            (&[&format!("a=\"b; {own}")], &[opens], false),
            (&[&format!("$Version=1; {own}; $Path=/")], &[opens], false),
            (&[&own, &format!("__Host-exeunt={b}")], &[opens, other], true),
            (&[&format!("__Host-exeunt=x; {own}")], &[opens], true),
            (&[&format!("__Host-exeunt=; {own}")], &[opens], true),
            (&[&format!("__Host-exeunt; {own}")], &[opens], true),
            (&[&format!("{own}; __Host-exeunt=\"{a}\"")], &[opens], true),
            (&[&format!("{own}; __Host-exeunt={a}x")], &[opens], true),
            (&["__Host-exeunt="], &[], true),
            (&["__Host-exeunt"], &[], true),
            (&[&format!("__Host-exeunt=\"{a}\"")], &[], true),
            (&[&format!("exeunt={a}")], &[ends], false),
            (&[&format!("EXEUNT={a}")], &[ends], false),
            (&[&format!("__Secure-exeunt={a}; {own}")], &[ends, opens], false),
            (
                &[&format!("__host-exeunt={a}; __Host-Exeunt={b}")],
                &[ends, NamedSession { opens: false, ..other }],
                false,
            ),
            (&[&format!("exeunt={a}; {own}; {own}")], &[ends, opens, opens], false),
            (&["exeunt=x; __Secure-exeunt"], &[], false),
            (&[&format!("={own}")], &[], false),
            (&[&format!("x{own}; a={own}; a,{own}")], &[], false),
            (&[&format!("\u{a0}{own}; \u{2000}{own}")], &[], false),
            (&[&format!("__Host-exeunt-known={a}; exeunt-known={b}")], &[], false),
            (&["__Host-exeunt_chunks=99999999"], &[], false),
        ];
        for (lines, want, strays) in cases {
            let found = read(lines);
            assert_eq!(found.named().collect::<Vec<_>>(), want, "{lines:?}");
            assert_eq!(found.has_unusable(), strays, "{lines:?}");
        }
    }

    #[test]
    fn a_hundred_values_are_all_found() {
        let values: Vec<_> = (0..100).map(|_| value()).collect();
        let pairs: Vec<_> = values.iter().map(|(value, _)| format!("__Host-exeunt={value}")).collect();
        let found = read(&[&pairs[..50].join(";"), &pairs[50..].join("; a=b; ")]);
        assert!(found.named().map(|named| named.key).eq(values.iter().map(|(_, key)| *key)));
    }

    /// Compared with a simple parser.
    #[test]
    fn in_arbitrary_headers_every_session_is_found_and_no_own_cookie_kept() {
        use proptest::prelude::*;
        let value = value().0;
        let words = [
            "__Host-exeunt", "exeunt", "EXEUNT-known", "-hop", "-continued", "-left", "a", "=", ";", "; ", " ", "\t",
            "\"", ",", &value, "\u{e9}",
        ];
        let words = words.map(str::to_owned);
        let line = proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..14);
        let lines = proptest::collection::vec(line.prop_map(|words| words.concat()), 0..4);
        proptest!(ProptestConfig::with_cases(2_000), |(lines in lines)| {
            let pairs = |lines: &[String]| -> Vec<String> {
                let pairs = lines.iter().flat_map(|line| line.split(';')).map(|pair| pair.trim_ascii().to_owned());
                pairs.filter(|pair| !pair.is_empty()).collect()
            };
            let split = |pair: &str| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name.trim_ascii().to_owned(), value.trim_ascii().to_owned())
            };
            let is_ours = |pair: &String| {
                let name = split(pair).0.to_ascii_lowercase();
                let suffix = OTHER_COOKIES.iter().find_map(|suffix| name.strip_suffix(suffix));
                suffix.unwrap_or(&name).trim_start_matches("__host-") == "exeunt"
            };
            let sessions = || pairs(&lines).into_iter().map(|pair| split(&pair)).filter(|(name, _)| {
                ["__host-exeunt", "exeunt"].contains(&&*name.to_ascii_lowercase())
            });
            let named = sessions().filter(|(_, shown)| *shown == value);
            let named: Vec<_> = named.map(|(name, _)| name == "__Host-exeunt").collect();
            let headers: HeaderMap =
                lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect();
            let found = cookie().read(&headers);
            prop_assert_eq!(found.named().next().map(|named| named.opens), named.first().copied());
            prop_assert_eq!(found.named().any(|named| named.opens), named.contains(&true));
            prop_assert_eq!(found.has_session_cookie(), sessions().next().is_some());
            let kept = left(found.into_application_cookies(), &headers);
            let want: Vec<_> = pairs(&lines).into_iter().filter(|pair| !is_ours(pair)).collect();
            prop_assert_eq!(pairs(&kept), want);
            prop_assert!(kept.len() <= 1);
        });
    }

    #[test]
    fn a_session_cookie_is_recognised_in_any_spelling() {
        let cases = [
            ("a=b", false),
            ("exeunt-known=x", false),
            ("exeunt", true),
            ("__secure-Exeunt=x", true),
            ("exeunt=", true),
        ];
        for (line, want) in cases {
            assert_eq!(read(&[line]).has_session_cookie(), want, "{line}");
        }
    }

    #[test]
    fn the_application_gets_the_other_cookies_byte_for_byte() {
        let cases: [(&[&str], &[&str]); 13] = [
            (&[], &[]),
            (&["a=b;  c=\"d;e\" ;"], &["a=b;  c=\"d;e\" ;"]),
            (&["__Host-exeunt=x"], &[]),
            (&["; ; exeunt=x;"], &[]),
            (&["a=b; __Host-exeunt=x; c=d=e"], &["a=b; c=d=e"]),
            (&["a=b;exeunt=x;c"], &["a=b; c"]),
            (&["a=b;;  c;d ; exeunt=x"], &["a=b;;  c;d"]),
            (&["__SECURE-Exeunt=x; a=b"], &["a=b"]),
            (&["__Host-exeunt-known=x; a=b; exeunt-known=y; __Secure-exeunt-continued=1"], &["a=b"]),
            (&["a=b", "c=d"], &["a=b; c=d"]),
            (&["a=b", "exeunt=x", "a=c"], &["a=b; a=c"]),
            (&["exeunt=x;exeunt=y; a=\"; exeunt=z", "b"], &["a=\"; b"]),
            (&["a=b", ""], &["a=b"]),
        ];
        for (lines, want) in cases {
            let headers: HeaderMap = lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect();
            assert_eq!(left(cookie().read(&headers).into_application_cookies(), &headers), want, "{lines:?}");
        }
    }
}
