//! The gateway's keys: from the key file in the state folder, or made for this run.

use std::env;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::{STATE_OF_THE_SERVICE, StateFolder};
use crate::state::{self, StateProblem};
use crate::values::mac::MacKeys;

/// The keys, and their file; `None` if they are only for this run.
pub(super) struct GatewayKeys {
    pub(super) keys: MacKeys,
    pub(super) file: Option<PathBuf>,
}

/// Why there are no keys.
#[derive(Debug, Error)]
pub(super) enum KeysError {
    /// The key file cannot be used.
    #[error(transparent)]
    File(#[from] StateProblem),
    /// None can be made.
    #[error("the operating system returned no random bytes")]
    NoRandomness,
}

/// The keys of the state folder, made at the first start. If no folder is configured and the default one is not
/// writable, new keys are kept in memory, with a warning, so that a configuration in a read-only folder starts.
pub(super) fn open(folder: &StateFolder) -> Result<GatewayKeys, KeysError> {
    let state = resolved(folder);
    match (state::open(&state), folder) {
        (Ok(keys), _) => Ok(GatewayKeys { keys, file: Some(state.join(state::KEY_FILE)) }),
        (Err(problem @ StateProblem::NotMade(..)), StateFolder::Beside(_)) => {
            tracing::warn!(
                "{problem}; so after each restart known browsers, return targets and receipts are no longer valid: \
                write state = \"/var/lib/exeunt\", or another folder that the gateway may write to"
            );
            in_memory()
        }
        (Err(problem), _) => Err(problem.into()),
    }
}

/// Random keys for the lifetime of the program.
pub(super) fn in_memory() -> Result<GatewayKeys, KeysError> {
    let keys = MacKeys::generate().map(|keys| GatewayKeys { keys, file: None });
    keys.map_err(|_| KeysError::NoRandomness)
}

/// The problems of existing keys. Nothing is created, and files that this user must not read are skipped.
pub(super) fn check(folder: &StateFolder) -> Result<(), StateProblem> {
    let path = resolved(folder).join(state::KEY_FILE);
    match std::fs::File::open(&path) {
        Ok(_) => state::read(&path).map(drop),
        Err(_) => Ok(()),
    }
}

/// The state folder, as this process sees it.
pub(super) fn resolved(folder: &StateFolder) -> PathBuf {
    folder.resolve(env::var_os("STATE_DIRECTORY").as_deref())
}

/// The state folder, as the service sees it.
pub(super) fn of_service(folder: &StateFolder) -> PathBuf {
    let state = resolved(folder);
    if state.starts_with("/etc") { PathBuf::from(STATE_OF_THE_SERVICE) } else { state }
}
