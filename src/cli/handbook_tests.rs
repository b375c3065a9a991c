//! Compares the tables of `docs/` with the lists in the code, in both directions.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use clap::CommandFactory;

use super::Cli;
use crate::config;
use crate::metrics::{Gauges, Metrics};
use crate::values::end_cause::EndCause;
use crate::values::reason::Reason;
use crate::values::receipt::{Step, StepResult};

const HANDBOOK: &str = include_str!("../../docs/handbook.md");
const SESSIONS: &str = include_str!("../../docs/sessions-and-logout.md");
const ARCHITECTURE: &str = include_str!("../../docs/architecture.md");
const ACCESS: &str = include_str!("../audit/access.rs");
const EVENT: &str = include_str!("../audit/event.rs");
const FILE_WRITER: &str = include_str!("../audit/file_writer.rs");
const OPERATION: &str = include_str!("../audit/operation.rs");
const LOG: &str = include_str!("../audit/log.rs");
const INTERRUPTION: &str = include_str!("../values/interruption.rs");

/// The rows of the table whose head begins with this text, each as its cells.
fn table<'a>(page: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let begins = page.find(&format!("\n| {head} ")).unwrap_or_else(|| panic!("no table with the head {head}"));
    let lines = page[begins + 1..].lines().skip(2).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The texts between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The words that the cells of one column name.
fn column(page: &str, head: &str, at: usize) -> Vec<String> {
    table(page, head).iter().flat_map(|row| quoted(row[at])).map(str::to_owned).collect()
}

/// Compares as sets, and finds duplicates.
fn compare(what: &str, documented: Vec<String>, code: impl IntoIterator<Item = impl Into<String>>) {
    let unique: BTreeSet<String> = documented.iter().cloned().collect();
    assert_eq!(documented.len(), unique.len(), "{what}: a row stands there twice: {documented:?}");
    let code: BTreeSet<String> = code.into_iter().map(Into::into).collect();
    let missing: Vec<_> = code.difference(&unique).collect();
    let extra: Vec<_> = unique.difference(&code).collect();
    assert!(missing.is_empty() && extra.is_empty(), "{what}: docs/ lacks {missing:?}, and has {extra:?} too many");
}

/// The names in `key!("…")`, in the order of the source, its tests left out.
fn keys(source: &str) -> Vec<&str> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    source.split("key!(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The events that a source writes, with the keys of each.
fn events(source: &str) -> Vec<(&str, Vec<&str>)> {
    let written = source.split("key!(\"event\"), \"").skip(1);
    written.map(|rest| (rest.split('"').next().unwrap(), keys(rest))).collect()
}

#[test]
fn every_reason_has_its_row() {
    let rows = table(HANDBOOK, "id | status | cause");
    let documented = rows.iter().map(|row| format!("{} {}", row[0].trim_matches('`'), row[1])).collect();
    let code = Reason::ALL.map(|reason| format!("{} {}", reason.id(), reason.status().as_u16()));
    compare("reason ids", documented, code);
    for row in rows {
        assert!(row.len() == 4 && row[2..].iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

#[test]
fn every_field_of_an_access_line_has_its_row() {
    compare("fields of access lines", column(HANDBOOK, "field", 0), keys(ACCESS));
    let words = INTERRUPTION.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
    compare("cut", column(HANDBOOK, "`cut` | the answer", 0), words);
}

#[test]
fn every_event_has_its_row_with_its_fields() {
    let code: Vec<_> = [EVENT, OPERATION, LOG, FILE_WRITER].into_iter().flat_map(events).collect();
    compare("events", column(HANDBOOK, "event | fields", 0), code.iter().map(|(name, _)| *name));
    for row in table(HANDBOOK, "event | fields") {
        let name = row[0].trim_matches('`');
        let (_, fields) = code.iter().find(|(event, _)| *event == name).unwrap();
        let others = fields.iter().filter(|field| !["time", "event"].contains(field));
        compare(name, quoted(row[1]).map(str::to_owned).collect(), others.copied());
    }
}

#[test]
fn every_cause_step_and_result_has_its_row() {
    compare("causes", column(SESSIONS, "`cause`", 0), EndCause::ALL.map(EndCause::id));
    compare("steps", column(SESSIONS, "step", 0), Step::ALL.map(Step::id));
    let results = StepResult::ALL.map(StepResult::id);
    compare("results", column(SESSIONS, "`result`", 0), results);
}

#[test]
fn every_metric_has_its_row() {
    let text = Arc::new(Metrics::default()).to_text(Gauges::default());
    let described = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let names = described.map(|(name, kind)| format!("{name}{}", if kind == "counter" { "_total" } else { "" }));
    compare("metrics", column(HANDBOOK, "metric | labels", 0), names);
}

#[test]
fn every_command_has_its_row() {
    let command = Cli::command();
    let code = command.get_subcommands().flat_map(|outer| {
        let inner: Vec<_> = outer.get_subcommands().map(|inner| format!("{outer} {inner}")).collect();
        if inner.is_empty() { vec![outer.to_string()] } else { inner }
    });
    let words = |row: &String| {
        let words = row.split(' ').skip(1).take_while(|word| word.starts_with(|sign: char| sign.is_ascii_lowercase()));
        words.collect::<Vec<_>>().join(" ")
    };
    compare("commands", column(HANDBOOK, "command", 0).iter().map(words).collect(), code);
}

#[test]
fn every_exit_code_has_its_row() {
    let further = include_str!("mod.rs").split(": u8 = ").skip(1).filter_map(|rest| rest.split(';').next());
    let documented = table(HANDBOOK, "exit code").iter().map(|row| row[0].to_owned()).collect();
    compare("exit codes", documented, ["0", "1"].into_iter().chain(further));
}

#[test]
fn the_modules_stand_in_their_order() {
    let declared = include_str!("../lib.rs").lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
    assert_eq!(column(ARCHITECTURE, "module", 0), declared.collect::<Vec<_>>());
}

/// Examples are parts of a configuration; the rest is filled in here.
#[test]
fn every_configuration_would_start() {
    let pages = [HANDBOOK, include_str!("../../README.md")];
    let examples = pages.into_iter().flat_map(|page| page.split("```toml\n").skip(1));
    let mut count = 0;
    for example in examples.filter_map(|rest| rest.split("```").next()) {
        let lacks = |key: &str| !example.lines().any(|line| line.starts_with(key));
        let fill = |key: &str, text| if lacks(key) { text } else { "" };
        let configuration = [
            fill("listen", "listen = ['127.0.0.1:8080']\n"),
            fill("public_url", "public_url = 'https://shop.example.com'\n"),
            example,
            fill("[[route]]", "\n[[route]]\nupstream = 'http://127.0.0.1:9000'\n"),
            fill("[login]", "\n[login]\nusers = 'users.toml'\n"),
        ]
        .concat();
        if let Err(report) = config::parse("an example", &configuration, Path::new("/nowhere")) {
            panic!("{}", report.render(false));
        }
        count += 1;
    }
    assert!(count >= 6, "{count} examples");
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let pages = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned);
    let docs = std::fs::read_dir(format!("{root}docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let docs = docs.map(|name| format!("docs/{}", name.into_string().unwrap()));
    for page in pages.into_iter().chain(docs) {
        let text = std::fs::read_to_string(format!("{root}{page}")).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            check_link(root, &page, link);
        }
        for path in text.lines().flat_map(quoted).filter(|path| is_path_here(path)) {
            assert!(Path::new(&format!("{root}{path}")).exists(), "{page}: there is no {path}");
        }
    }
}

fn is_path_here(text: &str) -> bool {
    let top = ["src/", "tests/", "deploy/", "benches/", "docs/"];
    top.iter().any(|top| text.starts_with(top)) && !text.contains([' ', '*']) && !text.contains("NAME")
}

fn check_link(root: &str, page: &str, link: &str) {
    if link.contains("://") {
        return;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if file.is_empty() { format!("{root}{page}") } else { format!("{root}{folder}/{file}") };
    assert!(Path::new(&path).exists(), "{page}: {link} does not exist");
    if !heading.is_empty() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut anchors = text.lines().filter(|line| line.starts_with('#')).map(anchor);
        assert!(anchors.any(|anchor| anchor == heading), "{page}: {link}: no such heading");
    }
}

/// A heading's anchor, as GitHub and others make it.
fn anchor(heading: &str) -> String {
    let kept = |sign: &char| sign.is_alphanumeric() || " -_".contains(*sign);
    heading.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}
