//! Apache's MD5 scheme, `$apr1$salt$hash`: a thousand rounds of MD5. It is weak, since a graphics card computes
//! millions of such hashes a second. Read for old files, never written.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The prefix of such a hash.
pub(crate) const PREFIX: &str = "$apr1$";

/// The maximum length of the salt, in bytes.
const MAX_SALT: usize = 8;
/// The hash's length, in characters.
const LENGTH: usize = 22;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A stored hash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Apr1Hash {
    salt: Box<str>,
    text: Box<str>,
}

impl Apr1Hash {
    /// The parts of the hash.
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [b"apr1", self.salt.as_bytes(), self.text.as_bytes()]
    }

    /// Reads `$apr1$salt$hash`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (salt, text) = text.strip_prefix(PREFIX)?.split_once('$')?;
        let known = text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte));
        (known && salt.len() <= MAX_SALT).then(|| Self { salt: salt.into(), text: text.into() })
    }

    /// A hash that no password matches.
    pub(crate) fn decoy() -> Self {
        Self { salt: "........".into(), text: ".".repeat(LENGTH).into() }
    }

    /// Whether this is the password. Takes half a millisecond.
    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        encoded(&digest(password, self.salt.as_bytes())).as_bytes().ct_eq(self.text.as_bytes()).into()
    }
}

fn digest(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; 16]> {
    let inner = md5(&[password, salt, password]);
    let mut first = Md5::new();
    [password, PREFIX.as_bytes(), salt].iter().for_each(|part| first.update(part));
    (0..password.len()).step_by(inner.len()).for_each(|at| {
        let left = (password.len() - at).min(inner.len());
        first.update(inner.get(..left).unwrap_or_default());
    });
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        bits >>= 1;
    }
    let mut digest = Zeroizing::new(first.finalize().into());
    for round in 0..1000 {
        digest = next(&digest, round, password, salt);
    }
    digest
}

fn next(digest: &[u8; 16], round: usize, password: &[u8], salt: &[u8]) -> Zeroizing<[u8; 16]> {
    let (begin, end) = if round % 2 == 1 { (password, &digest[..]) } else { (&digest[..], password) };
    let salt = if round.is_multiple_of(3) { &[] } else { salt };
    let again = if round.is_multiple_of(7) { &[] } else { password };
    md5(&[begin, salt, again, end])
}

fn md5(parts: &[&[u8]]) -> Zeroizing<[u8; 16]> {
    let digest = parts.iter().fold(Md5::new(), |digest, part| digest.chain_update(part));
    Zeroizing::new(digest.finalize().into())
}

/// The scheme's own base64: three bytes in each group, taken from different positions of the digest, lowest bits first.
fn encoded(digest: &[u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = digest.map(u32::from);
    let groups = [(a, g, m), (b, h, n), (c, i, o), (d, j, p), (e, k, f), (0, 0, l)];
    let numbers = groups.map(|(high, middle, low)| high << 16 | middle << 8 | low);
    let characters = numbers.iter().flat_map(|number| (0..4).map(move |at| number >> (6 * at) & 0x3f));
    let characters = characters.filter_map(|value| ALPHABET.get(value as usize)).map(|&byte| char::from(byte));
    characters.take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `htpasswd -nbm` of Apache 2.4 and with `openssl passwd -apr1`.
    const VECTORS: [(&str, &str); 5] = [
        ("open sesame", "$apr1$J6fPpYrI$jD3rRjw7iH3LwzvM/toNf."),
        ("", "$apr1$yAVTaT5o$tdD6R9fjZj9mprnluriwE0"),
        ("ä", "$apr1$dEscP8o2$.x6kWsgRB5X7kuIEhvXH2."),
        ("a-password-that-is-longer-than-16-bytes, by far: 0123456789", "$apr1$AlW0AVZe$XEMBSmdKqqeq62ECa9Epi."),
        ("hello", "$apr1$ab$0HUwYcJ3DAPbHupdaC/tP1"),
    ];

    #[test]
    fn hashes_of_apache_are_known() {
        for (password, text) in VECTORS {
            let hash = Apr1Hash::parse(text).unwrap();
            assert!(hash.matches(password.as_bytes()), "{text}");
            assert!(!hash.matches(format!("{password}x").as_bytes()), "{text}");
            assert!(!hash.matches(b"other"), "{text}");
        }
    }

    #[test]
    fn damaged_hashes_are_refused() {
        let (_, text) = VECTORS[0];
        let odd =
            [&text[..text.len() - 1], &text[6..], "$apr1$", "$apr1$$", "$apr1$toolongsalt$aaaaaaaaaaaaaaaaaaaaaa"];
        for text in odd {
            assert!(Apr1Hash::parse(text).is_none(), "{text}");
        }
        assert!(!Apr1Hash::decoy().matches(b""));
    }
}
