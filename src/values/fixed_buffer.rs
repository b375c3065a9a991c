//! Bytes that are never more than there is room for.

/// A buffer of a size that does not change: appending a byte costs a few instructions, where a `Vec` that may grow
/// costs some twenty. What has no room is left out.
#[derive(Debug)]
pub(crate) struct FixedBuffer {
    bytes: Vec<u8>,
    length: usize,
}

impl FixedBuffer {
    /// An empty buffer with room for so many bytes.
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

    /// Appends bytes: mostly a few, and sometimes very many.
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

    /// What was appended.
    #[inline]
    pub(crate) fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The same as a vector.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.length);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out() {
        let mut buffer = FixedBuffer::of(12);
        buffer.push(b'a');
        buffer.extend(b"bc");
        buffer.extend(b"12345678");
        assert_eq!(buffer.written(), b"abc12345678");
        buffer.extend(b"123456789");
        buffer.extend(b"xy");
        assert_eq!(buffer.into_vec(), b"abc12345678x");
    }
}
