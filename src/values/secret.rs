//! Random secrets in cookies. Each kind of cookie has a separate type around this one and separate tables, so that a
//! secret of one kind is never accepted as one of another.

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The length of a cookie value: 32 bytes in base64url without padding.
pub(crate) const COOKIE_VALUE_LENGTH: usize = 43;

/// 256 random bits. There is no `Display` and no `Debug`, so that they get into nothing but the cookie.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct CookieSecret([u8; 32]);

/// The operating system's random source failed: no secret can be made.
#[derive(Debug, Clone, Copy)]
pub struct NoRandomness;

impl CookieSecret {
    /// A new secret from the operating system's random source.
    ///
    /// # Errors
    /// The random source fails.
    pub(super) fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Parses a cookie value, as a reference for [`is_cookie_value`]; `None` unless it has exactly the form that
    /// [`CookieSecret::cookie_value`] makes.
    #[cfg(test)]
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != COOKIE_VALUE_LENGTH {
            return None;
        }
        // 43 characters have 258 bits; the decoder requires the two extra ones to be zero.
        let mut bytes = [0; 32];
        let read = BASE64URL_NOPAD.decode_mut(value, &mut bytes).ok()?;
        (read == bytes.len()).then_some(Self(bytes))
    }

    /// The cookie value.
    pub(super) fn cookie_value(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// The SHA-256 of the cookie value.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut value = [0; COOKIE_VALUE_LENGTH];
        BASE64URL_NOPAD.encode_mut(&self.0, &mut value);
        let digest = digest_of(&value);
        value.zeroize();
        digest
    }
}

/// Whether a value is a well-formed, canonical cookie value, without decoding the secret.
pub(super) fn is_cookie_value(value: &[u8]) -> bool {
    let spelled = |byte: u8| {
        byte.is_ascii_lowercase() | byte.is_ascii_uppercase() | byte.is_ascii_digit() | (byte == b'-') | (byte == b'_')
    };
    // 43 characters have 258 bits: two bits of the last character are zero.
    let whole =
        value.len() == COOKIE_VALUE_LENGTH && value.last().is_some_and(|last| b"AEIMQUYcgkosw048".contains(last));
    // Padded to a length for which the compiler can vectorise the loop.
    let mut padded = [b'A'; 48];
    padded.iter_mut().zip(value).for_each(|(place, byte)| *place = *byte);
    whole && padded.iter().fold(true, |fine, &byte| fine & spelled(byte))
}

/// The SHA-256 of a cookie value. Since every request with a cookie may need it, the implementation in assembly of
/// `ring` is used, which is fast with and without SHA instructions of the processor.
pub(super) fn digest_of(value: &[u8]) -> [u8; 32] {
    // The digest has exactly 32 bytes.
    digest(&SHA256, value).as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let value = CookieSecret([0xff; 32]).cookie_value();
        assert!(CookieSecret::parse(value.as_bytes()).is_some());
        let odd: [&[u8]; 6] = [b"", b"a", &[b'A'; 42], &[b'A'; 44], &[b'+'; 43], &[0xff; 43]];
        assert!(odd.iter().all(|value| CookieSecret::parse(value).is_none()));
        // The last character has two bits that must be zero: otherwise a value would have several spellings.
        let twin = format!("{}-", &value[..42]);
        assert!(CookieSecret::parse(twin.as_bytes()).is_none());
    }

    #[test]
    fn well_formed_values_are_those_that_can_be_parsed() {
        let value = CookieSecret::generate().unwrap().cookie_value().into_bytes();
        for at in 0..value.len() {
            for byte in 0..=u8::MAX {
                let mut other = value.clone();
                other[at] = byte;
                assert_eq!(is_cookie_value(&other), CookieSecret::parse(&other).is_some(), "{byte} at {at}");
            }
        }
        assert!(!is_cookie_value(b"") && !is_cookie_value(&value[1..]));
    }
}
