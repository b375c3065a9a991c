//! Stores, in which sessions survive a restart, and by which replicas learn each other's changes. All stores have one
//! contract, [`SessionStore`]; the tests in `contract` check it for each.
//!
//! `store = "memory"` uses no store: there is only the session table ([`super::backing`]).

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
pub(crate) use super::elsewhere::SessionConnections;
use crate::values::identity::UserKey;
use crate::values::mac::MacKeys;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// The timeout for a call of a store. The call may still take effect later.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// The store did not confirm a call, or not in time. The call may have taken effect nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// Whether this call removed a session. Of several concurrent calls only the one that removed it runs the remaining
/// steps of the logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This call removed it.
    Won,
    /// Another call or replica ended it, or it never existed.
    Lost,
}

/// The result of ending a session if it is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleEnd {
    /// It has ended.
    Ended(End),
    /// Another replica reported its use at this time, so it stays live.
    Used(WallTime),
}

/// The use of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// A key of the session.
    pub(crate) session: SessionKey,
    /// The time of the use.
    pub(crate) at: WallTime,
}

/// The result of writing a jar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JarWrite {
    /// It was written: its version was the next one.
    Written,
    /// Another replica has written this version. The caller loads the session, applies its change to the loaded jar,
    /// and retries.
    Outdated,
    /// The session has ended.
    Gone,
}

/// A change by another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// The session with this name was ended.
    Ended(SessionKey),
    /// The jar of a session was written.
    JarWritten {
        /// The name of the session.
        session: SessionKey,
        /// The version.
        version: u32,
    },
    /// The key of a further host was added to a session.
    KeyAdded {
        /// The name of the session.
        session: SessionKey,
        /// The previous key of the host, which is no longer valid.
        replaced: Option<SessionKey>,
    },
    /// [`Record::about`] of this session was written.
    AboutWritten(SessionKey),
    /// Notes of the kind [`NoteKind::Learned`] were written.
    Learned,
    /// Events before this one may have been missed: the table confirms each of its sessions by a load before it serves
    /// it again.
    Gap,
}

/// A position in a scan of the whole store. Its content is private to the store that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) Vec<u8>);

/// One page of a scan of the whole store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPage {
    /// Records in no particular order.
    pub(crate) records: Vec<Record>,
    /// The position of the next page; `None` after the last one.
    pub(crate) next: Option<Cursor>,
}

/// A durable store of sessions. When a call has returned successfully, its effect survives a crash. Every call fails
/// with [`Unavailable`] if the store does not confirm it.
///
/// Sessions are found by any of their keys. A call for an absent session changes nothing, and only
/// [`SessionStore::open`] and [`SessionStore::take_over`] create one. A batch has one answer for each of its entries,
/// in their order; it is one transaction if the store has transactions.
#[async_trait]
pub trait SessionStore: Send + Sync + std::fmt::Debug {
    /// Stores a new session.
    async fn open(&self, record: Record) -> Result<(), Unavailable>;

    /// Stores a session that was copied from another store. `false` if this store knows that it has ended.
    async fn take_over(&self, record: Record) -> Result<bool, Unavailable> {
        self.open(record).await.map(|()| true)
    }

    /// The session with this key. `None` is final: an absent key never gets a session later, so callers may cache it.
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>, Unavailable>;

    /// The sessions with these keys.
    async fn load_many(&self, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Unavailable>;

    /// The sessions of a user, if there are more than `beyond`, else nothing. Only called on a store that replicas
    /// share; otherwise the table has all sessions.
    async fn load_all_of(&self, _user: &UserKey, _beyond: usize) -> Result<Vec<Record>, Unavailable> {
        Ok(Vec::new())
    }

    /// A page of about this many records: the first one, or the one at `from`. All pages together have, at least once,
    /// each session that existed when the first page was read and has not ended since.
    async fn page(&self, from: Option<Cursor>, about: usize) -> Result<RecordPage, Unavailable>;

    /// Updates the time of the last use of sessions. An earlier time than the stored one changes nothing.
    async fn touch(&self, uses: &[Use]) -> Result<(), Unavailable>;

    /// Adds the key of a further host to a session, and removes the previous key of that host. `false` if the session
    /// has ended.
    async fn add_key(&self, session: &SessionKey, key: HostKey) -> Result<bool, Unavailable>;

    /// Stores a jar, if `version` is the stored version plus one.
    async fn set_jar(&self, session: &SessionKey, version: u32, jar: &[u8]) -> Result<JarWrite, Unavailable>;

    /// Replaces [`Record::about`]. `false` if the session has ended.
    async fn set_about(&self, session: &SessionKey, about: &[u8]) -> Result<bool, Unavailable>;

    /// Ends sessions: removes their records permanently.
    async fn end(&self, sessions: &[SessionKey]) -> Result<Vec<End>, Unavailable>;

    /// Ends every session of a user in the store, also those that no table has loaded. Returns the records that this
    /// call removed.
    async fn end_all_of(&self, user: &UserKey) -> Result<Vec<Record>, Unavailable>;

    /// Ends those of the sessions that were last used at `cut_off` or before.
    async fn end_if_idle(&self, sessions: &[SessionKey], cut_off: WallTime) -> Result<Vec<IdleEnd>, Unavailable>;

    /// Stores notes; each replaces the note with the same kind and key. A note with empty content is removed. Calls are
    /// carried out in the order in which they were made.
    ///
    /// The default keeps no notes.
    async fn put_notes(&self, _notes: &[Note]) -> Result<(), Unavailable> {
        Ok(())
    }

    /// At most `most` notes of a kind, the newest first.
    async fn notes(&self, _kind: NoteKind, _most: usize) -> Result<Vec<Note>, Unavailable> {
        Ok(Vec::new())
    }

    /// One note. Only called on a store that replicas share; otherwise the table has loaded all notes at its start.
    async fn note(&self, _kind: NoteKind, _key: &[u8]) -> Result<Option<Note>, Unavailable> {
        Ok(None)
    }

    /// Stores the content of a hand-over code for the time `life`. Only called on a store that replicas share, like
    /// [`SessionStore::take_code`].
    async fn put_code(&self, _code: &[u8; 32], _content: &[u8], _life: Duration) -> Result<(), Unavailable> {
        Err(Unavailable)
    }

    /// Removes a hand-over code and returns its content. Of several calls only one receives it.
    async fn take_code(&self, _code: &[u8; 32]) -> Result<Option<Vec<u8>>, Unavailable> {
        Err(Unavailable)
    }

    /// Tells the other gateways how many connections use sessions at this one, for some seconds, and returns what they
    /// have told. Nothing if no other gateway uses the store.
    async fn exchange_connections(&self, _own: &[SessionConnections]) -> Result<Vec<SessionConnections>, Unavailable> {
        Ok(Vec::new())
    }

    /// Announces new keys of the gateway. `false`, without effect, if the store belongs to gateways with other keys.
    async fn use_keys(&self, _keys: &MacKeys) -> Result<bool, Unavailable> {
        Ok(true)
    }

    /// Waits for events of other replicas and returns them, in order and without a gap since the last call. Never
    /// returns if there are no other replicas. Called by a single task.
    async fn events(&self) -> Result<Vec<StoreEvent>, Unavailable>;

    /// The time until which the table is known to be current. Called once.
    fn trust(&self) -> Arc<Trust>;

    /// The timeout for an end. It is longer if gateways share the store, since all of them have to acknowledge it.
    fn longest_end(&self) -> Duration {
        STORE_TIMEOUT
    }
}
