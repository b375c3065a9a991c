//! The program `exeunt`: passes the arguments to [`exeunt::cli::run`] and returns its exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // An error says that a provider is installed already. It can only be this one: no other is compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    exeunt::cli::run(std::env::args_os())
}
