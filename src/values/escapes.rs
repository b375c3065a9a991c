//! Percent escapes of a path (RFC 3986 2.1): their one spelling, and what they stand for.

use std::borrow::Cow;

use memchr::memchr;

use super::ambiguous::Ambiguous;

/// A path whose escapes have one spelling.
#[derive(Debug, PartialEq, Eq)]
pub struct Spelled<'a> {
    /// Escapes of unreserved characters are decoded, the others written in upper case.
    pub text: Cow<'a, str>,
    /// The first escape of a character that takes a path apart, if there is one: `/ ; % ? # \`.
    pub opaque: Option<u8>,
}

/// Brings a path to its one spelling.
///
/// # Errors
/// A percent sign that begins no escape, and escapes of control characters.
pub fn spell(raw: &str) -> Result<Spelled<'_>, Ambiguous> {
    let mut rest = raw;
    let mut spelled = Spelled { text: Cow::Borrowed(raw), opaque: None };
    let mut text = String::new();
    while let Some((plain, behind)) = split_at_percent(rest) {
        if text.capacity() == 0 {
            text.reserve(raw.len());
        }
        text.push_str(plain);
        let (byte, behind) = escape(behind).ok_or_else(|| not_an_escape(behind))?;
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            0..=0x1f | 0x7f => return Err(Ambiguous::bytes(&[byte])),
            _ => push_escape(byte, &mut text),
        }
        if spelled.opaque.is_none() && parts_a_path(byte) {
            spelled.opaque = Some(byte);
        }
        rest = behind;
    }
    if text.capacity() > 0 {
        text.push_str(rest);
        spelled.text = if text == raw { Cow::Borrowed(raw) } else { Cow::Owned(text) };
    }
    Ok(spelled)
}

/// The characters that take a path apart, or an escape. Whether a program decodes them decides what it reads.
pub const fn parts_a_path(byte: u8) -> bool {
    matches!(byte, b'/' | b';' | b'%' | b'?' | b'#' | b'\\')
}

/// What a path stands for to most programs, as far as `most` bytes of it: all escapes decoded once but those that take
/// a path apart.
pub fn decode_once(text: &str, most: usize) -> Vec<u8> {
    let mut rest = text;
    let mut decoded = Vec::with_capacity(text.len().min(most));
    while let Some((plain, behind)) = split_at_percent(rest) {
        decoded.extend_from_slice(plain.as_bytes());
        if decoded.len() > most {
            return decoded;
        }
        match escape(behind) {
            Some((byte, behind)) if !parts_a_path(byte) => {
                decoded.push(byte);
                rest = behind;
            }
            _ => {
                decoded.push(b'%');
                rest = behind;
            }
        }
    }
    decoded.extend_from_slice(rest.as_bytes());
    decoded
}

/// Stands for a slash that was escaped, where the difference matters. It can be nothing else: control characters are
/// refused.
pub const SLASH: u8 = 1;

/// Appends what a text stands for to whoever decodes until nothing is left to decode, and to everybody in between: the
/// order makes no difference, since no two escapes overlap. A decoded slash becomes [`SLASH`].
///
/// # Errors
/// Control characters, however deep they are hidden.
pub fn decode_wholly(text: &str, decoded: &mut Vec<u8>) -> Result<(), Ambiguous> {
    let mut rest = text.as_bytes();
    loop {
        // Only right behind a percent sign is there anything to put together.
        while let ([.., b'%'] | [.., b'%', _], Some((&byte, behind))) = (decoded.as_slice(), rest.split_first()) {
            decoded.push(byte);
            rest = behind;
            collapse(decoded)?;
        }
        let end = memchr(b'%', rest).map_or(rest.len(), |at| at + 1);
        let (plain, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        if plain.is_empty() {
            return Ok(());
        }
        decoded.extend_from_slice(plain);
        rest = behind;
    }
}

/// Decodes the escapes that end here.
fn collapse(decoded: &mut Vec<u8>) -> Result<(), Ambiguous> {
    while let [.., b'%', high, low] = decoded.as_slice()
        && let Some(byte) = pair(*high, *low)
    {
        if byte.is_ascii_control() {
            return Err(Ambiguous::bytes(&[byte]));
        }
        decoded.truncate(decoded.len() - 3);
        decoded.push(if byte == b'/' { SLASH } else { byte });
    }
    Ok(())
}

fn split_at_percent(text: &str) -> Option<(&str, &str)> {
    let (plain, behind) = text.split_at_checked(memchr(b'%', text.as_bytes())?)?;
    Some((plain, behind.get(1..)?))
}

/// The byte of two hexadecimal digits, and what is behind them.
fn escape(text: &str) -> Option<(u8, &str)> {
    let [high, low, ..] = *text.as_bytes() else { return None };
    Some((pair(high, low)?, text.get(2..)?))
}

fn pair(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn push_escape(byte: u8, text: &mut String) {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 });
    text.push('%');
    text.push(digit(byte >> 4));
    text.push(digit(byte & 15));
}

fn not_an_escape(behind: &str) -> Ambiguous {
    let unicode = behind.starts_with(['u', 'U']);
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
        assert_eq!(spell("/a%0dx").unwrap_err().culprit(), "%0D");
        assert_eq!(spell("/a%u0041").unwrap_err().culprit(), "%uXXXX");
    }

    #[test]
    fn most_programs_decode_once() {
        let cases = [("/%40a%c3%a4", "/@a\u{e4}"), ("/a%2Fb%2541", "/a%2Fb%2541"), ("/a%20%3F", "/a %3F")];
        for (text, want) in cases {
            assert_eq!(decode_once(text, 99), want.as_bytes(), "{text}");
        }
        assert!(decode_once(&"%40a".repeat(1000), 9).len() < 16, "what is long is cut");
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
