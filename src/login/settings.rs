//! What `[login]` says.

use std::time::Duration;

use crate::credentials::user_file::change::UsersFile;
use crate::values::return_to::ReturnTo;

/// The sign-in settings.
#[derive(Clone, Debug)]
pub struct LoginSettings {
    /// The default target after a sign-in.
    pub next: ReturnTo,
    /// The longest ban that wrong passwords lead to.
    pub ban_max: Duration,
    /// The longest address that leads to the form and back to what was asked for, in bytes.
    pub return_size: usize,
    /// The largest form that is read, in bytes.
    pub body_limit: usize,
    /// The users' file, if people may change their own passwords in it.
    pub change_password: Option<UsersFile>,
}
