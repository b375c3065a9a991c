//! Path segments that are refused: dot segments in every spelling, and segments without a name.

use super::ambiguous::Ambiguous;
use super::escapes;

/// Whether a byte separates segments: a literal slash, a decoded one ([`escapes::SLASH`]), or a backslash (Windows).
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

/// Checks the segments of a path whose escapes are decoded.
///
/// # Errors
/// `.` and `..` segments, also with trailing blanks; segments that are blank or consist of parameters only; a path that
/// begins with two slashes.
pub(crate) fn check(decoded: &[u8]) -> Result<(), Ambiguous> {
    if decoded.get(1).is_some_and(|&byte| is_separator(byte)) {
        return Err(DOUBLED);
    }
    let first = decoded.first().map_or(Seen::Other, |&first| next(Seen::Other, first));
    let bytes = decoded.get(1..).unwrap_or_default();
    verdict(decoded.chunks(PIECE).zip(bytes.chunks(PIECE)).fold(first, |seen, (before, bytes)| {
        if is_harmless(seen, before, bytes) {
            return if bytes.last().is_some_and(|&last| is_separator(last)) { Seen::Nothing } else { Seen::Other };
        }
        bytes.iter().fold(seen, |seen, &byte| next(seen, byte))
    }))
}

/// Bytes that are judged at once where no segment among them begins oddly.
const PIECE: usize = 64;

/// Whether no segment that begins or goes on in these bytes is one that is refused. `before`: the byte before each.
fn is_harmless(seen: Seen, before: &[u8], bytes: &[u8]) -> bool {
    // Without stopping at the first, so that the compiler compares many bytes at once.
    let odd = before.iter().zip(bytes).fold(false, |odd, (&before, &byte)| {
        let separator = (before == b'/') | (before == escapes::SLASH) | (before == b'\\');
        odd | separator & ((byte == b'.') | (byte == b' ') | (byte == b';'))
    });
    matches!(seen, Seen::Nothing | Seen::Other) && !odd
}

/// Checks one segment.
pub(crate) fn check_one(name: &[u8]) -> Result<(), Ambiguous> {
    match name {
        [b'.' | b' ' | b';', ..] => verdict(name.iter().fold(Seen::Nothing, |seen, &byte| next(seen, byte))),
        _ => Ok(()),
    }
}

fn verdict(seen: Seen) -> Result<(), Ambiguous> {
    match next(seen, b'/') {
        Seen::Moves => Err(MOVES),
        Seen::Nameless => Err(Ambiguous::because("a segment without a name")),
        _ => Ok(()),
    }
}

/// Two slashes in a row.
pub(crate) const DOUBLED: Ambiguous = Ambiguous::because("\"//\"");
const MOVES: Ambiguous = Ambiguous::because("a \".\" or \"..\" segment");

/// The state of the check: what the current segment consists of until now.
#[derive(Clone, Copy)]
enum Seen {
    Nothing,
    Dot,
    TwoDots,
    /// Three or more dots: an ordinary name.
    ManyDots,
    Blanks,
    DotsAndBlanks,
    Other,
    /// Final: there was a `.` or `..` segment.
    Moves,
    /// Final: there was a segment of blanks, or of parameters only.
    Nameless,
}

fn next(seen: Seen, byte: u8) -> Seen {
    NEXT.get(seen as usize).and_then(|row| row.get(usize::from(byte))).copied().unwrap_or(seen)
}

/// [`after`] as a table: the check reads every byte of every unusual path.
#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a byte is below 256")]
static NEXT: [[Seen; 256]; 9] = {
    use Seen::{Blanks, Dot, DotsAndBlanks, ManyDots, Moves, Nameless, Nothing, Other, TwoDots};
    let all = [Nothing, Dot, TwoDots, ManyDots, Blanks, DotsAndBlanks, Other, Moves, Nameless];
    let mut table = [[Other; 256]; 9];
    let mut row = 0;
    while row < all.len() {
        let mut byte = 0;
        while byte < 256 {
            table[all[row] as usize][byte] = after(all[row], byte as u8);
            byte += 1;
        }
        row += 1;
    }
    table
};

const fn after(seen: Seen, byte: u8) -> Seen {
    match (seen, byte) {
        (Seen::Moves | Seen::Nameless, _) => seen,
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
