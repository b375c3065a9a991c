//! The current status of a user of the file.

use std::sync::Arc;

use super::Users;
use crate::credentials::account_status::{Account, AccountStatus};

impl Users {
    /// The status of the user of this name.
    pub(crate) fn status_of(&self, name: &str) -> AccountStatus {
        match self.find(name) {
            None => AccountStatus::Removed,
            Some(entry) if !entry.enabled => AccountStatus::Disabled,
            Some(entry) => AccountStatus::Active(Account::new(Arc::clone(&entry.identity), entry.hash.parts())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::identity::UserKey;
    use crate::values::mac::MacKeys;

    fn users(text: &str) -> Users {
        Users::parse_any("htpasswd".as_ref(), text, super::super::htpasswd::WeakHashes::Accept).unwrap()
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
