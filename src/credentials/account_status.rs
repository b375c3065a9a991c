//! The current status of a user who signed in before, according to the source of users.

use std::fmt;
use std::sync::Arc;

use crate::values::credential_stamp::CredentialStamp;
use crate::values::identity::{Identity, UserKey};
use crate::values::mac::MacKeys;

/// Whether a user may still sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountStatus {
    /// The user does not exist or was removed.
    Removed,
    /// The user may not sign in.
    Disabled,
    /// The user may sign in.
    Active(Account),
}

/// The account of a user who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The identity, as it is shown and sent to applications.
    pub(crate) identity: Arc<Identity>,
    /// The stored password hash, in parts.
    stored: [Vec<u8>; 3],
}

impl Account {
    /// An account with this stored password hash, in parts.
    pub(crate) fn new(identity: Arc<Identity>, stored: [&[u8]; 3]) -> Self {
        Self { identity, stored: stored.map(<[u8]>::to_vec) }
    }

    /// The credential stamp for a new session of this user.
    pub(crate) fn stamp(&self, user: &UserKey, keys: &MacKeys) -> CredentialStamp {
        CredentialStamp::new(user, &self.stored(), keys)
    }

    fn stored(&self) -> [&[u8]; 3] {
        self.stored.each_ref().map(Vec::as_slice)
    }

    /// Whether the password is still the one that a session with this stamp was opened with.
    pub(crate) fn has_password_of(&self, stamp: &CredentialStamp, user: &UserKey, keys: &MacKeys) -> bool {
        stamp.is_of(user, &self.stored(), keys)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("identity", &self.identity).finish_non_exhaustive()
    }
}
