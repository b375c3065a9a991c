//! From a proof to a session.

pub mod password;
pub mod settings;
pub(crate) mod sign_in_form;
pub(crate) mod verify;
