//! `exeunt check`, and what `serve` does first: find the configuration, read it, say what is wrong with it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::unistd::Uid;

use crate::config::{self, Report, Settings};
use crate::values::own_hosts::OwnHosts;

use super::{Configuration, configured, keys, print};

/// Names everything that is wrong.
pub(super) fn command(which: &Configuration) -> ExitCode {
    match load(which) {
        Ok(Loaded { path, warnings, settings }) => {
            show(&warnings);
            if warnings.has_flaws() {
                return ExitCode::FAILURE;
            }
            if let Err(problem) = keys::check(&settings.state) {
                eprintln!("error: {problem}");
                return ExitCode::FAILURE;
            }
            print::to_standard_output(verdict(&path, &settings.gateway.hosts).as_bytes())
        }
        Err(NotLoaded) => ExitCode::FAILURE,
    }
}

/// What is said of a sound configuration. Strangers are not told which names are served: operators find them here.
fn verdict(path: &Path, hosts: &OwnHosts) -> String {
    format!(
        "{}: no problems\n\
         served host names: {}\n\
         a proxy in front must pass on the Host that the browser sent (nginx: proxy_set_header Host $http_host)\n",
        path.display(),
        hosts.list()
    )
}

/// A configuration that can be used.
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    /// What the operator should know; to be shown.
    pub(super) warnings: Report,
}

/// The reasons have been printed.
pub(super) struct NotLoaded;

/// Reads the configuration that is meant. Problems go to standard error.
pub(super) fn load(which: &Configuration) -> Result<Loaded, NotLoaded> {
    let path = which.config.clone().or_else(config::find).ok_or_else(|| {
        eprint!("{NOTHING_FOUND}");
        NotLoaded
    })?;
    if let (None, Ok(metadata)) = (&which.config, path.metadata()) {
        eprint!("{}", configured::foreign(&path, &metadata, Uid::effective()).unwrap_or_default());
    }
    match config::load(&path) {
        Ok((settings, warnings)) => Ok(Loaded { path, settings, warnings }),
        Err(problems) => {
            show(&problems);
            Err(NotLoaded)
        }
    }
}

const NOTHING_FOUND: &str = "\
error: no configuration: there is neither ./config.toml nor /etc/exeunt/config.toml

Name the file:              --config FILE
Or write ./config.toml, for an application on port 9000 of this machine:

    listen = [\"127.0.0.1:8080\"]
    public_url = \"http://localhost:8080\"

    [[route]]
    upstream = \"http://127.0.0.1:9000\"

    [login]
    users = \"users.toml\"

and add somebody who may sign in:  exeunt user set NAME
";

/// Shows a report to people.
pub(super) fn show(report: &Report) {
    eprint!("{}", report.render(print::colour()));
}
