//! Arguments in, exit code out.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The one TLS implementation. Whoever was first, it is this one: nothing else is compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    exeunt::cli::run(std::env::args_os())
}
