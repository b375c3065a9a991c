//! `exeunt serve`.

use std::process::ExitCode;

use crate::config::Settings;

use super::{Configuration, REFUSED_CONFIGURATION, check};

/// Serves the configuration that is meant, until it is told to stop.
pub(super) fn command(which: &Configuration) -> ExitCode {
    match check::load(which) {
        Ok((_, settings)) => run(settings),
        Err(check::NotLoaded) => ExitCode::from(REFUSED_CONFIGURATION),
    }
}

/// INTERIM: says where it would listen.
fn run(settings: Settings) -> ExitCode {
    for address in &settings.door.listen {
        eprintln!("would listen at {address}");
    }
    ExitCode::FAILURE
}
