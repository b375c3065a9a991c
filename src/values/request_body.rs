//! How much of a request's body has come.

use super::chunks::{BrokenChunks, ChunkReader};
use super::request_head::Framing;

/// Follows a body to its end. What comes after that belongs to the next request.
#[derive(Clone, Copy, Debug)]
pub enum BodyReader {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks are to come.
    Chunked(ChunkReader),
}

impl BodyReader {
    /// The body of a head with this framing.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Empty => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(ChunkReader::default()),
        }
    }

    /// Goes over bytes that came.
    ///
    /// # Errors
    /// They are no body in chunks.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), BrokenChunks> {
        match self {
            Self::Length(left) => *left = left.saturating_sub(bytes.len() as u64),
            Self::Chunked(chunks) => drop(chunks.feed(bytes)?),
        }
        Ok(())
    }

    /// Whether all of it has come.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.is_over(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_over_when_all_of_it_has_come() {
        let cases: [(Framing, &[&str], bool); 6] = [
            (Framing::Empty, &[], true),
            (Framing::Length(5), &["hel"], false),
            (Framing::Length(5), &["hel", "lo"], true),
            (Framing::Length(5), &["hello and more"], true),
            (Framing::Chunked, &["5\r\nhello\r\n"], false),
            (Framing::Chunked, &["5\r\nhel", "lo\r\n0\r\n", "\r\nand more"], true),
        ];
        for (framing, pieces, over) in cases {
            let mut body = BodyReader::new(framing);
            pieces.iter().for_each(|piece| body.feed(piece.as_bytes()).unwrap());
            assert_eq!(body.is_over(), over, "{framing:?} {pieces:?}");
        }
        assert!(BodyReader::new(Framing::Chunked).feed(b"5 \r\n").is_err());
    }
}
