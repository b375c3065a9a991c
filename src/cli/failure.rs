//! Why a command failed.

use std::fmt;

use super::terminal;
use crate::credentials::problem::FileProblems;
use crate::credentials::user_file::fields::InvalidField;
use crate::credentials::user_file::lock::WriteProblem;

/// The text for the operator: what failed, and what to do.
#[derive(Debug)]
pub(super) struct CommandError(pub(super) String);

impl CommandError {
    /// An error with a line of help.
    pub(super) fn new(message: impl fmt::Display, help: impl fmt::Display) -> Self {
        Self(format!("error: {message}\nhelp: {help}"))
    }
}

impl From<FileProblems> for CommandError {
    fn from(problems: FileProblems) -> Self {
        Self(problems.render(terminal::colour()))
    }
}

impl From<WriteProblem> for CommandError {
    fn from(problem: WriteProblem) -> Self {
        let help = problem.help();
        Self::new(problem, help)
    }
}

impl From<InvalidField> for CommandError {
    fn from(invalid: InvalidField) -> Self {
        let help = invalid.help();
        Self::new(invalid, help)
    }
}
