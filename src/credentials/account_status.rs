//! What a source of users says today of somebody who signed in before.

use std::fmt;
use std::sync::Arc;

use crate::credentials::user_file::Users;
use crate::values::credential_stamp::CredentialStamp;
use crate::values::identity::{Identity, UserKey};
use crate::values::mac::MacKeys;

/// Whether a user may still sign in, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountStatus {
    /// There is no such user, or not any more.
    Removed,
    /// The user may not sign in.
    Disabled,
    /// The user may.
    Active(Account),
}

/// What is known of a user who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// What is shown and sent to applications.
    pub(crate) identity: Arc<Identity>,
    /// What is stored of the password, in parts.
    stored: [Vec<u8>; 3],
}

impl Users {
    /// What this file says of the user of this name.
    pub(crate) fn status_of(&self, name: &str) -> AccountStatus {
        match self.find(name) {
            None => AccountStatus::Removed,
            Some(entry) if !entry.enabled => AccountStatus::Disabled,
            Some(entry) => {
                let (identity, stored) = (Arc::clone(&entry.identity), entry.hash.parts().map(<[u8]>::to_vec));
                AccountStatus::Active(Account { identity, stored })
            }
        }
    }
}

impl Account {
    /// What a session of this user remembers.
    pub(crate) fn stamp(&self, user: &UserKey, keys: &MacKeys) -> CredentialStamp {
        CredentialStamp::new(user, &self.stored(), keys)
    }

    fn stored(&self) -> [&[u8]; 3] {
        self.stored.each_ref().map(Vec::as_slice)
    }

    /// Whether the password is the one that a session was opened with.
    pub(crate) fn has_password_of(&self, stamp: &CredentialStamp, user: &UserKey, keys: &MacKeys) -> bool {
        stamp.is_of(user, &self.stored(), keys)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("identity", &self.identity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> Users {
        Users::parse_any("htpasswd".as_ref(), text, crate::credentials::user_file::htpasswd::WeakHashes::Accept)
            .unwrap()
    }

    #[test]
    fn a_user_is_known_by_name_and_a_new_password_by_its_stamp() {
        let alice = UserKey { source: "file".into(), subject: "alice".into() };
        let keys = MacKeys::generate().unwrap();
        let before = users("alice:{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=\n");
        let AccountStatus::Active(account) = before.status_of("alice") else { panic!("alice is there") };
        let stamp = account.stamp(&alice, &keys);
        assert_eq!(account.identity.user(), "alice");
        assert!(account.has_password_of(&stamp, &alice, &keys));
        assert_eq!(before.status_of("Alice"), AccountStatus::Removed);
        let after = users("alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
        let AccountStatus::Active(account) = after.status_of("alice") else { panic!("alice is there") };
        assert!(!account.has_password_of(&stamp, &alice, &keys));
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let disabled = format!("[users.alice]\npassword = \"{hash}\"\nenabled = false\n");
        let disabled = Users::parse("users.toml".as_ref(), &disabled).unwrap();
        assert_eq!(disabled.status_of("alice"), AccountStatus::Disabled);
    }
}
