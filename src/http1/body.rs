//! Tracks how much of a message body has been received, and separates its data from its framing.

use super::answer_head::AnswerBody;
use super::chunks::{BrokenChunks, ChunkPiece, ChunkReader};
use super::request_head::BodyFraming;

/// The state of a body that is being received. Bytes after its end belong to the next message.
#[derive(Clone, Copy, Debug)]
pub enum BodyReader {
    /// The number of bytes still to be received.
    Length(u64),
    /// The chunked transfer coding.
    Chunked(ChunkReader),
    /// The body ends when the connection is closed.
    UntilClose,
}

impl BodyReader {
    /// The body of a request.
    pub fn new(framing: BodyFraming) -> Self {
        match framing {
            BodyFraming::Empty => Self::Length(0),
            BodyFraming::Length(length) => Self::Length(length),
            BodyFraming::Chunked => Self::Chunked(ChunkReader::default()),
        }
    }

    /// The body of an answer.
    pub fn of_answer(body: AnswerBody) -> Self {
        match body {
            AnswerBody::Empty => Self::Length(0),
            AnswerBody::Length(length) => Self::Length(length),
            AnswerBody::Chunked => Self::Chunked(ChunkReader::lenient()),
            AnswerBody::UntilClose => Self::UntilClose,
        }
    }

    /// Processes received bytes.
    ///
    /// # Errors
    /// The chunked framing is invalid.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), BrokenChunks> {
        match self {
            Self::Chunked(chunks) => chunks.feed(bytes).map(|_| ()),
            Self::Length(_) | Self::UntilClose => self.step(bytes).map(|_| ()),
        }
    }

    /// Processes received bytes up to the end of the next piece of data. Bytes after the body are not consumed.
    ///
    /// # Errors
    /// The chunked framing is invalid.
    pub fn step(&mut self, bytes: &[u8]) -> Result<ChunkPiece, BrokenChunks> {
        let taken = match self {
            Self::Chunked(chunks) => return chunks.step(bytes),
            Self::UntilClose => bytes.len(),
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                taken
            }
        };
        Ok(ChunkPiece { data: 0..taken, taken })
    }

    /// Whether the complete body has been received. `false` for a body that ends with the connection.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.is_over(),
            Self::UntilClose => false,
        }
    }

    /// Whether a mistake in its framing was tolerated. Such a connection must not be reused.
    pub fn was_lenient(&self) -> bool {
        matches!(self, Self::Chunked(chunks) if chunks.was_lenient())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_over_when_all_of_it_was_received() {
        let cases: [(BodyFraming, &[&str], bool); 6] = [
            (BodyFraming::Empty, &[], true),
            (BodyFraming::Length(5), &["hel"], false),
            (BodyFraming::Length(5), &["hel", "lo"], true),
            (BodyFraming::Length(5), &["hello and more"], true),
            (BodyFraming::Chunked, &["5\r\nhello\r\n"], false),
            (BodyFraming::Chunked, &["5\r\nhel", "lo\r\n0\r\n", "\r\nand more"], true),
        ];
        for (framing, pieces, over) in cases {
            let mut body = BodyReader::new(framing);
            pieces.iter().for_each(|piece| body.feed(piece.as_bytes()).unwrap());
            assert_eq!(body.is_over(), over, "{framing:?} {pieces:?}");
        }
        assert!(BodyReader::new(BodyFraming::Chunked).feed(b"5 \r\n").is_err());
    }

    #[test]
    fn data_is_separated_from_framing_and_from_the_next_message() {
        use AnswerBody::*;
        let cases: [(AnswerBody, &str, &str, &str); 4] = [
            (Empty, "more", "", "more"),
            (Length(5), "hello, more", "hello", ", more"),
            (Chunked, "3 \r\nhel\r\n2;x\nlo\r\n0\r\n\r\nmore", "hello", "more"),
            (UntilClose, "hello", "hello", ""),
        ];
        for (framing, bytes, want, rest) in cases {
            let mut body = BodyReader::of_answer(framing);
            let (mut data, mut at) = (String::new(), 0);
            while at < bytes.len() && !body.is_over() {
                let piece = body.step(&bytes.as_bytes()[at..]).unwrap();
                data += &bytes[at..][piece.data];
                at += piece.taken;
            }
            assert_eq!((data.as_str(), &bytes[at..]), (want, rest), "{framing:?}");
            assert_eq!(
                (body.is_over(), body.was_lenient()),
                (framing != UntilClose, framing == Chunked),
                "{framing:?}"
            );
            assert_eq!(body.step(b"").unwrap(), ChunkPiece { data: 0..0, taken: 0 });
        }
    }
}
