//! Where sessions outlive the process, and where replicas learn what the others did. One contract for all stores;
//! `contract` checks it, whatever the store.
//!
//! `store = "memory"` does not use a store: there is only the table ([`super::backing`]).

#[cfg(test)]
pub(crate) mod contract;
#[cfg(feature = "engine")]
pub mod copy;
#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
pub(crate) mod memory;
mod note;
mod record;
#[cfg(feature = "engine")]
pub mod redis;
#[cfg(feature = "engine")]
pub mod sqlite;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::note::{Note, NoteKind};
pub(crate) use self::record::{HostKey, Record};
pub use self::trust::Trust;
use crate::values::identity::UserKey;
use crate::values::mac::MacKeys;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// How long a store may take for an answer. What it was asked for may still be done later.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The store did not confirm, or not in time. What was asked for may have been done nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// Who removed a session: of all that try at the same time, one runs the rest of the logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This call.
    Won,
    /// Another replica ended it, or it never existed.
    Lost,
}

/// The result of ending a session if it is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleEnd {
    /// It has ended.
    Ended(End),
    /// It was used at this time, by way of another replica, and goes on.
    Used(WallTime),
}

/// A session was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its name.
    pub(crate) session: SessionKey,
    /// When.
    pub(crate) at: WallTime,
}

/// Whether a jar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JarWrite {
    /// It was the next version.
    Written,
    /// Another replica has written this version already: load the session, apply the change to that jar, retry.
    Outdated,
    /// The session has ended.
    Gone,
}

/// What another replica did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// It ended the session of this name.
    Ended(SessionKey),
    /// It wrote this version of a session's jar.
    JarWritten {
        /// The name of the session.
        session: SessionKey,
        /// The version.
        version: u32,
    },
    /// It gave a session the key of a further host.
    KeyAdded {
        /// The name of the session.
        session: SessionKey,
        /// The key that the host had before.
        replaced: Option<SessionKey>,
    },
    /// It has put notes of the kind [`NoteKind::Learned`].
    Learned,
    /// Events may have been missed before this one: every session that the table has is to be confirmed by a load
    /// before it is served again. The table does that by itself.
    Gap,
}

/// The position of a reading of the whole store. Only the store that made it reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) Vec<u8>);

/// A part of all that a store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Some records, in no particular order.
    pub(crate) records: Vec<Record>,
    /// Where the next part begins; `None` after the last one.
    pub(crate) next: Option<Cursor>,
}

/// What every store does. A call returns when the store is sure: what it has confirmed is so after a crash.
///
/// Sessions are found by any of their keys. A call about a session that is not there changes nothing, and no call but
/// [`SessionStore::open`] ever makes one. A batch has one answer for each of its entries, in their order; it is one
/// transaction where the store has any.
#[async_trait]
pub trait SessionStore: Send + Sync + std::fmt::Debug {
    /// Keeps a new session.
    async fn open(&self, record: Record) -> Result<(), Unavailable>;

    /// Keeps a session of another store, of which this one may know more: false if it has ended here.
    async fn take_over(&self, record: Record) -> Result<bool, Unavailable> {
        self.open(record).await.map(|()| true)
    }

    /// The session of a key. `None` is for good: a key that nothing is kept of never opens a session later.
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>, Unavailable>;

    /// The sessions of several keys.
    async fn load_many(&self, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Unavailable>;

    /// The sessions of a user, if there are more than `beyond`. Only asked of a store that replicas share: a table has
    /// all others.
    async fn load_all_of(&self, _user: &UserKey, _beyond: usize) -> Result<Vec<Record>, Unavailable> {
        Ok(Vec::new())
    }

    /// A part of everything that is kept, of about this many records: the first part, or the one that begins there. All
    /// parts have each session at least once that was there when the first one was read and has not ended since.
    async fn page(&self, from: Option<Cursor>, about: usize) -> Result<Page, Unavailable>;

    /// Notes when sessions were used. An earlier time than the one that is kept changes nothing.
    async fn touch(&self, uses: &[Use]) -> Result<(), Unavailable>;

    /// Gives a session the key of a further host, in place of the one that it had for this host. False if it has ended.
    async fn add_key(&self, session: &SessionKey, key: HostKey) -> Result<bool, Unavailable>;

    /// Keeps a jar as this version, if that is one more than the version that is kept.
    async fn set_jar(&self, session: &SessionKey, version: u32, jar: &[u8]) -> Result<JarWrite, Unavailable>;

    /// Keeps another [`Record::about`]. False if the session has ended.
    async fn set_about(&self, session: &SessionKey, about: &[u8]) -> Result<bool, Unavailable>;

    /// Forgets sessions for good.
    async fn end(&self, sessions: &[SessionKey]) -> Result<Vec<End>, Unavailable>;

    /// Forgets every session of a user for good, and gives those that this call removed. It is about all that the store
    /// keeps, not only about what a table knows.
    async fn end_all_of(&self, user: &UserKey) -> Result<Vec<Record>, Unavailable>;

    /// Forgets those of these sessions that were last used at `cut_off` or before.
    async fn end_if_idle(&self, sessions: &[SessionKey], cut_off: WallTime) -> Result<Vec<IdleEnd>, Unavailable>;

    /// Keeps these notes, each in place of the one of its kind and key. An empty one is forgotten. Of two calls the
    /// later one counts, and what is asked for after this is done after it.
    ///
    /// A store that leaves this out keeps none.
    async fn put_notes(&self, _notes: &[Note]) -> Result<(), Unavailable> {
        Ok(())
    }

    /// The notes of a kind, the newest first, this many at most.
    async fn notes(&self, _kind: NoteKind, _most: usize) -> Result<Vec<Note>, Unavailable> {
        Ok(Vec::new())
    }

    /// One note. Only asked of a store that replicas share: a table has all notes that it had at its start.
    async fn note(&self, _kind: NoteKind, _key: &[u8]) -> Result<Option<Note>, Unavailable> {
        Ok(None)
    }

    /// Keeps what a code is good for, for so long. Only asked of a store that replicas share, as is
    /// [`SessionStore::take_code`].
    async fn put_code(&self, _code: &[u8; 32], _content: &[u8], _life: Duration) -> Result<(), Unavailable> {
        Err(Unavailable)
    }

    /// What a code is good for, once.
    async fn take_code(&self, _code: &[u8; 32]) -> Result<Option<Vec<u8>>, Unavailable> {
        Err(Unavailable)
    }

    /// These are the gateway's keys from now on; false where the store belongs to gateways with other keys, and then
    /// nothing has changed.
    async fn use_keys(&self, _keys: &MacKeys) -> Result<bool, Unavailable> {
        Ok(true)
    }

    /// Waits for events of other replicas and returns them, in order and without a gap since the last call. Without
    /// other replicas it never returns. Called by a single task.
    async fn events(&self) -> Result<Vec<StoreEvent>, Unavailable>;

    /// Until when a table over this store is known to be current. Asked for once.
    fn trust(&self) -> Arc<Trust>;

    /// How long an end may take to be confirmed: where gateways share the store, all of them have to know.
    fn longest_end(&self) -> Duration {
        PATIENCE
    }
}
