//! `exeunt store copy`: copies the content of a session store into another one.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use thiserror::Error;

use crate::config::{StoreChoice, ValueRefusal};
use crate::session::store::copy::{self, Copied, CopyFailed};
use crate::session::store::redis::RedisAddress;
use crate::session::store::sqlite::{SqliteStore, StoreProblem};
use crate::state::{self, KEY_FILE, StateProblem};
use crate::values::mac::MacKeys;
use crate::values::session_id::SessionKey;
use crate::values::time::Clock;

use super::check::{self, Loaded};
use super::serve::{open_log, until_stopped};
use super::stores::{self, OpenStoreError, StoreInUse};
use super::{Configuration, keys, print};

#[derive(Clone, Debug, Args)]
pub(crate) struct Copy {
    /// The store to read, in the syntax of session.store: sqlite:PATH or redis://HOST:6379/0
    from: StoreName,
    /// The store to write to
    to: StoreName,
    /// Delete everything in TO first
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    which: Configuration,
}

/// A persistent store, and its name as it was given.
#[derive(Clone, Debug)]
struct StoreName {
    text: String,
    choice: StoreChoice,
}

/// Why a text does not name such a store.
#[derive(Debug, Error)]
enum StoreNameError {
    #[error(transparent)]
    Store(#[from] ValueRefusal),
    #[error("a store in memory cannot be copied; write sqlite:PATH or redis://HOST:6379/0")]
    Memory,
}

impl std::str::FromStr for StoreName {
    type Err = StoreNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse()? {
            StoreChoice::Memory => Err(StoreNameError::Memory),
            choice => Ok(Self { text: text.to_owned(), choice }),
        }
    }
}

/// Why a store is not copied. Stores are named as they were written.
#[derive(Debug, Error)]
enum CopyError {
    #[error("{0} and {1} are the same store; name another one")]
    SameStore(String, String),
    #[error("the session store {} does not exist; name the file that the gateway used", .0.display())]
    NoFile(PathBuf),
    #[error("{0} does not answer")]
    Silent(String),
    #[error(
        "{0} has sessions already; name an empty store, or delete what it has with --replace, which ends those sessions"
    )]
    NotEmpty(String),
    #[error("{0} must be a Redis server, such as redis://HOST:6379/0")]
    NotAServer(String),
    #[error("gateways use {0}; stop them first, so that nothing changes while it is copied")]
    InUse(String),
    #[error("the key file {} does not exist; copy it from a gateway that uses {}", .0.display(), .1)]
    NoKeys(PathBuf, Box<RedisAddress>),
    #[error(transparent)]
    Keys(#[from] StateProblem),
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    #[error(transparent)]
    File(#[from] StoreProblem),
    /// It failed halfway.
    #[error("{name} cannot be {what}{why}; {to} has a part of the sessions: copy again, with --replace")]
    Interrupted { name: String, what: &'static str, why: String, to: String },
}

/// The interval of progress messages.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Runs the command. Exit code 0, or 1 with what is wrong on standard error.
pub(super) fn run(command: &Copy) -> ExitCode {
    let of = |store: &StoreName| check::load_for_store(&command.which, &store.choice);
    let (Ok(Loaded { settings, .. }), Ok(to)) = (of(&command.from), of(&command.to)) else { return ExitCode::FAILURE };
    let Some(log) = open_log(settings.log) else { return ExitCode::FAILURE };
    let state = keys::of_service(&settings.state);
    let names = (&*command.from.text, &*command.to.text);
    let work = CopyJob { state, names, clock: Clock::system() };
    until_stopped(&settings.server, &log, async {
        let copied = work.copy(&settings.store, &to.settings.store, command.replace).await?;
        print::to_standard_output(work.report(copied).as_bytes());
        Ok::<_, CopyError>(())
    })
}

/// The common data of both stores.
struct CopyJob<'a> {
    state: PathBuf,
    names: (&'a str, &'a str),
    clock: Clock,
}

impl CopyJob<'_> {
    async fn copy(&self, from: &StoreChoice, to: &StoreChoice, replace: bool) -> Result<Copied, CopyError> {
        if from.is_same(to, &self.state) {
            return Err(CopyError::SameStore(self.names.0.to_owned(), self.names.1.to_owned()));
        }
        let (from, ended) = self.source(from).await?;
        let (target, files) = self.target(to, replace).await?;
        let mut told = self.clock.now();
        let progress = |sessions| {
            if self.clock.now().duration_since(told) >= PROGRESS_INTERVAL {
                told = self.clock.now();
                eprintln!("{sessions} sessions copied, more to come");
            }
        };
        let copied = copy::copy(&*from.store(), &*target.store(), &ended, progress).await;
        let copied = copied.map_err(|failed| self.failed(failed, (&from, &target)))?;
        // The files are complete only after the store is closed.
        drop(target);
        files.iter().for_each(|file| give_to_folder_owner(file));
        Ok(copied)
    }

    /// Opens the store to read. Also returns the sessions in it that have ended.
    async fn source(&self, choice: &StoreChoice) -> Result<(StoreInUse, HashSet<SessionKey>), CopyError> {
        if let Some(path) = choice.file(&self.state) {
            if !path.exists() {
                return Err(CopyError::NoFile(path));
            }
            let (store, pending) = stores::in_file(&path)?;
            return Ok((StoreInUse::File(store), pending.keys()));
        }
        // Opened first, since a running gateway with this state folder holds its lock.
        let pending = stores::pending_of_server(&self.state)?;
        let store = self.server(choice, self.names.0).await?;
        Ok((store, pending.keys()))
    }

    /// Opens the store to write to, which must be empty. Also returns its files.
    async fn target(&self, choice: &StoreChoice, replace: bool) -> Result<(StoreInUse, Vec<PathBuf>), CopyError> {
        let (store, files) = match choice.file(&self.state) {
            Some(path) => {
                let store = SqliteStore::open(&path)?;
                let mut lock = path.clone().into_os_string();
                lock.push(".lock");
                (StoreInUse::File(Arc::new(store)), vec![path, lock.into()])
            }
            None => (self.server(choice, self.names.1).await?, Vec::new()),
        };
        let name = self.names.1;
        let silent = |_| CopyError::Silent(name.to_owned());
        if replace {
            store.clear().await.map_err(silent)?;
        } else if !copy::is_empty(&*store.store()).await.map_err(silent)? {
            return Err(CopyError::NotEmpty(name.to_owned()));
        }
        Ok((store, files))
    }

    /// Connects to a server that no gateway uses.
    async fn server(&self, choice: &StoreChoice, name: &str) -> Result<StoreInUse, CopyError> {
        let StoreChoice::Redis { address, staleness } = choice else {
            return Err(CopyError::NotAServer(name.to_owned()));
        };
        let store = stores::connected(address, *staleness, &self.clock, &self.keys(address)?).await?;
        if store.is_in_use().await.map_err(|_| CopyError::Silent(name.to_owned()))? {
            return Err(CopyError::InUse(name.to_owned()));
        }
        Ok(StoreInUse::Server(store))
    }

    /// The keys of the gateways, by which a server recognises those that it belongs to.
    fn keys(&self, address: &RedisAddress) -> Result<MacKeys, CopyError> {
        let path = self.state.join(KEY_FILE);
        state::read(&path)?.ok_or_else(|| CopyError::NoKeys(path, Box::new(address.clone())))
    }

    fn failed(&self, failed: CopyFailed, (from, to): (&StoreInUse, &StoreInUse)) -> CopyError {
        let (name, store, what) = match failed {
            CopyFailed::Reading => (self.names.0, from, "read"),
            CopyFailed::Writing => (self.names.1, to, "written"),
        };
        let why = store.last_problem().map(|problem| format!(": {problem}")).unwrap_or_default();
        CopyError::Interrupted { name: name.to_owned(), what, why, to: self.names.1.to_owned() }
    }

    fn report(&self, Copied { sessions, over, notes }: Copied) -> String {
        let (from, to) = self.names;
        format!(
            "{from} -> {to}: copied, sessions {sessions}, notes {notes}, not copied because they had ended {over}\n\
             write store = \"{to}\" in [session] and start the gateway; {from} still has these sessions: delete it, or \
             it brings back what ends from now on\n"
        )
    }
}

/// Gives files that root has created to the owner of their folder, which is the gateway's user.
fn give_to_folder_owner(file: &Path) {
    let owner = |path: &Path| fs::metadata(path).map(|metadata| (metadata.uid(), metadata.gid()));
    let Some(folder) = file.parent() else { return };
    if let (Ok((0, _)), Ok((user, group))) = (owner(file), owner(folder))
        && user != 0
        && let Err(error) = chown(file, Some(user), Some(group))
    {
        tracing::warn!(file = %file.display(), %error, "the gateway's user does not own it");
    }
}
