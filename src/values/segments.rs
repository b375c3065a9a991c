//! Checks path segments. Dot segments in every spelling and segments without a name are refused.

use memchr::{memchr_iter, memchr3_iter};

use super::ambiguous::Ambiguous;
use super::escapes;

/// Whether a byte separates segments: a slash, a decoded slash ([`escapes::SLASH`]), or a backslash (Windows).
pub(crate) const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | escapes::SLASH | b'\\')
}

/// Whether a name ends before this byte: it is a separator, or begins parameters, a query or a fragment.
pub(crate) fn ends_name(byte: u8) -> bool {
    ENDS.get(usize::from(byte)).copied().unwrap_or_default()
}

#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a byte is below 256")]
static ENDS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 0x80 {
        table[byte as usize] = is_separator(byte) || is_mark(byte);
        byte += 1;
    }
    table
};

const fn is_mark(byte: u8) -> bool {
    matches!(byte, b';' | b'?' | b'#')
}

/// The maximum number of separators, including escaped ones, in a path that is not plain.
pub(super) const MAX_SEPARATORS: usize = 64;

/// Checks the number of segments of a decoded path, since each of them costs time.
///
/// # Errors
/// More than [`MAX_SEPARATORS`] separators.
pub(crate) fn count(decoded: &[u8]) -> Result<(), Ambiguous> {
    let counts = [b'/', escapes::SLASH, b'\\'].map(|separator| memchr_iter(separator, decoded).count());
    if counts.iter().sum::<usize>() > MAX_SEPARATORS {
        return Err(Ambiguous::because("so many slashes"));
    }
    Ok(())
}

/// Checks the segments of a decoded path.
///
/// # Errors
/// `.` and `..` segments, also with trailing blanks; segments that are blank or consist of parameters only; a path that
/// begins with two slashes.
pub(crate) fn check(decoded: &[u8]) -> Result<(), Ambiguous> {
    if decoded.get(1).is_some_and(|&byte| is_separator(byte)) {
        return Err(DOUBLED);
    }
    // Fast path: in most paths no segment begins with such a byte.
    let behind = decoded.get(1..).unwrap_or_default();
    let odd = decoded.iter().zip(behind).fold(false, |odd, (&before, &byte)| {
        let separator = (before == b'/') | (before == escapes::SLASH) | (before == b'\\');
        odd | separator & is_odd(byte)
    });
    if !odd {
        return Ok(());
    }
    memchr3_iter(b'/', escapes::SLASH, b'\\', decoded)
        .try_for_each(|separator| check_first(decoded.get(separator + 1..).unwrap_or_default()))
}

/// Whether a segment that begins with this byte may be refused.
const fn is_odd(byte: u8) -> bool {
    (byte == b'.') | (byte == b' ') | (byte == b';')
}

/// Checks the first segment of a decoded path, given without the separator before it.
///
/// # Errors
/// As for [`check`].
pub(crate) fn check_first(path: &[u8]) -> Result<(), Ambiguous> {
    if !path.first().is_some_and(|&first| is_odd(first)) {
        return Ok(());
    }
    let mut seen = Seen::Nothing;
    for &byte in path.iter().chain(b"/") {
        seen = after(seen, byte);
        match seen {
            Seen::Nothing | Seen::Other => return Ok(()),
            Seen::Moves => return Err(MOVES),
            Seen::Nameless => return Err(Ambiguous::because("a segment without a name")),
            Seen::Dot | Seen::TwoDots | Seen::ManyDots | Seen::Blanks | Seen::DotsAndBlanks => {}
        }
    }
    Ok(())
}

/// Two slashes in a row.
pub(crate) const DOUBLED: Ambiguous = Ambiguous::because("\"//\"");
const MOVES: Ambiguous = Ambiguous::because("a \".\" or \"..\" segment");

/// The state of the check: the content of the segment so far.
#[derive(Clone, Copy)]
enum Seen {
    Nothing,
    Dot,
    TwoDots,
    /// Three or more dots, which are an ordinary name.
    ManyDots,
    Blanks,
    DotsAndBlanks,
    Other,
    /// The segment is `.` or `..`.
    Moves,
    /// The segment consists of blanks or of parameters only.
    Nameless,
}

/// The state after another byte.
const fn after(seen: Seen, byte: u8) -> Seen {
    match (seen, byte) {
        (Seen::Nothing, b'.') => Seen::Dot,
        (Seen::Dot, b'.') => Seen::TwoDots,
        (Seen::TwoDots | Seen::ManyDots, b'.') => Seen::ManyDots,
        (Seen::Nothing | Seen::Blanks, b' ') => Seen::Blanks,
        (Seen::Blanks | Seen::DotsAndBlanks, b'.') => Seen::DotsAndBlanks,
        (Seen::Dot | Seen::TwoDots | Seen::ManyDots | Seen::DotsAndBlanks, b' ') => Seen::DotsAndBlanks,
        _ if is_separator(byte) || is_mark(byte) => match seen {
            Seen::Dot | Seen::TwoDots | Seen::DotsAndBlanks => Seen::Moves,
            Seen::Blanks => Seen::Nameless,
            Seen::Nothing if byte == b';' => Seen::Nameless,
            _ if is_separator(byte) => Seen::Nothing,
            _ => Seen::Other,
        },
        _ => Seen::Other,
    }
}
