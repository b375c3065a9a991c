//! Does what the help of a finding says, word for word: what an operator is told to write has to mend the file.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use exeunt::config::Finding;

/// Follows the first line of help that can be followed as it stands, in the configuration at `path`. False where there
/// is none.
pub fn obey(path: &Path, finding: &Finding) -> bool {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    finding.write.iter().any(|help| {
        if let Some(command) = help.strip_prefix("run: ") {
            return Command::new("sh").args(["-euc", command]).status().unwrap().success();
        }
        let changed = follow(&text, finding.span.clone(), help);
        changed.inspect(|changed| fs::write(path, changed).unwrap()).is_some()
    })
}

/// The text after this line of help was followed; `span` is what the finding is about.
fn follow(text: &str, span: Option<Range<usize>>, help: &str) -> Option<String> {
    if let Some(rest) = help.strip_prefix("did you mean ") {
        return replaced(text, span?, &value(rest)?);
    }
    if help.starts_with("remove this line") {
        return replaced(text, lines_of(text, &span?), "");
    }
    if help.starts_with("remove this table") {
        let header = lines_of(text, &span?).start;
        let end = text[header..].find("\n[").map_or(text.len(), |end| header + end + 1);
        return replaced(text, header..end, "");
    }
    if help.starts_with("remove it") {
        return without(text, span?);
    }
    if let Some(rest) = help.strip_prefix("remove the file ") {
        fs::remove_file(rest.split(',').next()?).ok()?;
        return Some(text.to_owned());
    }
    if let Some(place) = help.strip_prefix("move this line to the ") {
        let lines = lines_of(text, &span?);
        let line = text.get(lines.clone())?;
        let renamed =
            place.split_once(" as `").and_then(|(_, name)| Some(format!("{name} ={}", line.split_once('=')?.1)));
        let line = renamed.map_or(line.to_owned(), |renamed| renamed.replace('`', ""));
        return insert(&replaced(text, lines, "")?, None, &line, place);
    }
    if let Some((line, number)) = help.strip_prefix("add a line ").and_then(|rest| rest.split_once(" before line ")) {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.insert(number.parse::<usize>().ok()? - 1, line.trim_matches('`'));
        return Some(lines.join("\n") + "\n");
    }
    let rest = help.strip_prefix("write ")?;
    let written = value(rest)?;
    if let Some((_, number)) = rest.split_once("` in line ") {
        let mut lines: Vec<&str> = text.lines().collect();
        *lines.get_mut(number.parse::<usize>().ok()? - 1)? = &written;
        return Some(lines.join("\n") + "\n");
    }
    if let Some((_, place)) = rest.split_once("` at the ") {
        return insert(text, span, &format!("{written}\n"), place);
    }
    if let Some((_, place)) = rest.split_once("` in ") {
        let header = place.strip_prefix("this ").unwrap_or(place).split([',', ' ']).next()?;
        return set(text, span, &written, header);
    }
    replaced(text, span?, &written)
}

/// Sets a key in a table, the one at `span` or the first of this name: its line is replaced, or added.
fn set(text: &str, span: Option<Range<usize>>, line: &str, header: &str) -> Option<String> {
    let key = line.split_once('=')?.0;
    let named = span.filter(|span| text[span.clone()].starts_with('[')).map(|span| span.start);
    let table = named.filter(|start| text[*start..].starts_with(header)).or_else(|| text.find(header));
    let own = table.map(|table| (table, text[table + 1..].find("\n[").map_or(text.len(), |end| table + 1 + end)));
    let at = own.and_then(|(start, end)| Some(start + text[start..end].find(&format!("\n{key}="))? + 1));
    match at {
        Some(at) => replaced(text, lines_of(text, &(at..at)), &format!("{line}\n")),
        None => insert(text, table.map(|table| table..table + 1), line, &format!("end of {header}")),
    }
}

/// What stands between backticks, else the value of TOML that the text begins with.
fn value(text: &str) -> Option<String> {
    let closed = |close: char| text.get(1..)?.split_once(close).map(|(inner, _)| inner.to_owned());
    match text.chars().next()? {
        '`' => closed('`'),
        '"' => closed('"').map(|inner| format!("\"{inner}\"")),
        '[' => closed(']').map(|inner| format!("[{inner}]")),
        '{' => closed('}').map(|inner| format!("{{{inner}}}")),
        sign if sign.is_ascii_digit() => text.split([' ', ',', ';']).next().map(str::to_owned),
        _ => ["true", "false"].into_iter().find(|word| text.starts_with(word)).map(str::to_owned),
    }
}

fn replaced(text: &str, span: Range<usize>, by: &str) -> Option<String> {
    Some([text.get(..span.start)?, by, text.get(span.end..)?].concat())
}

/// Without an entry of a list, a key of an inline table with its value, or a whole line.
fn without(text: &str, span: Range<usize>) -> Option<String> {
    let of_line = |text: &str| text.split(['\n', ']', '}']).next().unwrap_or("").to_owned();
    let rest = text.get(span.end..)?;
    let value = rest.split('\n').next()?.trim_start_matches(['"', '\'']).trim_start();
    let value = value.strip_prefix('=').map(|value| match value.trim_start().strip_prefix('"') {
        Some(quoted) => &value[..value.len() - quoted.len() + quoted.find('"').map_or(0, |end| end + 1)],
        None => value.split([',', '}']).next().unwrap_or(value),
    });
    let end = value.map_or(span.end, |value| span.end + rest.find(value).unwrap_or(0) + value.len());
    let (before, behind) = (text.get(..span.start)?.trim_end_matches(['"', '\'']), text.get(end..)?);
    let is_entry = before.trim_end().ends_with(['[', '{', ',']);
    match (is_entry, of_line(behind).trim_start().starts_with(',')) {
        (false, _) => replaced(text, lines_of(text, &span), ""),
        (true, true) => Some(format!("{before}{}", behind.trim_start().trim_start_matches(','))),
        (true, false) => Some(format!("{}{behind}", before.trim_end().trim_end_matches(','))),
    }
}

/// The whole lines that a place belongs to.
fn lines_of(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text[..span.start].rfind('\n').map_or(0, |end| end + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |end| span.end + end + 1);
    start..end
}

/// Adds lines at the "top of the file", or at the "end of [table]": the one that `span` names, the first of this name,
/// or a new one.
fn insert(text: &str, span: Option<Range<usize>>, lines: &str, place: &str) -> Option<String> {
    if place.starts_with("top of the file") {
        return Some(format!("{lines}{text}"));
    }
    let header = place.strip_prefix("end of ")?.split([',', ':', ' ']).next()?;
    let named = span.filter(|span| text[span.clone()].starts_with('[')).map(|span| text[..span.start].lines().count());
    let mut all: Vec<&str> = text.lines().collect();
    match named.or_else(|| all.iter().position(|line| line.trim() == header)) {
        // Right behind the header is as good as the end.
        Some(at) => all.insert(at + 1, lines.trim_end()),
        None => all.extend([header, lines.trim_end()]),
    }
    Some(all.join("\n") + "\n")
}
