//! Percent escapes of a path (RFC 3986 2.1), brought to their one spelling.

use super::target::Ambiguous;

/// A piece of a path whose escapes have one spelling.
#[derive(Debug, PartialEq, Eq)]
pub struct Escaped {
    /// Escapes of unreserved characters are decoded, the others written in upper case.
    pub text: String,
    /// Whether one of the others stands for a character that takes a path apart: `/`, `;` or `%` itself.
    pub opaque: bool,
}

/// What a percent sign is that begins no escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarePercent {
    /// No path: programs differ in what they make of it.
    Refused,
    /// Itself, as for programs that decode once more than we do.
    Kept,
}

/// Decodes what may be decoded, and refuses what nobody may decode: control characters, backslashes, the signs that
/// end a path, and what is no UTF-8 (overlong forms of `/` and `.` are none).
pub fn decode(raw: &str, bare: BarePercent) -> Result<Escaped, Ambiguous> {
    let mut decoded = Escaped { text: String::with_capacity(raw.len()), opaque: false };
    let mut meaning = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&sign, behind)) = rest.split_first() {
        let escape = if sign == b'%' { escape(behind) } else { None };
        rest = behind;
        match (escape, sign) {
            (Some((byte, behind)), _) => {
                decoded.push_escape(byte)?;
                meaning.push(byte);
                rest = behind;
            }
            (None, b'%') if bare == BarePercent::Refused => return Err(Ambiguous),
            (None, plain) => {
                decoded.text.push(char::from(plain));
                meaning.push(plain);
            }
        }
    }
    std::str::from_utf8(&meaning).map_err(|_| Ambiguous)?;
    Ok(decoded)
}

impl Escaped {
    fn push_escape(&mut self, byte: u8) -> Result<(), Ambiguous> {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => self.text.push(char::from(byte)),
            0..=0x1f | 0x7f | b'\\' | b'?' | b'#' => return Err(Ambiguous),
            _ => {
                self.opaque |= matches!(byte, b'/' | b';' | b'%');
                self.text.push_str(&format!("%{byte:02X}"));
            }
        }
        Ok(())
    }
}

/// The byte of two hexadecimal digits, and what is behind them.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.split_at_checked(2)?;
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    Some((u8::from_str_radix(text, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_have_one_spelling() {
        let cases = [
            ("a", Some(("a", false))),
            ("%61%2E%7e", Some(("a.~", false))),
            ("%c3%a4%20", Some(("%C3%A4%20", false))),
            ("%2f", Some(("%2F", true))),
            ("%3b%25", Some(("%3B%25", true))),
            ("%252f", Some(("%252f", true))),
            ("%5c", None),
            ("%00", None),
            ("%3f", None),
            ("%23", None),
            ("%7F", None),
            ("%c0%af", None),
        ];
        for (raw, want) in cases {
            let want = want.map(|(text, opaque)| Escaped { text: text.to_owned(), opaque });
            assert_eq!(decode(raw, BarePercent::Refused).ok(), want, "{raw}");
        }
        for raw in ["%", "100%", "%2", "%zz", "%+1", "%u0041", "%%41"] {
            assert_eq!(decode(raw, BarePercent::Refused), Err(Ambiguous), "{raw}");
            assert!(decode(raw, BarePercent::Kept).unwrap().text.contains('%'), "{raw}");
        }
    }
}
