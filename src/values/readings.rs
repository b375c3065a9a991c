//! What programs behind us could make of a path.
//!
//! One program takes `%2F` for a character of a name; the next decodes it and sees a slash; a third decodes twice. Some
//! merge `//`, cut a path off at a decoded `?` or a name at its `;`, take backslashes for slashes, know no letter case,
//! forgive dots and blanks at the end of a name, or take wide letters for plain ones. Any of them may stand behind
//! another. So every path has three forms: the literal one, with its escapes decoded as every program does; the strict
//! one, after everything that programs do by the standards they follow; the loose one, after everything that any of
//! them does. Whatever a chain of programs makes of a path has the same strict and loose forms again. A path that leads
//! to one and the same place in all three leads there for everybody.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::ambiguous::Ambiguous;
use super::escapes;
use super::normal_form::{LONGEST_FORM, NormalForm};
use super::segments::{self, DOUBLED};

/// A longer path than an honest one, in bytes, where there is anything to decide about it.
const LONGEST: usize = 4 * 1024;

/// The path of a request: one spelling to be forwarded, and what it could be read as. It begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath<'a> {
    text: Cow<'a, str>,
    /// Nothing for most paths: all forms are the text, but for letter case.
    odd: Option<Box<Odd>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Odd {
    doubled: bool,
    opaque: Option<Ambiguous>,
    literal: Vec<u8>,
    strict: NormalForm,
    loose: NormalForm,
}

impl<'a> RequestPath<'a> {
    /// Reads a path that begins with a slash and is printable ASCII. Most are plain and only looked at.
    ///
    /// # Errors
    /// What climbs, begins like an authority or holds a control character in any reading, and what no program may
    /// decode: overlong forms of UTF-8, `%uXXXX`.
    pub(crate) fn read(raw: &'a str) -> Result<Self, Ambiguous> {
        if is_plain(raw.as_bytes()) { Ok(Self { text: Cow::Borrowed(raw), odd: None }) } else { Self::read_odd(raw) }
    }

    fn read_odd(raw: &'a str) -> Result<Self, Ambiguous> {
        if raw.len() > LONGEST {
            return Err(Ambiguous::because("its length"));
        }
        if raw.starts_with("//") {
            return Err(DOUBLED);
        }
        if raw.contains('\\') {
            return Err(Ambiguous::because("a backslash"));
        }
        let escapes::Spelled { mut text, opaque, mut decoded } = escapes::spell(raw)?;
        let opaque = opaque.map(|byte| Ambiguous::bytes(&[byte]));
        if has_dot_segments(&text) {
            // What a dot segment takes back depends on where segments end.
            if let Some(opaque) = opaque {
                return Err(opaque);
            }
            decoded = resolve(&decoded, segments::check_one)?;
            text = Cow::Owned(String::from_utf8(resolve(text.as_bytes(), |_| Ok(()))?).map_err(|_| CLIMBS)?);
        }
        if matches!(text, Cow::Owned(_)) && is_plain(text.as_bytes()) {
            return Ok(Self { text, odd: None });
        }
        let odd = Odd::read(&text, decoded, opaque)?;
        Ok(Self { text, odd: Some(Box::new(odd)) })
    }

    /// The one spelling: what is forwarded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the text is, byte for byte, what was read.
    pub(crate) fn is_untouched(&self) -> bool {
        matches!(self.text, Cow::Borrowed(_))
    }

    /// Whether letter case is all that programs could differ in.
    pub(crate) fn is_plain(&self) -> bool {
        self.odd.is_none()
    }

    /// What the path is compared as: escapes decoded once, but those that take a path apart.
    pub fn literal(&self) -> &[u8] {
        self.odd.as_ref().map_or(self.text.as_bytes(), |odd| &odd.literal)
    }

    /// What is left of it to programs that decode, merge and cut as some standard says.
    pub fn strict(&self) -> &[u8] {
        self.odd.as_ref().map_or(self.text.as_bytes(), |odd| &odd.strict.text)
    }

    /// What is left of it to programs that forgive everything. Its ASCII letters may be of any case.
    pub fn loose(&self) -> &[u8] {
        self.odd.as_ref().map_or(self.text.as_bytes(), |odd| &odd.loose.text)
    }

    /// The part of the loose form that every program agrees on, where that is not all.
    pub(crate) fn fork(&self) -> Option<&[u8]> {
        self.odd.as_ref().filter(|odd| odd.loose.forks).map(|odd| odd.loose.text.as_slice())
    }

    /// The first escape that only some programs keep, if there is one.
    pub(crate) fn opaque(&self) -> Option<&Ambiguous> {
        self.odd.as_ref().and_then(|odd| odd.opaque.as_ref())
    }

    /// The path without empty segments, if it has some. Its forms are the same.
    pub(crate) fn merged(&self) -> Option<RequestPath<'static>> {
        let odd = self.odd.as_ref().filter(|odd| odd.doubled)?;
        let mut text = self.text.as_bytes().to_vec();
        merge_slashes(&mut text);
        let text = String::from_utf8(text).ok()?;
        if is_plain(text.as_bytes()) {
            return Some(RequestPath { text: Cow::Owned(text), odd: None });
        }
        let literal = escapes::decode_once(&text, LONGEST_FORM);
        let odd = Odd { doubled: false, literal, ..Odd::clone(odd) };
        Some(RequestPath { text: Cow::Owned(text), odd: Some(Box::new(odd)) })
    }

    /// Why it leads nowhere, where its readings lead to different places.
    pub(crate) fn differs(&self) -> Ambiguous {
        match &self.odd {
            None => Ambiguous::because("its letter case"),
            Some(odd) => odd.opaque.clone().unwrap_or_else(|| suspect(&self.text, odd.doubled)),
        }
    }
}

fn suspect(text: &str, doubled: bool) -> Ambiguous {
    let escape = memchr(b'%', text.as_bytes()).and_then(|at| text.get(at + 1..at + 3));
    let byte = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    match byte {
        _ if text.contains(';') => Ambiguous::because("a semicolon"),
        _ if doubled => DOUBLED,
        Some(byte) => Ambiguous::bytes(&[byte]),
        None => Ambiguous::because("the end of a name"),
    }
}

/// Whether all programs agree but for letter case: no escape, parameter or backslash, no empty segment, nothing that
/// ends in a dot, and no stream of a file (`name::$DATA`, as Windows has them).
fn is_plain(path: &[u8]) -> bool {
    // Without stopping at the first, so that the compiler compares many bytes at once.
    let single = path.iter().fold(false, |odd, &byte| odd | (byte == b'%') | (byte == b';') | (byte == b'\\'));
    let next = path.get(1..).unwrap_or_default();
    let pair = path.iter().zip(next).fold(false, |odd, (&byte, &next)| {
        let slash = (next == b'/') & ((byte == b'/') | (byte == b'.'));
        odd | slash | ((byte == b':') & ((next == b':') | (next == b'$')))
    });
    !single && !pair && path.last() != Some(&b'.')
}

fn has_dot_segments(text: &str) -> bool {
    let within = |segment: &[u8]| memmem::find(text.as_bytes(), segment).is_some();
    text.ends_with("/.") || text.ends_with("/..") || within(b"/./") || within(b"/../")
}

fn merge_slashes(text: &mut Vec<u8>) {
    text.dedup_by(|next, before| (*before, *next) == (b'/', b'/'));
}

/// Removes empty and dot segments (RFC 3986 5.2.4). All other segments are checked first, also those that are removed.
///
/// # Errors
/// The error of `judge`, else that the path climbs above the root.
fn resolve(path: &[u8], judge: fn(&[u8]) -> Result<(), Ambiguous>) -> Result<Vec<u8>, Ambiguous> {
    let (mut kept, mut rest) = (Vec::with_capacity(path.len()), path);
    let (mut climbs, mut open) = (false, false);
    while let [b'/', behind @ ..] = rest {
        let end = behind.iter().position(|&byte| byte == b'/').unwrap_or(behind.len());
        let (segment, next) = behind.split_at_checked(end).unwrap_or((behind, &[]));
        open = matches!(segment, b"" | b"." | b"..");
        if !open {
            judge(segment)?;
            kept.extend_from_slice(rest.get(..=end).unwrap_or_default());
        } else if segment == b".." {
            let parent = kept.iter().rposition(|&byte| byte == b'/');
            climbs |= parent.is_none();
            kept.truncate(parent.unwrap_or_default());
        }
        rest = next;
    }
    if open || kept.is_empty() {
        kept.push(b'/');
    }
    if climbs { Err(CLIMBS) } else { Ok(kept) }
}

const CLIMBS: Ambiguous = Ambiguous::because("a \"..\" segment");

impl Odd {
    /// Reads the forms of a path; `once` is the path with its escapes decoded once.
    fn read(text: &str, once: Vec<u8>, opaque: Option<Ambiguous>) -> Result<Self, Ambiguous> {
        let mut decoded = if memchr(b'%', &once).is_some() { escapes::decode_wholly(&once)? } else { once };
        let invalid = check_encoding(&decoded)?;
        let doubled = memmem::find(text.as_bytes(), b"//").is_some();
        if doubled {
            merge_slashes(&mut decoded);
        }
        segments::check(&decoded)?;
        Ok(Self {
            doubled,
            opaque: opaque.or_else(|| invalid.map(|byte| Ambiguous::bytes(&[byte]))),
            literal: escapes::decode_once(text, LONGEST_FORM),
            strict: NormalForm::strict(&decoded)?,
            loose: NormalForm::loose(&decoded)?,
        })
    }
}

/// Returns the first byte that is not valid UTF-8, if there is one.
///
/// # Errors
/// Overlong UTF-8, which lenient decoders read as slashes and dots, and `%uXXXX`.
fn check_encoding(decoded: &[u8]) -> Result<Option<u8>, Ambiguous> {
    let invalid = std::str::from_utf8(decoded).err().map(|invalid| invalid.valid_up_to());
    if invalid.is_none() && memchr(b'%', decoded).is_none() {
        return Ok(None);
    }
    let (mut rest, mut overlong) = (decoded, None);
    while let Some(at) = rest.iter().position(|&byte| byte == b'%' || byte >= 0xc0) {
        let (_, here) = rest.split_at_checked(at).unwrap_or_default();
        if is_unicode_escape(here) {
            return Err(Ambiguous::because("%uXXXX"));
        }
        overlong = overlong.or_else(|| overlong_form(here));
        rest = here.get(1..).unwrap_or_default();
    }
    match overlong {
        Some(bytes) => Err(Ambiguous::bytes(bytes)),
        None => Ok(invalid.and_then(|at| decoded.get(at)).copied()),
    }
}

fn is_unicode_escape(text: &[u8]) -> bool {
    match text {
        [b'%', b'u' | b'U', digits @ ..] => {
            digits.get(..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        _ => false,
    }
}

/// Returns the first bytes if they begin overlong UTF-8 or cannot occur in UTF-8.
fn overlong_form(text: &[u8]) -> Option<&[u8]> {
    match text {
        [0xc0 | 0xc1 | 0xf8..=0xff, ..] => text.get(..1),
        [0xe0, 0x80..=0x9f, ..] | [0xf0, 0x80..=0x8f, ..] => text.get(..2),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
