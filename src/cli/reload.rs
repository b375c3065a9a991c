//! `exeunt reload`: the running gateway reads its configuration again.

use std::process::ExitCode;

use clap::Args;

use super::failure::CommandError;
use super::print;
use super::running::Running;

/// The arguments of `exeunt reload`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReloadArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    running: Running,
}

/// Runs the command. Exit code 0, or 1 with all problems on standard error.
pub(super) fn run(arguments: &ReloadArgs) -> ExitCode {
    print::finish(reload(arguments))
}

fn reload(arguments: &ReloadArgs) -> Result<String, CommandError> {
    let reloaded = arguments.running.reload()?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&reloaded);
        return json.map(|json| json + "\n").map_err(|error| CommandError::new(error, "free some memory"));
    }
    eprint!("{}", reloaded.warnings);
    Ok(reloaded.to_string())
}
