//! `exeunt check`, and the first step of `serve`: finds the configuration, reads it, and reports its problems.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use nix::unistd::Uid;

use crate::config::{self, CheckOptions, Machine, Report, Settings, StoreChoice, Version};
use crate::values::own_hosts::OwnHosts;

use super::{Configuration, configured, keys, print, terminal};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    which: Configuration,
    /// After an upgrade from this version, such as 0.1: note the changed defaults that matter for this configuration
    #[arg(long, value_name = "VERSION")]
    since: Option<Version>,
}

/// Reports every problem.
pub(super) fn command(check: &CheckArgs) -> ExitCode {
    let look =
        |path: &Path| CheckOptions { machine: Machine::this(path, env::var_os("STATE_DIRECTORY")), since: check.since };
    match read(&check.which, |path| config::check(path, &look(path))) {
        Ok(Loaded { path, warnings, settings }) => {
            show(&warnings);
            if warnings.has_flaws() {
                return ExitCode::FAILURE;
            }
            if let Err(problem) = keys::check(&settings.state) {
                eprintln!("error: {problem}");
                return ExitCode::FAILURE;
            }
            print::to_standard_output(verdict(&path, &warnings, &settings.gateway.hosts).as_bytes())
        }
        Err(NotLoaded) => ExitCode::FAILURE,
    }
}

/// The last lines for an accepted configuration. They list the served host names, which answers to clients never do.
fn verdict(path: &Path, warnings: &Report, hosts: &OwnHosts) -> String {
    let accepted = if warnings.findings().is_empty() { "" } else { "accepted, with " };
    format!(
        "{}: {accepted}{}\n\
         served host names: {}\n\
         a proxy in front must pass on the host name that was asked for (nginx: proxy_set_header Host $host)\n",
        path.display(),
        warnings.counts(),
        hosts.list()
    )
}

/// An accepted configuration.
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    /// Warnings and notes, not shown yet.
    pub(super) warnings: Report,
}

/// The configuration is refused, and the problems have been printed.
pub(super) struct NotLoaded;

/// Finds and reads the configuration. Problems go to standard error.
pub(super) fn load(which: &Configuration) -> Result<Loaded, NotLoaded> {
    read(which, config::load)
}

/// The same, for a command that uses another store than the configured one.
pub(super) fn load_for_store(which: &Configuration, store: &StoreChoice) -> Result<Loaded, NotLoaded> {
    read(which, |path| config::load_for_store(path, store))
}

type ConfigResult = Result<(Settings, Report), Report>;

fn read(which: &Configuration, read: impl FnOnce(&Path) -> ConfigResult) -> Result<Loaded, NotLoaded> {
    let path = which.config.clone().or_else(config::find).ok_or_else(|| {
        eprint!("{NOTHING_FOUND}");
        NotLoaded
    })?;
    if let (None, Ok(metadata)) = (&which.config, path.metadata()) {
        eprint!("{}", configured::ownership_notice(&path, &metadata, Uid::effective()).unwrap_or_default());
    }
    match read(&path) {
        Ok((settings, warnings)) => Ok(Loaded { path, settings, warnings }),
        Err(problems) => {
            show(&problems);
            Err(NotLoaded)
        }
    }
}

const NOTHING_FOUND: &str = "\
error: no configuration found: neither ./config.toml nor /etc/exeunt/config.toml exists

Name the file:              --config FILE
Or write ./config.toml, here for an application on port 9000 of this machine:

    listen = [\"127.0.0.1:8080\"]
    public_url = \"http://localhost:8080\"

    [[route]]
    upstream = \"http://127.0.0.1:9000\"

    [login]
    users = \"users.toml\"

and add a user:  exeunt user set NAME
";

/// Writes a report to standard error.
pub(super) fn show(report: &Report) {
    eprint!("{}", report.render(terminal::colour()));
}
