//! Random secrets that browsers carry in cookies. Each kind has a type of its own around this one, and its own
//! tables: none is ever accepted as another.

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Characters of a cookie value: 32 bytes in base64url without padding.
pub(crate) const COOKIE_VALUE_LENGTH: usize = 43;

/// 256 random bits. No `Display` and no `Debug`: nothing but the cookie ever holds them.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct CookieSecret([u8; 32]);

/// The operating system gave no random bytes: no secret can be made.
#[derive(Debug, Clone, Copy)]
pub struct NoRandomness;

impl CookieSecret {
    /// New bits from the operating system's generator.
    pub(super) fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Reads a cookie value, to compare [`is_cookie_value`] with. `None` for anything but the one spelling that
    /// [`CookieSecret::cookie_value`] gives.
    #[cfg(test)]
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != COOKIE_VALUE_LENGTH {
            return None;
        }
        // 43 characters carry 258 bits, and the decoder refuses the two extra ones unless they are zero.
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

/// Whether this is the one spelling of some secret, told without reading the secret.
pub(super) fn is_cookie_value(value: &[u8]) -> bool {
    let spelled = |byte: u8| {
        byte.is_ascii_lowercase() | byte.is_ascii_uppercase() | byte.is_ascii_digit() | (byte == b'-') | (byte == b'_')
    };
    // 43 characters carry 258 bits: the last one has two that are zero.
    let whole =
        value.len() == COOKIE_VALUE_LENGTH && value.last().is_some_and(|last| b"AEIMQUYcgkosw048".contains(last));
    // To a length that the compiler compares many bytes of at once.
    let mut padded = [b'A'; 48];
    padded.iter_mut().zip(value).for_each(|(place, byte)| *place = *byte);
    whole && padded.iter().fold(true, |fine, &byte| fine & spelled(byte))
}

/// The SHA-256 of a cookie value. Every request with a cookie needs one: this library has it in assembly for every
/// processor, with and without instructions of its own for it.
pub(super) fn digest_of(value: &[u8]) -> [u8; 32] {
    // It is exactly as long.
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
        // The last character carries two bits that must be zero: "-" would be a second name of "_8".
        let twin = format!("{}-", &value[..42]);
        assert!(CookieSecret::parse(twin.as_bytes()).is_none());
    }

    #[test]
    fn a_value_is_told_as_it_is_read() {
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
