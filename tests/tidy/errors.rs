//! Errors are types of their own: a caller can tell them apart, and all messages of a parser stand together.

use super::source::{Finding, Source};

/// The beginnings of errors that are nothing but texts, lifetimes left out.
const TEXTS: [&[&str]; 4] = [&["String"], &["&", "str"], &["Box", "<", "str", ">"], &["(", "String"]];

/// Results and `FromStr` whose error is a text, outside tests.
pub fn texts(source: &Source) -> Vec<Finding> {
    let source = without_lifetimes(source.outside_tests());
    let results = source.places(&["Result", "<"]).into_iter().filter_map(|at| second_argument(&source, at + 1));
    let parsers = source.places(&["type", "Err", "="]).into_iter().map(|at| at + 3);
    let errors = results.chain(parsers).filter(|at| TEXTS.iter().any(|text| source.reads(*at, text)));
    let lines = errors.filter_map(|at| Some(source.words.get(at)?.line));
    lines.map(|line| source.finding(line, "an error that is a text: make it a type, with `thiserror`")).collect()
}

/// A lifetime is two words: its sign and its name.
fn without_lifetimes(mut source: Source) -> Source {
    while let Some(&at) = source.places(&["'"]).first() {
        source.words.drain(at..=at + 1);
    }
    source
}

/// Where the second argument begins in the angle brackets that open at `open`; `None` without one.
fn second_argument(source: &Source, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, word) in source.words.iter().enumerate().skip(open).filter(|(_, word)| !word.literal) {
        match word.text.as_str() {
            "<" | "(" | "[" => depth += 1,
            // Of an arrow the second sign closes nothing.
            ">" if source.reads(at - 1, &["-"]) => {}
            ">" | ")" | "]" => depth -= 1,
            "," if depth == 1 => return Some(at + 1),
            _ => {}
        }
        if depth == 0 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_are_texts_are_found() {
        let found = |text: &str| texts(&Source::new("values/a.rs", text)).len();
        for text in [
            "fn a() -> Result<u8, String> {}",
            "fn a() -> Result<(u8, Vec<u8>), &'static str> {}",
            "fn a(b: fn(u8) -> Result<fn() -> Option<u8>, String>) {}",
            "fn a() -> io::Result<Result<u8, String>> {}",
            "fn a<'b>() -> Result<u8, &'b str> {}",
            "fn a() -> Result<u8, (String, String)> {}",
            "impl FromStr for A { type Err = String; }",
        ] {
            assert_eq!(found(text), 1, "{text}");
        }
        for text in [
            "fn a() -> Result<String, AError> {}",
            "fn a() -> fmt::Result { let b: HashMap<u8, String>; }",
            "fn a() -> io::Result<(u8, String)> {}",
            "type A = Result<HashMap<u8, String>, AError>;",
            "#[cfg(test)] mod tests { fn a() -> Result<u8, String> {} }",
        ] {
            assert_eq!(found(text), 0, "{text}");
        }
    }
}
