//! Message authentication codes: how the gateway recognises what it wrote itself when a browser brings it back.
//!
//! HMAC-SHA-256 (RFC 2104), cut to 128 bits. Every purpose has its own domain, and the parts of a message are joined
//! with their lengths: a code that was made for one purpose or one list of parts never verifies for another.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::hmac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::secret::NoRandomness;

/// Bytes of a code: half of what SHA-256 gives.
pub(crate) const MAC_LENGTH: usize = 16;
/// Bytes of a key.
const KEY_LENGTH: usize = 32;
/// Keys that one file may hold: a few rotations.
const MAX_KEYS: usize = 16;

/// The purpose of a code: what it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A user has signed in with this browser before.
    KnownBrowser,
    /// The gateway itself wrote down where to go after the sign-in.
    ReturnTarget,
    /// The receipt of a logout, shown on the next page.
    Receipt,
    /// A name and a password that were checked a short while ago. Never leaves the process.
    BasicCredentials,
    /// What is stored of a user's password has not changed since the sign-in.
    Credential,
    /// This browser's data of a host may be cleared.
    ClearedHost,
    /// The way over the hosts whose data is cleared.
    ClearingWay,
    /// This browser has signed out and is led over other hosts.
    LeftBrowser,
    /// The cookies of applications in a store: the key that they are sealed with is made with it.
    SealedJar,
    /// Gateways that share a store have the same keys.
    SharedStore,
    /// Tells keys apart without showing them.
    Fingerprint,
}

impl Purpose {
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

/// A code. It can only be compared by [`MacKeys::verify`], in constant time.
#[derive(Clone, Copy)]
pub(crate) struct Mac([u8; MAC_LENGTH]);

impl Mac {
    /// Reads what [`Mac::encode`] wrote, and no other spelling.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAC_LENGTH];
        if BASE64URL_NOPAD.decode_len(text.len()).ok()? != MAC_LENGTH {
            return None;
        }
        BASE64URL_NOPAD.decode_mut(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// 22 characters of base64url.
    pub(crate) fn encode(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

/// The keys: the first one signs, all of them verify. Gateways with the same keys accept each other's codes.
pub struct MacKeys {
    first: hmac::Key,
    further: Vec<hmac::Key>,
}

/// How one list of keys differs from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChanges {
    /// Keys that are accepted now, and were not before.
    pub added: usize,
    /// Keys that are no longer accepted.
    pub removed: usize,
    /// Another key signs.
    pub signs: bool,
}

/// Why a text does not hold keys. It repeats nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadKeys {
    /// It contains no key.
    Empty,
    /// This line, counted from 1, is not a key.
    Line(usize),
    /// There are too many.
    TooMany,
}

impl MacKeys {
    /// One new key, from the operating system's generator.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        getrandom::fill(&mut *bytes).map_err(|_| NoRandomness)?;
        Ok(Self { first: key(&*bytes), further: Vec::new() })
    }

    /// The text form of a new key, for the key file.
    pub(crate) fn generate_text() -> Result<Zeroizing<String>, NoRandomness> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        getrandom::fill(&mut *bytes).map_err(|_| NoRandomness)?;
        Ok(Zeroizing::new(HEXLOWER.encode(&*bytes)))
    }

    /// Reads keys, one to a line, each as 64 hexadecimal digits. Empty lines and those that begin with `#` do not
    /// count.
    ///
    /// # Errors
    /// The first line that is something else.
    pub(crate) fn parse(text: &str) -> Result<Self, BadKeys> {
        let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
        let mut keys = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')).map(read_line);
        let first = keys.next().ok_or(BadKeys::Empty)??;
        let further: Vec<_> = keys.collect::<Result<_, _>>()?;
        if further.len() < MAX_KEYS { Ok(Self { first, further }) } else { Err(BadKeys::TooMany) }
    }

    /// The code of these parts.
    pub(crate) fn sign(&self, purpose: Purpose, parts: &[&[u8]]) -> Mac {
        code(&self.first, purpose, parts)
    }

    /// Whether one of the keys made this code of these parts.
    pub(crate) fn verify(&self, purpose: Purpose, parts: &[&[u8]], mac: &Mac) -> bool {
        let made_by = |key| bool::from(code(key, purpose, parts).0.ct_eq(&mac.0));
        made_by(&self.first) || self.further.iter().any(made_by)
    }
}

impl MacKeys {
    /// What differs in `after`; `None` if both are the same keys, in whatever order the further ones are.
    pub(crate) fn changes(&self, after: &Self) -> Option<KeyChanges> {
        let (old, new) = (self.fingerprints(), after.fingerprints());
        let missing =
            |from: &[Mac], of: &[Mac]| of.iter().filter(|key| from.iter().all(|other| other.0 != key.0)).count();
        let signs = old.first().map(|key| key.0) != new.first().map(|key| key.0);
        let changes = KeyChanges { added: missing(&old, &new), removed: missing(&new, &old), signs };
        (changes != KeyChanges::default()).then_some(changes)
    }

    /// One for each key, the first one first. A fingerprint says nothing about its key.
    pub(crate) fn fingerprints(&self) -> Vec<Mac> {
        std::iter::once(&self.first).chain(&self.further).map(|key| code(key, Purpose::Fingerprint, &[])).collect()
    }

    /// The same for people: 8 hexadecimal digits each.
    pub(crate) fn short_fingerprints(&self) -> Vec<String> {
        let fingerprints = self.fingerprints();
        fingerprints.iter().filter_map(|key| key.0.first_chunk::<4>()).map(|bytes| HEXLOWER.encode(bytes)).collect()
    }

    /// For each key, the first one first, another key of this purpose and these parts.
    pub(super) fn derived(&self, purpose: Purpose, parts: &[&[u8]]) -> impl Iterator<Item = hmac::Tag> {
        std::iter::once(&self.first).chain(&self.further).map(move |key| tag(key, purpose, parts))
    }
}

impl fmt::Debug for MacKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKeys(…)")
    }
}

impl fmt::Display for BadKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it has no key"),
            Self::Line(number) => write!(f, "line {number} must be a key of 64 hexadecimal digits"),
            Self::TooMany => write!(f, "there must be at most {MAX_KEYS} keys in it"),
        }
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

fn code(key: &hmac::Key, purpose: Purpose, parts: &[&[u8]]) -> Mac {
    Mac(tag(key, purpose, parts).as_ref().first_chunk().copied().unwrap_or_default())
}

fn tag(key: &hmac::Key, purpose: Purpose, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in [purpose.domain()].iter().chain(parts) {
        // The length before each part: `["ab", "c"]` and `["a", "bc"]` are different messages.
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
        assert_eq!(keys.sign(Purpose::ReturnTarget, &[b"/a?b", b""]).encode(), "ivs_tpSH6ZtqNwv6qBNi7Q");
    }

    #[test]
    fn a_code_holds_for_its_purpose_parts_and_keys_alone() {
        let keys = MacKeys::parse(KEY).unwrap();
        let mac = keys.sign(Purpose::Receipt, &[b"ab", b"c"]);
        assert!(keys.verify(Purpose::Receipt, &[b"ab", b"c"], &mac));
        assert!(!keys.verify(Purpose::ReturnTarget, &[b"ab", b"c"], &mac));
        for parts in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"", b"ab", b"c"], &[b"ab", b"d"]] {
            assert!(!keys.verify(Purpose::Receipt, parts, &mac), "{parts:?}");
        }
        assert!(!MacKeys::parse(&other()).unwrap().verify(Purpose::Receipt, &[b"ab", b"c"], &mac));
        assert!(!MacKeys::generate().unwrap().verify(Purpose::Receipt, &[b"ab", b"c"], &mac));
    }

    #[test]
    fn every_bit_of_a_code_counts() {
        let keys = MacKeys::generate().unwrap();
        let mac = keys.sign(Purpose::KnownBrowser, &[b"alice"]);
        for bit in 0..MAC_LENGTH * 8 {
            let mut bytes = mac.0;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!keys.verify(Purpose::KnownBrowser, &[b"alice"], &Mac(bytes)), "{bit}");
        }
    }

    #[test]
    fn after_a_rotation_old_codes_hold_and_new_ones_are_of_the_new_key() {
        let [before, after] = [KEY.to_owned(), format!("{}\n# the one before\n\n{KEY}\n", other())]
            .map(|text| MacKeys::parse(&text).unwrap());
        let old = before.sign(Purpose::Receipt, &[b"a"]);
        let new = after.sign(Purpose::Receipt, &[b"a"]);
        assert!(after.verify(Purpose::Receipt, &[b"a"], &old) && after.verify(Purpose::Receipt, &[b"a"], &new));
        assert!(!before.verify(Purpose::Receipt, &[b"a"], &new));
    }

    #[test]
    fn changes_of_keys_are_counted_and_a_further_key_may_move() {
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
    fn only_whole_keys_are_read() {
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
    fn codes_have_one_spelling_and_nothing_prints_keys() {
        let keys = MacKeys::parse(KEY).unwrap();
        let mac = keys.sign(Purpose::Receipt, &[]);
        let text = mac.encode();
        assert!(keys.verify(Purpose::Receipt, &[], &Mac::parse(text.as_bytes()).unwrap()));
        let twin = format!("{}{}", &text[..21], if text.ends_with('A') { 'B' } else { 'z' });
        for odd in
            ["", "a", &text[1..], &format!("{text}="), &format!("{text}AA"), &twin, &text.replace(&text[..1], "+")]
        {
            assert!(Mac::parse(odd.as_bytes()).is_none(), "{odd}");
        }
        assert_eq!(format!("{keys:?} {mac:?}"), "MacKeys(…) Mac(…)");
    }
}
