//! Plain words, each parsed once. No I/O, and nothing here knows the engine.

pub mod listen_address;
pub mod origin;
pub mod session_id;
pub mod time;
