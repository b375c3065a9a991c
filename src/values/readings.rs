//! The ways in which programs behind the gateway can read a path.
//!
//! One program takes `%2F` for a character of a name, the next decodes it to a slash, a third decodes twice. Some merge
//! `//`, cut a path off at a decoded `?` or a name at `;`, take backslashes for slashes, ignore letter case, ignore
//! dots and blanks at the end of a name, or take full-width letters for ASCII ones. Several such programs can be
//! chained. So every path has three forms: the *literal* one, with escapes decoded once, as by every program; the
//! *strict* one, after everything that programs do according to the standards; and the *loose* one, after everything
//! that any program does. Whatever a chain of programs makes of a path has the same strict and loose forms. A path for
//! which all three forms lead to the same route leads there for every program.

use std::borrow::Cow;

use memchr::{memchr, memchr3, memmem, memrchr};

use super::ambiguous::Ambiguous;
use super::escapes;
use super::normal_form::{MAX_FORM_LENGTH, NormalForm};
use super::segments::{self, DOUBLED};

/// The maximum length of a path that is not plain, in bytes. Most file systems limit names to 255 bytes, which take 765
/// if all of them are escaped: one such name fits, and 600 bytes before it.
const MAX_PATH_LENGTH: usize = 1400;
/// The maximum number of percent signs after decoding once. A URL in a path, escaped twice, has some dozens.
const MAX_PERCENT_SIGNS: usize = 128;
/// The maximum number of names that begin with a dot, in a path with dot segments. Browsers resolve dot segments
/// themselves.
const MAX_DOTTED: usize = 32;

/// The path of a request: its canonical spelling, which is forwarded, and its forms. It begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath<'a> {
    text: Cow<'a, str>,
    /// The forms; `None` for plain paths, whose forms all equal the text, except for letter case.
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
    /// Parses a path that begins with a slash and consists of visible ASCII. Most paths are plain, and are not copied.
    ///
    /// # Errors
    /// In some reading the path climbs above the root, begins with two slashes or contains a control character; it has
    /// escapes that some decoders misread (overlong UTF-8, `%uXXXX`), or exceeds a limit.
    pub(crate) fn read(raw: &'a str) -> Result<Self, Ambiguous> {
        if is_plain(raw.as_bytes()) { Ok(Self { text: Cow::Borrowed(raw), odd: None }) } else { Self::read_odd(raw) }
    }

    fn read_odd(raw: &'a str) -> Result<Self, Ambiguous> {
        if raw.len() > MAX_PATH_LENGTH {
            return Err(Ambiguous::because("its length"));
        }
        if raw.starts_with("//") {
            return Err(DOUBLED);
        }
        if raw.contains('\\') {
            return Err(Ambiguous::because("a backslash"));
        }
        let escapes::Spelled { mut text, opaque, mut decoded } = escapes::spell(raw)?;
        segments::count(&decoded)?;
        let opaque = opaque.map(|byte| Ambiguous::bytes(&[byte]));
        if has_dot_segments(&text) {
            // The segment that `..` removes depends on where a program ends segments.
            if let Some(opaque) = opaque {
                return Err(opaque);
            }
            decoded = resolve(decoded, segments::check_first)?;
            let resolved = resolve(text.into_owned().into_bytes(), |_| Ok(()))?;
            text = Cow::Owned(String::from_utf8(resolved).map_err(|_| CLIMBS)?);
        }
        if matches!(text, Cow::Owned(_)) && memchr(b'%', text.as_bytes()).is_none() && is_plain(text.as_bytes()) {
            return Ok(Self { text, odd: None });
        }
        let odd = Odd::read(&text, decoded, opaque)?;
        Ok(Self { text, odd: Some(Box::new(odd)) })
    }

    /// The canonical spelling, which is forwarded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the text is byte for byte that of the request.
    pub(crate) fn is_untouched(&self) -> bool {
        matches!(self.text, Cow::Borrowed(_))
    }

    /// Whether programs can differ only about letter case.
    pub(crate) fn is_plain(&self) -> bool {
        self.odd.is_none()
    }

    /// The literal form: escapes decoded once, except those of delimiters.
    pub fn literal(&self) -> &[u8] {
        self.odd.as_ref().map_or(self.text.as_bytes(), |odd| &odd.literal)
    }

    /// The strict form: decoded, merged and cut as some standard says.
    pub fn strict(&self) -> &[u8] {
        self.odd.as_ref().map_or(self.text.as_bytes(), |odd| &odd.strict.text)
    }

    /// The loose form: as the most tolerant programs read it. ASCII letters may have any case.
    pub fn loose(&self) -> &[u8] {
        self.odd.as_ref().map_or(self.text.as_bytes(), |odd| &odd.loose.text)
    }

    /// The common beginning of the loose form, if the rest depends on the program.
    pub(crate) fn fork(&self) -> Option<&[u8]> {
        self.odd.as_ref().filter(|odd| odd.loose.forks).map(|odd| odd.loose.text.as_slice())
    }

    /// The first escape that only some programs decode, if there is one.
    pub(crate) fn opaque(&self) -> Option<&Ambiguous> {
        self.odd.as_ref().and_then(|odd| odd.opaque.as_ref())
    }

    /// The path without empty segments, if it has any. Its strict and loose forms are the same.
    pub(crate) fn merged(&self) -> Option<RequestPath<'static>> {
        let odd = self.odd.as_ref().filter(|odd| odd.doubled)?;
        let mut text = self.text.as_bytes().to_vec();
        merge_slashes(&mut text);
        let text = String::from_utf8(text).ok()?;
        if is_plain(text.as_bytes()) {
            return Some(RequestPath { text: Cow::Owned(text), odd: None });
        }
        let literal = escapes::decode_once(&text, MAX_FORM_LENGTH);
        let odd = Odd { doubled: false, literal, ..Odd::clone(odd) };
        Some(RequestPath { text: Cow::Owned(text), odd: Some(Box::new(odd)) })
    }

    /// The error for a path whose readings lead to different routes.
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

/// Whether all programs agree about the path except for letter case: it has no escape, parameter, backslash, empty
/// segment, name that ends with a dot, or Windows data stream (`name::$DATA`).
fn is_plain(path: &[u8]) -> bool {
    if memchr3(b'%', b';', b'\\', path).is_some() {
        return false;
    }
    // There is no early exit, so that the compiler can vectorise the loop.
    let next = path.get(1..).unwrap_or_default();
    let pair = path.iter().zip(next).fold(false, |odd, (&byte, &next)| {
        let slash = (next == b'/') & ((byte == b'/') | (byte == b'.'));
        odd | slash | ((byte == b':') & ((next == b':') | (next == b'$')))
    });
    !pair && path.last() != Some(&b'.')
}

fn has_dot_segments(text: &str) -> bool {
    let from = |at: usize| text.as_bytes().get(at..).unwrap_or_default();
    // There is no early exit, so that the compiler can vectorise the loop.
    let dots = from(0).iter().zip(from(1)).zip(from(2).iter().zip(from(3))).fold(false, |found, ((a, b), (c, d))| {
        found | ((*a == b'/') & (*b == b'.') & ((*c == b'/') | ((*c == b'.') & (*d == b'/'))))
    });
    dots || ["/.", "/..", "/./"].iter().any(|end| text.ends_with(end))
}

fn merge_slashes(text: &mut Vec<u8>) {
    if memmem::find(text, b"//").is_none() {
        return;
    }
    text.dedup_by(|next, before| (*before, *next) == (b'/', b'/'));
}

/// Removes empty and dot segments (RFC 3986 5.2.4). `judge` checks the names that a `..` removes.
///
/// # Errors
/// The error of `judge`; the path climbs above the root, or too many of its names begin with a dot.
fn resolve(mut path: Vec<u8>, judge: fn(&[u8]) -> Result<(), Ambiguous>) -> Result<Vec<u8>, Ambiguous> {
    merge_slashes(&mut path);
    let dotted = memmem::Finder::new(b"/.");
    let (mut kept, mut rest) = (Vec::with_capacity(path.len()), path.as_slice());
    for _ in 0..MAX_DOTTED {
        let Some((before, [_, name @ ..])) = dotted.find(rest).and_then(|at| rest.split_at_checked(at)) else {
            kept.extend_from_slice(rest);
            return Ok(kept);
        };
        kept.extend_from_slice(before);
        let end = memchr(b'/', name).unwrap_or(name.len());
        (_, rest) = name.split_at_checked(end).unwrap_or_default();
        match name.get(..end).unwrap_or_default() {
            b"." => {}
            b".." => {
                let parent = memrchr(b'/', &kept).ok_or(CLIMBS)?;
                judge(kept.get(parent + 1..).unwrap_or_default())?;
                kept.truncate(parent);
            }
            name => {
                kept.push(b'/');
                kept.extend_from_slice(name);
                continue;
            }
        }
        if rest.is_empty() {
            kept.push(b'/');
        }
    }
    Err(Ambiguous::because("so many names with a dot in front"))
}

const CLIMBS: Ambiguous = Ambiguous::because("a \"..\" segment");

impl Odd {
    /// Makes the forms of a path; `once` is the path with its escapes decoded once.
    fn read(text: &str, once: Vec<u8>, opaque: Option<Ambiguous>) -> Result<Self, Ambiguous> {
        let mut decoded = match memchr::memchr_iter(b'%', &once).count() {
            0 => once,
            1..=MAX_PERCENT_SIGNS => escapes::decode_wholly(&once)?,
            _ => return Err(Ambiguous::because("so many percent signs")),
        };
        let invalid = check_encoding(&decoded)?;
        let doubled = memmem::find(text.as_bytes(), b"//").is_some();
        if doubled {
            merge_slashes(&mut decoded);
        }
        segments::check(&decoded)?;
        Ok(Self {
            doubled,
            opaque: opaque.or_else(|| invalid.map(|byte| Ambiguous::bytes(&[byte]))),
            literal: escapes::decode_once(text, MAX_FORM_LENGTH),
            strict: NormalForm::strict(&decoded)?,
            loose: NormalForm::loose(&decoded)?,
        })
    }
}

/// The first byte that is not valid UTF-8, if there is one.
///
/// # Errors
/// Overlong UTF-8, which lenient decoders read as slashes and dots, and `%uXXXX`.
fn check_encoding(decoded: &[u8]) -> Result<Option<u8>, Ambiguous> {
    if memchr(b'%', decoded).is_some() && has_unicode_escape(decoded) {
        return Err(Ambiguous::because("%uXXXX"));
    }
    let Err(invalid) = std::str::from_utf8(decoded) else { return Ok(None) };
    let (next, last) = (decoded.get(1..).unwrap_or_default(), decoded.last().copied().unwrap_or_default());
    // There is no early exit, so that the compiler can vectorise the loop.
    let overlong = decoded.iter().zip(next).fold(false, |found, (byte, next)| found | is_overlong(*byte, *next));
    if overlong || is_overlong(last, 0) {
        return Err(first_overlong(decoded));
    }
    Ok(decoded.get(invalid.valid_up_to()).copied())
}

fn has_unicode_escape(decoded: &[u8]) -> bool {
    let mut rest = decoded;
    while let [first, behind @ ..] = rest {
        if *first == b'%'
            && let [b'u' | b'U', digits @ ..] = behind
            && digits.get(..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        {
            return true;
        }
        rest = behind;
    }
    false
}

/// Whether these bytes begin overlong UTF-8, or the first one cannot occur in UTF-8.
fn is_overlong(byte: u8, next: u8) -> bool {
    (byte & 0xfe == 0xc0)
        | (byte >= 0xf8)
        | ((byte == 0xe0) & (next & 0xe0 == 0x80))
        | ((byte == 0xf0) & (next & 0xf0 == 0x80))
}

fn first_overlong(decoded: &[u8]) -> Ambiguous {
    let two = decoded.windows(2).find(|two| matches!(two, [byte, next] if is_overlong(*byte, *next)));
    let bytes = two.or_else(|| decoded.get(decoded.len().saturating_sub(1)..)).unwrap_or_default();
    Ambiguous::bytes(if matches!(bytes, [0xe0 | 0xf0, _]) { bytes } else { bytes.get(..1).unwrap_or_default() })
}

#[cfg(test)]
mod tests;
