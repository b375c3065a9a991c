//! SHA-crypt (Ulrich Drepper's scheme of glibc): `$5$` over SHA-256, `$6$` over SHA-512, as `htpasswd -2` and `-5`,
//! `mkpasswd` and `openssl passwd` write them. Read for existing files, never written.

use sha_crypt::{PasswordVerifier, ShaCrypt, password_hash};

/// The maximum length of the salt, in bytes: the scheme ignores the rest.
const MAX_SALT: usize = 16;
/// The default number of rounds.
const DEFAULT_ROUNDS: u32 = 5000;
const MIN_ROUNDS: u32 = 1000;
/// The maximum number of rounds: about two seconds for a long password.
pub(crate) const MAX_ROUNDS: u32 = 1_000_000;

/// Which digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Digest {
    /// `$5$`
    Sha256,
    /// `$6$`
    Sha512,
}

impl Digest {
    /// The prefix of such a hash.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Sha256 => "$5$",
            Self::Sha512 => "$6$",
        }
    }

    /// The hash's length, in characters.
    const fn length(self) -> usize {
        match self {
            Self::Sha256 => 43,
            Self::Sha512 => 86,
        }
    }
}

/// A stored hash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sha2Hash {
    digest: Digest,
    rounds: u32,
    text: Box<str>,
}

/// Why a text is not a supported hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsupportedHash {
    /// It is damaged.
    Malformed,
    /// Computing it would cost more than the limit.
    TooExpensive,
}

impl Sha2Hash {
    /// Reads `$6$salt$hash` or `$6$rounds=5000$salt$hash`.
    pub(crate) fn parse(digest: Digest, text: &str) -> Result<Self, UnsupportedHash> {
        let fields = text.strip_prefix(digest.prefix()).ok_or(UnsupportedHash::Malformed)?;
        let (rounds, fields) = match fields.strip_prefix("rounds=").and_then(|fields| fields.split_once('$')) {
            Some((rounds, fields)) => (read_rounds(rounds)?, fields),
            None => (DEFAULT_ROUNDS, fields),
        };
        let (salt, hash) = fields.split_once('$').ok_or(UnsupportedHash::Malformed)?;
        let whole = salt.len() <= MAX_SALT && hash.len() == digest.length();
        if !whole || !salt.bytes().chain(hash.bytes()).all(is_of_alphabet) {
            return Err(UnsupportedHash::Malformed);
        }
        Ok(Self { digest, rounds, text: text.into() })
    }

    /// A hash of this cost that no password matches.
    pub(crate) fn decoy(digest: Digest, rounds: u32) -> Self {
        let text =
            format!("{}rounds={rounds}${:.<MAX_SALT$}${:.<length$}", digest.prefix(), "", "", length = digest.length());
        Self { digest, rounds, text: text.into() }
    }

    /// The hash as it stands in the file.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The digest and the number of rounds.
    pub(crate) fn work(&self) -> (Digest, u32) {
        (self.digest, self.rounds)
    }

    /// Whether this is the password; `None` if the hash cannot be computed. Takes half a microsecond a round.
    pub(crate) fn matches(&self, password: &[u8]) -> Option<bool> {
        match ShaCrypt::default().verify_password(password, &*self.text) {
            Ok(()) => Some(true),
            Err(password_hash::Error::PasswordInvalid) => Some(false),
            Err(_) => None,
        }
    }
}

fn read_rounds(text: &str) -> Result<u32, UnsupportedHash> {
    let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    match (plain, text.parse::<u32>()) {
        (true, Ok(MIN_ROUNDS..=MAX_ROUNDS)) => text.parse().map_err(|_| UnsupportedHash::Malformed),
        (true, Ok(0..MIN_ROUNDS)) | (false, _) => Err(UnsupportedHash::Malformed),
        (true, _) => Err(UnsupportedHash::TooExpensive),
    }
}

fn is_of_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "a-password-that-is-longer-than-64-bytes, by far: 0123456789 0123456789";

    /// Made with `htpasswd` of Apache 2.4, `mkpasswd` of Debian's whois, `openssl passwd` and Python's `crypt`.
    const VECTORS: [(&str, u32, &str); 10] = [
        ("y", 5000, "$5$BNB0C57Hfh0MyWlh$ikTJpKnC3Qq0DYZMy9XVdZVpJxjjwVrMbwsSxcaWAe5"),
        (
            "y",
            5000,
            concat!(
                "$6$aB93XSmpo4818deu$",
                "gEo0AWoT/CGOg5iHJLR.Gpp8w2qU73kqkKgZkaO3beR10nA5la7JJjKA/2WteTf/NM0u4r751JKlwl.K9gBiY."
            ),
        ),
        ("open sesame", 5000, "$5$AFxEHO7VIpXrPVyR$zjt0Z.i/rySEIeLhk2IrETzztvzC3wpg/TW422V8D0A"),
        ("open sesame", 1000, "$5$rounds=1000$a.Cq5mDaPRD5QNz3$gTYF/xZ/lM4hL/H.x8wRtKwEZ.oaI.V57dXWuf.neK7"),
        (
            "open sesame",
            1000,
            concat!(
                "$6$rounds=1000$aiShM0TgAXHGBqiZ$",
                "YKyVOT2nUWpHkkPfW9qnGrAXMkQl0/rT4HH1GhL9Hkrbq3jvXkNMuZ7ggdCap6YNcgpexaFJ/KzhMqOhxAEGe1"
            ),
        ),
        ("open sesame", 5000, "$5$bzXMvy0twefzrm9V$PNxSS7nbtKQj0AVDapP0AkCG4ExfLAPDzmTAPcWFHyD"),
        (
            "Grüße, 世界",
            5000,
            "$6$abc$nHuBx4HrAKGT3n2.r1gqTMIszdgKlBT.r.pSJB7btW8PPB3optt//J8DU9aJX2kg.M9DFVhQug46FJcXQIr7R/",
        ),
        (
            LONG,
            1000,
            concat!(
                "$6$rounds=1000$0123456789abcdef$",
                "R0qRPj4hYkzXjcOdGcGLpTAGFWGK9xKC0YByDIcrkFfLIYncaax6D8c/dCF8Vsw7rvTMrwfqBoF4J8hQozCjG/"
            ),
        ),
        (LONG, 1000, "$5$rounds=1000$0123456789abcdef$j109f1EdFaIfyMfgIoyqB15wBjOqV3fIi29cq4lTWX1"),
        ("", 1000, "$5$rounds=1000$0123456789abcdef$xa0HvuaJLNMllIstBuhtBKeAOwj/tbHHFvO6oD8ygT1"),
    ];

    fn parse(text: &str) -> Result<Sha2Hash, UnsupportedHash> {
        Sha2Hash::parse(if text.starts_with("$5$") { Digest::Sha256 } else { Digest::Sha512 }, text)
    }

    #[test]
    fn hashes_of_other_programs_are_known() {
        for (password, rounds, text) in VECTORS {
            let hash = parse(text).unwrap();
            assert_eq!(hash.work().1, rounds, "{text}");
            assert_eq!(hash.matches(password.as_bytes()), Some(true), "{text}");
            assert_eq!(hash.matches(format!("{password}x").as_bytes()), Some(false), "{text}");
        }
    }

    #[test]
    fn damaged_and_too_expensive_hashes_are_refused() {
        let good = VECTORS[3].2;
        let rounds = |rounds: &str| good.replace("rounds=1000", &format!("rounds={rounds}"));
        for (text, want) in [
            (good[..good.len() - 1].to_owned(), UnsupportedHash::Malformed),
            (format!("{good}x"), UnsupportedHash::Malformed),
            (good.replace("/x", "-x"), UnsupportedHash::Malformed),
            (good.replace("a.Cq5", "a.Cq5xx"), UnsupportedHash::Malformed),
            (good.replace("$a.C", "$$a.C"), UnsupportedHash::Malformed),
            ("$5$".to_owned(), UnsupportedHash::Malformed),
            ("$5$rounds=1000".to_owned(), UnsupportedHash::Malformed),
            ("$5$rounds=1000$".to_owned(), UnsupportedHash::Malformed),
            (rounds("999"), UnsupportedHash::Malformed),
            (rounds("0"), UnsupportedHash::Malformed),
            (rounds("-1"), UnsupportedHash::Malformed),
            (rounds("+5000"), UnsupportedHash::Malformed),
            (rounds("05000"), UnsupportedHash::Malformed),
            (rounds(""), UnsupportedHash::Malformed),
            (rounds("1000001"), UnsupportedHash::TooExpensive),
            (rounds("999999999"), UnsupportedHash::TooExpensive),
            (rounds("99999999999999999999"), UnsupportedHash::TooExpensive),
        ] {
            assert_eq!(parse(&text).err(), Some(want), "{text}");
        }
        assert!(parse(&rounds("656000")).is_ok() && parse(&rounds("1000000")).is_ok());
    }

    #[test]
    fn decoys_are_well_formed_and_match_no_password() {
        for digest in [Digest::Sha256, Digest::Sha512] {
            let decoy = Sha2Hash::decoy(digest, 1000);
            assert!(parse(&decoy.text).is_ok_and(|hash| hash == decoy));
            assert_eq!((decoy.matches(b""), decoy.work()), (Some(false), (digest, 1000)));
        }
    }
}
