//! What a source of users says today of somebody who signed in before.

use std::sync::Arc;

use crate::credentials::user_file::{SOURCE, Users};
use crate::values::credential_stamp::CredentialStamp;
use crate::values::identity::{Identity, UserKey};
use crate::values::mac::MacKeys;

/// Whether a user may still sign in, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountStatus<'a> {
    /// There is no such user, or not any more.
    Removed,
    /// The user may not sign in.
    Disabled,
    /// The user may.
    Active(Account<'a>),
}

/// What is known of a user who may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account<'a> {
    /// What is shown and sent to applications.
    pub(crate) identity: &'a Arc<Identity>,
    /// What is stored of the password, in parts.
    stored: [&'a [u8]; 3],
}

impl Users {
    /// What this file says of a user. One of another source is not in it, whatever the name.
    pub(crate) fn standing(&self, user: &UserKey) -> AccountStatus<'_> {
        match self.find(&user.subject).filter(|_| *user.source == *SOURCE) {
            None => AccountStatus::Removed,
            Some(entry) if !entry.enabled => AccountStatus::Disabled,
            Some(entry) => AccountStatus::Active(Account { identity: &entry.identity, stored: entry.hash.parts() }),
        }
    }
}

impl Account<'_> {
    /// What a session of this user remembers.
    pub(crate) fn stamp(&self, user: &UserKey, keys: &MacKeys) -> CredentialStamp {
        CredentialStamp::new(user, &self.stored, keys)
    }

    /// Whether the password is the one that a session was opened with.
    pub(crate) fn has_password_of(&self, stamp: &CredentialStamp, user: &UserKey, keys: &MacKeys) -> bool {
        stamp.is_of(user, &self.stored, keys)
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
    fn a_user_is_known_by_source_and_name_and_a_new_password_by_its_stamp() {
        let key = |source: &str, subject: &str| UserKey { source: source.into(), subject: subject.into() };
        let (keys, alice) = (MacKeys::generate().unwrap(), key(SOURCE, "alice"));
        let before = users("alice:{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=\n");
        let AccountStatus::Active(account) = before.standing(&alice) else { panic!("alice is there") };
        let stamp = account.stamp(&alice, &keys);
        assert_eq!(account.identity.user(), "alice");
        assert!(account.has_password_of(&stamp, &alice, &keys));
        for other in [key(SOURCE, "Alice"), key("test", "alice")] {
            assert_eq!(before.standing(&other), AccountStatus::Removed, "{other:?}");
        }
        let after = users("alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
        let AccountStatus::Active(account) = after.standing(&alice) else { panic!("alice is there") };
        assert!(!account.has_password_of(&stamp, &alice, &keys));
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let disabled = format!("[users.alice]\npassword = \"{hash}\"\nenabled = false\n");
        let disabled = Users::parse("users.toml".as_ref(), &disabled).unwrap();
        assert_eq!(disabled.standing(&alice), AccountStatus::Disabled);
    }
}
