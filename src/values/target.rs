//! The target of a request. Rules apply to every reading of it, and its canonical spelling is forwarded.
//!
//! In the canonical spelling, escapes of unreserved characters are decoded, the others are in upper case, and dot
//! segments are removed (RFC 3986 6.2.2). The query is forwarded unchanged.

use super::ambiguous::Ambiguous;
use super::readings::RequestPath;

/// A canonical path and an unchanged query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    path: RequestPath<'a>,
    query: Option<&'a [u8]>,
    authority: Option<&'a str>,
}

/// The target of an `OPTIONS` request for the whole server (RFC 9112 3.2.4).
pub(crate) const ASTERISK: &[u8] = b"*";

impl<'a> Target<'a> {
    /// Parses the target of a request line (RFC 9112 3.2): origin-form, or absolute-form with http or https, whose
    /// authority the caller compares with `Host`.
    ///
    /// It works on the bytes as received, since a parsed URI no longer shows what made them ambiguous.
    ///
    /// # Errors
    /// The target is ambiguous or not a valid path.
    pub fn parse(raw: &'a [u8]) -> Result<Self, Ambiguous> {
        let (authority, path, query) = split(raw)?;
        Ok(Self { path: RequestPath::read(path)?, query: query.get(1..), authority })
    }

    /// The authority of a target in absolute form; `None` for a path. The path is not checked.
    ///
    /// # Errors
    /// The target has neither form.
    pub(crate) fn authority_of(raw: &[u8]) -> Result<Option<&str>, Ambiguous> {
        split(raw).map(|(authority, ..)| authority)
    }

    /// The path.
    pub fn path(&self) -> &RequestPath<'a> {
        &self.path
    }

    /// Replaces the path by another form of it.
    pub(crate) fn set_path(&mut self, path: RequestPath<'a>) {
        self.path = path;
    }

    /// The query as received, without its question mark.
    pub fn query(&self) -> Option<&'a [u8]> {
        self.query
    }

    /// The authority of an absolute-form target.
    pub fn authority(&self) -> Option<&'a str> {
        self.authority
    }

    /// The target for the upstream's request line; `None` if it equals the received one.
    pub fn rewritten(&self) -> Option<Vec<u8>> {
        let same = self.path.is_untouched() && self.authority.is_none();
        (!same).then(|| self.to_bytes())
    }

    /// The canonical path and the query, as they are forwarded.
    pub fn to_bytes(&self) -> Vec<u8> {
        let query = self.query.map_or([&b""[..], b""], |query| [b"?", query]);
        [&[self.path.text().as_bytes()][..], &query].concat().concat()
    }
}

/// Authority, path, and query with its question mark.
fn split(raw: &[u8]) -> Result<(Option<&str>, &str, &[u8]), Ambiguous> {
    let question = memchr::memchr(b'?', raw).unwrap_or(raw.len());
    let (head, query) = raw.split_at_checked(question).unwrap_or((raw, &[]));
    check_bytes(head, query)?;
    let head = std::str::from_utf8(head).map_err(|_| UNESCAPED)?;
    let (authority, path) = split_absolute_form(head, query.is_empty())?;
    Ok((authority, path, query))
}

const UNESCAPED: Ambiguous = Ambiguous::because("a letter beyond ASCII that is not escaped");

/// Refuses blanks, control characters and fragments, and non-ASCII bytes outside of the query, on which no rule
/// depends.
fn check_bytes(head: &[u8], query: &[u8]) -> Result<(), Ambiguous> {
    // There is no early exit, so that the compiler can vectorise the loops.
    let is_fine = |byte: u8| (byte > b' ') & (byte != 0x7f) & (byte != b'#');
    let fine = head.iter().fold(true, |fine, &byte| fine & is_fine(byte) & byte.is_ascii())
        && query.iter().fold(true, |fine, &byte| fine & is_fine(byte));
    if fine { Ok(()) } else { find_cause(head, query) }
}

/// The error for the bytes that are not allowed.
fn find_cause(head: &[u8], query: &[u8]) -> Result<(), Ambiguous> {
    let blank = |text: &[u8]| text.iter().fold(false, |found, &byte| found | (byte <= b' ') | (byte == 0x7f));
    if blank(head) || blank(query) {
        return Err(Ambiguous::because("a blank or a control character"));
    }
    let sharp = |text| memchr::memchr(b'#', text).is_some();
    if sharp(head) || sharp(query) {
        return Err(Ambiguous::because("\"#\" (write it as %23)"));
    }
    if head.is_ascii() { Ok(()) } else { Err(UNESCAPED) }
}

/// Splits `http://authority/path` into authority and path; a path alone passes through.
fn split_absolute_form(head: &str, is_whole: bool) -> Result<(Option<&str>, &str), Ambiguous> {
    if head.starts_with('/') {
        return Ok((None, head));
    }
    let (scheme, rest) = head.split_once("://").ok_or(NO_PATH)?;
    super::origin::Scheme::parse(scheme).ok_or(NO_PATH)?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(NO_PATH)?;
    match path {
        "" if is_whole => Ok((Some(authority), "/")),
        "" => Err(NO_PATH),
        path => Ok((Some(authority), path)),
    }
}

const NO_PATH: Ambiguous = Ambiguous::because("its beginning, which is not a slash");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn forwarded(raw: &[u8]) -> Option<String> {
        Target::parse(raw).ok().map(|target| String::from_utf8_lossy(&target.to_bytes()).into_owned())
    }

    #[test]
    fn every_spelling_of_a_path_is_that_path() {
        let cases = [
            ("/", "/"),
            ("/logout", "/logout"),
            ("/logout?x", "/logout?x"),
            ("/logout?", "/logout?"),
            ("/%6cogout", "/logout"),
            ("/%6Cogout", "/logout"),
            ("/./logout", "/logout"),
            ("/.//logout", "/logout"),
            ("/a/../logout", "/logout"),
            ("/a/%2e%2e/logout", "/logout"),
            ("/public/.%2e/admin", "/admin"),
            ("/static/x.css/../../admin", "/admin"),
            ("/%2e/admin", "/admin"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("/a%20b", "/a%20b"),
            ("/%c3%a4", "/%C3%A4"),
            ("/%40a%3ab", "/%40a%3Ab"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a;b=c", "/a;b=c"),
            ("/admin?/public/../%2f", "/admin?/public/../%2f"),
            ("/a?\"<>^`{|}\\;:/?@", "/a?\"<>^`{|}\\;:/?@"),
            ("http://app.test/logout", "/logout"),
            ("HTTP://app.test", "/"),
            // Targets that some programs read literally.
            ("/a//b", "/a//b"),
            ("/a//b///c/", "/a//b///c/"),
            ("/a//../b", "/b"),
            ("/a/b//./c", "/a/b/c"),
            ("/a%2fb?q", "/a%2Fb?q"),
            ("/a%252Fb", "/a%252Fb"),
            ("/%61%3b%25", "/a%3B%25"),
            ("/wiki/What%3f", "/wiki/What%3F"),
            ("/C%23%5cx", "/C%23%5Cx"),
            ("/caf%e9", "/caf%E9"),
            ("/a.", "/a."),
            ("/a/...", "/a/..."),
            ("http://app.test/a%2Fb", "/a%2Fb"),
        ];
        for (raw, want) in cases {
            assert_eq!(forwarded(raw.as_bytes()).as_deref(), Some(want), "{raw}");
        }
        assert_eq!(Target::parse(b"/a?x=\xff\xe4").unwrap().to_bytes(), b"/a?x=\xff\xe4");
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        let cases = [
            "", "logout", "admin/x", "../admin", "?x", ";/admin", "@evil/", "app.test:80", "*", "\\admin", "//logout",
            "///logout", "/\\logout", "/logout\\", "/logout%00", "/logout%09", "/log%6fut%", "/logout%zz",
            "/%u006cogout", "/%c0%aflogout", "/public/..%2fadmin", "/public/..%5cadmin", "/public/..;/admin",
            "/public/.;/admin", "/;/admin", "/a/;x%2Fb", "/public/%2e%2e;x/admin", "/public/..%20/admin", "/.%20%20",
            "/public/%20/x", "/public/%252e%252e/admin", "/public/%c0%ae%c0%ae/admin", "/../admin",
            "/public/../../admin", "/admin%0d%0aX:y", "/a b", "/admin#/public/", "/a?x#y", "/ä", "/\u{7f}",
            "ftp://app.test/", "foo://app.test/admin", "http://app.test?x", "/a%2Fb/../c", "/./a%2Fb", "/a/..%3Fx",
            "/a/.%23", "/a%3F/%2e%2e%2fb", "/%2Fevil.test", "/%252Fevil.test", "/%5Cevil.test", "/a%2500", "/a%250D",
            "/a%25u0041", "/a%25u%25u0041", "/a%25%E2%80%8B2Fb", "/a%25C0%25AF", "/a%E0%80%AFb", "/a%E0%259Fb",
            "/a%F0%80%80%AFb", "/a%F8%88%80%80%AF", "/a/%E2%80%A5/b", "/a%EF%BC%8F..%EF%BC%8Fb",
            "/a/%EF%BC%8E%EF%BC%8E/b", "/a/.%E2%80%8B./b", "/a%C2%85", "/a/%EF%BC%852e%EF%BC%852e/b", "/a/.%20./b",
            "/a/;/../b", "/a/..;/../b", "/a/%20/../b", "/.../x", "/::$DATA/x", "/..%2F", "/%E2%80%A6/x",
            "/%E2%80%8B/x",
        ];
        for raw in cases {
            assert_eq!(forwarded(raw.as_bytes()), None, "{raw}");
        }
        assert!(Target::parse(b"/\xff").is_err() && Target::parse(b"/a?\x01").is_err());
    }

    #[test]
    fn refusals_name_the_cause() {
        let cases = [
            ("/a/..%2Fb", "a \".\" or \"..\" segment"),
            ("/a%00", "%00"),
            ("/a%E0%80%AF", "%E0%80"),
            ("/a%c1%9c", "%C1"),
            ("/a%u0041", "%uXXXX"),
            ("/a\\b", "a backslash"),
            ("//a", "\"//\""),
            ("/a#b", "\"#\" (write it as %23)"),
            ("/a%2Fb/../c", "%2F"),
        ];
        for (raw, want) in cases {
            assert_eq!(Target::parse(raw.as_bytes()).unwrap_err().detail(), want, "{raw}");
        }
    }

    #[test]
    fn a_canonical_target_is_forwarded_unchanged() {
        let target = Target::parse(b"/a/b?q=1").unwrap();
        assert_eq!((target.rewritten(), target.path().text(), target.query()), (None, "/a/b", Some(&b"q=1"[..])));
        let rewritten = |raw: &'static str| Target::parse(raw.as_bytes()).unwrap().rewritten();
        assert_eq!(rewritten("/a/../b?q").as_deref(), Some(&b"/b?q"[..]));
        assert_eq!(rewritten("/a//b%2F%41?q").as_deref(), Some(&b"/a//b%2FA?q"[..]));
        assert_eq!((rewritten("/a//b%2F"), rewritten("/A.")), (None, None), "not even a look-alike is rewritten");
        let absolute = Target::parse(b"http://app.test:80/b").unwrap();
        assert_eq!((absolute.rewritten().as_deref(), absolute.authority()), (Some(&b"/b"[..]), Some("app.test:80")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_forwarded_is_a_fixed_point(
            raw in "/([a-z.;/A]|%2[eEfF05]|%3[bBfF]|%252[eEfF]|%[46][1cC]|%c3%a4|%EF%BC%8[EF]|\\?){0,24}",
        ) {
            if let Ok(once) = Target::parse(raw.as_bytes()) {
                let forwarded = once.rewritten().unwrap_or_else(|| raw.clone().into_bytes());
                prop_assert_eq!(&forwarded, &once.to_bytes());
                let again = Target::parse(&forwarded).unwrap();
                prop_assert!(again.rewritten().is_none());
                prop_assert_eq!(again.path().literal(), once.path().literal());
                for form in [once.path().literal(), once.path().strict(), once.path().loose()] {
                    prop_assert!(!form.starts_with(b"//"));
                    prop_assert!(!form.split(|&byte| byte == b'/').any(|name| name == b"." || name == b".."));
                }
            }
        }
    }
}
