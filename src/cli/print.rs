//! `exeunt completions` and `exeunt man`: made of the same description as the commands themselves.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::Cli;

/// Prints the completion script of a shell.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "exeunt", &mut script);
    print(&script)
}

/// Prints one manual page: the overview, then every command.
pub(super) fn manual() -> ExitCode {
    match page() {
        Ok(page) => print(&page),
        Err(_) => ExitCode::FAILURE,
    }
}

fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    Man::new(command.clone()).render(&mut page)?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        section(command, &mut page)?;
    }
    Ok(page)
}

/// A command as a section of the page, its own commands behind it.
fn section(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
    let man = Man::new(command.clone());
    man.render_synopsis_section(&mut *page)?;
    man.render_description_section(&mut *page)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut *page)?;
    }
    man.render_extra_section(&mut *page)?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        section(command, page)?;
    }
    Ok(())
}

fn print(bytes: &[u8]) -> ExitCode {
    match io::stdout().write_all(bytes) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}
