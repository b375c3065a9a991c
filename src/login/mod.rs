//! From a proof to a session.

pub mod attempt;
pub mod settings;
pub mod verify;
