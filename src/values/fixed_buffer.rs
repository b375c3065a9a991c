//! A byte buffer of fixed capacity.

/// The number of bytes that are processed at once.
const RUN: usize = 8;

/// The highest bit of each byte.
const HIGHEST: u64 = 0x8080_8080_8080_8080;
/// The highest bit of the first byte.
const FIRST: u64 = 0x80;

/// Sets the highest bit of the first percent sign among eight bytes in little-endian order. The bits of later bytes are
/// undefined.
#[inline]
pub(crate) const fn at_percent(bytes: u64) -> u64 {
    // In the subtraction, a zero byte sets its highest bit.
    let zero = bytes ^ 0x2525_2525_2525_2525;
    zero.wrapping_sub(0x0101_0101_0101_0101) & !zero & HIGHEST
}

/// Like [`at_percent`], for the first percent sign or non-ASCII byte.
#[inline]
pub(crate) const fn at_percent_or_wide(bytes: u64) -> u64 {
    at_percent(bytes) | bytes & HIGHEST
}

/// Eight bytes with ASCII letters in lower case. Non-ASCII bytes, and those after them, are undefined.
#[inline]
pub(crate) const fn lower_case(bytes: u64) -> u64 {
    // The sums have the highest bit for bytes from `A` on, and for bytes after `Z`.
    let from_a = bytes.wrapping_add(0x3f3f_3f3f_3f3f_3f3f);
    let beyond_z = bytes.wrapping_add(0x2525_2525_2525_2525);
    bytes | (from_a & !beyond_z & HIGHEST) >> 2
}

/// A byte buffer that does not grow. Appending a byte takes a few instructions; `Vec::push`, which may reallocate,
/// takes about twenty. Bytes beyond the capacity are dropped.
#[derive(Debug)]
pub(crate) struct FixedBuffer {
    bytes: Vec<u8>,
    length: usize,
}

impl FixedBuffer {
    /// Returns an empty buffer with this capacity, in bytes.
    pub(crate) fn of(size: usize) -> Self {
        Self { bytes: vec![0; size], length: 0 }
    }

    /// Appends a byte.
    #[inline]
    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }

    /// Appends bytes. A piece of eight bytes or more that does not fit is dropped completely. Fast for short pieces.
    #[inline]
    pub(crate) fn extend(&mut self, piece: &[u8]) {
        if piece.len() < 8 {
            for &byte in piece {
                self.push(byte);
            }
        } else if let Some(room) = self.bytes.get_mut(self.length..self.length + piece.len()) {
            room.copy_from_slice(piece);
            self.length += piece.len();
        }
    }

    /// Appends the bytes of `text` before the first that `stops` marks, changed by `mapped`, and returns their number.
    /// Both functions process eight bytes at once.
    #[inline]
    pub(crate) fn extend_until(
        &mut self,
        text: &[u8],
        stops: impl Fn(u64) -> u64,
        mapped: impl Fn(u64) -> u64,
    ) -> usize {
        let mut rest = text;
        while let Some((run, behind)) = rest.split_first_chunk::<RUN>()
            && let Some(room) = self.bytes.get_mut(self.length..self.length + RUN)
        {
            let bytes = u64::from_le_bytes(*run);
            // All eight bytes are written; those after the first stop are overwritten later.
            room.copy_from_slice(&mapped(bytes).to_le_bytes());
            let count = stops(bytes).trailing_zeros() as usize / RUN;
            self.length += count;
            if count < RUN {
                return text.len() - rest.len() + count;
            }
            rest = behind;
        }
        while let [byte, behind @ ..] = rest
            && stops(u64::from(*byte)) & FIRST == 0
        {
            let [mapped, ..] = mapped(u64::from(*byte)).to_le_bytes();
            self.push(mapped);
            rest = behind;
        }
        text.len() - rest.len()
    }

    /// Removes this many bytes from the end.
    #[inline]
    pub(crate) fn take_back(&mut self, count: usize) {
        self.length = self.length.saturating_sub(count);
    }

    /// The bytes that were appended.
    #[inline]
    pub(crate) fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Converts the buffer into a vector.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.length);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_the_capacity_are_dropped() {
        let mut buffer = FixedBuffer::of(12);
        buffer.push(b'a');
        buffer.extend(b"bc");
        buffer.extend(b"12345678");
        assert_eq!(buffer.written(), b"abc12345678");
        buffer.extend(b"123456789");
        buffer.extend(b"xy");
        assert_eq!(buffer.written(), b"abc12345678x");
        buffer.take_back(2);
        buffer.push(b'z');
        assert_eq!(buffer.into_vec(), b"abc1234567z");
    }

    #[test]
    fn ascii_letters_are_converted_to_lower_case() {
        for byte in 0..0x80_u8 {
            for at in 0..8 {
                let mut bytes = *b"aZ@[`{\x7f\0";
                bytes[at] = byte;
                assert_eq!(
                    lower_case(u64::from_le_bytes(bytes)).to_le_bytes(),
                    bytes.map(|byte| byte.to_ascii_lowercase())
                );
            }
        }
    }

    #[test]
    fn bytes_are_appended_up_to_the_first_that_stops() {
        for length in 0..35 {
            for (stop, wide) in [("%cD%", false), ("%%", false), ("\u{e4}%", true)] {
                let text = ["a~B&".repeat(length).as_bytes(), stop.as_bytes()].concat();
                let mut buffer = FixedBuffer::of(200);
                buffer.push(b'x');
                let stops = if wide { at_percent_or_wide } else { at_percent };
                let count = buffer.extend_until(&text, stops, lower_case);
                assert_eq!((count, buffer.written()), (4 * length, format!("x{}", "a~b&".repeat(length)).as_bytes()));
            }
        }
        let mut buffer = FixedBuffer::of(20);
        assert_eq!(buffer.extend_until("\u{e4}$&\u{25a5}".as_bytes(), at_percent, |bytes| bytes), 7);
        buffer.extend_until(&[b'a'; 40], at_percent, |bytes| bytes);
        assert_eq!(buffer.into_vec(), "\u{e4}$&\u{25a5}aaaaaaaaaaaaa".as_bytes());
    }
}
