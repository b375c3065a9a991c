//! Epochs between possible losses of events of other replicas.

/// The number of times that events may have been missed. A session that was last confirmed in an earlier epoch may have
/// ended since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) u32);
