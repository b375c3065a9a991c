//! The integration tests, in one binary: everything in process, on ports that the system chooses.

mod door;
