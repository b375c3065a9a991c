//! Masks possible secrets in a text that is not valid TOML: the values of unknown keys.

use super::super::unknown::is_known;
use super::line::Line;

/// The same text, of the same length, with asterisks for the values of unknown keys.
pub(crate) fn concealed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // Whether the current lines belong to the value of an unknown key.
    let mut secret = false;
    let mut end = 0;
    for line in Line::all(text) {
        // The end of the line, in whatever form.
        shown.push_str(text.get(end..line.start).unwrap_or(""));
        end = line.span().end;
        secret = conceal(&line, secret, &mut shown);
    }
    shown.push_str(text.get(end..).unwrap_or(""));
    shown
}

/// Whether the next line may continue a secret.
fn conceal(line: &Line<'_>, secret: bool, shown: &mut String) -> bool {
    let content = line.content();
    if content.is_empty() || content.starts_with('#') || is_header(content) {
        shown.push_str(line.text);
        return secret && content.is_empty();
    }
    let (before, value) = line.text.split_at_checked(key_end(line.text)).unwrap_or(("", line.text));
    let key = before.trim().trim_matches(['"', '\'']);
    let key = key.rsplit('.').next().unwrap_or(key);
    let has_value = value.trim_start().starts_with(['=', ':']);
    match (key.is_empty(), is_known(key)) {
        (false, true) => {
            shown.push_str(before);
            shown.push_str(&without_inner_secrets(value));
            false
        }
        // A continued value, most likely of a known key.
        (true, _) if !secret => {
            shown.push_str(&without_inner_secrets(line.text));
            false
        }
        (false, false) if !secret && (has_value || !value.trim().is_empty()) => {
            shown.push_str(before);
            shown.push_str(&hidden(value));
            true
        }
        _ => {
            shown.push_str(&hidden(line.text));
            true
        }
    }
}

fn is_header(content: &str) -> bool {
    content.starts_with('[') && !content.contains(['"', '\'', ',', '=']) && content.len() < 80
}

/// The end of the key in a line.
fn key_end(text: &str) -> usize {
    let of_key = |sign: char| sign.is_ascii_alphanumeric() || "_-.\"'".contains(sign);
    let indent = text.len() - text.trim_start().len();
    let key = text.get(indent..).and_then(|rest| rest.find(|sign| !of_key(sign)));
    key.map_or(text.len(), |length| indent + length)
}

/// A value with inline tables: `{ known = 1, unknown = ** }`.
fn without_inner_secrets(value: &str) -> String {
    let mut shown = String::with_capacity(value.len());
    let mut quote = None;
    let mut secret = false;
    let mut inner = false;
    for (at, sign) in value.char_indices() {
        match (quote, sign) {
            (Some(open), sign) if sign == open => quote = None,
            (None, '"' | '\'') => quote = Some(sign),
            (None, '=') if inner => secret = !is_known(last_word(value.get(..at).unwrap_or(""))),
            (None, '{') => inner = true,
            (None, ',' | '}') => secret = false,
            _ => {}
        }
        if secret && !"= \"'".contains(sign) { shown.push_str(&"*".repeat(sign.len_utf8())) } else { shown.push(sign) }
    }
    shown
}

fn last_word(text: &str) -> &str {
    text.trim_end().rsplit([' ', ',', '{', '.']).next().unwrap_or("").trim_matches(['"', '\''])
}

fn hidden(text: &str) -> String {
    let hide = |sign: char| if "=: \t\"'".contains(sign) { sign.to_string() } else { "*".repeat(sign.len_utf8()) };
    text.chars().map(hide).collect()
}
