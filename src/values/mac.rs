//! Message authentication codes, by which the gateway verifies values that it gave to a browser or a store.
//!
//! HMAC-SHA-256 (RFC 2104), truncated to 128 bits. Every purpose has its own domain, and each part of a message is
//! preceded by its length, so a code for one purpose or list of parts is never valid for another.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::hmac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::secret::NoRandomness;

/// The length of a code in bytes: half of the output of SHA-256.
pub(crate) const MAC_LENGTH: usize = 16;
/// The length of a key in bytes.
const KEY_LENGTH: usize = 32;
/// The maximum number of keys in a file.
const MAX_KEYS: usize = 16;

/// The purpose of a code: what it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MacPurpose {
    /// A user has signed in with this browser before.
    KnownBrowser,
    /// The gateway itself chose the target after the sign-in.
    ReturnTarget,
    /// The gateway wrote the receipt of a logout that the next page shows.
    Receipt,
    /// A name and a password were verified recently. Never leaves the process.
    BasicCredentials,
    /// The stored password hash of a user has not changed since the sign-in.
    Credential,
    /// This browser's data on a host may be cleared.
    ClearedHost,
    /// The gateway chose the chain of redirects over the hosts whose data is cleared.
    ClearingWay,
    /// This browser has signed out and is being redirected over other hosts.
    LeftBrowser,
    /// Derives the key with which the cookies of applications are sealed in a store.
    SealedJar,
    /// The gateways that share a store have the same keys.
    SharedStore,
    /// Identifies a key without revealing it.
    Fingerprint,
}

impl MacPurpose {
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::KnownBrowser => b"exeunt known browser 1",
            Self::ReturnTarget => b"exeunt return target 1",
            Self::Receipt => b"exeunt receipt 1",
            Self::BasicCredentials => b"exeunt basic credentials 1",
            Self::Credential => b"exeunt credential 1",
            Self::ClearedHost => b"exeunt cleared host 1",
            Self::ClearingWay => b"exeunt clearing way 1",
            Self::LeftBrowser => b"exeunt left browser 1",
            Self::SealedJar => b"exeunt sealed jar 1",
            Self::SharedStore => b"exeunt shared store 1",
            Self::Fingerprint => b"exeunt fingerprint 1",
        }
    }
}

/// A code. It can only be compared by [`MacKeys::verify`], which takes constant time.
#[derive(Clone, Copy)]
pub(crate) struct Mac([u8; MAC_LENGTH]);

impl Mac {
    /// Parses the output of [`Mac::encode`]; other spellings of the same bytes are refused.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAC_LENGTH];
        if BASE64URL_NOPAD.decode_len(text.len()).ok()? != MAC_LENGTH {
            return None;
        }
        BASE64URL_NOPAD.decode_mut(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The code as 22 characters of base64url.
    pub(crate) fn encode(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

/// The keys: the first one signs, all of them verify. Gateways with the same keys accept each other's codes. Keys are
/// rotated by adding a new first one.
pub struct MacKeys {
    first: hmac::Key,
    further: Vec<hmac::Key>,
}

/// The difference between two lists of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChanges {
    /// The number of keys that are newly accepted.
    pub added: usize,
    /// The number of keys that are no longer accepted.
    pub removed: usize,
    /// Whether another key signs.
    pub signs: bool,
}

/// Why a text is not a valid list of keys. It contains nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadKeys {
    /// It contains no key.
    #[error("it has no key")]
    Empty,
    /// This line, counted from 1, is not a key.
    #[error("line {0} must be a key of 64 hexadecimal digits")]
    Line(usize),
    /// It contains more than [`MAX_KEYS`] keys.
    #[error("there must be at most {MAX_KEYS} keys in it")]
    TooMany,
}

impl MacKeys {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    /// The random source fails.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        getrandom::fill(&mut *bytes).map_err(|_| NoRandomness)?;
        Ok(Self { first: key(&*bytes), further: Vec::new() })
    }

    /// A new key as text, for the key file.
    ///
    /// # Errors
    /// The random source fails.
    pub(crate) fn generate_text() -> Result<Zeroizing<String>, NoRandomness> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        getrandom::fill(&mut *bytes).map_err(|_| NoRandomness)?;
        Ok(Zeroizing::new(HEXLOWER.encode(&*bytes)))
    }

    /// Parses keys of 64 hexadecimal digits, one on each line. Empty lines and lines that begin with `#` are ignored.
    ///
    /// # Errors
    /// [`BadKeys`]
    pub(crate) fn parse(text: &str) -> Result<Self, BadKeys> {
        let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
        let mut keys = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')).map(read_line);
        let first = keys.next().ok_or(BadKeys::Empty)??;
        let further: Vec<_> = keys.collect::<Result<_, _>>()?;
        if further.len() < MAX_KEYS { Ok(Self { first, further }) } else { Err(BadKeys::TooMany) }
    }

    /// The code for these parts, made with the first key.
    pub(crate) fn sign(&self, purpose: MacPurpose, parts: &[&[u8]]) -> Mac {
        code(&self.first, purpose, parts)
    }

    /// Whether the code was made for these parts with one of the keys.
    pub(crate) fn verify(&self, purpose: MacPurpose, parts: &[&[u8]], mac: &Mac) -> bool {
        let made_by = |key| bool::from(code(key, purpose, parts).0.ct_eq(&mac.0));
        made_by(&self.first) || self.further.iter().any(made_by)
    }
}

impl MacKeys {
    /// The difference from these keys to `after`; `None` if both have the same keys with the same first one.
    pub(crate) fn changes(&self, after: &Self) -> Option<KeyChanges> {
        let (old, new) = (self.fingerprints(), after.fingerprints());
        let missing =
            |from: &[Mac], of: &[Mac]| of.iter().filter(|key| from.iter().all(|other| other.0 != key.0)).count();
        let signs = old.first().map(|key| key.0) != new.first().map(|key| key.0);
        let changes = KeyChanges { added: missing(&old, &new), removed: missing(&new, &old), signs };
        (changes != KeyChanges::default()).then_some(changes)
    }

    /// The fingerprints of the keys in their order. A fingerprint does not reveal its key.
    pub(crate) fn fingerprints(&self) -> Vec<Mac> {
        std::iter::once(&self.first).chain(&self.further).map(|key| code(key, MacPurpose::Fingerprint, &[])).collect()
    }

    /// The fingerprints for display: 8 hexadecimal digits each.
    pub(crate) fn short_fingerprints(&self) -> Vec<String> {
        let fingerprints = self.fingerprints();
        fingerprints.iter().filter_map(|key| key.0.first_chunk::<4>()).map(|bytes| HEXLOWER.encode(bytes)).collect()
    }

    /// Derives a key for this purpose and these parts from each key, in their order.
    pub(super) fn derived(&self, purpose: MacPurpose, parts: &[&[u8]]) -> impl Iterator<Item = hmac::Tag> {
        std::iter::once(&self.first).chain(&self.further).map(move |key| tag(key, purpose, parts))
    }
}

impl fmt::Debug for MacKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKeys(…)")
    }
}

fn key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

fn read_line((line, number): (&str, usize)) -> Result<hmac::Key, BadKeys> {
    let mut bytes = HEXLOWER_PERMISSIVE.decode(line.as_bytes()).map_err(|_| BadKeys::Line(number))?;
    let read = if bytes.len() == KEY_LENGTH { Ok(key(&bytes)) } else { Err(BadKeys::Line(number)) };
    bytes.zeroize();
    read
}

fn code(key: &hmac::Key, purpose: MacPurpose, parts: &[&[u8]]) -> Mac {
    Mac(tag(key, purpose, parts).as_ref().first_chunk().copied().unwrap_or_default())
}

fn tag(key: &hmac::Key, purpose: MacPurpose, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in [purpose.domain()].iter().chain(parts) {
        // Each part is preceded by its length, so that `["ab", "c"]` and `["a", "bc"]` are different messages.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn other() -> String {
        KEY.replace('0', "a")
    }

    /// Computed with Python's `hmac` module.
    #[test]
    fn it_is_hmac_sha256_over_the_purpose_and_the_parts() {
        let keys = MacKeys::parse(KEY).unwrap();
        assert_eq!(keys.sign(MacPurpose::ReturnTarget, &[b"/a?b", b""]).encode(), "ivs_tpSH6ZtqNwv6qBNi7Q");
    }

    #[test]
    fn a_code_is_valid_only_for_its_purpose_parts_and_keys() {
        let keys = MacKeys::parse(KEY).unwrap();
        let mac = keys.sign(MacPurpose::Receipt, &[b"ab", b"c"]);
        assert!(keys.verify(MacPurpose::Receipt, &[b"ab", b"c"], &mac));
        assert!(!keys.verify(MacPurpose::ReturnTarget, &[b"ab", b"c"], &mac));
        for parts in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"", b"ab", b"c"], &[b"ab", b"d"]] {
            assert!(!keys.verify(MacPurpose::Receipt, parts, &mac), "{parts:?}");
        }
        assert!(!MacKeys::parse(&other()).unwrap().verify(MacPurpose::Receipt, &[b"ab", b"c"], &mac));
        assert!(!MacKeys::generate().unwrap().verify(MacPurpose::Receipt, &[b"ab", b"c"], &mac));
    }

    #[test]
    fn every_bit_of_a_code_is_compared() {
        let keys = MacKeys::generate().unwrap();
        let mac = keys.sign(MacPurpose::KnownBrowser, &[b"alice"]);
        for bit in 0..MAC_LENGTH * 8 {
            let mut bytes = mac.0;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!keys.verify(MacPurpose::KnownBrowser, &[b"alice"], &Mac(bytes)), "{bit}");
        }
    }

    #[test]
    fn after_a_rotation_old_codes_are_valid_and_new_ones_use_the_new_key() {
        let [before, after] = [KEY.to_owned(), format!("{}\n# the one before\n\n{KEY}\n", other())]
            .map(|text| MacKeys::parse(&text).unwrap());
        let old = before.sign(MacPurpose::Receipt, &[b"a"]);
        let new = after.sign(MacPurpose::Receipt, &[b"a"]);
        assert!(after.verify(MacPurpose::Receipt, &[b"a"], &old) && after.verify(MacPurpose::Receipt, &[b"a"], &new));
        assert!(!before.verify(MacPurpose::Receipt, &[b"a"], &new));
    }

    #[test]
    fn changes_of_keys_are_counted_and_the_order_of_further_keys_is_ignored() {
        let keys = |digits: &str| {
            let lines: Vec<_> = digits.chars().map(|digit| String::from(digit).repeat(64)).collect();
            MacKeys::parse(&lines.join("\n")).unwrap()
        };
        let cases = [
            ("1", "1", None),
            ("123", "132", None),
            ("1", "12", Some((1, 0, false))),
            ("12", "21", Some((0, 0, true))),
            ("1", "21", Some((1, 0, true))),
            ("21", "2", Some((0, 1, false))),
            ("12", "3", Some((1, 2, true))),
        ];
        for (before, after, want) in cases {
            let want = want.map(|(added, removed, signs)| KeyChanges { added, removed, signs });
            assert_eq!(keys(before).changes(&keys(after)), want, "{before} {after}");
        }
    }

    #[test]
    fn malformed_keys_are_refused() {
        let short = &KEY[2..];
        let cases = [
            (String::new(), BadKeys::Empty),
            ("# a comment\n\n".to_owned(), BadKeys::Empty),
            (short.to_owned(), BadKeys::Line(1)),
            (format!("{KEY}00"), BadKeys::Line(1)),
            (format!("{KEY}\n{short}g0"), BadKeys::Line(2)),
            (format!("{KEY}\n\nkey = {KEY}"), BadKeys::Line(3)),
            (format!("{KEY}\n").repeat(MAX_KEYS + 1), BadKeys::TooMany),
        ];
        for (text, want) in cases {
            assert_eq!(MacKeys::parse(&text).unwrap_err(), want, "{text}");
        }
        for text in [KEY.to_uppercase(), format!(" {KEY} \r\n"), format!("{KEY}\n").repeat(MAX_KEYS)] {
            assert!(MacKeys::parse(&text).is_ok(), "{text}");
        }
        let [one, two] = [(), ()].map(|()| MacKeys::generate_text().unwrap());
        assert!(MacKeys::parse(&one).is_ok() && one != two);
    }

    #[test]
    fn codes_have_one_spelling_and_debug_shows_no_keys() {
        let keys = MacKeys::parse(KEY).unwrap();
        let mac = keys.sign(MacPurpose::Receipt, &[]);
        let text = mac.encode();
        assert!(keys.verify(MacPurpose::Receipt, &[], &Mac::parse(text.as_bytes()).unwrap()));
        let twin = format!("{}{}", &text[..21], if text.ends_with('A') { 'B' } else { 'z' });
        for odd in
            ["", "a", &text[1..], &format!("{text}="), &format!("{text}AA"), &twin, &text.replace(&text[..1], "+")]
        {
            assert!(Mac::parse(odd.as_bytes()).is_none(), "{odd}");
        }
        assert_eq!(format!("{keys:?} {mac:?}"), "MacKeys(…) Mac(…)");
    }
}
