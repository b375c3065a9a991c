//! `exeunt key`: the keys of the key file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::check::{self, Loaded};
use super::configured::ConfigFile;
use super::failure::CommandError;
use super::running::Running;
use super::{Configuration, keys, print};
use crate::config::StoreChoice;
use crate::credentials::user_file::lock::LockedFile;
use crate::state::edit::{self, KeyChange, KeysNotChanged};
use crate::state::{self, KEY_FILE};

/// Lists and rotates the keys of the key file.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the keys by their fingerprints; the first one signs, all are accepted
    #[command(after_help = LIST_HELP)]
    List(ListKeys),
    /// Add a new key, which is accepted but does not sign yet
    #[command(after_help = ADD_HELP)]
    Add(AddKey),
    /// Sign with another key of the file
    #[command(after_help = USE_HELP)]
    Use(OneKey),
    /// Remove a key: everything signed or sealed with it becomes invalid
    #[command(after_help = REMOVE_HELP)]
    Remove(OneKey),
}

const LIST_HELP: &str = "\
A fingerprint reveals nothing about its key. Gateways that share a session store need the same keys: compare \
the output of this command.

Example:
  exeunt key list";

const ADD_HELP: &str = "\
A running gateway reloads, and nobody is signed out. To rotate the key of a single gateway, use --first. If \
several gateways share a session store, each has to accept the new key before any of them signs with it.

Examples:
  exeunt key add --first                   # a single gateway: done
  exeunt key add                           # several: 1. on one of them
  scp /var/lib/exeunt/exeunt.key ...       #          2. copy the file to the others, and
  exeunt reload                            #             reload each of them
  exeunt key use FINGERPRINT               #          3. on each of them";

const USE_HELP: &str = "\
A running gateway reloads, and nobody is signed out. If several gateways share a session store, all of them \
must accept this key first: see `exeunt key add --help`.

Example:
  exeunt key use 5d6e10a4";

const REMOVE_HELP: &str = "\
A running gateway reloads. Sessions that were opened while this key was the first one end, and browsers that \
have not signed in since then are no longer known. After session.max_lifetime no session depends on an old key, \
after 180 days no known browser does. If a key has leaked, remove it at once.

Example:
  exeunt key remove 5d6e10a4";

/// The arguments of `exeunt key list`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListKeys {
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Configuration,
}

/// The arguments of `exeunt key add`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AddKey {
    /// Sign with the new key at once; only if no other gateway shares the session store
    #[arg(long)]
    first: bool,
    #[command(flatten)]
    which: Configuration,
}

/// The arguments of a command about one key.
#[derive(Clone, Debug, Args)]
pub(crate) struct OneKey {
    /// The fingerprint of the key, as `exeunt key list` shows it
    #[arg(value_name = "FINGERPRINT")]
    key: String,
    #[command(flatten)]
    which: Configuration,
}

/// Runs the command. Exit code 0, or 1 with the reason on standard error.
pub(super) fn run(command: KeyCommand) -> ExitCode {
    let (which, work) = match command {
        KeyCommand::List(ListKeys { json, which }) => (which, KeyAction::List { json }),
        KeyCommand::Add(AddKey { first, which }) => (which, KeyAction::Change(KeyChange::Add { first })),
        KeyCommand::Use(OneKey { key, which }) => (which, KeyAction::Change(KeyChange::Use(key))),
        KeyCommand::Remove(OneKey { key, which }) => (which, KeyAction::Change(KeyChange::Remove(key))),
    };
    // The problems of the configuration have been printed.
    let Ok(Loaded { settings, .. }) = check::load(&which) else { return ExitCode::FAILURE };
    let file = KeyFile {
        path: keys::of_service(&settings.state).join(KEY_FILE),
        is_shared: matches!(settings.store, StoreChoice::Redis { .. }),
        running: Running::of(ConfigFile { config: which.config }),
    };
    print::finish(match work {
        KeyAction::List { json } => file.list(json),
        KeyAction::Change(change) => file.change(&change),
    })
}

/// The action of a command.
enum KeyAction {
    List { json: bool },
    Change(KeyChange),
}

/// The key file of a configuration.
struct KeyFile {
    path: PathBuf,
    /// Whether other gateways use the same session store.
    is_shared: bool,
    running: Running,
}

impl KeyFile {
    fn list(&self, json: bool) -> Result<String, CommandError> {
        let keys = self.checked()?;
        if json {
            let entry = |(place, key): (usize, &String)| json!({ "key": key, "signs": place == 0 });
            return Ok(format!("{:#}\n", Value::Array(keys.iter().enumerate().map(entry).collect())));
        }
        let row =
            |(place, key): (usize, &String)| format!("{key}  {}\n", if place == 0 { "signs" } else { "accepted" });
        Ok(keys.iter().enumerate().map(row).collect())
    }

    fn change(&self, change: &KeyChange) -> Result<String, CommandError> {
        if *change == (KeyChange::Add { first: true }) && self.is_shared {
            let help = "type: exeunt key add; then follow `exeunt key add --help`";
            return Err(CommandError::new(
                "the session store is shared: other gateways do not accept a new key yet",
                help,
            ));
        }
        self.checked()?;
        let file = LockedFile::lock(&self.path)?;
        let (text, key) = edit::change(&file.read()?, change).map_err(|problem| self.not_changed(problem))?;
        file.replace(&text)?;
        let written = format!("{key}: {} {}", done(change), self.path.display());
        let effect = self.running.after_writing().map_err(|CommandError(problem)| {
            CommandError(format!("{problem}\n{written}, but the running gateway has not read it"))
        })?;
        Ok(format!("{written}; {effect}\n{}", self.next(change, &key)))
    }

    /// The fingerprints of a file that the gateway would accept.
    fn checked(&self) -> Result<Vec<String>, CommandError> {
        let keys = state::read(&self.path)
            .map_err(|problem| CommandError::new(problem, "correct the file; see the handbook"))?;
        let keys = keys.ok_or_else(|| {
            let message = format!("the key file {} does not exist", self.path.display());
            CommandError::new(message, "the gateway makes it at its first start; name the configuration: --config FILE")
        })?;
        Ok(keys.short_fingerprints())
    }

    fn not_changed(&self, problem: KeysNotChanged) -> CommandError {
        let help = match problem {
            KeysNotChanged::Bad(_) => "remove old ones: exeunt key remove FINGERPRINT",
            KeysNotChanged::Unknown => "list them: exeunt key list",
            KeysNotChanged::Signs => "sign with another one first: exeunt key use FINGERPRINT",
            KeysNotChanged::NoRandomness => "try again",
        };
        CommandError::new(format!("{}: {problem}; nothing was changed", self.path.display()), help)
    }

    /// The next step for the operator.
    fn next(&self, change: &KeyChange, key: &str) -> String {
        match change {
            KeyChange::Add { first: false } if self.is_shared => format!(
                "next: copy {} to the other gateways and type exeunt reload on each of them; then on all: exeunt key \
                 use {key}\n",
                self.path.display()
            ),
            KeyChange::Add { first: false } => format!("next: exeunt key use {key}\n"),
            KeyChange::Add { first: true } | KeyChange::Use(_) => {
                "next: after 180 days nothing depends on the older keys: exeunt key remove FINGERPRINT\n".to_owned()
            }
            KeyChange::Remove(_) => String::new(),
        }
    }
}

fn done(change: &KeyChange) -> &'static str {
    match change {
        KeyChange::Add { first: false } => "accepted, added to",
        KeyChange::Add { first: true } => "signs, added to",
        KeyChange::Use(_) => "signs, first in",
        KeyChange::Remove(_) => "removed from",
    }
}
