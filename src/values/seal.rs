//! Authenticated encryption of secrets in a store: AES-256-GCM (NIST SP 800-38D).
//!
//! A separate key is derived from the key file for each purpose and context, such as a session. So each key is used
//! with few random nonces, and a secret that was sealed for one session cannot be opened for another.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use zeroize::Zeroizing;

use super::mac::{MacKeys, MacPurpose};
use super::secret::NoRandomness;

/// Seals a secret with the first key. The result is the nonce, the ciphertext and the tag.
///
/// # Errors
/// The operating system's random source fails.
pub(crate) fn seal(
    keys: &MacKeys,
    purpose: MacPurpose,
    context: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, NoRandomness> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| NoRandomness)?;
    let key = keys.derived(purpose, &[context]).find_map(|key| sealing_key(&key)).ok_or(NoRandomness)?;
    let mut sealed = secret.to_vec();
    let nonce_of_key = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce_of_key, Aad::empty(), &mut sealed).map_err(|_| NoRandomness)?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens a secret that [`seal`] sealed with one of these keys, for the same purpose and context; `None` if that fails.
pub(crate) fn open(keys: &MacKeys, purpose: MacPurpose, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    keys.derived(purpose, &[context]).find_map(|key| {
        let mut opened = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = sealing_key(&key)?.open_in_place(nonce, Aad::empty(), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    })
}

fn sealing_key(key: &hmac::Tag) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.as_ref()).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"sessionid=3f9";

    #[test]
    fn a_sealed_secret_opens_only_for_its_purpose_context_and_keys() {
        let keys = MacKeys::generate().unwrap();
        let sealed = seal(&keys, MacPurpose::SealedJar, b"a", SECRET).unwrap();
        assert_eq!(open(&keys, MacPurpose::SealedJar, b"a", &sealed).unwrap().as_slice(), SECRET);
        assert!(open(&keys, MacPurpose::SealedJar, b"b", &sealed).is_none(), "of another session");
        assert!(open(&keys, MacPurpose::Receipt, b"a", &sealed).is_none(), "of another purpose");
        assert!(open(&MacKeys::generate().unwrap(), MacPurpose::SealedJar, b"a", &sealed).is_none(), "of another key");
        assert!(!sealed.windows(4).any(|bytes| SECRET.windows(4).any(|secret| secret == bytes)));
        assert_ne!(seal(&keys, MacPurpose::SealedJar, b"a", SECRET).unwrap(), sealed, "each seal has a new nonce");
    }

    #[test]
    fn a_changed_seal_does_not_open() {
        let keys = MacKeys::generate().unwrap();
        let sealed = seal(&keys, MacPurpose::SealedJar, b"a", SECRET).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&keys, MacPurpose::SealedJar, b"a", &changed).is_none(), "{bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&keys, MacPurpose::SealedJar, b"a", &sealed[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn old_seals_open_after_a_rotation() {
        let [old, new] = [(), ()].map(|()| MacKeys::generate_text().unwrap());
        let before = MacKeys::parse(&old).unwrap();
        let after = MacKeys::parse(&format!("{}\n{}\n", *new, *old)).unwrap();
        let sealed = seal(&before, MacPurpose::SealedJar, b"a", SECRET).unwrap();
        assert!(open(&after, MacPurpose::SealedJar, b"a", &sealed).is_some());
        let sealed = seal(&after, MacPurpose::SealedJar, b"a", SECRET).unwrap();
        assert!(open(&before, MacPurpose::SealedJar, b"a", &sealed).is_none(), "the new key seals");
    }
}
