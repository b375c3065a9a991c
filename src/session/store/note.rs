//! What a store keeps besides sessions.

use crate::values::time::WallTime;

/// What a note is about. The numbers are in stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum NoteKind {
    /// What a browser holds of the ended session of a key.
    Debt = 1,
    /// The names of cookies that the applications of a list of upstreams keep from scripts.
    Learned = 2,
}

impl NoteKind {
    /// Each of them.
    #[cfg(feature = "engine")]
    pub(super) const ALL: [Self; 2] = [Self::Debt, Self::Learned];
}

/// Bytes under a key. A store returns them unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub(crate) kind: NoteKind,
    /// What it is found by.
    pub(crate) key: Vec<u8>,
    /// How old it is.
    pub(crate) at: WallTime,
    /// What it says.
    pub(crate) content: Vec<u8>,
}
