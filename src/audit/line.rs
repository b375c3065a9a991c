//! Writes log lines, as `key=value` text or as one JSON object, into a reusable buffer. Untrusted values are escaped
//! and truncated here, in the same way in every format.

use std::fmt::Write;

use serde::Serialize;

use crate::values::client_address::ClientAddress;
use crate::values::invisible::is_invisible;

/// The maximum length of a value as it is written, in bytes; the rest is not logged.
const MAX_VALUE: usize = 1024;

/// A key in each format, with the separator before it. Made by [`key!`].
#[derive(Clone, Copy, Debug)]
pub(super) struct LineKey {
    pub(super) text: &'static str,
    pub(super) json: &'static str,
}

/// The [`LineKey`] of a name.
macro_rules! key {
    ($name:literal) => {
        crate::audit::line::LineKey { text: concat!(" ", $name, "="), json: concat!(",\"", $name, "\":") }
    };
}
pub(super) use key;

/// One line under construction.
#[derive(Debug)]
pub(super) struct LogLine<'a> {
    out: &'a mut Vec<u8>,
    json: bool,
    empty: bool,
}

impl<'a> LogLine<'a> {
    /// Begins a line of text or JSON at the end of the buffer.
    pub(super) fn begin(out: &'a mut Vec<u8>, json: bool) -> Self {
        if json {
            out.push(b'{');
        }
        Self { out, json, empty: true }
    }

    /// Appends a value that the gateway itself defines and that needs no escaping.
    pub(super) fn word(&mut self, key: LineKey, word: &str) {
        self.key(key);
        self.quotes();
        self.out.extend_from_slice(word.as_bytes());
        self.quotes();
    }

    /// Appends an untrusted value, escaped. Bytes that are not UTF-8 become U+FFFD.
    pub(super) fn value(&mut self, key: LineKey, value: impl AsRef<[u8]>) {
        self.key(key);
        let value = value.as_ref();
        if !self.json && is_bare(value) {
            self.out.extend_from_slice(value);
        } else {
            quoted(value, self.json, self.out);
        }
    }

    /// Appends the value if there is one, else the sign for no value.
    pub(super) fn optional(&mut self, key: LineKey, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.value(key, value),
            None => self.nothing(key),
        }
    }

    /// Appends a client's address, without the cost of `Display`: every access line has one.
    pub(super) fn client(&mut self, key: LineKey, client: ClientAddress) {
        self.key(key);
        self.quotes();
        client.write_to(self.out);
        self.quotes();
    }

    /// Appends a structured value; only for lines of JSON.
    pub(super) fn json(&mut self, key: LineKey, value: &impl Serialize) {
        self.key(key);
        let text = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
        message(&text, true, self.out);
    }

    /// Appends a number.
    pub(super) fn number(&mut self, key: LineKey, value: u64) {
        self.key(key);
        decimal(value, self.out);
    }

    /// Appends the sign for no value: `null` in JSON, `-` in text.
    pub(super) fn nothing(&mut self, key: LineKey) {
        self.key(key);
        self.out.extend_from_slice(if self.json { b"null" } else { b"-" });
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.out.extend_from_slice(if self.json { b"}\n" } else { b"\n" });
    }

    fn quotes(&mut self) {
        if self.json {
            self.out.push(b'"');
        }
    }

    fn key(&mut self, key: LineKey) {
        let key = if self.json { key.json } else { key.text }.as_bytes();
        let begin = usize::from(std::mem::take(&mut self.empty));
        self.out.extend_from_slice(key.get(begin..).unwrap_or_default());
    }
}

/// Appends an escaped value between quotes: it can end neither the line nor the quotes, and contains no terminal
/// control characters.
pub(super) fn quoted(value: &[u8], json: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(value, json, out);
    out.push(b'"');
}

/// Appends an escaped value, without the quotes around it.
pub(super) fn escaped(value: &[u8], json: bool, out: &mut Vec<u8>) {
    if value.len() <= MAX_VALUE && all(value, is_plain) {
        return out.extend_from_slice(value);
    }
    let end = out.len() + MAX_VALUE;
    let mut sign = String::new();
    let characters = value.utf8_chunks().flat_map(|chunk| {
        let broken = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(broken)
    });
    for character in characters {
        sign.clear();
        write_sign(character, json, &mut sign);
        if out.len() + sign.len() > end {
            return;
        }
        out.extend_from_slice(sign.as_bytes());
    }
}

fn write_sign(character: char, json: bool, sign: &mut String) {
    match character {
        '"' | '\\' => sign.extend(['\\', character]),
        _ if !is_invisible(character) => sign.push(character),
        _ if json => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(sign, "\\u{unit:04x}");
            }
        }
        _ => sign.extend(character.escape_unicode()),
    }
}

/// Appends a message of the program. Control characters in it are escaped, except line ends and ESC: those are the
/// line structure and the colours that the formatter wrote.
pub(super) fn message(text: &[u8], json: bool, out: &mut Vec<u8>) {
    let mut sign = String::new();
    for character in String::from_utf8_lossy(text).chars() {
        sign.clear();
        if character == '\n' || character == '\u{1b}' || !is_invisible(character) {
            sign.push(character);
        } else {
            write_sign(character, json, &mut sign);
        }
        out.extend_from_slice(sign.as_bytes());
    }
}

/// Whether the byte needs no escape between quotes.
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// Whether the value needs no quotes. A single dash does: without them it is the sign for no value.
pub(super) fn is_bare(value: &[u8]) -> bool {
    let plain = |byte: u8| is_plain(byte) & (byte != b' ') & (byte != b'=');
    (1..=MAX_VALUE).contains(&value.len()) && value != b"-" && all(value, plain)
}

/// Whether the predicate holds for each byte. There is no early exit, so that the compiler can vectorise the loop.
fn all(value: &[u8], holds: impl Fn(u8) -> bool) -> bool {
    value.iter().fold(true, |before, &byte| before & holds(byte))
}

/// Appends a number in decimal digits.
pub(super) fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let begun = out.len();
    loop {
        out.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.get_mut(begun..).unwrap_or_default().reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "a\r\nb=\"c\\\"\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{2066}\u{e0041}ä";

    fn line(json: bool, write: impl Fn(&mut LogLine<'_>)) -> String {
        let mut out = Vec::new();
        let mut line = LogLine::begin(&mut out, json);
        write(&mut line);
        line.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn untrusted_values_are_escaped_in_both_formats() {
        let write = |line: &mut LogLine<'_>| {
            line.value(key!("user"), ODD);
            line.number(key!("n"), 30);
            line.nothing(key!("none"));
            line.word(key!("word"), "a_word");
            line.value(key!("bytes"), b"\xff\xc3");
        };
        let odd = "\"a\\u{d}\\u{a}b=\\\"c\\\\\\\"\\u{1b}[31m\\u{7f}\\u{9b}\\u{202e}\\u{2066}\\u{e0041}ä\"";
        assert_eq!(line(false, write), format!("user={odd} n=30 none=- word=a_word bytes=\"\u{fffd}\u{fffd}\"\n"));
        let json = line(true, write);
        assert!(!json.trim_end().chars().any(is_invisible), "{json}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let want =
            serde_json::json!({ "user": ODD, "n": 30, "none": null, "word": "a_word", "bytes": "\u{fffd}\u{fffd}" });
        assert_eq!(json, want);
    }

    #[test]
    fn an_absent_value_differs_from_a_dash() {
        let write = |line: &mut LogLine<'_>| {
            line.optional(key!("user"), Some("-"));
            line.optional(key!("note"), None::<&str>);
            line.value(key!("empty"), "");
        };
        assert_eq!(line(false, write), "user=\"-\" note=- empty=\"\"\n");
        assert_eq!(line(true, write), "{\"user\":\"-\",\"note\":null,\"empty\":\"\"}\n");
    }

    #[test]
    fn long_values_are_cut_at_a_character_boundary_in_both_formats() {
        for value in ["x".repeat(5000), "ä".repeat(5000), "\u{202e}".repeat(5000), "\"".repeat(5000)] {
            for json in [false, true] {
                let written = line(json, |line| line.value(key!("v"), &value));
                assert!((MAX_VALUE - 12..=MAX_VALUE + 12).contains(&written.len()), "{}", written.len());
                assert!(!json || serde_json::from_str::<serde_json::Value>(&written).is_ok(), "{written}");
            }
        }
    }

    #[test]
    fn messages_keep_line_ends_and_colours_but_no_other_control_character() {
        let mut out = Vec::new();
        message("\u{1b}[31mWARN\u{1b}[0m \u{202e}x\u{7f}\n".as_bytes(), false, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\u{1b}[31mWARN\u{1b}[0m \\u{202e}x\\u{7f}\n");
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 65_535, u64::MAX] {
            let mut out = b"x".to_vec();
            decimal(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{number}"));
        }
    }
}
