//! The first place of a byte that is mostly near: the end of a name, of a line. To look at a few words is done sooner
//! than a search that is made for long texts has begun.

use memchr::memchr;

/// Words that are looked at.
const WORDS: usize = 16;

/// The first place of a byte.
pub(super) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    find_near(byte, bytes).or_else(|| memchr(byte, bytes))
}

/// The first place of a byte, if it is within the whole words at the beginning.
pub(super) fn find_near(byte: u8, bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, _) = bytes.as_chunks();
    words.iter().take(WORDS).enumerate().find_map(|(at, word)| {
        // Where the byte is there is zero. The lowest zero sets its highest bit here, and nothing below it does.
        let zeros = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        let found = zeros.wrapping_sub(ONES) & !zeros & (ONES << 7);
        (found != 0).then(|| 8 * at + found.trailing_zeros() as usize / 8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_is_found_wherever_it_is() {
        for byte in [b':', b'\n', 0, 0x80, 0xff] {
            // What differs in one bit, and what is one more or less.
            let others = [byte ^ 1, byte ^ 0x80, byte.wrapping_add(1), byte.wrapping_sub(1)];
            for (length, at) in (0..150).flat_map(|length| (0..=length).step_by(5).map(move |at| (length, at))) {
                let mut bytes: Vec<u8> = others.into_iter().cycle().take(length).collect();
                bytes.iter_mut().skip(at).for_each(|place| *place = byte);
                let want = (at < length).then_some(at);
                assert_eq!(find(byte, &bytes), want, "{byte} at {at} of {length}");
                let near = at < length / 8 * 8 && at < 8 * WORDS;
                assert_eq!(find_near(byte, &bytes), want.filter(|_| near), "{byte} at {at} of {length}");
            }
        }
    }
}
