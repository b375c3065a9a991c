//! A problem in a file that an operator writes: users, templates, texts.

use std::ops::Range;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileProblem {
    /// The position, in bytes of the file; `None` if the problem concerns the whole file.
    pub(crate) span: Option<Range<usize>>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write.
    pub(crate) help: String,
}

impl FileProblem {
    /// A problem at a position in a file.
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), help: help.into() }
    }

    /// A problem of a file as a whole.
    pub(crate) fn whole(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), help: help.into() }
    }
}
