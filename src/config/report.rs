//! What is wrong with a configuration, or worth a second look, and how it is shown: file, line, caret, the key's
//! full path, what is wrong, what to write.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::credentials::problem::FileProblems;

/// Whether a finding stops the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Problem,
    /// It is accepted, and the operator should know.
    Warning,
}

/// One thing to say about one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Problem or warning.
    pub severity: Severity,
    /// The key's full path, `route[2].path`; entries are counted from 1. Empty: the file as a whole.
    pub key: String,
    /// What is wrong, one line.
    pub what: String,
    /// What to write instead, a line each.
    pub write: Vec<String>,
    /// Where, in bytes of the file's text. `None`: nowhere in particular.
    pub span: Option<Range<usize>>,
    /// What is wrong within a file that is named here.
    pub within: Option<FileProblems>,
}

/// Everything found in one file, in the order of its lines.
#[derive(Clone, Default)]
pub struct Report {
    file: String,
    text: String,
    findings: Vec<Finding>,
}

impl Report {
    /// Sorts findings by their place; warnings are kept only where there are no problems. `file` is the name that is shown.
    pub fn new(file: impl Into<String>, text: impl Into<String>, mut findings: Vec<Finding>) -> Self {
        // What stops the start is told first, and alone: a warning beside it would be read as one more reason.
        if findings.iter().any(|finding| finding.severity == Severity::Problem) {
            findings.retain(|finding| finding.severity == Severity::Problem);
        }
        findings.sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        Self { file: file.into(), text: text.into(), findings }
    }

    /// A file that could not even be read.
    pub fn unreadable(file: impl Into<String>, what: impl Into<String>, write: Vec<String>) -> Self {
        let finding = Finding {
            severity: Severity::Problem,
            key: String::new(),
            what: what.into(),
            write,
            span: None,
            within: None,
        };
        Self::new(file, String::new(), vec![finding])
    }

    /// The findings, first line first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether the configuration is refused.
    pub fn has_problems(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Problem)
    }

    /// The whole report as text, colours as ANSI escapes if wanted, with a closing line that counts.
    /// Empty if nothing was found.
    pub fn render(&self, colour: bool) -> String {
        let mut text: String = self.findings.iter().map(|finding| self.one(finding, colour)).collect();
        if let Some(sum) = self.sum() {
            text.push_str(&sum);
        }
        text
    }

    /// "3 problems in ./config.toml"
    fn sum(&self) -> Option<String> {
        let first = self.findings.first()?;
        let word = match first.severity {
            Severity::Problem => "problem",
            Severity::Warning => "warning",
        };
        let count = self.findings.len();
        Some(format!("{count} {word}{} in {}\n", if count == 1 { "" } else { "s" }, self.file))
    }

    fn one(&self, finding: &Finding, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let level = match finding.severity {
            Severity::Problem => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = match finding.key.as_str() {
            "" => finding.what.clone(),
            key => format!("{key}: {}", finding.what),
        };
        let place = finding.span.clone().map(|span| {
            Snippet::source(self.text.as_str())
                .path(self.file.as_str())
                .annotation(AnnotationKind::Primary.span(span))
        });
        let help = finding.write.iter().map(|line| Level::HELP.message(line.as_str()));
        let group = level.primary_title(title).elements(place).elements(help);
        let within = finding.within.as_ref().map(|problems| problems.render(colour) + "\n\n");
        format!("{}\n\n{}", renderer.render(&[group]), within.unwrap_or_default())
    }
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
