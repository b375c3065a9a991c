//! The secret in the browser's cookie, and the two names under which everybody else knows the session.

use std::fmt;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Characters of a cookie value: 32 bytes in base64url without padding.
pub const COOKIE_VALUE_LENGTH: usize = 43;

/// The 256 random bits that a browser's cookie carries. Whoever has them is the user, so they have no
/// `Display`, their `Debug` is blank, and nothing but the cookie ever holds them.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionId([u8; 32]);

/// The SHA-256 of a cookie value: what tables and stores know a session by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey([u8; 32]);

/// The public name of a session, for operators and pages: it finds a session but never opens one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Handle(String);

/// The operating system gave no random bytes: no session can be made.
#[derive(Debug, Clone, Copy)]
pub struct NoRandomness;

impl SessionId {
    /// A new id from the operating system's generator.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }

    /// The cookie value. For the `Set-Cookie` line of the person it belongs to, and nothing else.
    pub fn cookie_value(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// The name of this session in tables and stores.
    pub fn key(&self) -> SessionKey {
        let mut value = [0; COOKIE_VALUE_LENGTH];
        BASE64URL_NOPAD.encode_mut(&self.0, &mut value);
        let key = SessionKey::of(&value);
        value.zeroize();
        key
    }
}

impl SessionKey {
    /// The key of the session that a cookie value opens. `None` for anything but the one spelling that
    /// [`SessionId::cookie_value`] gives.
    pub fn of_cookie_value(value: &[u8]) -> Option<Self> {
        if value.len() != COOKIE_VALUE_LENGTH {
            return None;
        }
        // 43 characters carry 258 bits, and the decoder refuses the two extra ones unless they are zero.
        let mut bytes = [0; 32];
        let read = BASE64URL_NOPAD.decode_mut(value, &mut bytes);
        bytes.zeroize();
        read.ok().map(|_| Self::of(value))
    }

    fn of(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }

    /// A number that spreads sessions evenly. It never leaves the program.
    pub fn affinity(&self) -> u64 {
        self.0.first_chunk().map_or(0, |head| u64::from_ne_bytes(*head))
    }

    /// The public name that belongs to this key.
    pub fn handle(&self) -> Handle {
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

    #[test]
    fn a_cookie_value_reads_back_and_names_one_key() {
        let id = SessionId::generate().unwrap();
        let value = id.cookie_value();
        assert_eq!(value.len(), COOKIE_VALUE_LENGTH);
        assert_eq!(SessionKey::of_cookie_value(value.as_bytes()), Some(id.key()));
        assert_eq!(id.key(), SessionKey(Sha256::digest(value.as_bytes()).into()));
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let value = SessionId([0xff; 32]).cookie_value();
        assert!(SessionKey::of_cookie_value(value.as_bytes()).is_some());
        let odd: [&[u8]; 6] = [b"", b"a", &[b'A'; 42], &[b'A'; 44], &[b'+'; 43], &[0xff; 43]];
        assert!(odd.iter().all(|value| SessionKey::of_cookie_value(value).is_none()));
        // The last character carries two bits that must be zero: "-" would be a second name of "_8".
        let twin = format!("{}-", &value[..42]);
        assert!(SessionKey::of_cookie_value(twin.as_bytes()).is_none());
    }

    #[test]
    fn nothing_prints_the_secret() {
        let id = SessionId::generate().unwrap();
        let prints = format!("{id:?} {:?} {}", id.key(), id.key().handle());
        assert!(!prints.contains(&id.cookie_value()));
        assert!(!id.key().handle().as_str().is_empty());
    }

    #[test]
    fn handles_are_no_prefix_of_the_key() {
        let key = SessionId::generate().unwrap().key();
        let of_key = BASE32_NOPAD.encode(&key.0).to_ascii_lowercase();
        assert!(!of_key.starts_with(key.handle().as_str()));
    }
}
