//! The integration tests, in one binary: over real sockets, in process, on ports that the system chooses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says what it expects by stopping"
)]

mod admin;
mod check;
mod disk_faults;
mod exchange;
mod kernel_time;
mod key_rotation;
mod log_reader;
mod nemesis;
mod races;
mod random;
mod redis;
mod restarts;
mod rows;
mod sample;
mod server;
mod service_manager;
mod site;
mod store_copy;
mod tunnel;
mod upstream;
