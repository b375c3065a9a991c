//! `exeunt store`: maintains the session store.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::session::store::sqlite::StoreProblem;
use crate::session::store::sqlite::upkeep::{self, Contents};

use super::failure::CommandError;
use super::store_copy::{self, Copy};
use super::{Configuration, check, keys, print};

/// Maintains the session store.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Check the integrity of the whole file, also while the gateway runs
    #[command(after_help = "Examples:\n  exeunt store check\n  exeunt store check --file /root/copy-of-sessions.db")]
    Check(StoreFileArgs),
    /// Return the space of ended sessions to the disk, while the gateway does not run
    #[command(after_help = "Example:\n  systemctl stop exeunt && exeunt store vacuum; systemctl start exeunt")]
    Vacuum(StoreFileArgs),
    /// Copy all sessions into another store, while no gateway runs: to a Redis server, or back into a file
    #[command(after_help = COPY_HELP)]
    Copy(Box<Copy>),
}

const COPY_HELP: &str = "\
Users stay signed in, and the cookies of applications are kept, if the gateways keep their \
exeunt.key. Ended sessions are not copied. A relative path starts at the state folder. The password \
and other settings of a Redis server come from the configuration, whichever store is set there.

Examples:
  systemctl stop exeunt
  exeunt store copy sqlite:sessions.db redis://redis.internal:6379/0
  exeunt store copy --replace redis://redis.internal:6379/0 sqlite:sessions.db

Exit codes: 0 copied, 1 it failed and the message says whether a part was copied";

/// Selects the file.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreFileArgs {
    /// The file [default: that of the configuration]
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    #[command(flatten)]
    which: Configuration,
}

/// Runs the command. Exit code 0, or 1 with what is wrong on standard error.
pub(super) fn run(command: StoreCommand) -> ExitCode {
    let (which, work): (_, fn(&Path) -> Result<Contents, StoreProblem>) = match command {
        StoreCommand::Copy(copy) => return store_copy::run(&copy),
        StoreCommand::Check(which) => (which, upkeep::check),
        StoreCommand::Vacuum(which) => (which, upkeep::vacuum),
    };
    let Ok(path) = which.path() else { return ExitCode::FAILURE };
    print::finish(done(path.as_deref(), work))
}

fn done(path: Option<&Path>, work: fn(&Path) -> Result<Contents, StoreProblem>) -> Result<String, CommandError> {
    let Some(path) = path else { return Ok("sessions are not kept in a file: there is nothing to do\n".to_owned()) };
    let Contents { sessions, users, bytes } =
        work(path).map_err(|problem| CommandError(format!("error: {problem}")))?;
    Ok(format!("{}: sound, sessions {sessions}, users {users}, bytes {bytes}\n", path.display()))
}

impl StoreFileArgs {
    /// The file; `None` if sessions are not kept in a file. Problems of the configuration have been printed.
    fn path(&self) -> Result<Option<PathBuf>, check::NotLoaded> {
        if let Some(file) = &self.file {
            return Ok(Some(file.clone()));
        }
        let settings = check::load(&self.which)?.settings;
        Ok(settings.store.file(&keys::of_service(&settings.state)))
    }
}
