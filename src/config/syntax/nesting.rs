//! Errors that concern several lines: unclosed brackets and quotes, keys and tables that are set twice.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

use super::SyntaxError;
use super::line::Line;

/// A bracket or quote that is not closed before this byte, or a missing comma in a list.
pub(super) fn unclosed(text: &str, at: &Range<usize>) -> Option<SyntaxError> {
    let tokens = Source::new(text).lex().into_vec();
    let line = Line::at(text, at.start);
    let end = match () {
        () if begins_something(&line, at.start) => line.start,
        () if at.start >= text.trim_end().len() => text.len(),
        () => at.start,
    };
    quote(text, &tokens, at.start).or_else(|| {
        let open = innermost(&tokens, end)?;
        let last = last_before(&tokens, end)?;
        if end == at.start && end > line.start { in_list(text, last, at) } else { Some(bracket(text, open, last)) }
    })
}

fn quote(text: &str, tokens: &[Token], at: usize) -> Option<SyntaxError> {
    let mut strings = tokens.iter().filter(|token| token.span().start() < at && at <= token.span().end());
    let token = strings.find(|token| token.kind().encoding().is_some())?;
    let span = token.span().start()..token.span().end();
    let raw = text.get(span.clone())?.trim_end();
    let quote = match token.kind() {
        TokenKind::BasicString => "\"",
        TokenKind::LiteralString => "'",
        TokenKind::MlBasicString => "\"\"\"",
        _ => "'''",
    };
    if raw.len() >= 2 * quote.len() && raw.ends_with(quote) {
        return None;
    }
    let line = Line::at(text, span.start);
    let slip = SyntaxError {
        spoiled: line.start..span.end,
        ..SyntaxError::within(&line, span.start..span.start + raw.len(), format!("this {quote} is not closed"))
    };
    // The rest of a list follows the value.
    let text = raw.trim_end_matches([',', ']']);
    let rest = raw.get(text.len()..).unwrap_or("");
    Some(if quote.len() == 1 { slip.write(format!("write `{text}{quote}{rest}`")) } else { slip })
}

/// The innermost bracket of a value that is open before this byte.
fn innermost(tokens: &[Token], at: usize) -> Option<usize> {
    let mut open: Vec<usize> = Vec::new();
    let mut fresh = true;
    let mut in_header = false;
    for token in tokens.iter().take_while(|token| token.span().start() < at) {
        match token.kind() {
            TokenKind::Newline => (fresh, in_header) = (open.is_empty(), false),
            TokenKind::Whitespace => {}
            TokenKind::LeftSquareBracket if fresh => (fresh, in_header) = (false, true),
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket if !in_header => {
                fresh = false;
                open.push(token.span().start());
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => drop(open.pop()),
            _ => fresh = false,
        }
    }
    open.pop()
}

fn last_before(tokens: &[Token], at: usize) -> Option<Range<usize>> {
    let blank = [TokenKind::Newline, TokenKind::Whitespace, TokenKind::Comment];
    let mut before = tokens.iter().rev().filter(|token| token.span().start() < at && !blank.contains(&token.kind()));
    before.next().map(|token| token.span().start()..token.span().end())
}

/// Whether a table begins in this line, or a key at or after this byte.
fn begins_something(line: &Line<'_>, at: usize) -> bool {
    let content = line.content();
    let is_header = content.starts_with('[') && content.ends_with(']') && !content.contains(['"', '\'', ',']);
    let is_entry = content.split_once('=').is_some_and(|(key, _)| !key.contains(['"', '\'', '{', ',']));
    is_header || (is_entry && at <= line.trimmed_span().start + content.find('=').unwrap_or(0))
}

/// The error for a bracket whose content ends with `last`.
fn bracket(text: &str, open: usize, last: Range<usize>) -> SyntaxError {
    let line = Line::at(text, open);
    let closing = if text.get(open..).is_some_and(|rest| rest.starts_with('{')) { "}" } else { "]" };
    let slip = |span| SyntaxError {
        spoiled: line.start..Line::at(text, last.end).span().end,
        ..SyntaxError::within(&line, span, format!("this bracket is not closed: {closing} is missing"))
    };
    let content = text.get(open..last.end).unwrap_or("");
    if content.contains('\n') {
        let after = Line::at(text, last.end).number + 1;
        return slip(open..open + 1).write(format!("add a line `{closing}` before line {after}"));
    }
    slip(open..last.end).write(format!("write `{}{closing}`", content.trim_end_matches([',', ' '])))
}

/// The error for a list's value without quotes, or without a comma before it.
fn in_list(text: &str, last: Range<usize>, at: &Range<usize>) -> Option<SyntaxError> {
    let word = text.get(at.clone()).filter(|word| !word.is_empty() && !word.contains(['=', '\n', '"']));
    let line = Line::at(text, at.start);
    if let Some(word) = word {
        let slip = SyntaxError::within(&line, at.clone(), "a text in a list must be in quotes");
        return Some(slip.write(format!("write `\"{word}\"`")));
    }
    let line = Line::at(text, last.start);
    let value = text.get(last.clone()).filter(|value| !value.contains('\n'))?;
    let slip = SyntaxError::within(&line, last, "there must be a comma between two values of a list");
    Some(slip.write(format!("write `{value},`")))
}

/// The error for a key or a table that is set twice.
pub(super) fn repeated(text: &str, at: &Range<usize>, message: &str) -> Option<SyntaxError> {
    if !message.starts_with("duplicate key") {
        return None;
    }
    let line = Line::at(text, at.start);
    let before = || Line::all(text).take_while(move |other| other.start < line.start);
    if let Some((name, double)) = header(&line) {
        return repeated_table(text, &line, name, double, before().filter_map(|other| Some((other, header(&other)?))));
    }
    let key = |line: &Line<'_>| line.text.split_once('=').map(|(key, _)| key.trim().to_owned());
    let section = before().filter(|other| header(other).is_some()).last().map_or(0, |header| header.start);
    let first = before().find(|other| other.start >= section && key(other) == key(&line))?;
    let name = text.get(at.clone()).unwrap_or("");
    let slip = SyntaxError::within(&line, at.clone(), format!("{name} is set twice: first in line {}", first.number));
    Some(
        SyntaxError { spoiled: line.start..entry_end(text, line.start), ..slip }
            .write("remove this line, or the other one"),
    )
}

fn repeated_table<'a>(
    text: &'a str,
    line: &Line<'a>,
    name: &str,
    double: bool,
    mut earlier: impl Iterator<Item = (Line<'a>, (&'a str, bool))>,
) -> Option<SyntaxError> {
    let (first, (_, was_double)) = earlier.find(|(_, (other, _))| *other == name)?;
    let further = Line::all(text).filter(|other| other.start > line.start).find(|other| header(other).is_some());
    let end = further.map_or(text.len(), |next| next.start);
    let slip = SyntaxError::within(
        line,
        line.trimmed_span(),
        format!("[{name}] is set twice: first in line {}", first.number),
    );
    let slip = SyntaxError { spoiled: line.start..end, ..slip };
    Some(match (was_double, double) {
        (false, true) => slip.write(format!("write `[[{name}]]` in line {}", first.number)),
        (true, false) => slip.write(format!("write `[[{name}]]`")),
        _ => slip.write(format!("move the lines below it to the table in line {}, and remove this line", first.number)),
    })
}

/// The name of a table, and whether it is an entry of an array (`[[name]]`).
fn header<'a>(line: &Line<'a>) -> Option<(&'a str, bool)> {
    let content = line.content().split('#').next()?.trim_end();
    let inner = content.strip_prefix('[')?.strip_suffix(']')?;
    let double = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    Some((double.unwrap_or(inner).trim(), double.is_some()))
}

/// The end of the value that begins in the line at `start`.
fn entry_end(text: &str, start: usize) -> usize {
    let tokens = Source::new(text).lex().into_vec();
    let mut depth = 0_usize;
    for token in tokens.iter().filter(|token| token.span().start() >= start) {
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = depth.saturating_sub(1),
            TokenKind::Newline if depth == 0 => return token.span().start(),
            _ => {}
        }
    }
    text.len()
}
