//! Why a value of the configuration is refused.

use std::fmt::Display;
use std::path::Path;

use thiserror::Error;

use crate::credentials::problem::FileProblems;

/// Why a value is refused: what is wrong with it, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}; {}", .write.join("; "))]
pub struct ValueRefusal {
    /// What is wrong, in one line.
    pub(crate) what: String,
    /// What to write, one proposal in each line.
    pub(crate) write: Vec<String>,
    /// Problems of a file that the value names.
    pub(crate) within: Option<Box<FileProblems>>,
}

impl ValueRefusal {
    /// A refusal without help.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), write: Vec::new(), within: None }
    }

    /// A refusal from a parser's error, whose message is the problem, and after a colon or semicolon what to write.
    pub(crate) fn of(text: &str, error: &impl Display) -> Self {
        let said = error.to_string();
        let parts = said.split_once(": ").or_else(|| said.split_once("; "));
        match parts {
            Some((what, write)) if !what.starts_with("write") => Self::new(what).write(write),
            _ => Self::new(format!("\"{text}\" cannot be used")).write(said),
        }
    }

    /// The same of a file that the value names: the message goes on after the file's name.
    pub(crate) fn of_file(path: &Path, text: &str, error: &impl Display) -> Self {
        Self::of(text, &format!("{} {error}", path.display()))
    }

    /// Adds the problems of the file that the value names.
    pub(crate) fn attach(mut self, problems: FileProblems) -> Self {
        self.within = Some(Box::new(problems));
        self
    }

    /// Adds a line of help.
    pub(crate) fn write(mut self, line: impl Into<String>) -> Self {
        self.write.push(line.into());
        self
    }
}
