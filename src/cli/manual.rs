//! `exeunt completions` and `exeunt man`, generated from the definitions of the commands.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::Cli;
use super::print::to_standard_output;

/// Prints the completion script of a shell.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "exeunt", &mut script);
    to_standard_output(&script)
}

/// Prints one manual page: the overview, then every command.
pub(super) fn manual() -> ExitCode {
    match page() {
        Ok(page) => to_standard_output(&page),
        Err(_) => ExitCode::FAILURE,
    }
}

fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    help_paragraphs(&command, &mut page)?;
    sections_of(&command, &mut page)?;
    Ok(page)
}

/// A section of the page for every command, followed by its subcommands.
fn sections_of(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_bin_name().unwrap_or(command.get_name());
        writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
        let man = Man::new(command.clone());
        man.render_synopsis_section(&mut *page)?;
        man.render_description_section(&mut *page)?;
        man.render_options_section(&mut *page)?;
        help_paragraphs(command, page)?;
        sections_of(command, page)?;
    }
    Ok(())
}

/// The text below a command's options. Examples keep their lines; paragraphs of one line are reflowed.
fn help_paragraphs(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let Some(text) = command.get_after_help() else { return Ok(()) };
    for block in text.to_string().split("\n\n") {
        let keeps_lines = block.contains('\n');
        writeln!(page, ".PP")?;
        if keeps_lines {
            writeln!(page, ".nf")?;
        }
        for line in block.lines() {
            // Without `\&`, a line that begins with a dot or an apostrophe would be a roff request.
            writeln!(page, "\\&{}", line.replace('\\', "\\e").replace('-', "\\-"))?;
        }
        if keeps_lines {
            writeln!(page, ".fi")?;
        }
    }
    Ok(())
}
