//! The store of sessions that the configuration chooses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{StateFolder, StoreChoice};
use crate::session::pending::PendingEnds;
use crate::session::store::sqlite::SqliteStore;

use super::keys::{self, GatewayKeys};

/// A store that is open, and the file beside it.
pub(super) struct OpenStore {
    pub(super) store: Arc<SqliteStore>,
    pub(super) pending: PendingEnds,
}

impl OpenStore {
    /// The store in this file, made if it is not there.
    pub(super) fn at(path: &Path) -> Result<Self, String> {
        // First: its lock is for both files.
        let store = SqliteStore::open(path).map_err(|problem| problem.to_string())?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".pending");
        let beside = PathBuf::from(beside);
        let cannot = |error| format!("the file of unconfirmed ends {} cannot be used: {error}", beside.display());
        Ok(Self { store: Arc::new(store), pending: PendingEnds::open(&beside).map_err(cannot)? })
    }
}

/// Opens the store; `None`: sessions are kept in memory. Where the default was chosen and the state folder cannot keep
/// anything, they are too, with a warning: so that a configuration in a read-only folder starts.
pub(super) fn open(store: &StoreChoice, folder: &StateFolder, keys: &GatewayKeys) -> Result<Option<OpenStore>, String> {
    let state = keys::resolved(folder);
    if *store == StoreChoice::default() && (!keys.are_kept || is_for_configurations(folder, &state)) {
        tracing::warn!(
            "sessions are kept in memory, because {} is not for data: a restart signs everybody out; write state = \
             \"/var/lib/exeunt\", a folder that the gateway may write",
            state.display()
        );
        return Ok(None);
    }
    store.file(&state).map(|path| OpenStore::at(&path)).transpose()
}

/// Whether this is the folder of a configuration of the system, which nobody named for data.
fn is_for_configurations(folder: &StateFolder, state: &Path) -> bool {
    matches!(folder, StateFolder::Beside(beside) if beside == state) && state.starts_with("/etc")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::mac::MacKeys;

    #[test]
    fn data_is_kept_where_it_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let named = StateFolder::Named(folder.path().to_owned());
        let beside = StateFolder::Beside("/etc/exeunt-of-a-test".into());
        let keys = |are_kept| GatewayKeys { keys: MacKeys::generate().unwrap(), are_kept };
        let kept = |store, folder, are_kept| open(&store, folder, &keys(are_kept)).map(|store| store.is_some());
        assert_eq!(kept(StoreChoice::default(), &named, true), Ok(true));
        assert!(folder.path().join("sessions.db").exists());
        assert_eq!(kept(StoreChoice::default(), &beside, true), Ok(false), "not in /etc");
        assert_eq!(kept(StoreChoice::default(), &named, false), Ok(false), "the next start has other keys");
        assert_eq!(kept(StoreChoice::Memory, &named, true), Ok(false));
        assert_eq!(kept(StoreChoice::Sqlite("a.db".into()), &named, false), Ok(true));
        let refused = kept(StoreChoice::Sqlite("no/such.db".into()), &named, true).unwrap_err();
        assert!(refused.contains("no/such.db"), "{refused}");
    }
}
