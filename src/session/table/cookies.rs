//! Saves and loads the application cookies of sessions. A session has one write at a time, each with the next version;
//! changes during a write are saved by the following one. If another gateway has written the same version, the changes
//! made here are applied to the jar that it wrote.

use std::sync::Arc;

use futures_util::future::join_all;

use super::SessionTable;
use crate::session::backing::Backing;
use crate::session::record::Session;
use crate::session::store::{JarWrite, Record, Unavailable};
use crate::vault::jar::Change;
use crate::vault::store::Vault;

/// The maximum number of attempts of one save when other writes take the version.
const TRIES: usize = 16;
/// The maximum number of sessions whose cookies are written concurrently in the background.
const MAX_CONCURRENT: usize = 64;

/// A guard for a write in progress: if it is dropped before the store has confirmed, also because the caller was
/// dropped, the changes count as unsaved again.
struct Unsaved<'a> {
    vault: &'a Vault,
    armed: bool,
}

impl Drop for Unsaved<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.vault.note_unsaved();
        }
    }
}

impl SessionTable {
    /// Whether changes of application cookies are not in the store yet. A prolonged lifetime alone does not count.
    pub(crate) fn has_unsaved_cookies(&self, session: &Session) -> bool {
        self.backing.is_some() && session.vault().is_some_and(|vault| vault.change() == Change::Changed)
    }

    /// Writes unsaved application cookies of a session. A failure is only logged, since the application has already
    /// handled the request; the write is repeated with the next change or the next report of uses.
    pub(crate) async fn save_cookies(&self, session: &Session) {
        if let Err(Unavailable) = self.try_to_save_cookies(session).await {
            tracing::warn!(
                "the session store has not confirmed an application's cookies: they would be lost in a restart"
            );
        }
    }

    /// Writes unsaved application cookies of a session.
    ///
    /// # Errors
    /// The store has not confirmed the write.
    async fn try_to_save_cookies(&self, session: &Session) -> Result<(), Unavailable> {
        let Some(backing) = &self.backing else { return Ok(()) };
        let Some(vault) = session.vault() else { return Ok(()) };
        let _exchange = vault.exchange.lock().await;
        for _ in 0..TRIES {
            let Some(jar) = vault.save() else { return Ok(()) };
            let mut unsaved = Unsaved { vault, armed: true };
            let version = vault.stored_version() + 1;
            let name = session.successor().unwrap_or(*session.name());
            match backing.set_jar(&name, version, &jar).await? {
                JarWrite::Written => vault.saved(version),
                JarWrite::Gone => {}
                JarWrite::Outdated => {
                    // An earlier unconfirmed write took effect after all, or another replica was faster.
                    drop(unsaved);
                    let Some(record) = backing.load(&name).await? else { return Ok(()) };
                    merge_record(backing, vault, &record, version - 1)?;
                    continue;
                }
            }
            unsaved.armed = false;
            return Ok(());
        }
        Err(Unavailable)
    }

    /// Writes the unsaved cookies of all these sessions, prolonged lifetimes included, until one write fails.
    pub(super) async fn save_all_cookies(&self, sessions: &[Arc<Session>]) {
        let is_unsaved =
            |session: &&Arc<Session>| session.vault().is_some_and(|vault| vault.change() != Change::Nothing);
        let unsaved: Vec<_> = sessions.iter().filter(is_unsaved).collect();
        for unsaved in unsaved.chunks(MAX_CONCURRENT) {
            let saved = join_all(unsaved.iter().map(|session| self.try_to_save_cookies(session))).await;
            if saved.contains(&Err(Unavailable)) {
                return;
            }
        }
    }
}

/// The last known version of a session's cookies in the store.
pub(super) fn version_of(session: &Session) -> u32 {
    session.vault().map_or(0, Vault::stored_version)
}

/// Replaces the application cookies of a session by those of its record. `before` is the version that was known before
/// the record was loaded.
///
/// # Errors
/// The cookies cannot be unsealed. Without them the session must not be served: an application that only knows its own
/// cookies would take it for another user's.
pub(super) async fn renew_cookies(
    backing: &Backing,
    session: &Session,
    record: &Record,
    before: u32,
) -> Result<(), Unavailable> {
    if record.version == 0 && before == 0 {
        return Ok(());
    }
    let Some(vault) = session.open_vault() else { return Ok(()) };
    let _exchange = vault.exchange.lock().await;
    merge_record(backing, vault, record, before)
}

/// Like [`renew_cookies`]. The caller must hold the vault's `exchange` lock.
fn merge_record(backing: &Backing, vault: &Vault, record: &Record, before: u32) -> Result<(), Unavailable> {
    if record.version < before {
        vault.note_moved(record.version);
    } else if record.version >= vault.stored_version() {
        vault.renew(backing.vault_of(record).ok_or(Unavailable)?);
    }
    // Otherwise a write took place after the record was loaded, and the vault is newer.
    Ok(())
}
