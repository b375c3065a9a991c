//! A session as stores keep it: bytes and wall-clock times, without run-time state.

use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// A key, and the own host whose cookie it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// The key.
    pub(crate) key: SessionKey,
    /// The name of the host.
    pub(crate) host: Box<str>,
}

/// What a store keeps of one session. It indexes keys and user, compares times and versions, and returns the rest
/// unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key of the sign-in. It names the session in every call.
    pub(crate) name: SessionKey,
    /// The keys of further hosts, at most one for each, in the order in which they were added.
    pub(crate) further: Vec<HostKey>,
    /// Whose session it is.
    pub(crate) user: UserKey,
    /// When the sign-in was.
    pub(crate) created: WallTime,
    /// When the session was last used, as far as the store knows.
    pub(crate) last_seen: WallTime,
    /// The version of the jar: zero at the sign-in, then one more with every change.
    pub(crate) version: u32,
    /// Who signed in, from where: written and read by [`crate::session::record::Session`] alone.
    pub(crate) about: Vec<u8>,
    /// The application's cookies, sealed; empty at the sign-in.
    pub(crate) jar: Vec<u8>,
}

impl Record {
    /// Every key that opens the session.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &SessionKey> {
        std::iter::once(&self.name).chain(self.further.iter().map(|further| &further.key))
    }
}
