//! One canonical request target: what is matched is what is forwarded.
//!
//! A target that two programs could read in two ways is refused, because the second reader stands behind us.
//! What is left is brought to one spelling: escapes of unreserved characters are decoded, the others written in
//! upper case, empty and dot segments removed (RFC 3986 6.2.2). The query is passed on as it came.

use std::borrow::Cow;

/// A canonical path and an untouched query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    path: Cow<'a, str>,
    query: Option<&'a str>,
    authority: Option<&'a str>,
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
        let raw = std::str::from_utf8(raw).map_err(|_| Ambiguous)?;
        if !raw.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Ambiguous);
        }
        let (authority, rest) = split_absolute_form(raw)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Ok(Self { path: canonical_path(path)?, query, authority })
    }

    /// The canonical path. It starts with `/`.
    pub fn path(&self) -> &str {
        &self.path
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
        let same = matches!(self.path, Cow::Borrowed(_)) && self.authority.is_none();
        (!same).then(|| self.to_string())
    }

    /// The path as a program sees it that takes `;` for the start of a parameter and forgives spaces at the end of a
    /// name, where that differs.
    pub fn loose_path(&self) -> Option<String> {
        let name = |segment: &'_ str| segment.split(';').next().unwrap_or("").trim_end_matches("%20").to_owned();
        let differs = self.path.contains([';', '%']);
        let loose = differs.then(|| self.path.split('/').map(name).collect::<Vec<_>>().join("/"));
        loose.filter(|loose| *loose != self.path)
    }
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)?;
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

/// Brings a path to its one spelling. Most are there already and are only looked at.
fn canonical_path(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if path.starts_with("//") || path.contains('\\') {
        return Err(Ambiguous);
    }
    if is_canonical(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let mut segments: Vec<Cow<'_, str>> = Vec::new();
    let mut open = false;
    for raw in path.split('/').skip(1) {
        let segment = canonical_segment(raw)?;
        open = matches!(&*segment, "" | "." | "..");
        match &*segment {
            "" | "." => {}
            ".." => drop(segments.pop().ok_or(Ambiguous)?),
            _ => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(path.len() + 1);
    for segment in &segments {
        canonical.push('/');
        canonical.push_str(segment);
    }
    if open || segments.is_empty() {
        canonical.push('/');
    }
    Ok(Cow::Owned(canonical))
}

/// Whether there is nothing to decide: no escape, no parameter, no empty or dot segment.
fn is_canonical(path: &[u8]) -> bool {
    let plain = !path.iter().any(|byte| matches!(byte, b'%' | b';'));
    plain && !path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

/// Decodes what may be decoded, and refuses what a later reader might decode to something else.
fn canonical_segment(raw: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let name = raw.split(';').next().unwrap_or_default();
    let segment = if raw.contains('%') { Cow::Owned(decode(raw)?) } else { Cow::Borrowed(raw) };
    let decoded_name = segment.split(';').next().unwrap_or_default();
    let has_parameter = name.len() < raw.len();
    if has_parameter && matches!(decoded_name, "" | "." | "..") { Err(Ambiguous) } else { Ok(segment) }
}

fn decode(raw: &str) -> Result<String, Ambiguous> {
    let mut canonical = String::with_capacity(raw.len());
    let mut meaning = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            canonical.push(char::from(byte));
            meaning.push(byte);
            continue;
        }
        let byte = hex(rest.next())? << 4 | hex(rest.next())?;
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                canonical.push(char::from(byte));
            }
            0..=0x1f | 0x7f | b'/' | b'\\' | b'%' | b';' | b'?' | b'#' => return Err(Ambiguous),
            _ => canonical.push_str(&format!("%{byte:02X}")),
        }
        meaning.push(byte);
    }
    // Overlong forms of `/` and `.` are no UTF-8.
    std::str::from_utf8(&meaning).map_err(|_| Ambiguous)?;
    Ok(canonical)
}

fn hex(digit: Option<u8>) -> Result<u8, Ambiguous> {
    let value = digit.and_then(|digit| char::from(digit).to_digit(16)).ok_or(Ambiguous)?;
    u8::try_from(value).map_err(|_| Ambiguous)
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
            "/public/%2e%2e;x/admin", "/public/%252e%252e/admin", "/public%2fadmin", "/public/%c0%ae%c0%ae/admin",
            "/../admin", "/public/../../admin", "/admin%0d%0aX:y", "/a b", "/admin#/public/", "/ä", "/\u{7f}",
            "ftp://app.test/", "foo://app.test/admin", "http://app.test?x",
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
    }
}
