//! Plain words, each parsed once. No I/O, and nothing here knows the engine.

pub mod client_address;
pub mod cookie;
pub mod end_cause;
pub mod header_edits;
pub mod header_names;
pub mod identity;
pub mod origin;
pub mod reason;
pub mod receipt;
pub mod reply;
pub mod return_to;
pub mod session_id;
pub mod target;
pub mod time;
