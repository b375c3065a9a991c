//! The checked target of a redirect. All redirects are made from this type.
//!
//! It prevents open redirects, by which an attacker who chooses the target of a sign-in or sign-out could use the
//! gateway's name for a page of their own. A target from a request is accepted only as a path on this host or as a
//! complete URL of an allowed origin, in the plainest spelling. Everything that some browsers or frameworks read
//! differently is refused: backslashes, control characters, white space, `//`, user information, escaped slashes and
//! control characters, unusual hosts and ports. A refused target is not an error and not shown: the caller uses its
//! default.

use http::HeaderValue;
use thiserror::Error;

use super::origin::{Authority, Host, Origin, Scheme};
use super::own_path::OwnPath;
use super::target::Target;

/// The maximum length of a target in bytes.
pub(crate) const MAX_TARGET: usize = 2048;

/// A checked redirect target: a path on the requested host, or a URL of an allowed origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo {
    origin: Option<Origin>,
    rest: Box<str>,
}

impl ReturnTo {
    /// A path on this host from the program or the configuration; `/` if it is invalid.
    pub fn own(path: &str) -> Self {
        let root = || Self { origin: None, rest: "/".into() };
        Self::parse(path, &AllowedOrigins::default()).unwrap_or_else(root)
    }

    /// The target of an accepted request, unchanged except that bytes other than visible ASCII, which can occur only in
    /// the query, are escaped.
    pub(crate) fn of_target(target: &Target<'_>) -> Self {
        const KEPT: &percent_encoding::AsciiSet = percent_encoding::CONTROLS;
        let rest = percent_encoding::percent_encode(&target.to_bytes(), KEPT).to_string();
        Self { origin: None, rest: rest.into() }
    }

    /// A path of the gateway with these query parameters.
    pub(crate) fn own_form(path: &OwnPath, fields: &[(&str, &str)]) -> Self {
        Self::own_query(path.as_str(), fields)
    }

    /// Makes a path a URL of this origin; a URL is not changed.
    pub(crate) fn on(self, origin: &Origin) -> Self {
        Self { origin: self.origin.or_else(|| Some(origin.clone())), ..self }
    }

    /// The target without its origin.
    pub(crate) fn path_only(&self) -> Self {
        Self { origin: None, rest: self.rest.clone() }
    }

    /// Splits a URL that the gateway itself has written into its origin and the rest; a path has no origin.
    pub(crate) fn split(text: &str) -> Option<(Option<Origin>, &str)> {
        split_origin(text)
    }

    /// A path of the gateway, given as text, with these query parameters.
    pub(crate) fn own_query(path: &str, fields: &[(&str, &str)]) -> Self {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        Self { origin: None, rest: format!("{path}{mark}{query}").into() }
    }

    /// Parses a target from a request or the configuration; `None` if it is refused.
    pub fn parse(text: &str, allowed: &AllowedOrigins) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if text.is_empty() || text.len() > MAX_TARGET || !text.bytes().all(plain) {
            return None;
        }
        let (origin, rest) = split_origin(text)?;
        let listed = origin.as_ref().is_none_or(|origin| allowed.contains(origin));
        (listed && is_safe_rest(rest)).then(|| Self { origin, rest: rest.into() })
    }

    /// The origin of a URL; `None` for a path on the requested host.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Path, query and fragment; never empty.
    pub(crate) fn path_and_query(&self) -> &str {
        &self.rest
    }

    /// The value of a `Location` header.
    pub fn header_value(&self) -> HeaderValue {
        // Always valid: the text consists of visible ASCII.
        HeaderValue::try_from(self.to_string()).unwrap_or_else(|_| HeaderValue::from_static("/"))
    }
}

impl std::fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.origin.as_ref().map_or(Ok(()), |origin| write!(f, "{origin}"))?;
        f.write_str(&self.rest)
    }
}

fn split_origin(text: &str) -> Option<(Option<Origin>, &str)> {
    if text.starts_with('/') {
        return Some((None, text));
    }
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let scheme = Scheme::parse(scheme)?;
    if has_odd_port(authority) {
        return None;
    }
    let origin = Authority::parse(authority)?.origin(scheme);
    let rest = match rest {
        "" => "/",
        rest if rest.starts_with('/') => rest,
        _ => return None,
    };
    Some((Some(origin), rest))
}

/// Whether the port has a leading zero, which some parsers read as octal and others refuse.
fn has_odd_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| port.starts_with('0') && !port.ends_with(']'))
}

fn is_safe_rest(rest: &str) -> bool {
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let Some((path, tail)) = rest.split_at_checked(end) else { return false };
    let empty_to_some = |segment: &str| !segment.is_empty() && segment.replace("%20", "").is_empty();
    !path.contains("//")
        && !path.split('/').any(empty_to_some)
        && escapes(path).all(|escape| escape.is_some_and(is_safe_in_path))
        && escapes(tail).flatten().all(|byte| !byte.is_ascii_control())
}

/// Whether the escape of a byte is allowed in a path. Slashes and control characters could be decoded by a later
/// parser; `%c0` and `%c1` begin overlong forms of them.
fn is_safe_in_path(byte: u8) -> bool {
    !byte.is_ascii_control() && !matches!(byte, b'/' | b'\\' | b'%' | 0xc0 | 0xc1)
}

/// The bytes of the percent escapes in a text; `None` for an invalid one.
fn escapes(text: &str) -> impl Iterator<Item = Option<u8>> + '_ {
    text.split('%').skip(1).map(|after| {
        let digits = after.get(..2)?;
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        hexadecimal.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    })
}

/// The allowed origins of redirects, besides paths on the requested host: those of the gateway, and
/// `logout.allowed_origins`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<OriginPattern>);

/// One entry of `logout.allowed_origins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    scheme: Scheme,
    host: Host,
    subdomains: bool,
    port: Option<u16>,
}

/// Why a text is not a valid origin pattern. Its message says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OriginPatternError {
    /// `example.com`.
    #[error("write \"https://example.com\", with its scheme")]
    NoScheme,
    /// Its host or port is not valid, or a path follows.
    #[error("write \"https://host\", \"https://*.host\" or \"https://host:*\", without path")]
    Malformed,
    /// `https://*.com`.
    #[error("a wildcard over a whole top-level domain trusts strangers: name the domain")]
    TopLevelWildcard,
}

impl OriginPattern {
    /// Reads `https://h`, `https://h:8443`, `https://h:*` (any port) or `https://*.h` (every host below `h`, not `h`
    /// itself).
    pub fn parse(text: &str) -> Result<Self, OriginPatternError> {
        let (scheme, rest) = text
            .split_once("://")
            .and_then(|(scheme, rest)| Some((Scheme::parse(scheme)?, rest)))
            .ok_or(OriginPatternError::NoScheme)?;
        let (rest, subdomains) = match rest.strip_prefix("*.") {
            Some(parent) => (parent, true),
            None => (rest, false),
        };
        let (rest, any_port) = match rest.strip_suffix(":*") {
            Some(host) => (host, true),
            None => (rest, false),
        };
        let authority = Authority::parse(rest)
            .filter(|authority| !(any_port && authority.port.is_some()))
            .ok_or(OriginPatternError::Malformed)?;
        if subdomains && !authority.host.as_str().contains('.') {
            return Err(OriginPatternError::TopLevelWildcard);
        }
        let origin = authority.origin(scheme);
        let port = (!any_port).then_some(origin.port);
        Ok(Self { scheme, host: origin.host, subdomains, port })
    }

    /// The parent domain of a wildcard; `None` for a single host.
    pub(crate) fn wildcard_parent(&self) -> Option<&Host> {
        self.subdomains.then_some(&self.host)
    }

    fn matches(&self, origin: &Origin) -> bool {
        let host = if self.subdomains { origin.host.is_subdomain_of(&self.host) } else { origin.host == self.host };
        host && origin.scheme == self.scheme && self.port.is_none_or(|port| port == origin.port)
    }
}

impl From<Origin> for OriginPattern {
    fn from(origin: Origin) -> Self {
        let port = Some(origin.port);
        Self { scheme: origin.scheme, host: origin.host, subdomains: false, port }
    }
}

impl AllowedOrigins {
    /// The origins that match one of the patterns.
    pub fn new(patterns: impl IntoIterator<Item = OriginPattern>) -> Self {
        Self(patterns.into_iter().collect())
    }

    /// Whether a redirect to this origin is allowed.
    pub(crate) fn contains(&self, origin: &Origin) -> bool {
        self.0.iter().any(|pattern| pattern.matches(origin))
    }
}

/// The entries as sources for a content security policy, each after a space.
impl std::fmt::Display for AllowedOrigins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|pattern| {
            let wildcard = if pattern.subdomains { "*." } else { "" };
            write!(f, " {}://{wildcard}{}", pattern.scheme.as_str(), pattern.host)?;
            match pattern.port {
                Some(port) => write!(f, ":{port}"),
                None => f.write_str(":*"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        input: String,
        allowed_hosts: Vec<String>,
        require_https: bool,
        safe: bool,
        why: String,
    }

    /// Converts `allowed_hosts` of the corpus to `allowed_origins`: `h` is `https://h`; `.h`, which means the domain
    /// and its subdomains, is two entries; without `require_https` the same also with `http`. Entries that are not
    /// valid hosts are left out, since a configuration with them would be refused.
    fn allowed(case: &Case) -> AllowedOrigins {
        let schemes: &[&str] = if case.require_https { &["https"] } else { &["https", "http"] };
        let entries = schemes.iter().flat_map(|scheme| {
            case.allowed_hosts.iter().filter(|host| !host.contains("://")).flat_map(move |host| {
                match host.strip_prefix('.') {
                    Some(domain) => vec![format!("{scheme}://{domain}"), format!("{scheme}://*.{domain}")],
                    None => vec![format!("{scheme}://{host}")],
                }
            })
        });
        AllowedOrigins::new(entries.filter_map(|entry| OriginPattern::parse(&entry).ok()))
    }

    #[test]
    fn t44_the_whole_corpus() {
        let corpus = include_str!("../../tests/corpus/redirect_cases.json");
        let cases: Vec<Case> = serde_json::from_str(corpus).unwrap();
        assert!(cases.len() >= 178);
        for case in cases {
            let accepted = ReturnTo::parse(&case.input, &allowed(&case));
            assert_eq!(accepted.is_some(), case.safe, "{:?}: {}", case.input, case.why);
        }
    }

    #[test]
    fn an_accepted_url_means_the_same_to_a_browser() {
        let allowed = AllowedOrigins::new(OriginPattern::parse("https://*.app.test"));
        for text in ["https://A.app.test/x?y#z", "https://a.app.test", "https://a.app.test:443/"] {
            let target = ReturnTo::parse(text, &allowed).unwrap();
            let url = url::Url::parse(&target.to_string()).unwrap();
            assert_eq!(url.host_str(), Some("a.app.test"), "{text}");
        }
        for text in ["https://app.test/", "https://a.app.test?x", "https://a.app.test#x"] {
            assert_eq!(ReturnTo::parse(text, &allowed), None, "{text}");
        }
    }

    #[test]
    fn escapes_that_change_the_path_when_decoded_are_refused() {
        let is_accepted = |text: &str| ReturnTo::parse(text, &AllowedOrigins::default()).is_some();
        for good in ["/a%20b", "/caf%C3%A9", "/%41", "/a?b=%2F%5C%25%c0", "/a#%2f"] {
            assert!(is_accepted(good), "{good}");
        }
        let bad = [
            "/%2f", "/%5C", "/%25", "/%00", "/%0a", "/%7F", "/%c0%af", "/%C1%9c", "/%", "/%2", "/%g0", "/%20/a",
            "/a?%0d", "/a#%00", "/a?%7f",
        ];
        for bad in bad {
            assert!(!is_accepted(bad), "{bad}");
        }
    }

    #[test]
    fn patterns_say_what_to_write() {
        for good in ["https://app.test", "http://localhost:8080", "https://app.test:*", "https://[::1]:*"] {
            assert!(OriginPattern::parse(good).is_ok(), "{good}");
        }
        let bad = ["*", ".", ".com", "app.test", "https://*.com", "https://app.test/", "https://*", "https://a:1:*"];
        for bad in bad {
            assert!(OriginPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_are_listed_for_browsers() {
        let patterns = ["https://app.test", "https://*.app.test", "http://port.test:8080", "https://any.test:*"];
        let allowed = AllowedOrigins::new(patterns.map(|pattern| OriginPattern::parse(pattern).unwrap()));
        let listed = " https://app.test:443 https://*.app.test:443 http://port.test:8080 https://any.test:*";
        assert_eq!(allowed.to_string(), listed);
    }

    #[test]
    fn a_target_that_is_too_long_is_refused() {
        let long = format!("/{}", "a".repeat(MAX_TARGET - 1));
        assert!(ReturnTo::parse(&long, &AllowedOrigins::default()).is_some());
        assert!(ReturnTo::parse(&format!("{long}a"), &AllowedOrigins::default()).is_none());
    }
}
