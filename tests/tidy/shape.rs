//! The size of functions and files; headings; nothing unfinished; exceptions from lints with a reason.

use super::source::{Finding, Source};

/// What fits a screen, in lines. The rows of a table are not counted: each is read by itself.
const FUNCTION: usize = 45;
/// One idea, in lines, its tests not counted.
const FILE: usize = 450;

pub fn unfinished(source: &Source) -> Vec<Finding> {
    let macros = ["todo", "unimplemented", "dbg"];
    let calls = macros.into_iter().flat_map(|name| source.places(&[name, "!"])).filter_map(|at| source.words.get(at));
    let calls = calls.map(|word| source.finding(word.line, format!("`{}!`", word.text)));
    let notes = source.text.lines().enumerate().filter_map(|(index, line)| {
        let mut words = line.split(|sign: char| !sign.is_ascii_alphanumeric());
        let note = words.find(|word| ["TODO", "FIXME", "XXX", "HACK"].contains(word))?;
        Some(source.finding(index + 1, format!("`{note}`: do it, or say in an issue what is left")))
    });
    calls.chain(notes).collect()
}

/// `#[allow(…)]` and `#[expect(…)]`, also within `cfg_attr`.
pub fn exceptions(source: &Source) -> Vec<Finding> {
    let lists = ["[", ","]
        .into_iter()
        .flat_map(|before| ["allow", "expect"].into_iter().flat_map(move |name| source.places(&[before, name, "("])));
    let without_reason = lists.filter(|at| {
        let (open, close) = (at + 2, source.closing(at + 2));
        !(open..close).any(|at| source.reads(at, &["reason", "="]))
    });
    let lines = without_reason.filter_map(|at| Some(source.words.get(at + 1)?.line));
    lines.map(|line| source.finding(line, "an exception from a lint without `reason = \"…\"`")).collect()
}

pub fn functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in source.places(&["fn"]) {
        let Some(body) = body(source, at) else { continue };
        let line = |at: usize| source.words.get(at).map_or(0, |word| word.line);
        let (first, last) = (line(at), line(source.closing(body)));
        let length = source.text.lines().take(last).skip(first - 1).filter(|line| !is_row(line)).count();
        if length > FUNCTION {
            let name = source.words.get(at + 1).map_or("", |word| word.text.as_str());
            findings.push(source.finding(line(at), format!("`{name}` has {length} lines, more than {FUNCTION}")));
        }
    }
    findings
}

/// A tuple of a list, or an arm of a `match`, that stands in one line.
fn is_row(line: &str) -> bool {
    let line = line.trim();
    line.ends_with("),") && line.starts_with('(') || line.ends_with(',') && line.contains(" => ")
}

/// The bracket that opens the body of the function at `at`; there is none in traits and function types.
fn body(source: &Source, at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match source.words.get(at)?.text.as_str() {
            "{" => return Some(at),
            ";" | "," | ")" | "]" | "}" | "=" => return None,
            "(" | "[" => at = source.closing(at) + 1,
            _ => at += 1,
        }
    }
}

pub fn files(source: &Source) -> Vec<Finding> {
    // A module of tests in a file of its own is only named here, often at the beginning.
    let has_body = |at: &usize| source.words.get(at + 9).is_some_and(|word| word.text == "{");
    let tests = source.places(&["#", "[", "cfg", "(", "test", ")", "]", "mod"]).into_iter().find(has_body);
    let length = match tests.and_then(|at| source.words.get(at)) {
        _ if source.is_tests() => 0,
        Some(word) => word.line - 1,
        None => source.text.lines().count(),
    };
    let finding = || source.finding(length, format!("{length} lines without tests, more than {FILE}"));
    (length > FILE).then(finding).into_iter().collect()
}

/// The first line of a file says what the file is for.
pub fn headings(source: &Source) -> Vec<Finding> {
    let has_heading = source.text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 8);
    (!has_heading).then(|| source.finding(1, "no `//!` in the first line")).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: fn(&Source) -> Vec<Finding>, text: &str) -> usize {
        rule(&Source::new("values/a.rs", text)).len()
    }

    #[test]
    fn unfinished_work_is_found() {
        for text in [
            "fn a() { todo!() }", "fn a() { unimplemented!() }", "fn a() { dbg!(b) }", "// FIXME", "//XXX: b",
            "/* HACK */",
        ] {
            assert_eq!(found(unfinished, text), 1, "{text}");
        }
        assert_eq!(found(unfinished, "//! todo is a word; \nfn todo() { todo(\"dbg!\") } // HACKATHON"), 0);
    }

    #[test]
    fn exceptions_without_a_reason_are_found() {
        for text in [
            "#[allow(dead_code)] fn a() {}",
            "#![expect(clippy::panic)]",
            "#[cfg_attr(test, allow(dead_code))] fn a() {}",
        ] {
            assert_eq!(found(exceptions, text), 1, "{text}");
        }
        assert_eq!(found(exceptions, "#[expect(dead_code, reason = \"b\")] fn a() { b.expect(\"c\"); }"), 0);
    }

    #[test]
    fn long_functions_are_found() {
        let long = |lines: usize| format!("impl A {{ fn a(&self) -> [u8; 2] {{\n{}}} }}", "b();\n".repeat(lines));
        assert_eq!(found(functions, &long(FUNCTION - 1)), 1);
        assert_eq!(found(functions, &long(FUNCTION - 2)), 0);
        let table = |row: &str| format!("fn a() {{\nb([\n{}])}}", format!("{row}\n").repeat(FUNCTION));
        assert_eq!(found(functions, &table("(1, 2),")), 0);
        assert_eq!(found(functions, &table("c(1, 2),")), 1);
        assert_eq!(found(functions, &format!("trait A {{ fn a(); }}\ntype B = fn(u8);{}", "\n".repeat(FUNCTION))), 0);
    }

    #[test]
    fn long_files_are_found() {
        let lines = |count: usize| "const A: u8 = 0;\n".repeat(count);
        assert_eq!(found(files, &lines(FILE + 1)), 1);
        assert_eq!(found(files, &lines(FILE)), 0);
        assert_eq!(found(files, &format!("{}#[cfg(test)]\nmod tests {{\n{}}}", lines(FILE), lines(99))), 0);
        for first in ["use b;", "mod tests;"] {
            assert_eq!(found(files, &format!("#[cfg(test)]\n{first}\n{}", lines(FILE))), 1, "{first}");
        }
    }

    #[test]
    fn missing_headings_are_found() {
        for text in ["", "use a;\n//! A.", "// A comment.\n", "//!\n"] {
            assert_eq!(found(headings, text), 1, "{text}");
        }
        assert_eq!(found(headings, "//! What this is for.\nuse a;"), 0);
    }
}
