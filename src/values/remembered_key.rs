//! A cache of the last session cookie of a connection and its key: a browser sends the same cookie with every request,
//! and its hash is most of the cost of a lookup.
//!
//! Only the hash is cached: the session itself is looked up for every request. The value is compared in constant time,
//! because a proxy in front may send the requests of several browsers over one connection. It is erased when it is
//! replaced and when the connection is closed.

use std::fmt;

use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::secret::COOKIE_VALUE_LENGTH;
use super::session_id::SessionKey;

/// The last session cookie of one connection. Boxed, since many connections have none.
#[derive(Default)]
pub(crate) struct RememberedKey(Mutex<Option<Box<Remembered>>>);

#[derive(Zeroize, ZeroizeOnDrop)]
struct Remembered {
    value: Padded,
    #[zeroize(skip)]
    key: SessionKey,
}

/// A cookie value, padded with zeros.
type Padded = [u64; COOKIE_VALUE_LENGTH.div_ceil(8)];

impl RememberedKey {
    /// The result of [`SessionKey::of_cookie_value`] for this value.
    pub(crate) fn of_cookie_value(&self, value: &[u8]) -> Option<SessionKey> {
        let padded = padded(value)?;
        // The requests of a connection are handled one after another, so the lock is never contended.
        let mut remembered = self.0.lock();
        if let Some(last) = remembered.as_deref()
            && bool::from(last.value.as_slice().ct_eq(&padded))
        {
            return Some(last.key);
        }
        let key = SessionKey::of_cookie_value(value)?;
        *remembered = Some(Box::new(Remembered { value: padded, key }));
        Some(key)
    }
}

impl fmt::Debug for RememberedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RememberedKey(…)")
    }
}

/// `None` for values of another length.
fn padded(value: &[u8]) -> Option<Padded> {
    let value: &[u8; COOKIE_VALUE_LENGTH] = value.try_into().ok()?;
    let (words, rest) = value.as_chunks();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    let mut padded = Padded::default();
    let words = words.iter().chain([&last]);
    padded.iter_mut().zip(words).for_each(|(place, word)| *place = u64::from_ne_bytes(*word));
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::session_id::SessionId;

    fn value() -> Vec<u8> {
        SessionId::generate().unwrap().cookie_value().into_bytes()
    }

    #[test]
    fn every_value_gets_its_key_in_any_order() {
        let (remembered, one, other) = (RememberedKey::default(), value(), value());
        for value in [&one, &one, &other, &one, &other, &other] {
            assert_eq!(remembered.of_cookie_value(value), SessionKey::of_cookie_value(value));
        }
    }

    #[test]
    fn a_value_that_differs_in_one_byte_has_another_key() {
        let (remembered, value) = (RememberedKey::default(), value());
        assert!(remembered.of_cookie_value(&value).is_some());
        for at in 0..value.len() {
            for byte in 0..=u8::MAX {
                let mut other = value.clone();
                other[at] = byte;
                assert_eq!(remembered.of_cookie_value(&other), SessionKey::of_cookie_value(&other), "{byte} at {at}");
                assert_eq!(remembered.of_cookie_value(&value), SessionKey::of_cookie_value(&value));
            }
        }
    }

    #[test]
    fn malformed_values_have_no_key() {
        let (remembered, value) = (RememberedKey::default(), value());
        assert!(remembered.of_cookie_value(&value).is_some());
        for other in [b"".as_slice(), &value[1..], &[&value[..], b"\0"].concat(), &[b'+'; COOKIE_VALUE_LENGTH]] {
            assert_eq!(remembered.of_cookie_value(other), None);
        }
        assert!(remembered.of_cookie_value(&value).is_some());
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let (remembered, value) = (RememberedKey::default(), value());
        assert!(remembered.of_cookie_value(&value).is_some());
        assert_eq!(format!("{remembered:?}"), "RememberedKey(…)");
    }
}
