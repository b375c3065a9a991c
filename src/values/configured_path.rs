//! A path in the configuration, and its comparison with request paths.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thiserror::Error;

use super::normal_form::MAX_FORM_LENGTH;
use super::readings::RequestPath;

/// The ASCII characters that are escaped in suggestions; non-ASCII ones always are.
const BEYOND_ASCII: &AsciiSet = &CONTROLS.add(b' ');

/// An unambiguous path. A trailing slash makes no difference.
#[derive(Clone, Debug)]
pub struct ConfiguredPath {
    text: Box<str>,
    /// The literal form: with escapes decoded.
    literal: Box<[u8]>,
    /// The loose form: as the most tolerant programs read it.
    loose: Box<[u8]>,
}

/// Two paths are equal if they match the same requests.
impl PartialEq for ConfiguredPath {
    fn eq(&self, other: &Self) -> bool {
        self.literal == other.literal
    }
}

impl Eq for ConfiguredPath {}

/// Why a text is not a valid path. Its message says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfiguredPathError {
    /// `app`.
    #[error("a path starts with a slash: write \"/{text}\"")]
    NoSlash {
        /// What was written.
        text: String,
    },
    /// `/app?a=b`.
    #[error("a query or fragment is not part of a path: write \"{path}\"")]
    NotOnlyPath {
        /// The part before the query or the fragment.
        path: String,
    },
    /// `/ä`.
    #[error("blanks and non-ASCII characters must be escaped: write \"{escaped}\"")]
    Unescaped {
        /// The same path, escaped.
        escaped: String,
    },
    /// `/a//b`: programs differ in what it means.
    #[error(
        "can be read in more than one way: write \"{path}\", without //, .., semicolons, backslashes and the escapes \
         of / ; % ? # \\"
    )]
    Ambiguous {
        /// A path close to it that all programs read alike.
        path: String,
    },
    /// `/%61`.
    #[error("is not in its canonical form: write \"{path}\"")]
    NotCanonical {
        /// The canonical form.
        path: String,
    },
    /// Longer than [`MAX_FORM_LENGTH`].
    #[error("is longer than {MAX_FORM_LENGTH} bytes: write a shorter path")]
    TooLong,
}

impl ConfiguredPath {
    /// Reads a path from the configuration.
    pub fn parse(text: &str) -> Result<Self, ConfiguredPathError> {
        if !text.starts_with('/') {
            return Err(ConfiguredPathError::NoSlash { text: text.to_owned() });
        }
        if let Some((path, _)) = text.split_once(['?', '#']) {
            return Err(ConfiguredPathError::NotOnlyPath { path: path.to_owned() });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let escaped = utf8_percent_encode(text, BEYOND_ASCII).to_string();
            return Err(ConfiguredPathError::Unescaped { escaped });
        }
        let path = RequestPath::read(text).map_err(|_| ambiguous(text))?;
        let bare = |form: &[u8]| Box::<[u8]>::from(form.strip_suffix(b"/").unwrap_or(form));
        if path.opaque().is_some() || bare(path.literal()) != bare(path.strict()) {
            return Err(ambiguous(text));
        }
        if path.text() != text {
            return Err(ConfiguredPathError::NotCanonical { path: path.text().to_owned() });
        }
        let longest = path.literal().len().max(path.loose().len());
        if longest > MAX_FORM_LENGTH {
            return Err(ConfiguredPathError::TooLong);
        }
        let text = text.strip_suffix('/').unwrap_or(text).into();
        Ok(Self { text, literal: bare(path.literal()), loose: bare(path.loose()) })
    }

    /// The path as configured, without a trailing slash; empty for the root.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is the root.
    pub(crate) fn is_root(&self) -> bool {
        self.text.is_empty()
    }

    /// The length in bytes: of several paths that cover a request path, the longest is the most specific.
    pub(crate) fn length(&self) -> usize {
        self.loose.len()
    }

    /// Whether the path equals its loose form, which is in lower case and normalised as by the most tolerant programs.
    pub(crate) fn is_loose(&self) -> bool {
        self.literal == self.loose && !self.literal.iter().any(u8::is_ascii_uppercase)
    }

    /// Whether both paths have the same loose form.
    pub(crate) fn is_same_when_folded(&self, other: &Self) -> bool {
        self.loose.eq_ignore_ascii_case(&other.loose)
    }

    /// Whether a path in its literal or strict form is this one or is below it.
    pub fn covers(&self, path: &[u8]) -> bool {
        path.strip_prefix(&*self.literal).is_some_and(begins_segment)
    }

    /// Whether a path in its loose form is this one or is below it.
    pub fn covers_loosely(&self, loose: &[u8]) -> bool {
        let (head, rest) = loose.split_at_checked(self.loose.len()).unwrap_or_default();
        // The length is compared again, since `unwrap_or_default` makes both parts empty if the path is too short.
        head.len() == self.loose.len() && begins_segment(rest) && head.eq_ignore_ascii_case(&self.loose)
    }

    /// Whether a path in its literal or strict form is this one, in any letter case.
    pub(crate) fn is(&self, path: &[u8]) -> bool {
        path.strip_suffix(b"/").unwrap_or(path).eq_ignore_ascii_case(&self.literal)
    }

    /// Whether a path in its loose form is this one.
    pub(crate) fn is_loosely(&self, loose: &[u8]) -> bool {
        loose.strip_suffix(b"/").unwrap_or(loose).eq_ignore_ascii_case(&self.loose)
    }

    /// Whether this path is `loose`, another path in its loose form, or is below it.
    pub(crate) fn is_within(&self, loose: &[u8]) -> bool {
        let (head, rest) = self.loose.split_at_checked(loose.len()).unwrap_or_default();
        head.len() == loose.len() && begins_segment(rest) && head.eq_ignore_ascii_case(loose)
    }
}

fn begins_segment(rest: &[u8]) -> bool {
    matches!(rest, [] | [b'/', ..])
}

fn ambiguous(text: &str) -> ConfiguredPathError {
    // The suggestion has each segment up to its first special character, which all programs read alike.
    let plain = |segment: &str| segment.split(['%', ';', '\\']).next().unwrap_or_default().to_owned();
    let segments = text.split('/').map(plain).filter(|segment| !matches!(segment.as_str(), "" | "." | ".."));
    let path: String = segments.map(|segment| format!("/{segment}")).collect();
    ConfiguredPathError::Ambiguous { path: if path.is_empty() { "/".to_owned() } else { path } }
}

impl fmt::Display for ConfiguredPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { "/" } else { &self.text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ConfiguredPath {
        ConfiguredPath::parse(text).unwrap()
    }

    #[test]
    fn odd_paths_say_what_to_write() {
        let odd = [
            "", "public", "//a", "/a/../b", "/a?b", "/a%2fb", "/%61", "/a#b", "/a b", "/a;b", "/a%3Bb", "/a%25",
            "/a\\b", "/a%5Cb", "/é", "/caf%c3%a9", "/%E9", "/.", "/a/.", "/a%0A", "/a//",
        ];
        for text in odd {
            assert!(ConfiguredPath::parse(text).is_err(), "{text}");
        }
        let message = |text| ConfiguredPath::parse(text).unwrap_err().to_string();
        assert!(message("public").contains("\"/public\""));
        assert!(message("/%61").contains("\"/a\""));
        assert!(message("/caf%c3%a9").contains("\"/caf%C3%A9\""));
        assert!(message(&format!("/{}", "a".repeat(255))).contains("255 bytes"));
        for text in
            ["/", "/a", "/a/", "/%40admin", "/user:logout", "/caf%C3%A9", "/a%20b", "/.well-known", "/Admin", "/a."]
        {
            assert!(ConfiguredPath::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn paths_end_at_segments() {
        let cases = [
            ("/", "/", true),
            ("/", "/anything", true),
            ("/public", "/public", true),
            ("/public/", "/public", true),
            ("/public/", "/public/x", true),
            ("/public", "/publicadmin", false),
            ("/public", "/publi", false),
            ("/public", "/Public", false),
            ("/pki/ca/prod", "/pki/ca/prod2", false),
            ("/%40admin", "/@admin/x", true),
        ];
        for (covering, covered, want) in cases {
            assert_eq!(path(covering).covers(covered.as_bytes()), want, "{covering} {covered}");
        }
        assert!(path("/public").covers_loosely(b"/PUBLIC/x") && !path("/public").covers_loosely(b"/PUBLICX"));
        assert!(path("/Admin.").covers_loosely(b"/admin") && !path("/a").covers_loosely(b""));
        assert!(path("/a/b").is_within(b"/A") && path("/a").is_within(b"/a") && path("/a").is_within(b""));
        assert!(!path("/ab").is_within(b"/a") && !path("/a").is_within(b"/a/b"));
        assert!(path("/a/").is(b"/A/") && !path("/a").is(b"/a/b"));
    }

    #[test]
    fn two_spellings_are_one_path() {
        assert_eq!(path("/%40admin"), path("/@admin"));
        assert_ne!(path("/Admin"), path("/admin"));
        assert!(
            path("/Admin").is_same_when_folded(&path("/admin."))
                && !path("/Admin").is_loose()
                && path("/a/b").is_loose()
        );
    }
}
