//! What tells a browser that somebody has signed in with before from all others. It opens nothing: whoever has it
//! still needs the password, and only has tries of his own at it.

use std::fmt;

use super::secret::{CookieSecret, NoRandomness};

/// The 256 random bits of the long-lived cookie.
#[derive(Clone)]
pub struct KnownId(CookieSecret);

/// The SHA-256 of its cookie value: what tables know it by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KnownKey([u8; 32]);

impl KnownId {
    /// A new one, from the operating system's generator.
    pub fn generate() -> Result<Self, NoRandomness> {
        CookieSecret::generate().map(Self)
    }

    /// Reads a cookie value. `None` for anything but the one spelling of a value of ours.
    pub fn parse(value: &[u8]) -> Option<Self> {
        CookieSecret::parse(value).map(Self)
    }

    /// The cookie value, for the `Set-Cookie` line.
    pub fn cookie_value(&self) -> String {
        self.0.cookie_value()
    }

    /// Its name in tables.
    pub fn key(&self) -> KnownKey {
        KnownKey(self.0.digest())
    }
}

impl fmt::Debug for KnownId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownId(…)")
    }
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_value_reads_back_and_is_never_printed() {
        let id = KnownId::generate().unwrap();
        let value = id.cookie_value();
        let again = KnownId::parse(value.as_bytes()).unwrap();
        assert_eq!(again.key(), id.key());
        assert_ne!(KnownId::generate().unwrap().key(), id.key());
        assert_eq!(format!("{id:?} {:?}", id.key()), "KnownId(…) KnownKey(…)");
    }
}
