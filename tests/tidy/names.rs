//! A name stands for one type: whoever looks for it finds one definition.

use std::collections::BTreeMap;

use super::source::{Finding, Source};

const KEYWORDS: [&str; 5] = ["struct", "enum", "trait", "type", "union"];

/// Types outside tests that share their name, with their places. What a type names within its own `impl` is left out.
pub fn shared(sources: &[Source]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources {
        let source = source.outside_tests();
        for (name, line) in defined(&source) {
            places.entry(name).or_default().push(format!("src/{}:{line}", source.path));
        }
    }
    let shared = places.into_iter().filter(|(_, places)| places.len() > 1);
    shared.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect()
}

fn defined(source: &Source) -> Vec<(String, usize)> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for (at, word) in source.words.iter().enumerate().filter(|(_, word)| !word.literal) {
        match word.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            keyword if depth == 0 && KEYWORDS.contains(&keyword) => {
                found.extend(source.words.get(at + 1).map(|name| (name.text.clone(), name.line)));
            }
            _ => {}
        }
    }
    found
}

/// Types whose `Debug` names another type, as after a renaming.
pub fn debug(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in source.places(&["Debug", "for"]) {
        let rest = source.words.iter().enumerate().skip(at + 2);
        let Some((_, name)) = rest.clone().next() else { continue };
        let mut body = rest.take_while(|(at, _)| !source.reads(*at, &["impl"]));
        let Some((at, _)) = body.find(|(at, _)| source.reads(*at, &["debug_struct", "("])) else { continue };
        let shown = source.words.get(at + 2).filter(|word| word.text.trim_matches('"') != name.text);
        findings.extend(shown.map(|word| source.finding(word.line, format!("{} of `{}`", word.text, name.text))));
    }
    findings
}

#[test]
fn debug_names_of_other_types_are_found() {
    let implementation = |name: &str| {
        let text = format!("impl fmt::Debug for A {{ fn fmt(&self) {{ f.debug_struct(\"{name}\") }} }}\nimpl B {{}}");
        debug(&Source::new("values/a.rs", &text)).len()
    };
    assert_eq!(["A", "B"].map(implementation), [0, 1]);
}

#[test]
fn names_that_stand_for_two_types_are_found() {
    let [one, two] = [
        "struct A;\nenum B {}\nimpl C for A { type D = u8; }",
        "pub type A = u8;\nimpl C for B { type D = u8; }\n#[cfg(test)]\nmod tests { struct B; }",
    ]
    .map(|text| Source::new("values/a.rs", text));
    assert_eq!(shared(&[one, two]), ["A: src/values/a.rs:1, src/values/a.rs:1"]);
}
