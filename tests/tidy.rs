//! Reads the sources and fails where they leave the shape that `src/lib.rs` describes: the order of the modules, one
//! module for each library that reaches outside, the size of functions and files. Every rule is also tried on a small
//! wrong sample, so that none of them can stop working unnoticed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says what it expects by stopping"
)]

mod tidy {
    pub mod circles;
    pub mod dependencies;
    pub mod errors;
    pub mod lines;
    pub mod names;
    pub mod order;
    pub mod shape;
    pub mod source;
    pub mod walls;
}

use tidy::order::Order;
use tidy::source::{Finding, Source};
use tidy::{circles, dependencies, errors, lines, names, shape, source, walls};

/// Every source, by one rule.
fn holds(rule: impl Fn(&Source) -> Vec<Finding>) {
    let sources = source::tree();
    let findings: Vec<String> = sources.iter().flat_map(rule).map(|finding| finding.to_string()).collect();
    assert!(findings.is_empty(), "{} findings:\n  {}\n", findings.len(), findings.join("\n  "));
}

#[test]
fn the_tree_is_read_whole() {
    let sources = source::tree();
    for file in ["lib.rs", "main.rs", "values/target.rs", "session/table.rs"] {
        assert!(sources.iter().any(|source| source.path == file), "src/{file} was not found");
    }
}

#[test]
fn modules_name_only_modules_above_them() {
    let order = Order::declared();
    holds(|source| order.check(source));
}

#[test]
fn libraries_that_reach_outside_are_named_in_one_module() {
    holds(walls::check);
}

#[test]
fn nothing_is_left_unfinished() {
    holds(shape::unfinished);
}

#[test]
fn exceptions_from_lints_have_a_reason() {
    holds(shape::exceptions);
}

#[test]
fn errors_are_types() {
    holds(errors::texts);
}

#[test]
fn a_name_stands_for_one_type() {
    let shared = names::shared(source::tree());
    assert!(shared.is_empty(), "{} names of several types:\n  {}\n", shared.len(), shared.join("\n  "));
}

#[test]
fn a_type_is_shown_by_its_name() {
    holds(names::debug);
}

#[test]
fn functions_fit_a_screen() {
    holds(shape::functions);
}

#[test]
fn files_hold_one_idea() {
    holds(shape::files);
}

#[test]
fn files_say_what_they_are_for() {
    holds(shape::headings);
}

#[test]
fn lines_are_not_too_long() {
    let findings = lines::findings();
    assert!(findings.is_empty(), "{} long lines:\n  {}\n", findings.len(), findings.join("\n  "));
}

#[test]
fn crates_keep_to_deny_toml() {
    let rules = dependencies::Rules::declared();
    let crates = rules.crates();
    assert!(crates.len() > 100, "cargo lists only {} crates", crates.len());
    let mut findings: Vec<String> = crates.iter().filter_map(|used| rules.check(used)).collect();
    findings.sort();
    findings.dedup();
    assert!(findings.is_empty(), "deny.toml:\n  {}\n", findings.join("\n  "));
}

/// The program's own sources name every dependency, and tests, benches and the tests beside the code every further one.
#[test]
fn every_dependency_is_used() {
    let program: Vec<Source> = source::tree().iter().map(Source::outside_tests).collect();
    let tests: Vec<Source> = ["tests", "benches"].into_iter().flat_map(source::below).collect();
    let fuzz = source::below("tests/fuzz");
    let tables = [
        ("Cargo.toml", "dependencies", [&*program, &[]]),
        ("Cargo.toml", "dev-dependencies", [&*tests, source::tree()]),
        ("tests/fuzz/Cargo.toml", "dependencies", [&*fuzz, &[]]),
    ];
    let unused = tables.into_iter().flat_map(|(manifest, table, sources)| {
        let named = dependencies::named_in(manifest, table).into_iter();
        let unused = named.filter(move |name| !sources.iter().any(|sources| dependencies::is_used(name, sources)));
        unused.map(move |name| format!("{manifest} [{table}] {name}"))
    });
    let unused: Vec<String> = unused.collect();
    assert!(unused.is_empty(), "named nowhere outside of tests, or nowhere at all:\n  {}\n", unused.join("\n  "));
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let unexplained = dependencies::unexplained();
    assert!(unexplained.is_empty(), "Cargo.toml: no comment above {}", unexplained.join(", "));
}

#[test]
fn files_of_a_module_name_each_other_in_no_circle() {
    let circles = circles::check(source::tree());
    assert!(circles.is_empty(), "{} circles:\n  {}\n", circles.len(), circles.join("\n  "));
}
