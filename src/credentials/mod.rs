//! Who somebody is: one file a method. Each is asked with what the request brought and answers a [`Verdict`].

pub mod apr1;
pub mod hashing;
pub mod htpasswd;
pub mod password;
pub mod problem;
pub mod sha2_crypt;
pub mod stored_hash;
pub mod user_edit;
pub mod user_file;
pub mod user_lock;
pub mod user_reader;

use std::sync::Arc;

use crate::values::identity::{Identity, UserKey};
use crate::values::reason::Reason;

/// What a method says to the credentials of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request brought nothing that this method reads: the next one may be asked.
    Absent,
    /// The request brought credentials, and they open nothing.
    Refuse(Reason),
    /// The credentials are good: this is who it is.
    Accept(UserKey, Arc<Identity>),
}
