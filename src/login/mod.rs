//! From a proof to a session.

pub mod settings;
pub mod sign_in_form;
pub mod verify;
