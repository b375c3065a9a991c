//! The stored form of a session: bytes and wall-clock times, without run-time state.

use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// A key, and the host of the gateway whose cookie has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// The key.
    pub(crate) key: SessionKey,
    /// The name of the host.
    pub(crate) host: Box<str>,
}

/// The record of one session. A store indexes keys and user, compares times and versions, and returns the rest
/// unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key of the sign-in. It names the session in every call.
    pub(crate) name: SessionKey,
    /// The keys of further hosts, at most one for each, in the order in which they were added.
    pub(crate) further: Vec<HostKey>,
    /// The user.
    pub(crate) user: UserKey,
    /// The time of the sign-in.
    pub(crate) created: WallTime,
    /// The time of the last use that was reported to the store.
    pub(crate) last_seen: WallTime,
    /// The version of the jar: zero at the sign-in, raised by one with every change.
    pub(crate) version: u32,
    /// The data of the sign-in in the format of `session::saved`.
    pub(crate) about: Vec<u8>,
    /// The cookies of applications, sealed; empty at the sign-in.
    pub(crate) jar: Vec<u8>,
}

impl Record {
    /// Every key of the session, that of the sign-in first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &SessionKey> + Clone {
        std::iter::once(&self.name).chain(self.further.iter().map(|further| &further.key))
    }
}
