//! Opens the session store that the configuration selects.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::config::{StateFolder, StoreChoice};
use crate::session::pending::PendingEnds;
use crate::session::store::redis::{NotConnected, RedisAddress, RedisStore};
use crate::session::store::sqlite::{SqliteStore, StoreProblem};
use crate::session::store::{SessionStore, Unavailable};
use crate::values::mac::MacKeys;
use crate::values::time::Clock;

use super::keys::{self, GatewayKeys};

/// An open store, and its file of pending ends.
pub(super) struct OpenStore {
    place: StoreLocation,
    pub(super) pending: PendingEnds,
}

/// The location of a store.
enum StoreLocation {
    /// An open file.
    File(Arc<SqliteStore>),
    /// A server, which is connected later.
    Server { address: RedisAddress, staleness: Duration },
}

/// A store that is in use.
#[derive(Clone)]
pub(super) enum StoreInUse {
    File(Arc<SqliteStore>),
    Server(Arc<RedisStore>),
}

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub(super) enum OpenStoreError {
    #[error(transparent)]
    File(#[from] StoreProblem),
    #[error("the file of unconfirmed ends {} cannot be used: {}", .0.display(), .1)]
    PendingEnds(PathBuf, #[source] io::Error),
    #[error("{}", refusal(*.0, .1))]
    Server(NotConnected, Box<RedisAddress>),
}

impl OpenStore {
    /// The store in this file, which is created if it does not exist.
    pub(super) fn at(path: &Path) -> Result<Self, OpenStoreError> {
        let (store, pending) = in_file(path)?;
        Ok(Self { place: StoreLocation::File(store), pending })
    }

    /// The store on a server. Pending ends are kept in this folder.
    fn on(address: &RedisAddress, staleness: Duration, state: &Path) -> Result<Self, OpenStoreError> {
        let pending = pending_of_server(state)?;
        Ok(Self { place: StoreLocation::Server { address: address.clone(), staleness }, pending })
    }

    /// Connects to the store if it is on a server. Tries several times, because both may be starting.
    pub(super) async fn connect(
        self,
        clock: &Clock,
        keys: &MacKeys,
    ) -> Result<(StoreInUse, PendingEnds), OpenStoreError> {
        let Self { place, pending } = self;
        let (address, staleness) = match place {
            StoreLocation::File(store) => return Ok((StoreInUse::File(store), pending)),
            StoreLocation::Server { address, staleness } => (address, staleness),
        };
        let store = connected(&address, staleness, clock, keys).await?;
        Ok((StoreInUse::Server(store), pending))
    }
}

/// Connects to the store on a server, with several attempts.
pub(super) async fn connected(
    address: &RedisAddress,
    staleness: Duration,
    clock: &Clock,
    keys: &MacKeys,
) -> Result<Arc<RedisStore>, OpenStoreError> {
    let mut last = NotConnected::Unavailable;
    for _ in 0..CONNECTING {
        match RedisStore::connect(address, staleness, clock.clone(), keys).await {
            Ok(store) => return Ok(Arc::new(store)),
            Err(problem) => last = problem,
        }
        match last {
            NotConnected::Unavailable | NotConnected::TooFewReplicas => tokio::time::sleep(PAUSE).await,
            NotConnected::Untrusted | NotConnected::OtherKeys => break,
        }
    }
    Err(OpenStoreError::Server(last, Box::new(address.clone())))
}

fn refusal(problem: NotConnected, address: &RedisAddress) -> String {
    match problem {
        NotConnected::Unavailable => {
            format!("the session store {address} does not answer; start it, or correct session.store")
        }
        NotConnected::TooFewReplicas => format!(
            "fewer than {} replicas confirm what is written to the session store {address}; start them, or write \
             store_replicas = 0 in [session], where a failover may bring back what has ended",
            address.replicas()
        ),
        NotConnected::Untrusted => format!(
            "the certificate of the session store {address} is not trusted; name the file with its authority in \
             session.store_ca_file, and in session.store a name that the certificate is for"
        ),
        NotConnected::OtherKeys => format!(
            "the sessions on {address} are of gateways with other keys; copy exeunt.key from the state folder of one \
             of them to this one's, or empty the store, which signs everybody out"
        ),
    }
}

impl StoreInUse {
    pub(super) fn store(&self) -> Arc<dyn SessionStore> {
        match self {
            Self::File(store) => Arc::clone(store) as Arc<dyn SessionStore>,
            Self::Server(store) => Arc::clone(store) as Arc<dyn SessionStore>,
        }
    }

    /// The reason of the last failed call, if known.
    pub(super) fn last_problem(&self) -> Option<StoreProblem> {
        match self {
            Self::File(store) => store.last_problem(),
            Self::Server(_) => None,
        }
    }

    /// Deletes everything in the store.
    pub(super) async fn clear(&self) -> Result<(), Unavailable> {
        match self {
            Self::File(store) => store.clear().await,
            Self::Server(store) => store.clear().await,
        }
    }

    /// Waits until the sessions of the store may be used.
    pub(super) async fn ready(&self) {
        match self {
            Self::File(_) => {}
            Self::Server(store) => store.first_trusted().await,
        }
    }

    /// Announces to the other gateways that this one stops.
    pub(super) async fn leave(&self) {
        match self {
            Self::File(_) => {}
            Self::Server(store) => store.leave().await,
        }
    }
}

/// The number of attempts to connect to a server at the start.
const CONNECTING: usize = 20;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Opens the store in a file, which is created if it does not exist, and its pending ends.
pub(super) fn in_file(path: &Path) -> Result<(Arc<SqliteStore>, PendingEnds), OpenStoreError> {
    // The store is opened first, since its lock protects both files.
    let store = SqliteStore::open(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pending");
    Ok((Arc::new(store), pending(&PathBuf::from(beside), PendingEnds::open)?))
}

/// The pending ends of a server, for the gateway with this state folder.
pub(super) fn pending_of_server(state: &Path) -> Result<PendingEnds, OpenStoreError> {
    pending(&state.join("redis.pending"), PendingEnds::open_alone)
}

fn pending(path: &Path, open: fn(&Path) -> io::Result<PendingEnds>) -> Result<PendingEnds, OpenStoreError> {
    open(path).map_err(|error| OpenStoreError::PendingEnds(path.to_owned(), error))
}

/// Opens the store; `None` if sessions are kept in memory. That also happens, with a warning, if no store is configured
/// and the state folder is not writable, so that a configuration in a read-only folder starts.
pub(super) fn open(
    store: &StoreChoice,
    folder: &StateFolder,
    keys: &GatewayKeys,
) -> Result<Option<OpenStore>, OpenStoreError> {
    let state = keys::resolved(folder);
    if *store == StoreChoice::default() && (keys.file.is_none() || is_for_configurations(folder, &state)) {
        tracing::warn!(
            "sessions are kept in memory, because {} is not for data: a restart signs all users out; write state = \
            \"/var/lib/exeunt\", or another folder that the gateway may write to",
            state.display()
        );
        return Ok(None);
    }
    match store {
        StoreChoice::Redis { address, staleness } => OpenStore::on(address, *staleness, &state).map(Some),
        StoreChoice::Memory | StoreChoice::Sqlite(_) => store.file(&state).map(|path| OpenStore::at(&path)).transpose(),
    }
}

/// Whether this is a system folder for configurations, used only because no state folder is configured.
fn is_for_configurations(folder: &StateFolder, state: &Path) -> bool {
    matches!(folder, StateFolder::Beside(beside) if beside == state) && state.starts_with("/etc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_chosen_by_configuration_and_folder() {
        let folder = tempfile::tempdir().unwrap();
        let named = StateFolder::Named(folder.path().to_owned());
        let beside = StateFolder::Beside("/etc/exeunt-of-a-test".into());
        let keys = |are_kept: bool| GatewayKeys {
            keys: MacKeys::generate().unwrap(),
            file: are_kept.then(|| folder.path().join("exeunt.key")),
        };
        let kept = |store, folder, are_kept| {
            let opened = open(&store, folder, &keys(are_kept));
            opened.map(|store| store.is_some()).map_err(|error| error.to_string())
        };
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
