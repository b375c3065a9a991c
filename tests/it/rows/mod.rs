//! The table of what went wrong elsewhere, row by row. T rows are advisories and fixed bugs of systems of this kind, H
//! rows spellings of headers, P rows spellings of paths. A test bears the names of its rows; `left_` is one that the
//! gateway does not meet yet, and fails as it says.

mod framing;
pub mod harness;
mod headers;
mod identity;
mod pages;
mod paths;
mod redirects;
mod sessions;
mod targets;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Every row that concerns this version, by letter.
const ROWS: [(char, RangeInclusive<u32>); 12] = [
    ('t', 1..=57),
    ('t', 60..=61),
    ('t', 66..=69),
    ('t', 72..=74),
    ('t', 76..=78),
    ('t', 97..=97),
    ('t', 99..=109),
    ('t', 113..=113),
    ('t', 115..=117),
    ('t', 120..=127),
    ('h', 1..=26),
    ('p', 1..=17),
];

/// Rows that are tested by what stands beside these tests, and where.
const ELSEWHERE: [(&str, &str); 3] = [
    ("t41", "a million random targets: src/gateway/tests/properties.rs"),
    ("t113", "clients that trickle: tests/it/server/deadlines.rs by the clock, tests/e2e with thousands"),
    ("t127", "real applications behind real servers: tests/e2e"),
];

/// Rows, or parts of rows, that wait for something this version does not have.
const WAITING: [(&str, &str); 10] = [
    ("t05", "its HTTP/2 half, for HTTP/2"),
    ("t14", "its HTTP/2 half, for HTTP/2"),
    ("h14", "its HTTP/2 half, for HTTP/2"),
    ("h15", "for HTTP/2"),
    ("h16", "its HTTP/2 half, for HTTP/2"),
    ("h25", "for the signed assertion"),
    ("t21", "for a rule about the domain of an address"),
    ("t50", "for a state that leaves with a browser, and so for providers"),
    ("t61", "its half about a store that fails, for the first store that can"),
    ("t116", "2^31, for a machine with the time"),
];

/// What does not hold yet: the test, and why.
const LEFT: [(&str, &str); 0] = [];

/// The sources with tests that bear the name of a row.
const SOURCES: [&str; 14] = [
    include_str!("framing.rs"),
    include_str!("headers.rs"),
    include_str!("identity.rs"),
    include_str!("pages.rs"),
    include_str!("paths.rs"),
    include_str!("redirects.rs"),
    include_str!("sessions.rs"),
    include_str!("targets.rs"),
    include_str!("../redis/failover.rs"),
    include_str!("../restarts.rs"),
    include_str!("../site/failures.rs"),
    include_str!("../site/hostile.rs"),
    include_str!("../site/streams.rs"),
    include_str!("../../../src/values/return_to.rs"),
];

/// The tests of a source, with the attributes above each.
fn tests(source: &str) -> impl Iterator<Item = (String, &str)> {
    source.split("\n\n").filter(|block| block.contains("test")).filter_map(|block| {
        let name = block.split("fn ").nth(1)?.split('(').next()?;
        Some((name.to_owned(), block))
    })
}

/// `t01`, `h03` and the like, at the beginning of a name.
fn rows_of(name: &str) -> Vec<String> {
    let is_row = |word: &&str| {
        word.starts_with(['t', 'h', 'p']) && word.len() > 2 && word[1..].bytes().all(|digit| digit.is_ascii_digit())
    };
    name.strip_prefix("left_").unwrap_or(name).split('_').take_while(is_row).map(str::to_owned).collect()
}

fn numbered(letter: char, number: u32) -> String {
    format!("{letter}{number:02}")
}

#[test]
fn tests_cover_exactly_the_rows_of_the_table() {
    let wanted: BTreeSet<_> =
        ROWS.iter().flat_map(|(letter, numbers)| numbers.clone().map(|number| numbered(*letter, number))).collect();
    let names: Vec<_> = SOURCES.iter().flat_map(|source| tests(source)).map(|(name, _)| name).collect();
    let held: Vec<_> = names.iter().filter(|name| !name.starts_with("left_")).flat_map(|name| rows_of(name)).collect();
    let tested: BTreeSet<_> = held.iter().cloned().collect();
    assert_eq!(held.len(), tested.len(), "a row has one test");
    let listed = |list: &[(&str, &str)]| list.iter().map(|(row, _)| (*row).to_owned()).collect::<BTreeSet<_>>();
    let (elsewhere, waiting) = (listed(&ELSEWHERE), listed(&WAITING));
    assert!(tested.is_disjoint(&elsewhere));
    let met: BTreeSet<_> = tested.iter().chain(&elsewhere).chain(&waiting).cloned().collect();
    let without: Vec<_> = wanted.difference(&met).collect();
    assert!(without.is_empty(), "no test for {without:?}");
    let unknown: Vec<_> = met.difference(&wanted).collect();
    assert!(unknown.is_empty(), "no such row: {unknown:?}");
}

#[test]
fn rows_left_open_are_listed_and_fail() {
    let all: Vec<_> = SOURCES.iter().flat_map(|source| tests(source)).collect();
    let left = all.iter().map(|(name, _)| name).filter(|name| name.starts_with("left_"));
    let left: BTreeSet<_> = left.cloned().collect();
    assert_eq!(left, LEFT.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (name, block) in all {
        assert_eq!(block.contains("#[should_panic"), name.starts_with("left_"), "{name}");
    }
}

/// The page on which people look the rows up.
const SECURITY_TABLE: &str = include_str!("../../../docs/security-table.md");

/// The line of a row in the security table: `t04` is `T4` there.
fn line_of(row: &str) -> Option<&'static str> {
    let (letter, number) = row.split_at(1);
    let start = format!("| {}{} |", letter.to_uppercase(), number.trim_start_matches('0'));
    SECURITY_TABLE.lines().find(|line| line.starts_with(&start))
}

#[test]
fn the_security_table_names_the_test_of_every_row() {
    for (name, _) in SOURCES.iter().flat_map(|source| tests(source)) {
        for row in rows_of(&name) {
            assert!(line_of(&row).is_some_and(|line| line.contains(&format!("`{name}`"))), "{row}: {name}");
        }
    }
    for (row, reason) in ELSEWHERE.iter().chain(&WAITING) {
        assert!(line_of(row).is_some_and(|line| line.contains(reason)), "{row}: {reason}");
    }
}
