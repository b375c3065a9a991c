//! A byte buffer of fixed capacity.

/// Bytes that are judged at once.
const RUN: usize = 8;

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

    /// Appends bytes. A long piece that does not fit is dropped as a whole. Fast for short pieces.
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

    /// Appends the bytes at the beginning of `text` that are plain, each as `mapped`, and returns how many there are.
    /// Both have to be cheap: many bytes are judged and mapped at once.
    #[inline]
    pub(crate) fn extend_while(
        &mut self,
        text: &[u8],
        is_plain: impl Fn(u8) -> bool,
        mapped: impl Fn(u8) -> u8,
    ) -> usize {
        let mut rest = text;
        while let Some((run, behind)) = rest.split_first_chunk::<RUN>()
            && run.iter().fold(true, |plain, &byte| plain & is_plain(byte))
            && let Some(room) = self.bytes.get_mut(self.length..self.length + RUN)
        {
            room.copy_from_slice(&run.map(&mapped));
            self.length += RUN;
            rest = behind;
        }
        while let [byte, behind @ ..] = rest
            && is_plain(*byte)
        {
            self.push(mapped(*byte));
            rest = behind;
        }
        text.len() - rest.len()
    }

    /// Removes this many bytes from the end.
    #[inline]
    pub(crate) fn take_back(&mut self, count: usize) {
        self.length = self.length.saturating_sub(count);
    }

    /// Returns the bytes that were appended.
    #[inline]
    pub(crate) fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Converts the buffer into a vector of these bytes.
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
    fn plain_bytes_are_appended_up_to_the_first_other_one() {
        for length in 0..70 {
            let text = ["aB".repeat(length).as_bytes(), b"%cD"].concat();
            let mut buffer = FixedBuffer::of(200);
            buffer.push(b'x');
            let count = buffer.extend_while(&text, |byte| byte != b'%', |byte| byte.to_ascii_lowercase());
            assert_eq!((count, buffer.written()), (2 * length, format!("x{}", "ab".repeat(length)).as_bytes()));
        }
        let mut buffer = FixedBuffer::of(20);
        buffer.extend_while(&[b'a'; 40], |_| true, |byte| byte);
        assert_eq!(buffer.written(), [b'a'; 20]);
    }
}
