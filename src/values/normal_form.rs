//! What is left of a path to programs that merge its slashes and cut its names.

use std::borrow::Cow;

use memchr::{memchr, memrchr};

use super::ambiguous::Ambiguous;
use super::segments::{self, DOUBLED, ends_name, is_separator};
use super::wide_letters::{narrow_letters, narrow_signs};

/// More of a form than this is not compared: configured paths are shorter.
pub(crate) const LONGEST_FORM: usize = 255;

/// A path as names without anything between them but single slashes; nothing for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NormalForm {
    /// The names, each with a slash in front; not many more than [`LONGEST_FORM`] has room for.
    pub(crate) text: Vec<u8>,
    /// Everything behind depends on when a parameter is cut off.
    pub(crate) forks: bool,
}

impl NormalForm {
    /// What is left of a path, whose escapes are decoded, after everything that programs do by the standards they
    /// follow.
    pub(crate) fn strict(decoded: &[u8]) -> Result<Self, Ambiguous> {
        Self::of(decoded, |name| name.into())
    }

    /// What is left of it after everything that any program does. Judges what that makes of its names.
    pub(crate) fn loose(decoded: &[u8]) -> Result<Self, Ambiguous> {
        if decoded.is_ascii() {
            return Self::of(decoded, |name| trim(name).into());
        }
        let signs = narrow_signs(decoded)?;
        if let Some(signs) = &signs {
            segments::check(signs)?;
        }
        // What is compared is plain in every letter, the rest as far as it could climb. The end of a name is taken off
        // before what is too long is cut, and once more where only plain letters show it.
        Self::of(signs.as_deref().unwrap_or(decoded), |name| match narrow_letters(trim(name), LONGEST_FORM) {
            Cow::Borrowed(name) => name.into(),
            Cow::Owned(name) => trim(&name).to_vec().into(),
        })
    }

    /// The names of a path, each as far as it goes without parameters and as `shorten` leaves it.
    fn of(decoded: &[u8], shorten: fn(&[u8]) -> Cow<'_, [u8]>) -> Result<Self, Ambiguous> {
        let mut form = Self::default();
        let mut rest = decoded;
        while form.text.len() <= LONGEST_FORM
            && let [first, behind @ ..] = rest
        {
            if is_separator(*first) {
                rest = behind;
                continue;
            }
            let end = rest.iter().position(|&byte| ends_name(byte)).unwrap_or(rest.len());
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
                    let end = memchr(b'/', parameter).unwrap_or(parameter.len());
                    let (parameter, next) = parameter.split_at_checked(end).unwrap_or((parameter, &[]));
                    let is_odd = |byte| is_separator(byte) | matches!(byte, b'?' | b'#');
                    if parameter.iter().fold(false, |odd, &byte| odd | is_odd(byte)) {
                        form.forks = true;
                        return Ok(form);
                    }
                    rest = next.get(1..).unwrap_or_default();
                }
                // What is behind a question mark or a number sign is no part of the path.
                Some((b'?' | b'#', _)) | None => return Ok(form),
                Some(_) => rest = behind,
            }
        }
        Ok(form)
    }
}

/// What Windows leaves of a name: nothing of dots and blanks at its end, nor of the word for the file's main stream.
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

/// `name::$DATA`, and `name:$I30:$INDEX_ALLOCATION` for a folder.
fn without_stream(name: &[u8]) -> Option<&[u8]> {
    let colon = memrchr(b':', name)?;
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
