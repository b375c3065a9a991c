//! Signing in: from credentials to a session.

pub(crate) mod password;
pub(crate) mod return_target;
pub mod settings;
pub(crate) mod sign_in;
pub(crate) mod sign_in_form;
pub(crate) mod verify;
