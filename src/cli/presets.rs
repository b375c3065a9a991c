//! `exeunt presets`: lists and shows the presets for well-known applications.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::failure::CommandError;
use super::print;
use super::table::aligned;
use crate::config::presets::{self, Preset};

/// Lists the presets of routes, or shows one.
#[derive(Clone, Debug, Args)]
pub(crate) struct Presets {
    #[command(subcommand)]
    command: Option<PresetsCommand>,
}

#[derive(Clone, Debug, Subcommand)]
enum PresetsCommand {
    /// List all presets: what each reaches, and the version that it was tried with
    #[command(after_help = "Example:\n  exeunt presets list")]
    List,
    /// Show what a preset sets, to be changed in a route
    #[command(after_help = "Example:\n  exeunt presets show wordpress")]
    Show {
        /// The name, as `exeunt presets` lists it
        name: String,
    },
}

/// Runs the command. Exit code 0, or 1 for an unknown name.
pub(super) fn run(presets: &Presets) -> ExitCode {
    print::finish(match &presets.command {
        None | Some(PresetsCommand::List) => Ok(list()),
        Some(PresetsCommand::Show { name }) => show(name),
    })
}

fn list() -> String {
    let row = |preset: &Preset| [preset.name, preset.tried(), preset.reaches()].map(str::to_owned);
    aligned(["PRESET", "TRIED WITH", "WHAT A LOGOUT REACHES"], &presets::all().iter().map(row).collect::<Vec<_>>())
}

fn show(name: &str) -> Result<String, CommandError> {
    let preset = presets::find(name).ok_or_else(|| {
        CommandError(format!("error: unknown preset \"{name}\"\nhelp: list the presets: exeunt presets"))
    })?;
    Ok(format!("# {}: preset = \"{}\"\n{}", preset.title(), preset.name, preset.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_line_and_can_be_shown() {
        let list = list();
        for preset in presets::all() {
            assert!(list.lines().any(|line| line.starts_with(&format!("{} ", preset.name))), "{list}");
            assert!(show(preset.name).unwrap().contains("reaches = "));
        }
        assert!(show("nonsense").is_err());
    }
}
