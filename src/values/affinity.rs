//! The hash for sticky sessions. It is the same on every replica and machine and in every version, so that a restart or
//! a second gateway moves no client to another upstream.

/// FNV-1a over the parts, each preceded by its length. The choice of an upstream mixes the bits.
pub(crate) fn of(parts: &[&[u8]]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    let part = |hash, part: &&[u8]| part.iter().fold((part.len() as u64).to_le_bytes().iter().fold(hash, step), step);
    parts.iter().fold(BASIS, part)
}

#[cfg(test)]
mod tests {
    use super::of;

    /// These numbers must never change, since that would move clients to other upstreams.
    #[test]
    fn the_numbers_are_fixed() {
        assert_eq!(of(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of(&[b"a"]), 0x529a_4ddc_8ff5_6bbf);
        assert_eq!(of(&[b"10.0.0.1", b"app"]), 0xe253_cfe7_fb1b_522d);
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
    }
}
