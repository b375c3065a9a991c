//! Stored password hashes of every supported kind.

use std::collections::HashMap;
use std::fmt;

use data_encoding::BASE64;
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::credentials::apr1::{self, Apr1Hash};
use crate::credentials::password::{Cost, HashingFailed, Password, PasswordHash};
use crate::credentials::sha2_crypt::{self, Digest, Sha2Hash, UnsupportedHash};

/// The maximum cost of a bcrypt hash: about two seconds.
const MAX_ROUNDS: u32 = 14;
/// The cost of new bcrypt hashes: about 50 ms.
const NEW_ROUNDS: u32 = 10;
/// The longest password that bcrypt does not truncate, in bytes.
pub(crate) const MAX_BCRYPT: usize = 71;
/// The prefix of an unsalted SHA-1.
const SHA1_PREFIX: &str = "{SHA}";

/// A stored hash. `Debug` does not show it, since it allows guessing offline.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StoredHash {
    /// Argon2id: what `exeunt user set` writes.
    Argon2id(PasswordHash),
    /// bcrypt: what `htpasswd -B` writes. It ignores what follows the 72nd byte of a password.
    Bcrypt {
        /// The binary logarithm of the number of rounds.
        rounds: u32,
        /// The hash as it stands in the file.
        text: Box<str>,
    },
    /// SHA-crypt: what `htpasswd -2` and `-5`, and `mkpasswd` write.
    Sha2(Sha2Hash),
    /// Apache's MD5 scheme. Weak.
    Apr1(Apr1Hash),
    /// SHA-1 without a salt. Weak.
    Sha1([u8; 20]),
}

/// The cost of computing a hash, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum WorkFactor {
    /// One SHA-1.
    Sha1,
    /// A thousand rounds of MD5.
    Apr1,
    /// This many rounds of this digest.
    Sha2(Digest, u32),
    /// bcrypt with this cost.
    Bcrypt(u32),
    /// Argon2id with this cost.
    Argon2id(Cost),
}

/// Why the password field of an htpasswd file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FieldProblem {
    /// The field is empty.
    #[error("it is empty")]
    Empty,
    /// The password itself, or a DES hash: the two cannot be distinguished, and both are unprotected.
    #[error("it is a DES hash, or the password itself")]
    Unprotected,
    /// A hash of an unsupported kind.
    #[error("it is a hash of a kind that is not supported")]
    UnknownKind,
    /// A known kind, but damaged.
    #[error("it is a damaged hash")]
    Malformed,
    /// Computing it would cost more than the limit.
    #[error(
        "computing this hash costs too much: at most a cost of {MAX_ROUNDS}, or rounds={} of SHA-crypt",
        sha2_crypt::MAX_ROUNDS
    )]
    TooExpensive,
}

impl StoredHash {
    /// Reads the password field of an htpasswd file.
    pub(crate) fn parse_field(text: &str) -> Result<Self, FieldProblem> {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
        if text.is_empty() {
            Err(FieldProblem::Empty)
        } else if begins(&["$2y$", "$2b$", "$2a$"]) {
            Self::bcrypt(text)
        } else if begins(&[apr1::PREFIX]) {
            Apr1Hash::parse(text).map(Self::Apr1).ok_or(FieldProblem::Malformed)
        } else if let Some(digest) = [Digest::Sha256, Digest::Sha512].into_iter().find(|kind| begins(&[kind.prefix()]))
        {
            Sha2Hash::parse(digest, text).map(Self::Sha2).map_err(|problem| match problem {
                UnsupportedHash::Malformed => FieldProblem::Malformed,
                UnsupportedHash::TooExpensive => FieldProblem::TooExpensive,
            })
        } else if let Some(digest) = text.strip_prefix(SHA1_PREFIX) {
            let digest = BASE64.decode(digest.as_bytes()).ok().and_then(|digest| digest.try_into().ok());
            digest.map(Self::Sha1).ok_or(FieldProblem::Malformed)
        } else if begins(&["$", "{"]) {
            Err(FieldProblem::UnknownKind)
        } else {
            Err(FieldProblem::Unprotected)
        }
    }

    /// `$2y$12$`, 22 characters of salt, 31 of the hash.
    fn bcrypt(text: &str) -> Result<Self, FieldProblem> {
        let parts: bcrypt::HashParts = text.parse().map_err(|_| FieldProblem::Malformed)?;
        match parts.get_cost() {
            rounds @ 4..=MAX_ROUNDS => Ok(Self::Bcrypt { rounds, text: text.into() }),
            0..4 => Err(FieldProblem::Malformed),
            _ => Err(FieldProblem::TooExpensive),
        }
    }

    /// The field to store for a new password in an htpasswd file: bcrypt, which every server that reads such files
    /// supports. The password must have at most [`MAX_BCRYPT`] bytes.
    pub(crate) fn new_field(password: &Password) -> Result<String, HashingFailed> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| HashingFailed)?;
        let form = password.forms().next().unwrap_or_default();
        let hash = bcrypt::non_truncating_hash_with_salt(form, NEW_ROUNDS, salt).map_err(|_| HashingFailed)?;
        Ok(hash.format_for_version(bcrypt::Version::TwoY))
    }

    /// A hash of this cost that no password matches. It is computed for unknown users, so that their response takes the
    /// same time as for known ones.
    pub(crate) fn decoy(work: WorkFactor) -> Self {
        match work {
            WorkFactor::Sha1 => Self::Sha1([0; 20]),
            WorkFactor::Apr1 => Self::Apr1(Apr1Hash::decoy()),
            WorkFactor::Sha2(digest, rounds) => Self::Sha2(Sha2Hash::decoy(digest, rounds)),
            WorkFactor::Bcrypt(rounds) => Self::Bcrypt { rounds, text: format!("$2b${rounds:02}${:.<53}", "").into() },
            WorkFactor::Argon2id(cost) => Self::Argon2id(PasswordHash::decoy(cost)),
        }
    }

    /// The cost of computing it.
    pub(crate) fn work(&self) -> WorkFactor {
        match self {
            Self::Argon2id(hash) => WorkFactor::Argon2id(hash.cost()),
            Self::Bcrypt { rounds, .. } => WorkFactor::Bcrypt(*rounds),
            Self::Sha2(hash) => {
                let (digest, rounds) = hash.work();
                WorkFactor::Sha2(digest, rounds)
            }
            Self::Apr1(_) => WorkFactor::Apr1,
            Self::Sha1(_) => WorkFactor::Sha1,
        }
    }

    /// Whether the hash is so weak that the file reveals the passwords.
    pub(crate) fn is_weak(&self) -> bool {
        matches!(self, Self::Apr1(_) | Self::Sha1(_))
    }

    /// The parts of the hash, for a MAC: two different hashes differ in at least one part.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        match self {
            Self::Argon2id(hash) => hash.parts(),
            Self::Bcrypt { text, .. } => [b"bcrypt", text.as_bytes(), b""],
            Self::Sha2(hash) => [b"sha2", hash.text().as_bytes(), b""],
            Self::Apr1(hash) => hash.parts(),
            Self::Sha1(digest) => [b"sha1", digest, b""],
        }
    }

    /// Computes the password's hash and compares. Blocks for as long as [`StoredHash::work`] says; twice as long for a
    /// password that was not typed in NFC and does not match in NFC.
    pub(crate) fn matches(&self, password: &Password) -> Result<bool, HashingFailed> {
        for form in password.forms() {
            if self.matches_bytes(form)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn matches_bytes(&self, password: &[u8]) -> Result<bool, HashingFailed> {
        match self {
            Self::Argon2id(hash) => hash.matches(password),
            Self::Bcrypt { text, .. } => bcrypt::verify(password, text).map_err(|_| HashingFailed),
            Self::Sha2(hash) => hash.matches(password).ok_or(HashingFailed),
            Self::Apr1(hash) => Ok(hash.matches(password)),
            Self::Sha1(digest) => Ok(Sha1::digest(password).as_slice().ct_eq(digest).into()),
        }
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash(…)")
    }
}

/// The most frequent cost; the greatest of equally frequent ones.
pub(crate) fn most_common_work<'a>(hashes: impl Iterator<Item = &'a StoredHash>) -> WorkFactor {
    let mut count: HashMap<WorkFactor, usize> = HashMap::new();
    for hash in hashes {
        *count.entry(hash.work()).or_default() += 1;
    }
    let most = count.into_iter().max_by_key(|&(work, count)| (count, work));
    most.map_or(WorkFactor::Argon2id(Cost::NEW), |(work, _)| work)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    /// All made by `htpasswd` of Apache 2.4; `$2b$` and `$2a$` are the same scheme under its other names.
    const BCRYPT: &str = "$2y$04$kdobx0du3W5uscfIgeVS0uHM65Dfc09xmpm6upiSeD3A5RXBnoNX2";
    const APR1: &str = "$apr1$ldmcqF4q$jhNVe0njMP2I.5rBUxoOD/";
    const SHA1: &str = "{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=";
    const SHA256: &str = "$5$bzXMvy0twefzrm9V$PNxSS7nbtKQj0AVDapP0AkCG4ExfLAPDzmTAPcWFHyD";

    #[test]
    fn different_hashes_have_different_parts() {
        let argon2id = |salt: &str| {
            let text = format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
            StoredHash::Argon2id(PasswordHash::parse(&text).unwrap())
        };
        let last = |text: &str| text[..text.len() - 1].to_owned() + "1";
        let mut hashes = vec![argon2id("c29tZXNhbHRzb21l"), argon2id("c29tZXNhbHRzb21m")];
        for text in [BCRYPT, APR1, SHA1, SHA256] {
            hashes.push(StoredHash::parse_field(text).unwrap());
        }
        let changed = [
            BCRYPT.replace("xmpm6", "xmpm7"),
            last(APR1),
            APR1.replace("ldm", "ldn"),
            SHA1.replace("W8r", "W8s"),
            last(SHA256),
        ];
        hashes.extend(changed.iter().map(|text| StoredHash::parse_field(text).unwrap()));
        for (at, hash) in hashes.iter().enumerate() {
            assert_eq!(hash.parts(), hash.clone().parts());
            assert!(hashes[at + 1..].iter().all(|other| other.parts() != hash.parts()), "{at}");
        }
    }

    #[test]
    fn hashes_of_htpasswd_are_read() {
        for (text, work, weak) in [
            (BCRYPT.to_owned(), WorkFactor::Bcrypt(4), false),
            (BCRYPT.replace("$2y", "$2b"), WorkFactor::Bcrypt(4), false),
            (BCRYPT.replace("$2y", "$2a"), WorkFactor::Bcrypt(4), false),
            (APR1.to_owned(), WorkFactor::Apr1, true),
            (SHA1.to_owned(), WorkFactor::Sha1, true),
            (SHA256.to_owned(), WorkFactor::Sha2(Digest::Sha256, 5000), false),
        ] {
            let hash = StoredHash::parse_field(&text).unwrap();
            assert_eq!((hash.work(), hash.is_weak()), (work, weak), "{text}");
            assert_eq!(hash.matches(&password("open sesame")), Ok(true), "{text}");
            assert_eq!(hash.matches(&password("open sesam")), Ok(false), "{text}");
        }
    }

    #[test]
    fn decoys_take_the_same_work_and_match_no_password() {
        let sha2 = [WorkFactor::Sha2(Digest::Sha256, 1000), WorkFactor::Sha2(Digest::Sha512, 5000)];
        let further = [
            WorkFactor::Sha1,
            WorkFactor::Apr1,
            WorkFactor::Bcrypt(4),
            WorkFactor::Bcrypt(14),
            WorkFactor::Argon2id(Cost::NEW),
        ];
        for work in sha2.into_iter().chain(further) {
            let decoy = StoredHash::decoy(work);
            assert_eq!(decoy.work(), work);
            if work != WorkFactor::Bcrypt(14) {
                assert_eq!(decoy.matches(&password("open sesame")), Ok(false), "{work:?}");
            }
        }
        let StoredHash::Bcrypt { text, .. } = StoredHash::decoy(WorkFactor::Bcrypt(12)) else { panic!() };
        assert_eq!(StoredHash::parse_field(&text).unwrap().work(), WorkFactor::Bcrypt(12), "it is well formed");
    }

    #[test]
    fn unprotected_passwords_are_refused() {
        let cases = [
            (String::new(), FieldProblem::Empty),
            ("sesame".to_owned(), FieldProblem::Unprotected),
            ("sEzy2QcO5NhGM".to_owned(), FieldProblem::Unprotected),
            ("$1$ab$x".to_owned(), FieldProblem::UnknownKind),
            ("$y$j9T$x".to_owned(), FieldProblem::UnknownKind),
            (SHA256[..60].to_owned(), FieldProblem::Malformed),
            (SHA256.replace("$5$", "$5$rounds=2000000$"), FieldProblem::TooExpensive),
            (BCRYPT.replace("$2y", "$2x"), FieldProblem::UnknownKind),
            ("{SSHA}AAAA".to_owned(), FieldProblem::UnknownKind),
            ("{SHA}AAAA".to_owned(), FieldProblem::Malformed),
            (BCRYPT[..59].to_owned(), FieldProblem::Malformed),
            (BCRYPT.replace("$04$", "$03$"), FieldProblem::Malformed),
            (BCRYPT.replace("$04$", "$xx$"), FieldProblem::Malformed),
            (BCRYPT.replace("$04$", "$15$"), FieldProblem::TooExpensive),
            (APR1[..20].to_owned(), FieldProblem::Malformed),
        ];
        for (text, want) in cases {
            assert_eq!(StoredHash::parse_field(&text), Err(want), "{text}");
        }
    }

    /// Hashes of one password, in its composed form (NFC) and in the decomposed one that old tools used unchanged.
    #[test]
    fn the_unicode_form_of_a_password_does_not_matter() {
        const COMPOSED: &str = concat!(
            "$6$rounds=1000$abcdefgh$",
            "GH1d6corYCQUIm3RIhq24MxNMRPtnnE0J5ypkalHQoe9WtgBK9TcEGbdqWk7yKmyJf7fgbQ0gtszxA32IuB.j1"
        );
        const DECOMPOSED: &str = concat!(
            "$6$rounds=1000$abcdefgh$",
            "iC0D/zPz2osmuvFiKOPe5tE6FsTOsz3gq8SWZJithfYF3GKeAmghQdosbhokWvjdzMZ7Vw/JN/b0UZT22zQtm."
        );
        let [composed, decomposed] = [COMPOSED, DECOMPOSED].map(|text| StoredHash::parse_field(text).unwrap());
        let [typed, typed_apart] = ["Gr\u{fc}\u{df}e", "Gru\u{308}\u{df}e"].map(password);
        assert_eq!((composed.matches(&typed), composed.matches(&typed_apart)), (Ok(true), Ok(true)));
        assert_eq!(decomposed.matches(&typed_apart), Ok(true), "the bytes as typed");
        assert_eq!(decomposed.matches(&typed), Ok(false), "the form of the original input is unknown");
        assert_eq!(composed.matches(&password("Grusse")), Ok(false));
    }
}
