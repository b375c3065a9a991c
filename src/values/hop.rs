//! The secrets for the hand-over of a session from the login host to another host of the gateway.
//!
//! There are two secrets on different channels. The hop is a cookie of the requesting host, which binds the hand-over
//! to the browser; the login host receives its hash. The code is in the URL to which the login host redirects. A
//! session is handed over only for both together.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::secret::{CookieSecret, NoRandomness, digest_of, is_cookie_value};

/// The secret in the cookie of the requesting host. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Hop(Zeroizing<String>);

/// The SHA-256 of a hop, which is sent to the login host. It is not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HopHash([u8; 32]);

/// The secret in the URL of the redirect. It can be redeemed once. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct EnterCode(CookieSecret);

/// The SHA-256 of a code, by which it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EnterKey([u8; 32]);

impl Hop {
    /// A new hop from the operating system's random source.
    ///
    /// # Errors
    /// The random source fails.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        CookieSecret::generate().map(|secret| Self(secret.cookie_value().into()))
    }

    /// Parses a cookie value; `None` unless it has exactly the form that [`Hop::generate`] makes.
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
    /// Parses the output of [`HopHash::encode`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// The bytes, for stores.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash from the bytes in a store.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash in base64url, for URLs.
    pub(crate) fn encode(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl EnterCode {
    /// A new code from the operating system's random source.
    ///
    /// # Errors
    /// The random source fails.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        CookieSecret::generate().map(Self)
    }

    /// The code in base64url, for URLs.
    pub(crate) fn encode(&self) -> String {
        self.0.cookie_value()
    }

    /// The key of the code.
    pub(crate) fn key(&self) -> EnterKey {
        EnterKey(self.0.digest())
    }
}

impl EnterKey {
    /// The key of a code from a URL; `None` if it is malformed.
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
    fn secrets_and_hashes_read_back_and_malformed_ones_are_refused() {
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
