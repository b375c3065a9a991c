//! Prints the result of a command on standard output, or its error on standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use super::failure::CommandError;

/// Prints the result or the error of a command, and returns its exit code.
pub(super) fn finish(result: Result<String, CommandError>) -> ExitCode {
    match result {
        Ok(result) => to_standard_output(result.as_bytes()),
        Err(CommandError(reason)) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a command's result. A reader that closes the pipe (`| head`) is not an error.
pub(super) fn to_standard_output(result: &[u8]) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(result).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write the result: {error}");
            ExitCode::FAILURE
        }
    }
}
