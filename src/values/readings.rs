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
use super::wide_letters::{narrow_letters, narrow_signs};

/// More of a form than this is not compared: configured paths are shorter.
pub(crate) const LONGEST_FORM: usize = 255;
/// A longer path than an honest one, in bytes, where there is anything to decide about it.
const LONGEST: usize = 4 * 1024;

/// The path of a request: one spelling to be forwarded, and what it could be read as. It begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestPath<'a> {
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

/// A path as names without anything between them but single slashes; nothing for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NormalForm {
    text: Vec<u8>,
    /// Everything behind depends on when a parameter is cut off.
    forks: bool,
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
        let escapes::Spelled { mut text, opaque } = escapes::spell(raw)?;
        let opaque = opaque.map(|byte| Ambiguous::bytes(&[byte]));
        if has_dot_segments(&text) {
            // What a dot segment takes back depends on where segments end.
            if let Some(opaque) = opaque {
                return Err(opaque);
            }
            if text.contains(['%', ';']) {
                check_others(&text)?;
            }
            text = Cow::Owned(resolve(&text)?);
        }
        if is_plain(text.as_bytes()) {
            return Ok(Self { text, odd: None });
        }
        let odd = Odd::read(&text, opaque)?;
        Ok(Self { text, odd: Some(Box::new(odd)) })
    }

    /// The one spelling: what is forwarded.
    pub(crate) fn text(&self) -> &str {
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
    pub(crate) fn literal(&self) -> &[u8] {
        self.odd.as_ref().map_or(self.text.as_bytes(), |odd| &odd.literal)
    }

    /// What is left of it to programs that decode, merge and cut as some standard says.
    pub(crate) fn strict(&self) -> &[u8] {
        self.odd.as_ref().map_or(self.text.as_bytes(), |odd| &odd.strict.text)
    }

    /// What is left of it to programs that forgive everything. Its ASCII letters may be of any case.
    pub(crate) fn loose(&self) -> &[u8] {
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

    /// The path without empty segments, if it has some.
    ///
    /// # Errors
    /// None that the path did not have before.
    pub(crate) fn merged(&self) -> Option<Result<RequestPath<'static>, Ambiguous>> {
        let doubled = self.odd.as_ref().is_some_and(|odd| odd.doubled);
        doubled.then(|| RequestPath::read(&merge(&self.text)).map(RequestPath::into_owned))
    }

    /// The same, of text of its own.
    pub(crate) fn into_owned(self) -> RequestPath<'static> {
        RequestPath { text: Cow::Owned(self.text.into_owned()), odd: self.odd }
    }

    /// Why it leads nowhere, where its readings lead to different places.
    pub(crate) fn differs(&self) -> Ambiguous {
        match &self.odd {
            None => Ambiguous::because("its letter case"),
            Some(odd) => odd.opaque.clone().unwrap_or_else(|| suspect(&self.text, odd.doubled)),
        }
    }
}

const DOUBLED: Ambiguous = Ambiguous::because("\"//\"");

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

fn merge(text: &str) -> String {
    let names: Vec<_> = text.split('/').filter(|name| !name.is_empty()).collect();
    let end = if text.ends_with('/') && !names.is_empty() { "/" } else { "" };
    format!("/{}{end}", names.join("/"))
}

/// Removes empty and dot segments (RFC 3986 5.2.4). What would climb above the root is refused.
fn resolve(text: &str) -> Result<String, Ambiguous> {
    let mut kept: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop().ok_or(CLIMBS)?),
            name => kept.push(name),
        }
    }
    let open = text.ends_with(['/']) || text.ends_with("/.") || text.ends_with("/..");
    let end = if open && !kept.is_empty() { "/" } else { "" };
    Ok(format!("/{}{end}", kept.join("/")))
}

/// Refuses segments that a dot segment would take back before anybody has seen what they are.
fn check_others(text: &str) -> Result<(), Ambiguous> {
    let others: Vec<_> = text.split('/').filter(|segment| !matches!(*segment, "" | "." | "..")).collect();
    let mut decoded = Vec::with_capacity(text.len());
    escapes::decode_wholly(&format!("/{}", others.join("/")), &mut decoded)?;
    check_segments(&decoded)
}

const CLIMBS: Ambiguous = Ambiguous::because("a \"..\" segment");

impl Odd {
    fn read(text: &str, opaque: Option<Ambiguous>) -> Result<Self, Ambiguous> {
        let mut decoded = Vec::with_capacity(text.len());
        escapes::decode_wholly(text, &mut decoded)?;
        check_encoding(&decoded)?;
        check_segments(&decoded)?;
        let strict = NormalForm::of(&decoded, |name| name.into())?;
        let loose = if decoded.is_ascii() {
            NormalForm::of(&decoded, |name| trim(name).into())?
        } else {
            loose_form(&decoded)?
        };
        Ok(Self {
            doubled: memmem::find(text.as_bytes(), b"//").is_some(),
            opaque: opaque.or_else(|| not_utf8(&decoded)),
            literal: escapes::decode_once(text, LONGEST_FORM),
            strict,
            loose,
        })
    }
}

fn loose_form(decoded: &[u8]) -> Result<NormalForm, Ambiguous> {
    let mut signs = Vec::with_capacity(decoded.len());
    narrow_signs(decoded, &mut signs)?;
    check_segments(&signs)?;
    // What is compared is plain in every letter, the rest as far as it could climb.
    NormalForm::of(&signs, |name| match narrow_letters(name, LONGEST_FORM) {
        Cow::Borrowed(name) => trim(name).into(),
        Cow::Owned(name) => trim(&name).to_vec().into(),
    })
}

impl NormalForm {
    /// The names of a path, each as far as it goes without parameters and as `shorten` leaves it.
    fn of(decoded: &[u8], shorten: fn(&[u8]) -> Cow<'_, [u8]>) -> Result<Self, Ambiguous> {
        let mut form = Self::default();
        let mut rest = decoded;
        while form.text.len() <= LONGEST_FORM && !rest.is_empty() {
            let end = rest.iter().position(|&byte| is_separator(byte) || ends_name(byte)).unwrap_or(rest.len());
            let (name, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            match &*shorten(name) {
                // The second segment would begin an authority.
                [] if !name.is_empty() && form.text.is_empty() => return Err(DOUBLED),
                [] => {}
                name => {
                    form.text.push(b'/');
                    form.text.extend_from_slice(name);
                }
            }
            match behind.split_first() {
                Some((b';', parameter)) => {
                    let end = parameter.iter().position(|&byte| byte == b'/').unwrap_or(parameter.len());
                    let (parameter, next) = parameter.split_at_checked(end).unwrap_or((parameter, &[]));
                    if parameter.iter().any(|&byte| is_separator(byte) || matches!(byte, b'?' | b'#')) {
                        form.forks = true;
                        return Ok(form);
                    }
                    rest = next.get(1..).unwrap_or_default();
                }
                Some((separator, next)) if is_separator(*separator) => rest = next,
                // What is behind a question mark or a number sign is no part of the path.
                Some(_) | None => return Ok(form),
            }
        }
        Ok(form)
    }
}

/// A slash as it came, one that was escaped ([`escapes::SLASH`]), and what Windows takes for one.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | escapes::SLASH | b'\\')
}

const fn ends_name(byte: u8) -> bool {
    matches!(byte, b';' | b'?' | b'#')
}

/// What Windows leaves of a name: nothing of dots and blanks at its end, nor of the word for the file's main stream.
fn trim(name: &[u8]) -> &[u8] {
    let mut name = name;
    loop {
        let shorter = match name {
            [shorter @ .., b'.' | b' '] => shorter,
            _ => match without_stream(name) {
                Some(shorter) => shorter,
                None => return name,
            },
        };
        name = shorter;
    }
}

/// `name::$DATA`, and `name:$I30:$INDEX_ALLOCATION` for a folder.
fn without_stream(name: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memrchr(b':', name)?;
    let (before, kind) = name.split_at_checked(colon)?;
    let kind = kind.strip_prefix(b":$")?;
    if kind.is_empty() || !kind.iter().all(|&byte| byte.is_ascii_alphabetic() || byte == b'_') {
        return None;
    }
    let before = match before.split_last_chunk::<4>() {
        Some((before, stream)) if stream.eq_ignore_ascii_case(b"$i30") => before,
        _ => before,
    };
    before.strip_suffix(b":")
}

/// Refuses what stands still or climbs (`.` and `..`, also with blanks behind), what vanishes with its parameters, and
/// what begins like an authority.
fn check_segments(decoded: &[u8]) -> Result<(), Ambiguous> {
    if decoded.get(1).is_some_and(|&byte| is_separator(byte)) {
        return Err(DOUBLED);
    }
    for at in memchr::memchr3_iter(b'/', escapes::SLASH, b'\\', decoded) {
        if !matches!(decoded.get(at + 1), Some(b'.' | b' ' | b';')) {
            continue;
        }
        let segment = decoded.get(at + 1..).unwrap_or_default();
        let end = segment.iter().position(|byte| !matches!(byte, b'.' | b' ')).unwrap_or(segment.len());
        let (name, behind) = segment.split_at_checked(end).unwrap_or((segment, &[]));
        let whole = behind.first().is_none_or(|&byte| is_separator(byte) || ends_name(byte));
        let only_dots = name.len() > 2 && !name.contains(&b' ');
        if whole && !only_dots {
            return Err(if name.contains(&b'.') { MOVES } else { Ambiguous::because("a segment without a name") });
        }
    }
    Ok(())
}

const MOVES: Ambiguous = Ambiguous::because("a \".\" or \"..\" segment");

/// Refuses longer forms of characters than UTF-8 allows, which careless decoders take for slashes and dots.
fn check_encoding(decoded: &[u8]) -> Result<(), Ambiguous> {
    if let Some(at) = memmem::find(decoded, b"%u").or_else(|| memmem::find(decoded, b"%U")) {
        let digits = decoded.get(at + 2..at + 6).unwrap_or_default();
        if digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Ambiguous::because("%uXXXX"));
        }
    }
    if decoded.is_ascii() {
        return Ok(());
    }
    let next = decoded.iter().skip(1).chain(std::iter::once(&b'/'));
    let overlong = decoded.iter().zip(next).find_map(|pair| match pair {
        (byte @ (0xc0 | 0xc1 | 0xf8..=0xff), _) => Some(Ambiguous::bytes(&[*byte])),
        (0xe0, second @ 0x80..=0x9f) => Some(Ambiguous::bytes(&[0xe0, *second])),
        (0xf0, second @ 0x80..=0x8f) => Some(Ambiguous::bytes(&[0xf0, *second])),
        _ => None,
    });
    overlong.map_or(Ok(()), Err)
}

/// The first byte that is no UTF-8.
fn not_utf8(decoded: &[u8]) -> Option<Ambiguous> {
    let at = std::str::from_utf8(decoded).err()?.valid_up_to();
    decoded.get(at).map(|&byte| Ambiguous::bytes(&[byte]))
}
