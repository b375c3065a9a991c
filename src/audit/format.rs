//! How lines are written: `key=value` text, or JSON. Whatever comes from outside is escaped.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::Value;

use crate::values::time::WallTime;

/// The longest value of a line, in bytes; the rest of it is not logged.
const MAX_VALUE: usize = 1024;

/// A line as pairs, in order.
pub type Pairs = Vec<(&'static str, Value)>;

/// `key=value key="value with spaces"`, for people and for grep.
pub fn text(pairs: &Pairs) -> String {
    let mut line = String::with_capacity(160);
    for (key, value) in pairs {
        let separator = if line.is_empty() { "" } else { " " };
        let _ = write!(line, "{separator}{key}=");
        match value {
            Value::String(text) if is_bare(text) => line.push_str(text),
            Value::String(text) => quoted(text, &mut line),
            Value::Null => line.push('-'),
            other => {
                let _ = write!(line, "{other}");
            }
        }
    }
    line
}

/// One JSON object.
pub fn json(pairs: Pairs) -> String {
    let object: serde_json::Map<_, _> = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let line = Value::Object(object).to_string();
    if line.contains(char::is_control) { without_controls(&line) } else { line }
}

/// JSON may hold DEL and the C1 controls as they are; some terminals obey them.
fn without_controls(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if character.is_control() {
            let _ = write!(line, "\\u{:04x}", u32::from(character));
        } else {
            line.push(character);
        }
    }
    line
}

/// A string as a value, cut to what a line may hold.
pub fn string(text: &str) -> Value {
    let end = (0..=MAX_VALUE.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    Value::String(text.get(..end).unwrap_or_default().to_owned())
}

/// Quotes a text so that it stays on its line and inside its quotes, and moves no terminal.
pub fn quoted(text: &str, line: &mut String) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            character if character.is_control() => line.extend(character.escape_unicode()),
            character => line.push(character),
        }
    }
    line.push('"');
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

/// RFC 3339, in UTC.
pub fn timestamp(at: WallTime) -> String {
    timestamp_of(at).to_string()
}

/// The timestamp of the combined log format.
pub fn common_timestamp(at: WallTime) -> String {
    timestamp_of(at).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

fn timestamp_of(at: WallTime) -> Timestamp {
    i64::try_from(at.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_leaves_its_line() {
        let line = text(&vec![("user", string("a\r\nb=\"c\"\u{1b}[31m")), ("n", 3.into()), ("none", Value::Null)]);
        assert_eq!(line, "user=\"a\\u{d}\\u{a}b=\\\"c\\\"\\u{1b}[31m\" n=3 none=-");
        assert_eq!(json(vec![("user", string("a\n\u{1b}\u{7f}\u{9b}"))]), r#"{"user":"a\n\u001b\u007f\u009b"}"#);
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let Value::String(cut) = string(&"ä".repeat(MAX_VALUE)) else { panic!() };
        assert_eq!(cut.len(), MAX_VALUE);
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(timestamp(WallTime(1_767_225_600)), "2026-01-01T00:00:00Z");
        assert_eq!(common_timestamp(WallTime(1_767_225_600)), "01/Jan/2026:00:00:00 +0000");
    }
}
