//! A name stands for one type: whoever looks for it finds one definition.

use std::collections::BTreeMap;

use super::source::Source;

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

#[test]
fn names_that_stand_for_two_types_are_found() {
    let [one, two] = [
        "struct A;\nenum B {}\nimpl C for A { type D = u8; }",
        "pub type A = u8;\nimpl C for B { type D = u8; }\n#[cfg(test)]\nmod tests { struct B; }",
    ]
    .map(|text| Source::new("values/a.rs", text));
    assert_eq!(shared(&[one, two]), ["A: src/values/a.rs:1, src/values/a.rs:1"]);
}
