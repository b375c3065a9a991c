//! Problems of an operator's templates and texts.

use std::path::PathBuf;

use crate::values::file_problem::FileProblem;

/// A file, and everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokenFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its text; empty where it could not be read.
    pub(crate) text: String,
    /// What is wrong.
    pub(crate) problems: Vec<FileProblem>,
}
