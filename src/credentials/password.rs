//! Passwords and their stored hashes: Argon2id (RFC 9106) in the PHC string format.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHasher, Version};
use subtle::ConstantTimeEq;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The longest password, in bytes.
pub(crate) const MAX_PASSWORD: usize = 1024;

/// The maximum cost of a hash, so that one user's sign-ins cannot exhaust the CPU.
const MAX_COST: Cost = Cost { memory_kib: 256 * 1024, passes: 16, lanes: 16 };

/// The shortest output that is accepted, in bytes.
const SHORTEST_OUTPUT: usize = 16;

/// A password: 1 to [`MAX_PASSWORD`] bytes of UTF-8. It is hashed in the form of RFC 8265 (OpaqueString): NFC, with
/// every kind of space replaced by an ASCII space, so that it does not depend on the keyboard. Wiped from memory when
/// dropped.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Password {
    prepared: Zeroizing<String>,
    /// The password as it was typed; `None` if that is the same.
    typed: Option<Zeroizing<String>>,
}

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordProblem {
    /// It has no characters.
    #[error("the password is empty")]
    Empty,
    /// It is longer than [`MAX_PASSWORD`] bytes.
    #[error("the password is longer than {MAX_PASSWORD} bytes")]
    TooLong,
}

impl Password {
    /// Takes a password as it was typed.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, PasswordProblem> {
        let text = text.into();
        match text.len() {
            0 => Err(PasswordProblem::Empty),
            1..=MAX_PASSWORD => Ok(Self::prepare(text)),
            _ => Err(PasswordProblem::TooLong),
        }
    }

    fn prepare(typed: Zeroizing<String>) -> Self {
        if typed.is_ascii() {
            return Self { prepared: typed, typed: None };
        }
        // With the capacity of the longest form: a reallocation would leave a copy in freed memory.
        let mut prepared = Zeroizing::new(String::with_capacity(typed.len() * MAX_NFC_GROWTH));
        prepared.extend(typed.chars().map(|sign| if is_space(sign) { ' ' } else { sign }).nfc());
        let typed = (typed != prepared).then_some(typed);
        Self { prepared, typed }
    }

    /// Whether two passwords have the same normal form.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.prepared == other.prepared
    }

    /// The number of bytes that a new hash takes in.
    pub(crate) fn length(&self) -> usize {
        self.prepared.len()
    }

    /// The number of characters; in NFC a letter with its accents is one.
    pub(crate) fn characters(&self) -> usize {
        self.prepared.chars().count()
    }

    /// Its bytes in normal form; then, if they differ, as typed: other tools hash passwords without normalisation.
    pub(super) fn forms(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.prepared).chain(&self.typed).map(|form| form.as_bytes())
    }
}

/// NFC makes no text longer than this many times its length in UTF-8 (Unicode Standard Annex 15, Stability).
const MAX_NFC_GROWTH: usize = 3;

/// The spaces of Unicode (general category Zs) other than the ASCII space.
fn is_space(sign: char) -> bool {
    matches!(sign, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The cost of computing a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Cost {
    /// Memory in KiB (`m`).
    pub(crate) memory_kib: u32,
    /// Passes over that memory (`t`).
    pub(crate) passes: u32,
    /// Lanes (`p`). They do not change the time, since one thread computes them all.
    pub(crate) lanes: u32,
}

impl Cost {
    /// The cost of new hashes: 19 MiB, two passes, one lane (as OWASP recommends for Argon2id).
    pub(crate) const NEW: Self = Self { memory_kib: 19_456, passes: 2, lanes: 1 };
}

/// A stored hash. `Debug` does not show it, since it allows guessing offline.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash {
    cost: Cost,
    salt: Box<[u8]>,
    output: Box<[u8]>,
}

/// Why a stored text is not a supported hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum HashProblem {
    /// It is no password hash; most likely it is the password itself.
    #[error("not a password hash")]
    NotAHash,
    /// It is a hash of another kind.
    #[error("it is a hash, but not an Argon2id one")]
    NotArgon2id,
    /// It is Argon2id, but damaged, or with an unknown version or parameter.
    #[error("it is a damaged Argon2id hash, or not one of version 19")]
    Malformed,
    /// Computing it would cost more than the limit.
    #[error(
        "computing this hash costs too much: at most m={}, t={}, p={}",
        MAX_COST.memory_kib, MAX_COST.passes, MAX_COST.lanes
    )]
    TooExpensive,
}

/// A hash could not be computed: no memory, or no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingFailed;

impl PasswordHash {
    /// Reads a stored hash: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    pub(crate) fn parse(text: &str) -> Result<Self, HashProblem> {
        let family = text.strip_prefix('$').and_then(|rest| rest.split('$').next());
        match family {
            None => Err(HashProblem::NotAHash),
            Some("argon2id") => Self::parse_argon2id(text).ok_or(HashProblem::Malformed)?.affordable(),
            Some(_) => Err(HashProblem::NotArgon2id),
        }
    }

    fn parse_argon2id(text: &str) -> Option<Self> {
        let phc = phc::PasswordHash::new(text).ok()?;
        let known = phc.algorithm == ARGON2ID_IDENT && phc.version == Some(Version::V0x13.into());
        let params = Params::try_from(&phc).ok()?;
        let plain = params.keyid().is_empty() && params.data().is_empty();
        let (salt, output) = (phc.salt?, phc.hash?);
        let long_enough = salt.len() >= argon2::MIN_SALT_LEN && output.len() >= SHORTEST_OUTPUT;
        (known && plain && long_enough).then(|| Self {
            cost: Cost { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() },
            salt: salt.as_ref().into(),
            output: output.as_bytes().into(),
        })
    }

    fn affordable(self) -> Result<Self, HashProblem> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let within = memory_kib <= MAX_COST.memory_kib && passes <= MAX_COST.passes && lanes <= MAX_COST.lanes;
        if within { Ok(self) } else { Err(HashProblem::TooExpensive) }
    }

    /// A hash of this cost that no password matches. It is computed for unknown users, so that their response takes the
    /// same time as for known ones.
    pub(crate) fn decoy(cost: Cost) -> Self {
        Self { cost, salt: [0; 16].into(), output: [0; 32].into() }
    }

    /// The cost of computing it.
    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    /// The parts of the hash. The cost is not among them: with the same salt, another cost gives another output.
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [b"argon2id", &self.salt, &self.output]
    }

    /// Computes the password's hash and compares. Blocks for as long as [`PasswordHash::cost`] says: 20 ms with
    /// [`Cost::NEW`] on an ordinary core.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, HashingFailed> {
        let mut computed = Zeroizing::new(vec![0; self.output.len()]);
        let argon2 = argon2id(self.cost, self.output.len()).ok_or(HashingFailed)?;
        argon2.hash_password_into(password, &self.salt, &mut computed).map_err(|_| HashingFailed)?;
        Ok(computed.ct_eq(&self.output).into())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The text to store for a new password: Argon2id with [`Cost::NEW`] and 16 random bytes of salt.
pub fn hash(password: &Password) -> Result<String, HashingFailed> {
    let argon2 = argon2id(Cost::NEW, Params::DEFAULT_OUTPUT_LEN).ok_or(HashingFailed)?;
    let hash: phc::PasswordHash = argon2.hash_password(password.prepared.as_bytes()).map_err(|_| HashingFailed)?;
    Ok(hash.to_string())
}

fn argon2id(cost: Cost, output: usize) -> Option<Argon2<'static>> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(output)).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    #[test]
    fn a_new_hash_parses_and_matches_its_password() {
        let text = hash(&password("correct horse")).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        let stored = PasswordHash::parse(&text).unwrap();
        assert_eq!(stored.cost(), Cost::NEW);
        assert_eq!(stored.matches("correct horse".as_bytes()), Ok(true));
        assert_eq!(stored.matches("correct horse ".as_bytes()), Ok(false));
        assert_ne!(hash(&password("correct horse")).unwrap(), text, "the salt is random");
    }

    /// Made with Python's argon2-cffi (the reference implementation in C), so that the reader is not only tested
    /// with hashes that this module has written.
    const FOREIGN: &str = "$argon2id$v=19$m=4096,t=3,p=2$Al+DzmitUdNWrBWbV5tMsA$bdpA7nXDIRdfC2HspcBEw1nNAj7IsvDM";

    #[test]
    fn hashes_of_other_programs_are_read() {
        let stored = PasswordHash::parse(FOREIGN).unwrap();
        assert_eq!(stored.cost(), Cost { memory_kib: 4096, passes: 3, lanes: 2 });
        assert_eq!(stored.matches("Grüße, 世界".as_bytes()), Ok(true));
        assert_eq!(stored.matches("Gruesse".as_bytes()), Ok(false));
    }

    #[test]
    fn unsupported_hashes_are_refused() {
        let with = |from: &str, to: &str| FOREIGN.replace(from, to);
        let cases = [
            ("hunter2".to_owned(), HashProblem::NotAHash),
            (String::new(), HashProblem::NotAHash),
            ("$2y$10$abcdefghijklmnopqrstuv".to_owned(), HashProblem::NotArgon2id),
            (with("argon2id", "argon2i"), HashProblem::NotArgon2id),
            ("$argon2id".to_owned(), HashProblem::Malformed),
            (with("v=19", "v=16"), HashProblem::Malformed),
            (with("v=19$", ""), HashProblem::Malformed),
            (with("m=4096", "m=x"), HashProblem::Malformed),
            (with("p=2", "p=2,data=AAAA"), HashProblem::Malformed),
            (with("m=4096", "m=262145"), HashProblem::TooExpensive),
            (with("t=3", "t=17"), HashProblem::TooExpensive),
            (with("p=2", "p=17"), HashProblem::TooExpensive),
        ];
        for (text, want) in cases {
            assert_eq!(PasswordHash::parse(&text), Err(want), "{text}");
        }
        let (head, _) = FOREIGN.rsplit_once('$').unwrap();
        assert_eq!(PasswordHash::parse(head), Err(HashProblem::Malformed), "no output");
        assert_eq!(PasswordHash::parse(&format!("{head}$AAAAAA")), Err(HashProblem::Malformed), "short");
    }

    #[test]
    fn debug_shows_no_password_and_no_hash() {
        let stored = PasswordHash::parse(FOREIGN).unwrap();
        assert_eq!(format!("{:?} {stored:?}", password("secret")), "Password(…) PasswordHash(…)");
    }

    #[test]
    fn a_password_is_the_same_on_every_keyboard() {
        let forms = |text: &str| password(text).forms().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let cases: [(&str, &[&str]); 6] = [
            ("open sesame", &["open sesame"]),
            ("Gr\u{fc}\u{df}e", &["Gr\u{fc}\u{df}e"]),
            ("Gru\u{308}\u{df}e", &["Gr\u{fc}\u{df}e", "Gru\u{308}\u{df}e"]),
            ("a\u{a0}b\u{3000}c", &["a b c", "a\u{a0}b\u{3000}c"]),
            ("\u{212b}", &["\u{c5}", "\u{212b}"]),
            ("\u{fb01}", &["\u{fb01}"]),
        ];
        for (typed, want) in cases {
            assert_eq!(forms(typed), want.iter().map(|form| form.as_bytes()).collect::<Vec<_>>(), "{typed:?}");
        }
        let longest = "\u{1d160}".repeat(MAX_PASSWORD / 4);
        let prepared = password(&longest).prepared;
        assert!(
            prepared.len() <= longest.len() * MAX_NFC_GROWTH && prepared.capacity() == longest.len() * MAX_NFC_GROWTH
        );
    }

    #[test]
    fn passwords_have_a_length() {
        let of = |length: usize| Password::new("a".repeat(length)).map(|_| ());
        assert_eq!(of(0), Err(PasswordProblem::Empty));
        assert_eq!(of(1), Ok(()));
        assert_eq!(of(MAX_PASSWORD), Ok(()));
        assert_eq!(of(MAX_PASSWORD + 1), Err(PasswordProblem::TooLong));
    }
}
