//! Percent escapes of a path (RFC 3986 2.1): their one spelling, and what they stand for.

use std::borrow::Cow;

use memchr::memchr;

use super::ambiguous::Ambiguous;

/// A path whose escapes have one spelling.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spelled<'a> {
    /// Escapes of unreserved characters are decoded, the others written in upper case.
    pub(crate) text: Cow<'a, str>,
    /// The first escape of a character that takes a path apart, if there is one: `/ ; % ? # \`.
    pub(crate) opaque: Option<u8>,
}

/// Brings a path to its one spelling.
///
/// # Errors
/// A percent sign that begins no escape, and escapes of control characters.
pub(crate) fn spell(raw: &str) -> Result<Spelled<'_>, Ambiguous> {
    let mut rest = raw.as_bytes();
    let (mut text, mut opaque) = (Vec::with_capacity(raw.len()), None);
    let next = |rest: &[u8]| if rest.first() == Some(&b'%') { Some(0) } else { memchr(b'%', rest) };
    while let Some(at) = next(rest) {
        let (plain, behind) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        text.extend_from_slice(plain);
        let behind = behind.get(1..).unwrap_or_default();
        let Some((byte, behind)) = escape(behind) else { return Err(not_an_escape(behind)) };
        rest = behind;
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte),
            0..=0x1f | 0x7f => return Err(Ambiguous::bytes(&[byte])),
            _ => text.extend_from_slice(&[b'%', upper_digit(byte >> 4), upper_digit(byte & 15)]),
        }
        if opaque.is_none() && parts_a_path(byte) {
            opaque = Some(byte);
        }
    }
    text.extend_from_slice(rest);
    let text = if text == raw.as_bytes() { Cow::Borrowed(raw) } else { Cow::Owned(owned(text)?) };
    Ok(Spelled { text, opaque })
}

fn owned(text: Vec<u8>) -> Result<String, Ambiguous> {
    String::from_utf8(text).map_err(|_| Ambiguous::because("a letter beyond ASCII that is not escaped"))
}

/// The characters that take a path apart, or an escape. Whether a program decodes them decides what it reads.
pub(crate) const fn parts_a_path(byte: u8) -> bool {
    matches!(byte, b'/' | b';' | b'%' | b'?' | b'#' | b'\\')
}

/// What a path stands for to most programs, as far as `most` bytes of it: all escapes decoded once but those that take
/// a path apart.
pub(crate) fn decode_once(text: &str, most: usize) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(text.len().min(most + 1));
    while let [first, behind @ ..] = rest
        && decoded.len() <= most
    {
        let escape = if *first == b'%' { escape(behind) } else { None };
        let (byte, behind) = escape.filter(|(byte, _)| !parts_a_path(*byte)).unwrap_or((*first, behind));
        decoded.push(byte);
        rest = behind;
    }
    decoded
}

/// Stands for a slash that was escaped, where the difference matters. It can be nothing else: control characters are
/// refused.
pub(crate) const SLASH: u8 = 1;

/// Appends what a text stands for to whoever decodes until nothing is left to decode, and to everybody in between: the
/// order makes no difference, since no two escapes overlap. A decoded slash becomes [`SLASH`].
///
/// # Errors
/// Control characters, however deep they are hidden.
pub(crate) fn decode_wholly(text: &str, decoded: &mut Vec<u8>) -> Result<(), Ambiguous> {
    for &byte in text.as_bytes() {
        decoded.push(byte);
        while let [.., b'%', high, low] = decoded.as_slice()
            && let Some(byte) = pair(*high, *low)
        {
            if byte.is_ascii_control() {
                return Err(Ambiguous::bytes(&[byte]));
            }
            decoded.truncate(decoded.len() - 3);
            decoded.push(if byte == b'/' { SLASH } else { byte });
        }
    }
    Ok(())
}

/// The byte of two hexadecimal digits, and what is behind them.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, behind @ ..] = text else { return None };
    Some((pair(*high, *low)?, behind))
}

fn pair(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

fn digit(byte: u8) -> Option<u8> {
    DIGITS.get(usize::from(byte)).copied().filter(|&value| value < 16)
}

/// The value of every hexadecimal digit; 255 for all other bytes.
#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a byte is below 256")]
static DIGITS: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789ABCDEF"[value as usize] as usize] = value;
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

const fn upper_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}

fn not_an_escape(behind: &[u8]) -> Ambiguous {
    let unicode = matches!(behind, [b'u' | b'U', ..]);
    Ambiguous::because(if unicode { "%uXXXX" } else { "a percent sign that begins no escape (write it as %25)" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_have_one_spelling() {
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
            let want = want.map(|(text, opaque)| Spelled { text: text.into(), opaque });
            assert_eq!(spell(raw).ok(), want, "{raw}");
        }
        for raw in ["%", "100%", "%2", "%zz", "%+1", "%u0041", "%%41"] {
            assert!(spell(raw).is_err(), "{raw}");
        }
        assert_eq!(spell("/a%0dx").unwrap_err().detail(), "%0D");
        assert_eq!(spell("/a%u0041").unwrap_err().detail(), "%uXXXX");
    }

    #[test]
    fn most_programs_decode_once() {
        let cases = [("/%40a%c3%a4", "/@a\u{e4}"), ("/a%2Fb%2541", "/a%2Fb%2541"), ("/a%20%3F", "/a %3F")];
        for (text, want) in cases {
            assert_eq!(decode_once(text, 99), want.as_bytes(), "{text}");
        }
        assert!(decode_once(&"%40a".repeat(1000), 9).len() == 10, "what is long is cut");
    }

    #[test]
    fn others_decode_until_nothing_is_left() {
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
            let mut decoded = Vec::new();
            decode_wholly(text, &mut decoded).unwrap();
            assert_eq!(String::from_utf8(decoded).unwrap(), want, "{text}");
        }
        for hidden in ["%00", "%2500", "%25250a", "a%7F", "%25%30%31"] {
            assert!(decode_wholly(hidden, &mut Vec::new()).is_err(), "{hidden}");
        }
    }

    proptest! {
        /// In one go the same as again and again.
        #[test]
        fn the_order_makes_no_difference(text in "(%|2|5|25|4|[0-9A-F]|x){0,24}") {
            let mut again = text.clone().into_bytes();
            loop {
                let once: Vec<u8> = percent_encoding::percent_decode(&again).collect();
                if once == again { break }
                again = once;
            }
            let mut decoded = Vec::new();
            if decode_wholly(&text, &mut decoded).is_ok() {
                let decoded: Vec<u8> = decoded.iter().map(|&byte| if byte == SLASH { b'/' } else { byte }).collect();
                prop_assert_eq!(decoded, again);
            } else {
                prop_assert!(again.iter().any(u8::is_ascii_control));
            }
        }
    }
}
