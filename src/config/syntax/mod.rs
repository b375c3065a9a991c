//! Explains syntax errors, all of them in one report.
//!
//! The parser recovers from an error, but most of its later errors follow from the first. So the first one is
//! explained, its lines are left out, and the rest is parsed again.

mod conceal;
mod line;
mod nesting;
#[cfg(test)]
mod tests;

use std::ops::Range;

use toml::de::{DeTable, Error};

use super::report::{Finding, Severity};

pub(crate) use conceal::concealed;
pub(crate) use line::Line;

/// The maximum number of reported errors in one file.
const MAX_ERRORS: usize = 50;

/// The help if the corrected line cannot be shown, since it may have a secret.
const GENERAL_HELP: &str = "write the value in quotes, after an equals sign: key = \"value\"";

/// A syntax error.
#[derive(Debug, PartialEq, Eq)]
struct SyntaxError {
    /// The span that the help replaces.
    span: Range<usize>,
    /// What is wrong.
    what: String,
    /// What to write, one proposal in each line.
    write: Vec<String>,
    /// The lines to leave out when the rest is parsed.
    spoiled: Range<usize>,
}

impl SyntaxError {
    /// An error that concerns only its own line.
    fn within(line: &Line<'_>, span: Range<usize>, what: impl Into<String>) -> Self {
        Self { span, what: what.into(), write: Vec::new(), spoiled: line.span() }
    }

    fn write(mut self, help: impl Into<String>) -> Self {
        self.write.push(help.into());
        self
    }
}

/// All syntax errors of a text, in the order of its lines.
pub(crate) fn findings(text: &str) -> Vec<Finding> {
    let shown = concealed(text);
    let mut rest = text.to_owned();
    let mut found = Vec::new();
    while found.len() < MAX_ERRORS {
        let (_, errors) = DeTable::parse_recoverable(&rest);
        let Some(first) = errors.iter().min_by_key(|error| error.span().map(|span| span.start)) else { break };
        let slip = explain(&rest, first);
        let left = blanked(&rest, &slip.spoiled);
        let SyntaxError { span, what, mut write, .. } = slip;
        if shown.get(span.clone()) != rest.get(span.clone()) {
            // The value may be a secret, so it is not repeated.
            write.iter_mut().filter(|help| help.starts_with("write `")).for_each(|help| GENERAL_HELP.clone_into(help));
        }
        found.push(Finding {
            severity: Severity::Problem,
            key: String::new(),
            what,
            write,
            span: Some(span),
            within: None,
        });
        // If leaving lines out changes nothing, the same error would be found forever.
        match left {
            Some(left) => rest = left,
            None => break,
        }
    }
    found
}

/// The same text with these lines replaced by spaces, so that all positions stay. `None` if nothing changes.
fn blanked(text: &str, lines: &Range<usize>) -> Option<String> {
    let spoiled = text.get(lines.clone())?;
    let blank: String =
        spoiled.chars().map(|sign| if sign == '\n' { "\n".to_owned() } else { " ".repeat(sign.len_utf8()) }).collect();
    (blank != spoiled)
        .then(|| [text.get(..lines.start).unwrap_or(""), &blank, text.get(lines.end..).unwrap_or("")].concat())
}

fn explain(text: &str, error: &Error) -> SyntaxError {
    let at = error.span().unwrap_or(0..0);
    let line = Line::at(text, at.start);
    let known = line::invalid_character(&line)
        .or_else(|| nesting::unclosed(text, &at))
        .or_else(|| nesting::repeated(text, &at, error.message()))
        .or_else(|| line::other_reading(&line, &at));
    known.unwrap_or_else(|| {
        let message = error.message().replace('\n', ", ");
        let place = if at.is_empty() { line.trimmed_span() } else { at };
        SyntaxError::within(&line, place, format!("this is not valid TOML: {message}"))
            .write("a line is a table's name in brackets, [login], or a key and its value: path = \"/app\"")
    })
}
