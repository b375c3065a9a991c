//! The application cookies of sessions, on their way to the store and from it. One write of a session at a time, each
//! the next version; what changes during one is in the one after it. Where another gateway has written that version,
//! what was changed here is applied to what that one wrote.

use std::sync::Arc;

use futures_util::future::join_all;

use super::SessionTable;
use crate::session::backing::Backing;
use crate::session::record::Session;
use crate::session::store::{JarWrite, Record, Unavailable};
use crate::vault::jar::Change;
use crate::vault::store::Vault;

/// How often a version is tried that another write has taken.
const TRIES: usize = 16;
/// Sessions whose cookies are written at the same time while no request waits for it.
const AT_ONCE: usize = 64;

/// While this lives, the store may lack what a vault gave: also if the caller goes away.
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
    /// Whether cookies of applications have changed that the store does not know. A longer lifetime alone does not
    /// count.
    pub(crate) fn has_unsaved_cookies(&self, session: &Session) -> bool {
        self.backing.is_some() && session.vault().is_some_and(|vault| vault.change() == Change::Changed)
    }

    /// Writes the application cookies of a session, if the store does not have them. A store that does not take them
    /// only delays the caller: the application has done its part already. The next change, or the next report of uses,
    /// is another try.
    pub(crate) async fn save_cookies(&self, session: &Session) {
        if let Err(Unavailable) = self.try_to_save_cookies(session).await {
            tracing::warn!("the session store does not take an application's cookies: a restart would lose them");
        }
    }

    /// # Errors
    /// The store has not confirmed it.
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
                    // A write that was not confirmed was done after all, or another replica was faster.
                    drop(unsaved);
                    let Some(record) = backing.load(&name).await? else { return Ok(()) };
                    take_in(backing, vault, &record, version - 1)?;
                    continue;
                }
            }
            unsaved.armed = false;
            return Ok(());
        }
        Err(Unavailable)
    }

    /// Writes all cookies that no request waited for.
    pub(super) async fn save_all_cookies(&self, sessions: &[Arc<Session>]) {
        let is_unsaved =
            |session: &&Arc<Session>| session.vault().is_some_and(|vault| vault.change() != Change::Nothing);
        let unsaved: Vec<_> = sessions.iter().filter(is_unsaved).collect();
        for unsaved in unsaved.chunks(AT_ONCE) {
            let saved = join_all(unsaved.iter().map(|session| self.try_to_save_cookies(session))).await;
            if saved.contains(&Err(Unavailable)) {
                return;
            }
        }
    }
}

/// The version of a session's cookies that the store has, as far as is known.
pub(super) fn version_of(session: &Session) -> u32 {
    session.vault().map_or(0, Vault::stored_version)
}

/// Has a session have the application cookies of its record. `before`: the version that was known before that was
/// loaded.
///
/// # Errors
/// They cannot be read: without them it would be another user's session to applications that go by them alone.
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
    take_in(backing, vault, record, before)
}

/// The caller must hold the vault's `exchange` lock.
fn take_in(backing: &Backing, vault: &Vault, record: &Record, before: u32) -> Result<(), Unavailable> {
    if record.version < before {
        vault.note_moved(record.version);
    } else if record.version >= vault.stored_version() {
        vault.renew(backing.vault_of(record).ok_or(Unavailable)?);
    }
    // Otherwise a write has come between the load and this.
    Ok(())
}
