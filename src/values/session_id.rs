//! The secret in the browser's cookie, and the two other names of the session: its key and its public handle.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

pub(crate) use super::secret::NoRandomness;
use super::secret::{CookieSecret, digest_of, is_cookie_value};

/// The 256 random bits in a browser's cookie. They are a bearer credential, so they have no `Display`, their `Debug` is
/// blank, and only the cookie holds them.
#[derive(Clone)]
pub struct SessionId(CookieSecret);

/// The SHA-256 of a cookie value: what tables and stores know a session by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey([u8; 32]);

/// The public name of a session, for operators and pages: it finds a session but never opens one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Handle(String);

impl SessionId {
    /// A new id from the operating system's generator.
    pub fn generate() -> Result<Self, NoRandomness> {
        CookieSecret::generate().map(Self)
    }

    /// The cookie value. For the `Set-Cookie` line of the person it belongs to, and nothing else.
    pub fn cookie_value(&self) -> String {
        self.0.cookie_value()
    }

    /// The name of this session in tables and stores.
    pub fn key(&self) -> SessionKey {
        SessionKey(self.0.digest())
    }
}

impl SessionKey {
    /// The key of the session that a cookie value opens. `None` for anything but the one spelling that
    /// [`SessionId::cookie_value`] gives.
    pub fn of_cookie_value(value: &[u8]) -> Option<Self> {
        is_cookie_value(value).then(|| Self(digest_of(value)))
    }

    /// The hash as bytes, for stores.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash that a store has kept.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A number that spreads sessions evenly, the same on every machine. It never leaves the program.
    pub(crate) fn affinity(&self) -> u64 {
        self.0.first_chunk().map_or(0, |head| u64::from_le_bytes(*head))
    }

    /// The public name that belongs to this key.
    pub(crate) fn handle(&self) -> Handle {
        let hash = Sha256::new().chain_update(b"handle").chain_update(self.0).finalize();
        let (head, _) = hash.split_at(10);
        Handle(BASE32_NOPAD.encode(head).to_ascii_lowercase())
    }
}

impl Handle {
    /// The sixteen characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({})", self.handle())
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::secret::COOKIE_VALUE_LENGTH;

    #[test]
    fn a_cookie_value_reads_back_and_names_one_key() {
        let id = SessionId::generate().unwrap();
        let value = id.cookie_value();
        assert_eq!(value.len(), COOKIE_VALUE_LENGTH);
        assert_eq!(SessionKey::of_cookie_value(value.as_bytes()), Some(id.key()));
        assert_eq!(id.key(), SessionKey(Sha256::digest(value.as_bytes()).into()));
    }

    #[test]
    fn nothing_prints_the_secret() {
        let id = SessionId::generate().unwrap();
        assert_eq!(format!("{id:?}"), "SessionId(…)");
        let key = SessionKey([7; 32]);
        let handle = key.handle();
        assert_eq!((handle.as_str(), handle.to_string().as_str()), ("jjonlkvsptrekz2u", "jjonlkvsptrekz2u"));
        assert_eq!(format!("{key:?} {handle:?}"), "SessionKey(jjonlkvsptrekz2u) Handle(jjonlkvsptrekz2u)");
    }

    #[test]
    fn affinities_are_a_part_of_the_key() {
        let key = SessionKey(std::array::from_fn(|at| at as u8));
        assert_eq!(key.affinity(), 0x0706_0504_0302_0100);
    }

    #[test]
    fn handles_are_no_prefix_of_the_key() {
        let key = SessionId::generate().unwrap().key();
        let of_key = BASE32_NOPAD.encode(&key.0).to_ascii_lowercase();
        assert!(!of_key.starts_with(key.handle().as_str()));
    }
}
