//! The request headers that only the gateway may set. They are removed from what a client sends.
//!
//! Applications behind CGI, WSGI and similar interfaces see `X-Forwarded-User` and `X_Forwarded_User` as one name, and
//! some normalise more characters. Deny lists of spellings have failed in other products, so a name is forwarded only
//! if it is plain (letters, digits, single inner hyphens: normalisation cannot change it), and a plain name is removed
//! if it belongs to the gateway.

use http::HeaderName;

use super::header_name_bytes::{is_plain, mark};
use super::headers::Headers;
use super::removed_headers::{self, FAMILIES, NAMES, OF_THE_CONNECTION};

/// The names that are removed from every forwarded request, on public routes too.
#[derive(Clone, Debug)]
pub struct OwnHeaders {
    /// The names that the configuration adds to the fixed list, sorted.
    configured: Vec<Box<str>>,
    lengths: LengthFilter,
}

/// A set of names with a filter that rejects most other names at little cost.
#[derive(Clone, Debug)]
pub(crate) struct NameSet {
    /// Each name with the bit of its mark.
    names: Vec<(u64, HeaderName)>,
    marks: u64,
}

/// A filter: for a hash of the first three letters, a bit for the length of every name that begins with them.
#[derive(Clone, Debug)]
struct LengthFilter(Box<[u64; 1024]>);

impl Default for LengthFilter {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
    }
}

impl LengthFilter {
    fn insert(&mut self, name: &str, bits: u64) {
        if let Some(known) = letters(name.as_bytes()).and_then(|at| self.0.get_mut(at)) {
            *known |= bits;
        }
    }

    fn may_have(&self, name: &[u8]) -> bool {
        let known = letters(name).and_then(|at| self.0.get(at)).copied().unwrap_or(u64::MAX);
        known & length_bit(name) != 0
    }
}

impl NameSet {
    /// A set of these names.
    pub(crate) fn new(names: Vec<HeaderName>) -> Self {
        let names: Vec<_> = names.into_iter().map(|name| (mark_bit(&name), name)).collect();
        Self { marks: names.iter().fold(0, |marks, (mark, _)| marks | mark), names }
    }

    /// The names of the set that the head has.
    pub(crate) fn present<'a>(&'a self, headers: &'a dyn Headers) -> impl Iterator<Item = &'a HeaderName> {
        let marks = headers.marks();
        let present = self.names.iter().filter(move |(mark, name)| marks & mark != 0 && headers.has(name));
        present.map(|(_, name)| name)
    }

    /// Whether the name is in the set.
    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.marks & mark_bit(name) != 0 && self.names.iter().any(|(_, own)| own == name)
    }
}

impl OwnHeaders {
    /// The fixed list, and the headers in which this configuration sends the identity, each with its related names.
    pub fn new(identity: impl IntoIterator<Item = HeaderName>) -> Self {
        let taken = |name: HeaderName| removed_headers::related_to(&name).chain([name.to_string()]).collect::<Vec<_>>();
        let mut configured: Vec<Box<str>> = identity.into_iter().flat_map(taken).map(String::into).collect();
        configured.sort_unstable();
        configured.dedup();
        let mut lengths = LengthFilter::default();
        let fixed = NAMES.iter().chain(&OF_THE_CONNECTION).copied();
        fixed
            .chain(configured.iter().map(|name| &**name))
            .for_each(|name| lengths.insert(name, length_bit(name.as_bytes())));
        FAMILIES.iter().for_each(|family| lengths.insert(family, !0 << family.len().min(63)));
        Self { configured, lengths }
    }

    /// Whether a client's header of this name, in any case, must be removed.
    pub fn claims(&self, name: &[u8]) -> bool {
        !is_plain(name) || self.claims_lower_case(name)
    }

    /// Like [`Self::claims`], for a name that is known to be plain.
    pub(crate) fn claims_lower_case(&self, name: &[u8]) -> bool {
        self.lengths.may_have(name) && self.lists(&lower_case(name))
    }

    fn lists(&self, name: &str) -> bool {
        removed_headers::lists(name) || self.configured.binary_search_by(|own| (**own).cmp(name)).is_ok()
    }
}

/// A plain name in lower case.
fn lower_case(name: &[u8]) -> String {
    name.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// A hash of the first three characters, independent of case; `None` for shorter names.
fn letters(name: &[u8]) -> Option<usize> {
    let [first, second, third, ..] = name else { return None };
    let [first, second, third] = [first, second, third].map(|letter| usize::from(letter & 31));
    Some(((first << 5) | second) ^ (third * 33))
}

fn mark_bit(name: &HeaderName) -> u64 {
    1 << mark(name.as_ref())
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_identity_header_is_removed() {
        let own = OwnHeaders::new([HeaderName::from_static("x-webauth-user")]);
        let spellings = [
            "X-Forwarded-User", "X-FORWARDED-USER", "X_Forwarded_User", "X-Forwarded_User", "X_Forwarded-User",
            "x_forwarded_user", "X-Forwarded-User-", "-X-Forwarded-User", "X--Forwarded-User", "X.Forwarded.User",
            "X-Forwarded~User", "X!Forwarded!User", "X-Forwarded'User", "HTTP_X_FORWARDED_USER",
            "HTTP-X-Forwarded-User", "REMOTE_USER", "Remote-User", "Remote-Groups", "X-Forwarded-Email",
            "X_Forwarded_Groups", "X-Webauth-User", "X_WEBAUTH_USER", "X-Forwarded-For", "X-Forwarded-Prefix",
            "Forwarded", "X-Real-IP", "Proxy", "X-Original-URL", "X_HTTP_Method_Override", "X-SSL-Client-Cert",
            "Content_Length", "X-Webauth-Email", "X-Remote-Group", "TE",
        ];
        for name in spellings {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            assert!(own.claims(name.as_ref()), "{name}");
        }
    }

    #[test]
    fn a_set_has_its_names_and_no_others() {
        let set = NameSet::new(vec![HeaderName::from_static("remote-user"), HeaderName::from_static("1-user")]);
        let cases = [("remote-user", true), ("1-user", true), ("remote-name", false), ("2-user", false), ("x", false)];
        for (name, want) in cases {
            assert_eq!(set.contains(&HeaderName::from_static(name)), want, "{name}");
        }
    }

    #[test]
    fn headers_of_browsers_and_applications_pass() {
        let own = OwnHeaders::new([]);
        let names = [
            "host", "user-agent", "accept", "accept-language", "cookie", "content-type", "content-length",
            "authorization", "origin", "referer", "sec-fetch-site", "sec-websocket-key", "upgrade", "connection",
            "x-requested-with", "range", "x-csrftoken", "if-none-match", "traceparent", "depth", "destination", "dnt",
            "priority", "x-user", "x-auth-token", "x-http-method-override", "x-http-method", "x-method-override", "x",
        ];
        for name in names {
            assert!(!own.claims(name.as_bytes()), "{name}");
        }
    }
}
