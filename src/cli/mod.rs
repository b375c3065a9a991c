//! The command line.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "commands print their results")]

mod check;
mod configured;
mod demo;
mod failure;
#[cfg(test)]
mod handbook_tests;
mod key;
mod keys;
mod manual;
mod messages;
mod open_files;
mod presets;
mod print;
mod reload;
mod running;
mod serve;
mod service_manager;
mod session;
mod store;
mod store_copy;
mod stores;
mod table;
mod terminal;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// `serve` refused its configuration (`EX_CONFIG` of sysexits.h), so that a service manager does not restart it.
const REFUSED_CONFIGURATION: u8 = 78;
/// The arguments are wrong.
const USAGE: u8 = 2;

const AFTER_HELP: &str = "\
Examples:
  exeunt demo                              try it: the gateway in front of a sample application
  exeunt user set alice --group staff      add a user
  exeunt check                             list all problems of ./config.toml
  exeunt serve --config /etc/exeunt/config.toml
  exeunt reload                            read the configuration and the users again

Exit codes: 0 success, 1 the command failed, 2 wrong arguments, 78 serve refused its configuration";

/// An authentication gateway whose logout really logs out
///
/// Exeunt is a reverse proxy in front of web applications: it signs users in, sends their identity to the applications,
/// and when they sign out, it ends their sessions and live connections before it answers.
#[derive(Debug, Parser)]
#[command(name = "exeunt", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    #[command(after_help = SERVE_HELP)]
    Serve(Configuration),
    /// Run a demo: the gateway in front of a sample application, on this machine only
    #[command(after_help = DEMO_HELP)]
    Demo(demo::Demo),
    /// List all problems of a configuration: line, key, what to write
    #[command(after_help = CHECK_HELP)]
    Check(check::CheckArgs),
    /// Make the running gateway read its configuration, its users and its keys again
    #[command(after_help = RELOAD_HELP)]
    Reload(reload::ReloadArgs),
    /// List the presets for well-known applications, or show one
    #[command(after_help = PRESETS_HELP)]
    Presets(presets::Presets),
    /// Add, change, remove and list users
    #[command(subcommand)]
    User(user::UserCommand),
    /// List, show and end the sessions of the running gateway
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Check, compact and copy the session store
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// List and rotate the keys of the key file
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell that the script is for
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = MAN_HELP)]
    Man,
}

const SERVE_HELP: &str = "\
SIGTERM and SIGINT stop it; running requests may finish first (limits.drain). SIGHUP makes it read \
its configuration again, as `exeunt reload` does. Messages go to standard error.

Examples:
  exeunt serve
  exeunt serve --config /etc/exeunt/config.toml

Exit codes: 0 stopped by a signal, 1 it failed, 78 it refused its configuration";

const DEMO_HELP: &str = "\
There is nothing to configure. It prints its address, an account, and curl lines to try. Its \
files are in a temporary folder, which is removed when it stops (Ctrl-C).

Examples:
  exeunt demo
  exeunt demo --listen 127.0.0.1:9090

Exit codes: 0 stopped by a signal, 1 it failed, 2 wrong arguments";

const CHECK_HELP: &str = "\
Nothing is started and nothing is changed. Warnings alone do not make it fail. It also checks that the \
addresses in `listen` are free, unless the gateway is running, looks up the host names of upstreams (3 seconds \
at most), and as root checks that the service's user can read the files.

Examples:
  exeunt check
  exeunt check --since 0.1                 after an upgrade: note changed defaults
  exeunt check --config /etc/exeunt/config.toml && systemctl reload exeunt

Exit codes: 0 no problems, 1 problems";

const RELOAD_HELP: &str = "\
Running requests finish, unless the new configuration refuses them. Users who were removed or \
disabled, or who have a new password, are signed out; changed groups take effect at once. The key \
file is read again, too: its first key signs, all of them are accepted. If anything is wrong with \
the configuration or the key file, nothing changes.

Examples:
  exeunt reload
  exeunt reload --config /etc/exeunt/config.toml
  kill -HUP PID          # the same; the result is in the log

Exit codes: 0 reloaded, 1 refused or no gateway is running";

const PRESETS_HELP: &str = "\
With `preset = \"NAME\"` a route asks its application to end its own session when the gateway's \
session ends. Keys of the route override those of the preset.

Examples:
  exeunt presets
  exeunt presets show wordpress";

const COMPLETIONS_HELP: &str = "\
Examples:
  exeunt completions bash > /etc/bash_completion.d/exeunt
  exeunt completions zsh > ~/.zfunc/_exeunt";

const MAN_HELP: &str = "\
Examples:
  exeunt man | man -l -
  exeunt man > /usr/local/share/man/man1/exeunt.1";

/// Selects a configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct Configuration {
    /// The configuration file [default: ./config.toml, then /etc/exeunt/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command that the arguments name. The first argument is the program's own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(cli.command),
        Err(error) => misused(&error),
    }
}

fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Serve(which) => serve::command(&which),
        Command::Demo(demo) => demo::command(&demo),
        Command::Check(check) => check::command(&check),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Presets(command) => presets::run(&command),
        Command::User(command) => user::run(command),
        Command::Session(command) => session::run(command),
        Command::Store(command) => store::run(command),
        Command::Key(command) => key::run(command),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man => manual::manual(),
    }
}

/// Help and version are results, not errors; everything else is wrong usage.
fn misused(error: &clap::Error) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let printed = error.print();
    match (asked_for, printed) {
        (true, Ok(())) => ExitCode::SUCCESS,
        (true, Err(_)) => ExitCode::FAILURE,
        (false, _) => ExitCode::from(USAGE),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command()
            .get_subcommands()
            .filter(|command| !matches!(command.get_name(), "user" | "session" | "store" | "key"))
        {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{}", command.get_name());
        }
    }
}
