//! Problems of an operator's templates and texts.

use std::ops::Range;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateProblem {
    /// Where, in bytes of the file; `None` where it is about the file as a whole.
    pub(crate) span: Option<Range<usize>>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write.
    pub(crate) help: String,
}

/// A file, and everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its text; empty where it could not be read.
    pub(crate) text: String,
    /// What is wrong.
    pub(crate) problems: Vec<TemplateProblem>,
}

impl TemplateProblem {
    /// A problem at a place in a file.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), help: help.into() }
    }

    /// A problem of a file as a whole.
    pub(super) fn whole(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), help: help.into() }
    }
}
