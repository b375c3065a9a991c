//! Errors within one line, and the corrected line.

use std::ops::Range;

use toml::de::DeTable;

use super::super::unknown::is_known;
use super::super::{key_translations, schema, suggestions, unknown};
use crate::values::invisible::is_invisible;

use super::SyntaxError;

/// One line of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Its beginning, in bytes of the text.
    pub(crate) start: usize,
    /// Its text, without the line break.
    pub(crate) text: &'a str,
    /// Its number, counted from 1.
    pub(crate) number: usize,
}

impl<'a> Line<'a> {
    /// The line that contains this byte; a line break belongs to the line before it.
    pub(crate) fn at(text: &'a str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = text.get(start..).and_then(|rest| rest.split('\n').next()).unwrap_or("");
        Self { start, text: line.strip_suffix('\r').unwrap_or(line), number: before.matches('\n').count() + 1 }
    }

    /// All lines of a text.
    pub(crate) fn all(text: &'a str) -> impl Iterator<Item = Self> {
        let mut start = 0;
        (1..).zip(text.split_inclusive('\n')).map(move |(number, line)| {
            let this = Self { start, text: line.trim_end_matches(['\n', '\r']), number };
            start += line.len();
            this
        })
    }

    /// Its span.
    pub(crate) fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The span of its content, without surrounding spaces.
    pub(crate) fn trimmed_span(&self) -> Range<usize> {
        let indent = self.text.len() - self.text.trim_start().len();
        let start = self.start + indent;
        start..start + self.text.trim().len()
    }

    /// Its content, without surrounding spaces.
    pub(crate) fn content(&self) -> &'a str {
        self.text.trim()
    }
}

/// Finds characters that editors and web pages substitute for ASCII ones.
pub(super) fn invalid_character(line: &Line<'_>) -> Option<SyntaxError> {
    let is_odd = |sign: char| !sign.is_ascii() && plain(sign) != Some(sign);
    let (at, odd) = line.text.char_indices().find(|(_, sign)| is_odd(*sign))?;
    let plain: String = line.content().chars().filter_map(plain).collect();
    if line.content().starts_with('#') || plain == line.content() {
        return None;
    }
    let name = match odd {
        '\u{feff}' | '\u{200b}'..='\u{200f}' => "an invisible character",
        sign if sign.is_whitespace() => "a no-break space or another special space",
        sign if is_invisible(sign) => "an invisible character",
        _ => "a typographic quote",
    };
    let at = line.start + at;
    let slip = SyntaxError::within(
        line,
        line.trimmed_span(),
        format!("column {} has {name} (U+{:04X})", column(line, at), u32::from(odd)),
    );
    Some(written(slip, &plain))
}

fn column(line: &Line<'_>, at: usize) -> usize {
    line.text.get(..at - line.start).unwrap_or("").chars().count() + 1
}

/// The ASCII character that is probably meant; `None` if the character should be removed.
fn plain(sign: char) -> Option<char> {
    match sign {
        '“' | '”' | '„' | '‟' | '«' | '»' | '″' => Some('"'),
        '‘' | '’' | '‚' | '‛' | '′' => Some('"'),
        sign if sign.is_ascii() => Some(sign),
        sign if sign.is_whitespace() => Some(' '),
        sign if is_invisible(sign) => None,
        sign => Some(sign),
    }
}

/// Finds lines in the syntax of other languages, and common errors.
pub(super) fn other_reading(line: &Line<'_>, at: &Range<usize>) -> Option<SyntaxError> {
    comment(line)
        .or_else(|| block(line))
        .or_else(|| header(line))
        .or_else(|| assignment(line, at))
        .or_else(|| of_another_language(line))
}

fn comment(line: &Line<'_>) -> Option<SyntaxError> {
    let content = line.content();
    let mark = ["//", "--", "/*", ";"].into_iter().find(|mark| content.starts_with(mark))?;
    let said = content.strip_prefix(mark)?.trim().trim_end_matches("*/").trim_end();
    Some(written(SyntaxError::within(line, line.trimmed_span(), "a comment begins with #"), &format!("# {said}")))
}

/// The beginning or end of a block: `server {`, `}`, `{`.
fn block(line: &Line<'_>) -> Option<SyntaxError> {
    let content = line.content().trim_end_matches([';', ',']);
    let opens = content.ends_with('{') && !content.contains('=');
    (opens || content == "}" || content == "---").then(|| {
        SyntaxError::within(
            line,
            line.trimmed_span(),
            "this file has no blocks: a table begins with its name, [login] or [[route]]",
        )
        .write("remove this line")
    })
}

fn header(line: &Line<'_>) -> Option<SyntaxError> {
    let content = line.content();
    let name = content.strip_prefix('[')?.trim_matches(['[', ']', ' ', ':']);
    let fits = !name.is_empty() && name.chars().all(is_of_key);
    let slip = SyntaxError::within(line, line.trimmed_span(), "the name of a table must be in brackets");
    fits.then(|| written(slip, &unknown::header(name)))
}

/// An invalid `key = value`.
fn assignment(line: &Line<'_>, at: &Range<usize>) -> Option<SyntaxError> {
    let (left, right) = line.text.split_once('=')?;
    let key = left.trim().trim_end_matches([':', '+', '?']).trim();
    let value = right.trim_start_matches(['=', '>']).trim();
    if left.contains(['"', '\'', '{']) || key.is_empty() {
        return None;
    }
    if !is_key(key) {
        let joined = key.replace([' ', '-'], "_").to_ascii_lowercase();
        let slip = SyntaxError::within(
            line,
            line.trimmed_span(),
            format!("`{key}` is not a key: keys are written without spaces"),
        );
        return (is_known(&joined) && joined.chars().all(is_of_key))
            .then(|| written(slip, &format!("{joined} = {}", as_toml(value))));
    }
    let doubled = right.starts_with(['=', '>']) || at.start <= line.start + left.len();
    let (what, value) = wrong_value(key, value, doubled);
    let start = line.trimmed_span();
    let slip = SyntaxError::within(line, start, what);
    Some(match value {
        Some(value) => written(slip, &format!("{key} = {value}")),
        None => slip.write(format!("write a value, or put # before the line: # {key} = \"…\"")),
    })
}

/// The problem of a value, and its correction if there is a value.
fn wrong_value(key: &str, value: &str, doubled: bool) -> (String, Option<String>) {
    let (bare, comment) = value.split_once(" #").map_or((value, ""), |(bare, comment)| (bare.trim_end(), comment));
    let meant = as_toml(bare);
    let meant = if comment.is_empty() { meant } else { format!("{meant} #{comment}") };
    let what = match bare {
        "" => return (format!("{key} has no value"), None),
        _ if doubled => format!("there must be one equals sign between {key} and its value"),
        _ if is_toml(bare.trim_end_matches([';', ',', ' '])) && bare.ends_with([';', ',']) => {
            "a line ends without a comma or semicolon".to_owned()
        }
        _ if switch(bare).is_some() => "true and false are written in lower case, without quotes".to_owned(),
        _ if bare.contains("${") => "the value must be in quotes, and variables are not expanded in it".to_owned(),
        _ if bare.contains('\\') => "a text with backslashes must be in single quotes".to_owned(),
        _ => "a text must be in quotes".to_owned(),
    };
    (what, Some(meant))
}

/// `key: value`, `- item`, `key value;`, `key value`.
fn of_another_language(line: &Line<'_>) -> Option<SyntaxError> {
    let content = line.content();
    let slip = |what: &str| SyntaxError::within(line, line.trimmed_span(), what);
    if content.starts_with("- ") {
        return Some(slip("this is YAML: a list is written key = [\"one\", \"two\"]").write("remove this line"));
    }
    if let Some((key, value)) = content.split_once(':').filter(|(key, _)| is_key(key.trim().trim_matches('"'))) {
        let key = key.trim().trim_matches('"');
        let slip = slip("this is YAML or JSON: write an equals sign between a key and its value");
        return Some(pair(slip, key, value.trim()));
    }
    let (key, value) = content.split_once(char::is_whitespace)?;
    let what = match (is_key(key), content.ends_with(';')) {
        (false, _) => return None,
        (true, true) => "this is a line of nginx: write an equals sign, and no semicolon",
        (true, false) => "there must be an equals sign between a key and its value",
    };
    Some(pair(slip(what), key, value.trim()))
}

/// A pair of another language, in TOML syntax.
fn pair(slip: SyntaxError, key: &str, value: &str) -> SyntaxError {
    let value = value.trim_end_matches([';', ',']).trim_end();
    match (schema::FILE.keys.contains(&key), value, key_translations::find(key)) {
        (true, "", _) => written(slip, &unknown::header(key)),
        (_, "", _) => slip.write("remove this line"),
        (_, value, _) if key == "listen" => written(slip, &format!("listen = {}", key_translations::listen(value))),
        (_, value, Some(own)) => written(slip, &format!("{} = {}", own.key, own.value(value))),
        (_, value, None) => written(slip, &format!("{key} = {}", as_toml(value))),
    }
}

fn written(slip: SyntaxError, line: &str) -> SyntaxError {
    slip.write(format!("write `{line}`"))
}

/// A value in TOML syntax: a valid one stays, anything else becomes a string.
fn as_toml(value: &str) -> String {
    let bare = value.trim().trim_end_matches([';', ',']).trim_end();
    if let Some(switch) = switch(bare) {
        return switch.to_string();
    }
    if let Some(number) = suggestions::number("", bare).filter(|_| bare.ends_with(['k', 'K', 'M', 'b', 'B'])) {
        return number.to_string();
    }
    // Without a superfluous bracket or quote at the end.
    let shorter = (0..3).filter_map(|cut| bare.get(..bare.len().checked_sub(cut)?));
    if let Some(sound) =
        shorter.take_while(|shorter| bare.get(shorter.len()..).is_some_and(is_closing)).find(|it| is_toml(it))
    {
        return sound.trim_end().to_owned();
    }
    let text = bare.trim_matches(['"', '\'', '`']);
    if text.contains(['\\', '"']) { format!("'{text}'") } else { format!("\"{text}\"") }
}

fn switch(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn is_closing(text: &str) -> bool {
    text.chars().all(|sign| "]}\"'".contains(sign))
}

fn is_toml(value: &str) -> bool {
    !value.contains('\n') && DeTable::parse_recoverable(&format!("v = {value}")).1.is_empty()
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_key)
}

fn is_of_key(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "_-.".contains(sign)
}
