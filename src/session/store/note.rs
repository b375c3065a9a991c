//! Notes: small records that a store keeps besides sessions.

use crate::values::time::WallTime;

/// The kind of a note. The numbers are part of the format of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum NoteKind {
    /// The cookies of applications that a browser still has to expire, by a key of its ended session.
    Debt = 1,
    /// The learned names of `HttpOnly` cookies of applications, by upstream pool.
    Learned = 2,
}

impl NoteKind {
    /// All kinds.
    #[cfg(feature = "engine")]
    pub(super) const ALL: [Self; 2] = [Self::Debt, Self::Learned];
}

/// Content under a key. A store returns it unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The kind.
    pub(crate) kind: NoteKind,
    /// The key, unique within the kind.
    pub(crate) key: Vec<u8>,
    /// The time at which it was written, for its order and expiry.
    pub(crate) at: WallTime,
    /// The content; an empty one removes the note.
    pub(crate) content: Vec<u8>,
}
