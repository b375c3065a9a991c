//! Changes to a head as values: rules say what, the engine's glue does it.

use http::{HeaderName, HeaderValue};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Every line of this name goes.
    Remove(HeaderName),
    /// Every line of this name goes, and this one takes their place.
    Set(HeaderName, HeaderValue),
    /// One more line.
    Add(HeaderName, HeaderValue),
}

/// Changes in the order in which they are made.
pub type HeaderEdits = Vec<HeaderEdit>;
