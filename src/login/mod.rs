//! From a proof to a session.

pub mod settings;
pub(crate) mod sign_in_form;
pub(crate) mod verify;
