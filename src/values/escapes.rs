//! Percent-encoding in paths (RFC 3986 2.1): normalisation and decoding.

use std::borrow::Cow;

use super::ambiguous::Ambiguous;
use super::fixed_buffer::{FixedBuffer, at_percent};

/// A path with normalised escapes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spelled<'a> {
    /// The path with escapes of unreserved characters decoded, and the others in upper case.
    pub(crate) text: Cow<'a, str>,
    /// The first escape of a delimiter (`/ ; % ? # \`), if there is one.
    pub(crate) opaque: Option<u8>,
    /// The path with all escapes decoded once. A decoded slash is [`SLASH`].
    pub(crate) decoded: Vec<u8>,
}

/// Normalises the escapes of a path (RFC 3986 6.2.2), and decodes it.
///
/// # Errors
/// A percent sign that does not begin an escape, and escapes of control characters.
pub(crate) fn spell(raw: &str) -> Result<Spelled<'_>, Ambiguous> {
    let mut decoded = FixedBuffer::of(raw.len());
    let (mut rest, mut opaque, mut seen) = (raw.as_bytes(), None, 0);
    loop {
        match rest {
            [] => break,
            [b'%', first, second, behind @ ..] => {
                let (high, low) = (digit(*first), digit(*second));
                let mut byte = high << 4 | low & 15;
                let kind = kind(byte);
                seen |= high | low | kind;
                if (high | low | kind) & RARE != 0 {
                    match kind {
                        _ if (high | low) & NO_DIGIT != 0 => return Err(not_an_escape(*first)),
                        CONTROL => return Err(Ambiguous::bytes(&[byte])),
                        _ => opaque = opaque.or(Some(byte)),
                    }
                    byte = if byte == b'/' { SLASH } else { byte };
                }
                decoded.push(byte);
                rest = behind;
            }
            [b'%', behind @ ..] => return Err(not_an_escape(behind.first().copied().unwrap_or_default())),
            [single, b'%', ..] => {
                decoded.push(*single);
                rest = rest.get(1..).unwrap_or_default();
            }
            plain => {
                let count = decoded.extend_until(plain, at_percent, |bytes| bytes);
                rest = plain.get(count..).unwrap_or_default();
            }
        }
    }
    let decoded = decoded.into_vec();
    let same = seen & (LOWER | UNRESERVED) == 0;
    let text = if same { raw.into() } else { owned(respelled(raw, seen & UNRESERVED != 0))?.into() };
    Ok(Spelled { text, opaque, decoded })
}

/// Writes the normalised escapes; `shorter` says whether some of them are decoded.
fn respelled(raw: &str, shorter: bool) -> Vec<u8> {
    let mut text = in_upper_case(raw.as_bytes());
    if !shorter {
        return text;
    }
    let mut rest = text.as_mut_slice();
    while let Some(([sign, first, second], _)) = rest.split_first_chunk_mut() {
        let mut width = 1;
        if *sign == b'%' {
            width = 3;
            if let Some(byte) = pair(*first, *second).filter(|byte| kind(*byte) == UNRESERVED) {
                [*sign, *first, *second] = [byte, GONE, GONE];
            }
        }
        rest = std::mem::take(&mut rest).get_mut(width..).unwrap_or_default();
    }
    text.retain(|&byte| byte != GONE);
    text
}

/// Writes the digits of escapes in upper case. Every percent sign begins an escape.
fn in_upper_case(raw: &[u8]) -> Vec<u8> {
    let mut text = raw.to_vec();
    // A digit is never a percent sign, so each byte depends only on the two before it, and the loop can be vectorised.
    let before = raw.iter().zip(raw.get(1..).unwrap_or_default());
    let behind = text.get_mut(2..).unwrap_or_default();
    for (byte, (second_before, before)) in behind.iter_mut().zip(before) {
        let is_digit = (*second_before == b'%') | (*before == b'%');
        *byte -= if is_digit & (*byte >= b'a') & (*byte <= b'f') { 0x20 } else { 0 };
    }
    if let [b'%', first, ..] = text.as_mut_slice() {
        first.make_ascii_uppercase();
    }
    text
}

/// Marks a byte to be removed. It does not occur in paths.
const GONE: u8 = 0;

fn owned(text: Vec<u8>) -> Result<String, Ambiguous> {
    String::from_utf8(text).map_err(|_| Ambiguous::because("a letter beyond ASCII that is not escaped"))
}

/// Decodes a text that was decoded once, repeatedly until no escape is left. Escapes do not overlap, so the order of
/// decoding makes no difference. A decoded slash becomes [`SLASH`].
///
/// # Errors
/// Control characters, however often they are encoded.
pub(crate) fn decode_wholly(once: &[u8]) -> Result<Vec<u8>, Ambiguous> {
    let mut decoded = FixedBuffer::of(once.len());
    let mut rest = once;
    while let [first, behind @ ..] = rest {
        if let [.., b'%'] | [.., b'%', _] = decoded.written() {
            // A decoded percent sign, or one that did not begin an escape, may form an escape with the next bytes.
            decoded.push(*first);
            rest = behind;
            while let [.., b'%', high, low] = decoded.written()
                && let Some(byte) = pair(*high, *low)
            {
                decoded.take_back(3);
                push_decoded(byte, &mut decoded)?;
            }
        } else if *first != b'%' {
            let count = decoded.extend_until(rest, at_percent, |bytes| bytes);
            rest = rest.get(count..).unwrap_or_default();
        } else if let Some((byte, behind)) = escape(behind) {
            push_decoded(byte, &mut decoded)?;
            rest = behind;
        } else {
            decoded.push(b'%');
            rest = behind;
        }
    }
    Ok(decoded.into_vec())
}

fn push_decoded(byte: u8, decoded: &mut FixedBuffer) -> Result<(), Ambiguous> {
    if byte.is_ascii_control() {
        return Err(Ambiguous::bytes(&[byte]));
    }
    decoded.push(if byte == b'/' { SLASH } else { byte });
    Ok(())
}

/// The path as most programs read it: all escapes decoded once, except those of delimiters. At most `most` bytes and
/// one more are returned.
pub(crate) fn decode_once(text: &str, most: usize) -> Vec<u8> {
    let mut decoded = FixedBuffer::of(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest
        && decoded.written().len() <= most
    {
        if *first != b'%' {
            let count = decoded.extend_until(rest, at_percent, |bytes| bytes);
            rest = rest.get(count..).unwrap_or_default();
            continue;
        }
        let escape = escape(behind).filter(|(byte, _)| kind(*byte) != PARTING);
        let byte;
        (byte, rest) = escape.unwrap_or((b'%', behind));
        decoded.push(byte);
    }
    let mut decoded = decoded.into_vec();
    decoded.truncate(most.saturating_add(1));
    decoded
}

/// Represents an escaped slash in decoded paths. It is unambiguous, since control characters are refused.
pub(crate) const SLASH: u8 = 1;

/// The byte of two hexadecimal digits, and the text after them.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, behind @ ..] = text else { return None };
    Some((pair(*high, *low)?, behind))
}

fn pair(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (digit(high), digit(low));
    ((high | low) & NO_DIGIT == 0).then_some((high & 15) << 4 | low & 15)
}

/// Returns the value of a hexadecimal digit with its flags ([`LOWER`], [`NO_DIGIT`]), which are tested together.
fn digit(byte: u8) -> u8 {
    DIGITS.get(usize::from(byte)).copied().unwrap_or(NO_DIGIT)
}

/// Flag: the digit is a lower-case letter.
const LOWER: u8 = 0x40;
/// Flag: not a hexadecimal digit.
const NO_DIGIT: u8 = 0x80;

#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a byte is below 256")]
static DIGITS: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789ABCDEF"[value as usize] as usize] = value;
        if value > 9 {
            table[b"abcdef"[value as usize - 10] as usize] = value | LOWER;
        }
        value += 1;
    }
    table
};

/// Returns the kind of an escaped byte.
fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or(CONTROL)
}

/// Unreserved: equivalent to its escape (RFC 3986 2.3).
const UNRESERVED: u8 = 0x10;
/// A delimiter, or the beginning of an escape: the path changes if a program decodes it.
const PARTING: u8 = 0x20;
/// A control character: refused.
const CONTROL: u8 = 0xa0;
/// The flags and kinds that need special treatment.
const RARE: u8 = NO_DIGIT | PARTING | CONTROL;

#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a byte is below 256")]
static KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    while byte < 0x80 {
        table[byte as usize] = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => UNRESERVED,
            b'/' | b';' | b'%' | b'?' | b'#' | b'\\' => PARTING,
            0..=0x1f | 0x7f => CONTROL,
            _ => 0,
        };
        byte += 1;
    }
    table
};

fn not_an_escape(first: u8) -> Ambiguous {
    let unicode = matches!(first, b'u' | b'U');
    Ambiguous::because(if unicode { "%uXXXX" } else { "a percent sign that begins no escape (write it as %25)" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_normalised() {
        let cases = [
            ("a", Some(("a", None))),
            ("%61%2E%7e", Some(("a.~", None))),
            ("%c3%a4%20b", Some(("%C3%A4%20b", None))),
            ("%40%3a%E9", Some(("%40%3A%E9", None))),
            ("%2f", Some(("%2F", Some(b'/')))),
            ("%3b%25", Some(("%3B%25", Some(b';')))),
            ("%252f", Some(("%252f", Some(b'%')))),
            ("%5c%3f", Some(("%5C%3F", Some(b'\\')))),
            ("%00", None),
            ("%1b", None),
            ("%7F", None),
        ];
        for (raw, want) in cases {
            let spelled = spell(raw).ok();
            assert_eq!(spelled.as_ref().map(|spelled| (&*spelled.text, spelled.opaque)), want, "{raw}");
        }
        for raw in ["%", "100%", "%2", "%zz", "%+1", "%u0041", "%%41"] {
            assert!(spell(raw).is_err(), "{raw}");
        }
        assert_eq!(spell("/%40a%2f%252F%c3%a4").unwrap().decoded, b"/@a\x01%2F\xc3\xa4");
        assert_eq!(spell("/a%0dx").unwrap_err().detail(), "%0D");
        assert_eq!(spell("/a%u0041").unwrap_err().detail(), "%uXXXX");
    }

    #[test]
    fn most_programs_decode_once() {
        let cases = [("/%40a%c3%a4", "/@a\u{e4}"), ("/a%2Fb%2541", "/a%2Fb%2541"), ("/a%20%3F", "/a %3F")];
        for (text, want) in cases {
            assert_eq!(decode_once(text, 99), want.as_bytes(), "{text}");
        }
        assert!(decode_once(&"%40a".repeat(1000), 9).len() == 10, "a long path is cut");
    }

    #[test]
    fn some_programs_decode_repeatedly() {
        let cases = [
            ("/a", "/a"),
            ("%2F", "\u{1}"),
            ("%252Fa", "\u{1}a"),
            ("%2525252F", "\u{1}"),
            ("%25%32%46", "\u{1}"),
            ("%%3%32F", "\u{1}"),
            ("%%34%31", "A"),
            ("100%25/x", "100%/x"),
            ("%4%zz%", "%4%zz%"),
            ("%25%", "%%"),
        ];
        for (text, want) in cases {
            let decoded = decode_wholly(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(decoded).unwrap(), want, "{text}");
        }
        for hidden in ["%00", "%2500", "%25250a", "a%7F", "%25%30%31"] {
            assert!(decode_wholly(hidden.as_bytes()).is_err(), "{hidden}");
        }
    }

    proptest! {
        /// The result in one pass is the same as by repeated decoding.
        #[test]
        fn the_order_makes_no_difference(text in "(%|2|5|25|4|[0-9A-F]|x){0,24}") {
            let mut again = text.clone().into_bytes();
            loop {
                let once: Vec<u8> = percent_encoding::percent_decode(&again).collect();
                if once == again { break }
                again = once;
            }
            if let Ok(decoded) = decode_wholly(text.as_bytes()) {
                let decoded: Vec<u8> = decoded.iter().map(|&byte| if byte == SLASH { b'/' } else { byte }).collect();
                prop_assert_eq!(decoded, again);
            } else {
                prop_assert!(again.iter().any(u8::is_ascii_control));
            }
        }
    }
}
