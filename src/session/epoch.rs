//! How often events of other replicas may have been missed.

/// What the table entered or confirmed in an earlier epoch may have ended since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) u32);
