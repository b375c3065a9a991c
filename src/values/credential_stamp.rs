//! The fingerprint of the credentials with which a session was opened, so that it ends when they change.

use super::identity::UserKey;
use super::mac::{Mac, MacKeys, MacPurpose};

/// A keyed hash (HMAC) of a user and the stored password hash. Without the key it neither reveals the stored hash nor
/// allows guessing passwords.
#[derive(Clone, Copy, Debug)]
pub struct CredentialStamp(Mac);

impl CredentialStamp {
    /// The stamp of a user with this stored password hash, given in parts.
    pub(crate) fn new(user: &UserKey, stored: &[&[u8]], keys: &MacKeys) -> Self {
        Self(keys.sign(MacPurpose::Credential, &parts(user, stored)))
    }

    /// Parses the output of [`CredentialStamp::encode`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Mac::parse(text.as_bytes()).map(Self)
    }

    /// The stamp as text, for a store.
    pub(crate) fn encode(&self) -> String {
        self.0.encode()
    }

    /// Whether the stored password hash is the same as when this stamp was made.
    pub(crate) fn is_of(&self, user: &UserKey, stored: &[&[u8]], keys: &MacKeys) -> bool {
        keys.verify(MacPurpose::Credential, &parts(user, stored), &self.0)
    }
}

fn parts<'a>(user: &'a UserKey, stored: &[&'a [u8]]) -> Vec<&'a [u8]> {
    [user.source.as_bytes(), user.subject.as_bytes()].into_iter().chain(stored.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_valid_only_for_its_user_and_hash() {
        let user = |source: &str, subject: &str| UserKey { source: source.into(), subject: subject.into() };
        let (keys, alice) = (MacKeys::generate().unwrap(), user("file", "alice"));
        let stamp = CredentialStamp::new(&alice, &[b"argon2id", b"salt", b"hash"], &keys);
        assert!(stamp.is_of(&alice, &[b"argon2id", b"salt", b"hash"], &keys));
        for stored in [&[&b"argon2id"[..], b"salt", b"other"][..], &[b"argon2id", b"salth", b"ash"], &[]] {
            assert!(!stamp.is_of(&alice, stored, &keys), "{stored:?}");
        }
        for other in [user("file", "bob"), user("ldap", "alice"), user("filea", "lice")] {
            assert!(!stamp.is_of(&other, &[b"argon2id", b"salt", b"hash"], &keys), "{other:?}");
        }
        assert!(!stamp.is_of(&alice, &[b"argon2id", b"salt", b"hash"], &MacKeys::generate().unwrap()));
        let kept = CredentialStamp::parse(&stamp.encode()).unwrap();
        assert!(kept.is_of(&alice, &[b"argon2id", b"salt", b"hash"], &keys));
        assert!(!format!("{stamp:?}").contains("hash"));
    }
}
