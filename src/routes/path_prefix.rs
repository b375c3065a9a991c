//! The part of a path that a route covers.

use std::fmt;

use crate::values::target::plain_path;

/// A canonical path that covers itself and everything below it, on segment boundaries: `/public` covers
/// `/public` and `/public/x`, not `/publicx`. A slash at its end makes no difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPrefix(Box<str>);

impl PathPrefix {
    /// Reads a path from the configuration. The error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = plain_path(text)?;
        Ok(Self(text.strip_suffix('/').unwrap_or(text).into()))
    }

    /// Whether a canonical path lies within.
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// How specific it is: the longer of two that cover a path wins.
    pub fn specificity(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_segments() {
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
        ];
        for (prefix, path, want) in cases {
            assert_eq!(PathPrefix::parse(prefix).unwrap().covers(path), want, "{prefix} {path}");
        }
    }

    #[test]
    fn odd_prefixes_say_what_to_write() {
        for text in ["", "public", "//a", "/a/../b", "/a?b", "/a%2fb", "/%61", "/a#b", "/a b"] {
            assert!(PathPrefix::parse(text).is_err(), "{text}");
        }
        assert!(PathPrefix::parse("public").unwrap_err().contains("\"/public\""));
        assert!(PathPrefix::parse("/%61").unwrap_err().contains("\"/a\""));
    }
}
