//! The findings of a configuration, and their report: file, line, caret, the key's full path, what is wrong, and what
//! to write.

use std::fmt;
use std::io;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use crate::credentials::problem::FileProblems;
use crate::values::invisible::{excerpt, visible};

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Problem,
    /// `check` fails, but the gateway starts: something does not work that nothing else depends on.
    Flaw,
    /// The configuration is accepted, with something that the operator should know.
    Warning,
    /// A default that has changed since an earlier version.
    Note,
}

/// One finding at one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How serious it is.
    pub severity: Severity,
    /// The key's full path, `route[2].path`, with entries counted from 1; empty for the file as a whole.
    pub key: String,
    /// What is wrong, in one line.
    pub what: String,
    /// What to write instead, one proposal in each line.
    pub write: Vec<String>,
    /// The place, in bytes of the file's text; `None` for findings without one.
    pub span: Option<Range<usize>>,
    /// Problems of a file that the value names.
    pub(crate) within: Option<FileProblems>,
}

impl Finding {
    /// Whether the problems of a file that the value names are shown with it, each with its own help.
    pub fn has_problems_of_a_file(&self) -> bool {
        self.within.is_some()
    }
}

/// All findings of one file, in the order of its lines.
#[derive(Clone, Default)]
pub struct Report {
    file: String,
    text: String,
    findings: Vec<Finding>,
}

impl Report {
    /// Sorts the findings by place, and drops warnings if there are problems. `file` is the name that is shown.
    pub(crate) fn new(file: impl Into<String>, text: impl Into<String>, mut findings: Vec<Finding>) -> Self {
        // Problems are shown without warnings, which would be read as further reasons.
        if findings.iter().any(|finding| finding.severity == Severity::Problem) {
            findings.retain(|finding| finding.severity == Severity::Problem);
        }
        findings.sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        for finding in &mut findings {
            finding.what = visible(&without_passwords(&finding.what));
            finding.key = visible(&finding.key);
            finding.write.iter_mut().for_each(|line| *line = visible(line));
        }
        Self { file: file.into(), text: excerpt(&without_passwords(&text.into())), findings }
    }

    /// The report of a file that cannot be read.
    pub(crate) fn unreadable(file: &str, error: &io::Error) -> Self {
        let finding = Finding {
            severity: Severity::Problem,
            key: String::new(),
            what: format!("the configuration cannot be read: {error}"),
            write: vec!["name another file: --config FILE".to_owned()],
            span: None,
            within: None,
        };
        Self::new(file, String::new(), vec![finding])
    }

    /// The findings, first line first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The line of a finding, counted from 1; `None` for findings without a place.
    pub fn line(&self, finding: &Finding) -> Option<usize> {
        let before = self.text.get(..finding.span.as_ref()?.start)?;
        Some(1 + before.bytes().filter(|byte| *byte == b'\n').count())
    }

    /// Whether the configuration is refused.
    pub fn has_problems(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Problem)
    }

    /// The whole report as text, with ANSI colours if wanted. If `check` fails, the last line counts the findings.
    pub fn render(&self, colour: bool) -> String {
        let text: String = self.findings.iter().map(|finding| self.one(finding, colour)).collect();
        if self.has_flaws() { format!("{text}{} in {}\n", self.counts(), self.file) } else { text }
    }

    /// Whether `check` fails, even where the gateway would start.
    pub fn has_flaws(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity <= Severity::Flaw)
    }

    /// The number of findings: "2 problems, 1 warning", "no problems".
    pub(crate) fn counts(&self) -> String {
        let count = |severity: Severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        let problems = count(Severity::Problem) + count(Severity::Flaw);
        let counts = [(problems, "problem"), (count(Severity::Warning), "warning"), (count(Severity::Note), "note")];
        let counts: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        if counts.is_empty() { "no problems".to_owned() } else { counts.join(", ") }
    }

    fn one(&self, finding: &Finding, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let level = match finding.severity {
            Severity::Problem | Severity::Flaw => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = match finding.key.as_str() {
            "" => finding.what.clone(),
            key => format!("{key}: {}", finding.what),
        };
        let location: Element<'_> = match finding.span.clone() {
            Some(span) => Snippet::source(self.text.as_str())
                .path(self.file.as_str())
                .annotation(AnnotationKind::Primary.span(span))
                .into(),
            None => Origin::path(self.file.as_str()).into(),
        };
        let help = finding.write.iter().map(|line| Level::HELP.message(line.as_str()));
        let group = level.primary_title(title).element(location).elements(help);
        let within = finding.within.as_ref().map(|problems| problems.render(colour) + "\n\n");
        format!("{}\n\n{}", renderer.render(&[group]), within.unwrap_or_default())
    }
}

/// Masks user information before the `@` of a URL, byte by byte, since reports end up in journals.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        let end = behind.find(|c: char| c.is_whitespace() || "\"'".contains(c)).unwrap_or(behind.len());
        let at = behind.get(..end).and_then(|address| address.rfind('@')).unwrap_or(0);
        shown.extend([before, "://", &"*".repeat(at)]);
        rest = behind.get(at..).unwrap_or_default();
    }
    shown + rest
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::invisible::is_invisible;

    #[test]
    fn passwords_in_addresses_are_masked() {
        let cases = [
            ("a = \"http://user:pä@ss@app:80/x\" # b", "a = \"http://***********@app:80/x\" # b"),
            ("https://a.test b@c http://@d", "https://a.test b@c http://@d"),
            ("\"http://u:a/b@app\" http://c/d", "\"http://*****@app\" http://c/d"),
            ("'x://k@h' y://", "'x://*@h' y://"),
            ("no address", "no address"),
        ];
        for (text, want) in cases {
            assert_eq!(without_passwords(text), want);
            assert_eq!(want.len(), text.len());
        }
    }

    #[test]
    fn control_characters_of_a_file_are_escaped() {
        let odd = "a\u{90}\u{1b}[31m\u{7f}\u{202e}ä";
        let finding = Finding {
            severity: Severity::Problem,
            key: format!("key.{odd}"),
            what: format!("wrong: {odd}"),
            write: vec![format!("write {odd}")],
            span: Some(0..1),
            within: None,
        };
        let shown = Report::new("f", format!("x = \"{odd}\"\r\n"), vec![finding]).to_string();
        assert!(!shown.chars().any(|sign| is_invisible(sign) && sign != '\n'), "{shown:?}");
        assert!(shown.contains("key.a·?[31m?\u{fffd}ä: wrong: a·?[31m?\u{fffd}ä"), "{shown}");
    }

    #[test]
    fn colours_are_optional() {
        let report = Report::unreadable("f", &io::ErrorKind::NotFound.into());
        assert!(!report.render(false).contains('\u{1b}') && report.render(true).contains('\u{1b}'));
        assert!(report.to_string().ends_with("1 problem in f\n"));
    }
}
