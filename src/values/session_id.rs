//! The session id in the cookie, and two values derived from it: the key of the session, and its public handle.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

pub(crate) use super::secret::NoRandomness;
use super::secret::{CookieSecret, digest_of, is_cookie_value};

/// The session id: 256 random bits in the cookie. It is a bearer credential, so there is no `Display`, `Debug` does not
/// show it, and it is stored nowhere but in the cookie.
#[derive(Clone)]
pub struct SessionId(CookieSecret);

/// The SHA-256 of a cookie value, by which tables and stores identify a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey([u8; 32]);

/// The public handle of a session, for operators and pages. A session can be found by it, but not used.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Handle(String);

impl SessionId {
    /// A new id from the operating system's random source.
    ///
    /// # Errors
    /// The random source fails.
    pub fn generate() -> Result<Self, NoRandomness> {
        CookieSecret::generate().map(Self)
    }

    /// The cookie value. It is only for the `Set-Cookie` header of the user's own answer.
    pub fn cookie_value(&self) -> String {
        self.0.cookie_value()
    }

    /// The key of the session.
    pub fn key(&self) -> SessionKey {
        SessionKey(self.0.digest())
    }
}

impl SessionKey {
    /// The key for a cookie value; `None` unless it has exactly the form that [`SessionId::cookie_value`] makes.
    pub fn of_cookie_value(value: &[u8]) -> Option<Self> {
        is_cookie_value(value).then(|| Self(digest_of(value)))
    }

    /// The hash as bytes, for stores.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key from the bytes in a store.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first eight bytes. They find a session, but never authenticate a request.
    pub(crate) fn head(&self) -> u64 {
        self.0.first_chunk().map_or(0, |head| u64::from_le_bytes(*head))
    }

    /// A hash for sticky load balancing, the same on every machine. It never leaves the program.
    pub(crate) fn affinity(&self) -> u64 {
        self.head()
    }

    /// The handle: base32 of the first 10 bytes of a hash of the key.
    pub fn handle(&self) -> Handle {
        let hash = Sha256::new().chain_update(b"handle").chain_update(self.0).finalize();
        let (head, _) = hash.split_at(10);
        Handle(BASE32_NOPAD.encode(head).to_ascii_lowercase())
    }
}

impl Handle {
    /// The 16 characters of the handle.
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
    fn debug_does_not_show_the_secret() {
        let id = SessionId::generate().unwrap();
        assert_eq!(format!("{id:?}"), "SessionId(…)");
        let key = SessionKey([7; 32]);
        let handle = key.handle();
        assert_eq!((handle.as_str(), handle.to_string().as_str()), ("jjonlkvsptrekz2u", "jjonlkvsptrekz2u"));
        assert_eq!(format!("{key:?} {handle:?}"), "SessionKey(jjonlkvsptrekz2u) Handle(jjonlkvsptrekz2u)");
    }

    #[test]
    fn the_affinity_is_a_part_of_the_key() {
        let key = SessionKey(std::array::from_fn(|at| at as u8));
        assert_eq!(key.affinity(), 0x0706_0504_0302_0100);
    }

    #[test]
    fn the_handle_is_not_a_prefix_of_the_key() {
        let key = SessionId::generate().unwrap().key();
        let of_key = BASE32_NOPAD.encode(&key.0).to_ascii_lowercase();
        assert!(!of_key.starts_with(key.handle().as_str()));
    }
}
