//! Normal forms of a path: the path as it is read by programs that merge slashes and shorten names.

use std::borrow::Cow;

use memchr::{memchr, memchr3, memrchr};

use super::ambiguous::Ambiguous;
use super::escapes::SLASH;
use super::segments::{self, DOUBLED, ends_name, is_separator};
use super::wide_letters::{narrow_letters, narrow_signs};

/// The number of bytes of a form that are compared: configured paths are not longer.
pub const MAX_FORM_LENGTH: usize = 255;

/// The maximum number of names in a path that consist only of dots and blanks, which some programs leave out.
pub(super) const MAX_LEFT_OUT: usize = 16;

/// A path as names with single slashes before them; empty for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NormalForm {
    /// The names, each after a slash. Names that begin beyond [`MAX_FORM_LENGTH`] bytes are left out.
    pub(crate) text: Vec<u8>,
    /// Whether the rest of the path depends on where a program ends a parameter.
    pub(crate) forks: bool,
}

impl NormalForm {
    /// The form of a decoded path for standards-conforming programs.
    ///
    /// # Errors
    /// The path could be read in more ways than are compared.
    pub(crate) fn strict(decoded: &[u8]) -> Result<Self, Ambiguous> {
        Self::of(decoded, |name| name.into())
    }

    /// The form for the most tolerant programs. Also checks the segments.
    ///
    /// # Errors
    /// The path could be read in more ways than are compared.
    pub(crate) fn loose(decoded: &[u8]) -> Result<Self, Ambiguous> {
        if decoded.is_ascii() {
            return Self::of(decoded, |name| trim(name).into());
        }
        let signs = narrow_signs(decoded)?;
        if let Some(signs) = &signs {
            segments::count(signs)?;
            segments::check(signs)?;
        }
        // Letters are normalised only up to the compared length. A name is trimmed before it is cut, and again after
        // normalisation, which may reveal a suffix.
        Self::of(signs.as_deref().unwrap_or(decoded), |name| match narrow_letters(trim(name), MAX_FORM_LENGTH) {
            Cow::Borrowed(name) => name.into(),
            Cow::Owned(mut name) => {
                name.truncate(trim(&name).len());
                name.into()
            }
        })
    }

    /// Collects the names of a path, without parameters and shortened by `shorten`.
    fn of(decoded: &[u8], shorten: fn(&[u8]) -> Cow<'_, [u8]>) -> Result<Self, Ambiguous> {
        let mut form = Self { text: Vec::with_capacity(decoded.len().min(MAX_FORM_LENGTH)), forks: false };
        let (mut rest, mut left_out) = (decoded, 0);
        while form.text.len() <= MAX_FORM_LENGTH
            && let [first, behind @ ..] = rest
        {
            if is_separator(*first) {
                rest = behind;
                continue;
            }
            let end = name_end(rest);
            let (name, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            match &*shorten(name) {
                // Without the first name the path would begin with two slashes.
                [] if !name.is_empty() && form.text.is_empty() => return Err(DOUBLED),
                [] if left_out == MAX_LEFT_OUT => return Err(LEFT_OUT),
                [] => left_out += 1,
                name => {
                    form.text.push(b'/');
                    form.text.extend_from_slice(name);
                }
            }
            match behind.split_first() {
                Some((b';', parameter)) => {
                    let end = memchr(b'/', parameter).unwrap_or(parameter.len());
                    let (parameter, next) = parameter.split_at_checked(end).unwrap_or((parameter, &[]));
                    let is_odd = |byte| is_separator(byte) | matches!(byte, b'?' | b'#');
                    if parameter.iter().fold(false, |odd, &byte| odd | is_odd(byte)) {
                        form.forks = true;
                        return Ok(form);
                    }
                    rest = next.get(1..).unwrap_or_default();
                }
                // A query or a fragment follows.
                Some((b'?' | b'#', _)) | None => return Ok(form),
                Some(_) => rest = behind,
            }
        }
        Ok(form)
    }
}

/// The length of the name at the beginning.
fn name_end(text: &[u8]) -> usize {
    const SHORT: usize = 16;
    let is_in = |text: &[u8]| text.iter().position(|&byte| ends_name(byte));
    let (short, long) = text.split_at_checked(SHORT).unwrap_or((text, &[]));
    // Most names are short. For longer ones vectorised searches are faster.
    let in_long = || {
        let first = memchr3(b'/', SLASH, b'\\', long).unwrap_or(long.len());
        SHORT + memchr3(b';', b'?', b'#', long.get(..first).unwrap_or(long)).unwrap_or(first)
    };
    is_in(short).unwrap_or_else(|| if long.is_empty() { text.len() } else { in_long() })
}

const LEFT_OUT: Ambiguous = Ambiguous::because("so many names of dots and blanks");

/// Removes what Windows ignores at the end of a name: dots, blanks, and the name of the default data stream.
fn trim(name: &[u8]) -> &[u8] {
    let mut name = name;
    loop {
        let shorter = match name {
            [] => return name,
            [shorter @ .., b'.' | b' '] => shorter,
            _ => match without_stream(name) {
                Some(shorter) => shorter,
                None => return name,
            },
        };
        name = shorter;
    }
}

/// The name without the default stream: `name::$DATA`, or `name:$I30:$INDEX_ALLOCATION` for a folder.
fn without_stream(name: &[u8]) -> Option<&[u8]> {
    name.last().filter(|last| is_of_kind(**last))?;
    let colon = memrchr(b':', name)?;
    let (before, kind) = name.split_at_checked(colon)?;
    let kind = kind.strip_prefix(b":$")?;
    if kind.is_empty() || !kind.iter().all(|&byte| is_of_kind(byte)) {
        return None;
    }
    let before = match before.split_last_chunk::<4>() {
        Some((before, stream)) if stream.eq_ignore_ascii_case(b"$i30") => before,
        _ => before,
    };
    before.strip_suffix(b":")
}

/// Whether a byte can occur in the type of a stream.
const fn is_of_kind(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}
