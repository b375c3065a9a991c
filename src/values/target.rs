//! One canonical request target: what is matched is what is forwarded.
//!
//! A target that two programs could read in two ways is refused, because the second reader stands behind us.
//! What is left is brought to one spelling: escapes of unreserved characters are decoded, the others written in
//! upper case, empty and dot segments removed (RFC 3986 6.2.2). The query is passed on as it came.
//!
//! Some applications are known to read `%2F`, `%25`, `%3B` and `//` literally. A target of a request may hold them
//! until it is settled: either it is kept literally, or it is merged like every other, or refused.

use std::borrow::Cow;

use super::escapes::{self, BarePercent};
use super::readings;

/// A canonical path and an untouched query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    path: Path<'a>,
    query: Option<&'a str>,
    authority: Option<&'a str>,
}

/// A path, as far as it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Path<'a> {
    /// It has one reading.
    Settled(Cow<'a, str>),
    /// It has empty segments: without them, and with them where that is a path too.
    Doubled { merged: String, literal: Option<String> },
    /// It has escapes that only some programs keep. There is no other form.
    Escaped(String),
}

/// The target has no single reading, or is no path at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

impl<'a> Target<'a> {
    /// Reads the target of a request line (RFC 9112 3.2): origin-form, or absolute-form for http and https, whose
    /// authority the caller compares with the `Host`.
    ///
    /// Judges the bytes as they came. A parsed URI would already have lost what made them ambiguous.
    pub fn parse(raw: &'a [u8]) -> Result<Self, Ambiguous> {
        let mut target = Self::of_request(raw)?;
        target.merge()?;
        Ok(target)
    }

    /// The same for a target that some route may want literally: it is still to be settled, by [`Target::keep`] or
    /// [`Target::merge`].
    pub fn of_request(raw: &'a [u8]) -> Result<Self, Ambiguous> {
        let raw = std::str::from_utf8(raw).map_err(|_| Ambiguous)?;
        if !raw.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Ambiguous);
        }
        let (authority, rest) = split_absolute_form(raw)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Ok(Self { path: Path::read(path)?, query, authority })
    }

    /// The canonical path. It starts with `/`.
    pub fn path(&self) -> &str {
        match &self.path {
            Path::Settled(path) => path,
            Path::Doubled { merged, .. } => merged,
            Path::Escaped(literal) => literal,
        }
    }

    /// Whether there is nothing to settle.
    pub fn is_settled(&self) -> bool {
        matches!(self.path, Path::Settled(_))
    }

    /// Settles the target to what it literally is. Whether all its readings mean the same, the caller has looked.
    pub fn keep(&mut self) -> Result<(), Ambiguous> {
        let literal = match &mut self.path {
            Path::Settled(_) => return Ok(()),
            Path::Doubled { literal, .. } => literal.take().ok_or(Ambiguous)?,
            Path::Escaped(literal) => {
                readings::all([literal.clone()])?;
                std::mem::take(literal)
            }
        };
        self.path = Path::Settled(Cow::Owned(literal));
        Ok(())
    }

    /// Settles the target to its form without empty segments.
    pub fn merge(&mut self) -> Result<(), Ambiguous> {
        let merged = match &mut self.path {
            Path::Settled(_) => return Ok(()),
            Path::Doubled { merged, .. } => std::mem::take(merged),
            Path::Escaped(_) => return Err(Ambiguous),
        };
        self.path = Path::Settled(Cow::Owned(merged));
        Ok(())
    }

    /// Whatever programs could make of the path, its own form first.
    pub fn readings(&self) -> Result<Vec<String>, Ambiguous> {
        match &self.path {
            Path::Settled(path) => readings::all([path.clone().into_owned()]),
            Path::Doubled { merged, literal } => readings::all([merged.clone()].into_iter().chain(literal.clone())),
            Path::Escaped(literal) => readings::all([literal.clone()]),
        }
    }

    /// The query as it came, without its question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The authority of an absolute-form target.
    pub fn authority(&self) -> Option<&'a str> {
        self.authority
    }

    /// What to write in the upstream's request line instead of `raw`; `None` where it is that already.
    pub fn rewritten(&self) -> Option<String> {
        let same = matches!(self.path, Path::Settled(Cow::Borrowed(_))) && self.authority.is_none();
        (!same).then(|| self.to_string())
    }

    /// The path as a program sees it that takes `;` for the start of a parameter and forgives spaces at the end of a
    /// name, where that differs.
    pub fn loose_path(&self) -> Option<String> {
        readings::cut(self.path())
    }
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.path())?;
        self.query.map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// Checks a path that the configuration names: canonical, and nothing but a path. The error says what to write.
pub fn plain_path(text: &str) -> Result<&str, String> {
    if !text.starts_with('/') {
        return Err(format!("a path starts with a slash: write \"/{text}\""));
    }
    let target = Target::parse(text.as_bytes())
        .map_err(|_| "it can be read in more than one way: leave out //, .., backslashes and escapes".to_owned())?;
    if target.query().is_some() {
        return Err("it is matched by its path alone: leave out the question mark and the rest".to_owned());
    }
    if target.path() != text {
        return Err(format!("write it in its plain form: \"{}\"", target.path()));
    }
    Ok(text)
}

/// Splits `http://authority/path` into authority and path; a path alone passes through.
fn split_absolute_form(raw: &str) -> Result<(Option<&str>, &str), Ambiguous> {
    if raw.starts_with('/') {
        return Ok((None, raw));
    }
    let (scheme, rest) = raw.split_once("://").ok_or(Ambiguous)?;
    super::origin::Scheme::parse(scheme).ok_or(Ambiguous)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(Ambiguous)?;
    match path {
        "" => Ok((Some(authority), "/")),
        path if path.starts_with('/') => Ok((Some(authority), path)),
        _ => Err(Ambiguous),
    }
}

impl<'a> Path<'a> {
    /// Brings a path to its one spelling. Most are there already and are only looked at.
    fn read(path: &'a str) -> Result<Self, Ambiguous> {
        if is_canonical(path.as_bytes()) {
            return Ok(Self::Settled(Cow::Borrowed(path)));
        }
        if path.starts_with("//") || path.contains('\\') {
            return Err(Ambiguous);
        }
        let segments = path.split('/').skip(1).map(Segment::read).collect::<Result<Vec<_>, _>>()?;
        if segments.iter().any(|segment| segment.opaque) {
            // What a dot segment takes back depends on where segments end.
            if segments.iter().any(Segment::moves) {
                return Err(Ambiguous);
            }
            return Ok(Self::Escaped(resolve(&segments, Empty::Kept)?));
        }
        let merged = resolve(&segments, Empty::Removed)?;
        if !path.contains("//") {
            return Ok(Self::Settled(Cow::Owned(merged)));
        }
        // In front, two slashes would begin an authority.
        let literal = resolve(&segments, Empty::Kept)?;
        Ok(Self::Doubled { merged, literal: Some(literal).filter(|literal| !literal.starts_with("//")) })
    }
}

/// Whether there is nothing to decide: no escape, no parameter, no backslash, no empty or dot segment.
fn is_canonical(path: &[u8]) -> bool {
    let mut after_slash = false;
    path.iter().all(|&byte| {
        let odd = matches!(byte, b'%' | b';' | b'\\') || (after_slash && matches!(byte, b'/' | b'.'));
        after_slash = byte == b'/';
        !odd
    })
}

/// What stands between two slashes, its escapes in their one spelling.
struct Segment<'a> {
    text: Cow<'a, str>,
    opaque: bool,
}

impl<'a> Segment<'a> {
    /// Decodes what may be decoded, and refuses what a later reader might decode to something else.
    fn read(raw: &'a str) -> Result<Self, Ambiguous> {
        let segment = if raw.contains('%') {
            let escaped = escapes::decode(raw, BarePercent::Refused)?;
            Self { text: Cow::Owned(escaped.text), opaque: escaped.opaque }
        } else {
            Self { text: Cow::Borrowed(raw), opaque: false }
        };
        let name = readings::name_of(&segment.text);
        let hidden = name.len() < segment.text.len() && matches!(name, "" | "." | "..");
        if hidden { Err(Ambiguous) } else { Ok(segment) }
    }

    /// Whether it leads somewhere instead of naming something.
    fn moves(&self) -> bool {
        matches!(&*self.text, "." | "..")
    }
}

/// What becomes of empty segments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Removed,
    Kept,
}

/// Removes dot segments (RFC 3986 5.2.4). What would climb above the root is refused.
fn resolve(segments: &[Segment<'_>], empty: Empty) -> Result<String, Ambiguous> {
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        open = matches!(&*segment.text, "" | "." | "..");
        match &*segment.text {
            "." => {}
            ".." => drop(kept.pop().ok_or(Ambiguous)?),
            "" if last || empty == Empty::Removed => {}
            name => kept.push(name),
        }
    }
    let mut canonical = String::new();
    for segment in &kept {
        canonical.push('/');
        canonical.push_str(segment);
    }
    if open || kept.is_empty() {
        canonical.push('/');
    }
    Ok(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(raw: &str) -> Option<String> {
        Target::parse(raw.as_bytes()).ok().map(|target| target.to_string())
    }

    #[test]
    fn every_spelling_of_a_path_is_that_path() {
        let cases = [
            ("/", "/"),
            ("/logout", "/logout"),
            ("/logout?x", "/logout?x"),
            ("/%6cogout", "/logout"),
            ("/%6Cogout", "/logout"),
            ("/./logout", "/logout"),
            ("/.//logout", "/logout"),
            ("/a/../logout", "/logout"),
            ("/a/%2e%2e/logout", "/logout"),
            ("/public/.%2e/admin", "/admin"),
            ("/static/x.css/../../admin", "/admin"),
            ("/%2e/admin", "/admin"),
            ("/a//b", "/a/b"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a%20b", "/a%20b"),
            ("/%c3%a4", "/%C3%A4"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a;b=c", "/a;b=c"),
            ("/admin?/public/../%2f", "/admin?/public/../%2f"),
            ("http://app.test/logout", "/logout"),
            ("HTTP://app.test", "/"),
        ];
        for (raw, want) in cases {
            assert_eq!(canonical(raw).as_deref(), Some(want), "{raw}");
        }
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        let cases = [
            "", "logout", "admin/x", "../admin", "?x", ";/admin", "@evil/", "app.test:80", "*", "\\admin", "//logout",
            "///logout", "/\\logout", "/logout\\", "/logout%2f", "/logout%5c", "/logout%00", "/logout%09",
            "/logout%3b", "/logout%3fx", "/logout%23", "/log%6fut%", "/logout%zz", "/%u006cogout", "/%c0%aflogout",
            "/public/..%2fadmin", "/public/..%5cadmin", "/public/..;/admin", "/public/.;/admin", "/;/admin",
            "/public/%2e%2e;x/admin", "/public/..%20/admin", "/.%20%20", "/public/%20/x", "/public/%252e%252e/admin",
            "/public%2fadmin", "/public/%c0%ae%c0%ae/admin", "/../admin", "/public/../../admin", "/admin%0d%0aX:y",
            "/a b", "/admin#/public/", "/ä", "/\u{7f}", "ftp://app.test/", "foo://app.test/admin", "http://app.test?x",
        ];
        for raw in cases {
            assert_eq!(canonical(raw), None, "{raw}");
        }
        assert_eq!(Target::parse(b"/\xff"), Err(Ambiguous));
    }

    #[test]
    fn a_canonical_target_is_forwarded_as_it_came() {
        let target = Target::parse(b"/a/b?q=1").unwrap();
        assert_eq!((target.rewritten(), target.path(), target.query()), (None, "/a/b", Some("q=1")));
        assert_eq!(Target::parse(b"/a/../b?q").unwrap().rewritten().as_deref(), Some("/b?q"));
        let absolute = Target::parse(b"http://app.test:80/b").unwrap();
        assert_eq!((absolute.rewritten().as_deref(), absolute.authority()), (Some("/b"), Some("app.test:80")));
    }

    fn settled<'a>(raw: &'a str, settle: fn(&mut Target<'a>) -> Result<(), Ambiguous>) -> Option<String> {
        let mut target = Target::of_request(raw.as_bytes()).ok()?;
        settle(&mut target).ok()?;
        assert!(target.is_settled());
        if target.authority().is_none() {
            let forwarded = target.rewritten().unwrap_or_else(|| raw.to_owned());
            assert_eq!(forwarded, target.to_string(), "what is judged is what is forwarded");
        }
        Some(target.to_string())
    }

    /// A target, as it is kept for a route that wants it literally, and as it is elsewhere.
    #[test]
    fn what_some_programs_read_literally_can_be_kept() {
        let cases = [
            ("/a/b", Some("/a/b"), Some("/a/b")),
            ("/a%2fb?q", Some("/a%2Fb?q"), None),
            ("/a%252Fb", Some("/a%252Fb"), None),
            ("/%61%3b%25", Some("/a%3B%25"), None),
            ("/a//b///c/", Some("/a//b///c/"), Some("/a/b/c/")),
            ("/a//", Some("/a//"), Some("/a/")),
            ("/a//b%2F//c", Some("/a//b%2F//c"), None),
            ("/a//../b", Some("/a/b"), Some("/b")),
            ("/a/b//./c", Some("/a/b//c"), Some("/a/b/c")),
            ("http://app.test/a%2Fb", Some("/a%2Fb"), None),
            ("/.//b", None, Some("/b")),
            ("/a/..//b", None, Some("/b")),
            ("//a%2Fb", None, None),
            ("/a%2F../b", None, None),
            ("/a%2Fb/../c", None, None),
            ("/./a%2Fb", None, None),
            ("/a%5cb", None, None),
            ("/a%2Fb%00", None, None),
            ("/a%2", None, None),
        ];
        for (raw, kept, merged) in cases {
            assert_eq!(settled(raw, Target::keep).as_deref(), kept, "{raw} is kept");
            assert_eq!(settled(raw, Target::merge).as_deref(), merged, "{raw} is merged");
            let at_once = Target::of_request(raw.as_bytes()).is_ok_and(|target| target.is_settled());
            assert_eq!(at_once, kept.is_some() && kept == merged, "{raw}");
        }
    }

    #[test]
    fn what_is_kept_has_all_its_readings_looked_at() {
        let readings = |raw: &str| Target::of_request(raw.as_bytes()).unwrap().readings();
        assert_eq!(readings("/a//b").unwrap(), ["/a/b", "/a//b"]);
        assert_eq!(readings("/a//../b").unwrap(), ["/b", "/a/b"], "not every program removes dots alike");
        assert_eq!(readings("/a%2Fb").unwrap(), ["/a%2Fb", "/a/b"]);
    }

    #[test]
    fn parameters_are_seen_as_a_program_sees_them_that_knows_them() {
        let without = |raw: &'static str| Target::parse(raw.as_bytes()).unwrap().loose_path();
        assert_eq!(without("/logout;x=1").as_deref(), Some("/logout"));
        assert_eq!(without("/a;b/c;d/e").as_deref(), Some("/a/c/e"));
        assert_eq!(without("/a/b"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn canonical_is_a_fixed_point(raw in "/([a-z.;/]|%2[eEfF]|%[46][1cC]|%c3%a4|\\?){0,24}") {
            if let Some(once) = canonical(&raw) {
                prop_assert_eq!(canonical(&once), Some(once.clone()));
                let path = once.split('?').next().unwrap();
                prop_assert!(!path.contains("//") && !path.split('/').any(|segment| segment == ".."));
            }
        }

        #[test]
        fn what_is_kept_is_a_fixed_point(raw in "/([a-z.;/]|%2[eEfF05]|%3[bB]|%252[eEfF]|%[46][1cC]|\\?){0,24}") {
            if let Some(once) = settled(&raw, Target::keep) {
                prop_assert_eq!(settled(&once, Target::keep), Some(once.clone()));
                prop_assert!(!once.starts_with("//"));
            }
        }

        #[test]
        fn no_reading_moves(raw in "/([a-z.;/]|%2[eEfF05]|%3[bB]|%252[eEfF]|%[46][1cC]){0,24}") {
            let readings = Target::of_request(raw.as_bytes()).and_then(|target| target.readings());
            for reading in readings.unwrap_or_default() {
                prop_assert!(reading.starts_with('/') && !reading.starts_with("//"));
                prop_assert!(!reading.split('/').any(|segment| matches!(segment, "." | "..")));
            }
        }
    }
}
