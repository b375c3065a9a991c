//! The hand-over of a session from the login host to another own host: the secrets that the browser carries.
//!
//! Two secrets, sent in different ways. The hop is a cookie of the host that asked, so it stays in the browser that
//! asked; the login host learns its hash. The code is in the address to which the login host redirects. Only both
//! together open anything.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::secret::{CookieSecret, NoRandomness, digest_of, is_cookie_value};

/// The secret in the cookie of the host that asked. Its `Debug` is blank.
#[derive(Clone)]
pub(crate) struct Hop(Zeroizing<String>);

/// The SHA-256 of a hop, sent to the login host. It opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HopHash([u8; 32]);

/// The secret in the address that leads back. It counts once. Its `Debug` is blank.
#[derive(Clone)]
pub(crate) struct EnterCode(CookieSecret);

/// The SHA-256 of a code: its key in the gateway's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EnterKey([u8; 32]);

impl Hop {
    /// A new one, from the operating system's generator.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        CookieSecret::generate().map(|secret| Self(secret.cookie_value().into()))
    }

    /// Reads a cookie value; `None` for anything but the one spelling that [`Hop::generate`] gives.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok().filter(|_| is_cookie_value(value))?;
        Some(Self(text.to_owned().into()))
    }

    /// The cookie value.
    pub(crate) fn cookie_value(&self) -> &str {
        &self.0
    }

    /// The hash that is sent to the login host.
    pub(crate) fn hash(&self) -> HopHash {
        HopHash(digest_of(self.0.as_bytes()))
    }
}

impl HopHash {
    /// Reads what [`HopHash::encode`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// The bytes, for stores.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash that a store has kept.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash as it stands in an address.
    pub(crate) fn encode(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl EnterCode {
    /// A new one, from the operating system's generator.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        CookieSecret::generate().map(Self)
    }

    /// The code as it stands in the address.
    pub(crate) fn encode(&self) -> String {
        self.0.cookie_value()
    }

    /// Its key in the gateway's table.
    pub(crate) fn key(&self) -> EnterKey {
        EnterKey(self.0.digest())
    }
}

impl EnterKey {
    /// The key of a code from an address; `None` if it is not a valid code.
    pub(crate) fn of_code(text: &str) -> Option<Self> {
        is_cookie_value(text.as_bytes()).then(|| Self(digest_of(text.as_bytes())))
    }

    /// The bytes, for stores.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hop(…)")
    }
}

impl fmt::Debug for EnterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnterCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reads_back_and_nothing_else_does() {
        let (hop, code) = (Hop::generate().unwrap(), EnterCode::generate().unwrap());
        assert_eq!(Hop::parse(hop.cookie_value().as_bytes()).map(|hop| hop.hash()), Some(hop.hash()));
        assert_eq!(HopHash::parse(&hop.hash().encode()), Some(hop.hash()));
        assert_eq!(EnterKey::of_code(&code.encode()), Some(code.key()));
        assert_ne!(HopHash::parse(hop.cookie_value()), Some(hop.hash()), "the hop itself is not its hash");
        for odd in ["", "a", "=", &"A".repeat(44), "ä"] {
            assert!(HopHash::parse(odd).is_none() && EnterKey::of_code(odd).is_none(), "{odd}");
            assert!(Hop::parse(odd.as_bytes()).is_none(), "{odd}");
        }
        assert_eq!(format!("{hop:?} {code:?}"), "Hop(…) EnterCode(…)");
    }
}
