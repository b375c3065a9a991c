//! All problems of a users' file in one report, as compilers show them: what is wrong, where, and what to write.
//!
//! Lines of such a file may contain a password hash or a plain-text password: they are masked before they come here.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use thiserror::Error;

use crate::values::file_problem::FileProblem;
use crate::values::invisible::{excerpt, visible};

/// The maximum number of problems that are shown; the rest is counted.
const SHOWN: usize = 50;

/// All problems of one file. Displays as a report, without colours.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", self.render(false))]
pub struct FileProblems {
    path: PathBuf,
    /// The file's text, of the same length, without secrets.
    masked: String,
    problems: Vec<FileProblem>,
    /// Whether they are shown as warnings, since they keep no user from signing in.
    are_warnings: bool,
}

impl FileProblems {
    /// The problems of a file, in the order of its lines.
    pub(crate) fn new(path: &Path, masked: String, mut problems: Vec<FileProblem>) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| (span.start, span.end)));
        for problem in &mut problems {
            (problem.message, problem.help) = (visible(&problem.message), visible(&problem.help));
        }
        Self { path: path.to_owned(), masked: excerpt(&masked), problems, are_warnings: false }
    }

    /// The same, shown as warnings.
    pub(crate) fn into_warnings(self) -> Self {
        Self { are_warnings: true, ..self }
    }

    /// One problem of a file as a whole.
    pub(crate) fn whole_file(path: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(path, String::new(), vec![FileProblem::whole(message, help)])
    }

    /// The problems.
    pub(crate) fn problems(&self) -> &[FileProblem] {
        &self.problems
    }

    /// The report, with the terminal's colours if `styled`.
    pub(crate) fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut report = String::new();
        for problem in self.problems.iter().take(SHOWN) {
            report.push_str(&renderer.render(&[self.group(problem)]));
            report.push_str("\n\n");
        }
        if self.problems.len() > SHOWN {
            report.push_str(&format!("… and {} more problems\n\n", self.problems.len() - SHOWN));
        }
        report.truncate(report.trim_end().len());
        report
    }

    fn group<'a>(&'a self, problem: &'a FileProblem) -> Group<'a> {
        let level = if self.are_warnings { Level::WARNING } else { Level::ERROR };
        let title = level.primary_title(&problem.message);
        let path = self.path.to_string_lossy();
        let group = match problem.span.clone().and_then(|span| self.excerpt(span)) {
            Some(excerpt) => title.element(
                Snippet::source(excerpt.lines)
                    .line_start(excerpt.first_line)
                    .path(path)
                    .annotation(AnnotationKind::Primary.span(excerpt.span)),
            ),
            None => title.element(Origin::path(path)),
        };
        group.element(Level::HELP.message(&problem.help))
    }

    /// The lines of a span, so that the renderer does not process the rest of a large file.
    fn excerpt(&self, span: Range<usize>) -> Option<Excerpt<'_>> {
        let (before, _) = self.masked.split_at_checked(span.start)?;
        let (within, after) = self.masked.get(span.start..)?.split_at_checked(span.len())?;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = span.end + if within.ends_with('\n') { 0 } else { after.find('\n').unwrap_or(after.len()) };
        Some(Excerpt {
            lines: self.masked.get(start..end)?,
            first_line: before.matches('\n').count() + 1,
            span: span.start - start..span.end - start,
        })
    }
}

struct Excerpt<'a> {
    lines: &'a str,
    first_line: usize,
    span: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_are_counted() {
        let one = FileProblem { span: Some(0..1), message: "odd".to_owned(), help: "mend it".to_owned() };
        let report = FileProblems::new("f".as_ref(), "a = 1\n".to_owned(), vec![one; SHOWN + 2]).to_string();
        assert_eq!(report.matches("error: odd").count(), SHOWN);
        assert!(report.ends_with("… and 2 more problems"));
    }
}
