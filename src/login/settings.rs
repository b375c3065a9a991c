//! The settings of `[login]`.

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
    /// The maximum length of the sign-in form's address with the encoded target, in bytes.
    pub return_size: usize,
    /// The largest form that is read, in bytes.
    pub body_limit: usize,
    /// The users' file, if users may change their passwords in it.
    pub change_password: Option<UsersFile>,
}
