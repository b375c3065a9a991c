//! A strict parser of the chunked transfer coding (RFC 9112 7.1). It removes the framing: the body is framed again when
//! it is passed on, without extensions and trailers.
//!
//! Deviations that some parsers tolerate (white space after a size, a bare LF, endless extensions) are refused in a
//! request, since they allow request smuggling. Some old applications pad the size with spaces: in a response that is
//! tolerated, and the connection is not reused.

use std::ops::Range;

use super::header_name_bytes::is_token;

/// The parser state of one body. The data in the chunks is not inspected.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChunkReader {
    state: ChunkState,
    /// The number of bytes of the current chunk still to be received.
    left: u64,
    /// The number of digits of the current size.
    digits: u8,
    /// The total size of extensions in this body, in bytes.
    extensions: usize,
    /// The size of the trailer section in bytes.
    trailers: usize,
    leniency: Leniency,
}

/// Whether known harmless mistakes are tolerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leniency {
    #[default]
    Strict,
    Lenient,
    /// Lenient, and a mistake was tolerated.
    Tolerated,
}

/// The result of one step of the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkPiece {
    /// The range of the data in the input; empty if there was only framing.
    pub data: Range<usize>,
    /// The number of consumed bytes, framing included.
    pub taken: usize,
}

/// The part of the coding that is expected next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    /// White space after a size.
    Blank,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
    Over,
}

/// The framing is invalid or exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenChunks;

/// The maximum number of hexadecimal digits of a size: a chunk is shorter than 2^60 bytes.
const MAX_DIGITS: u8 = 15;
/// The maximum total size of chunk extensions in one body, in bytes. They have no legitimate use here.
const MAX_EXTENSIONS: usize = 4096;
/// The maximum size of a trailer section in bytes. It is not passed on.
const MAX_TRAILERS: usize = 8192;

impl ChunkReader {
    /// A parser for an answer, which tolerates known harmless mistakes.
    pub(crate) fn lenient() -> Self {
        Self { leniency: Leniency::Lenient, ..Self::default() }
    }

    /// Processes `bytes`. Returns how many of them belong to the body.
    ///
    /// # Errors
    /// The framing is invalid: the end of the body is unknown.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, BrokenChunks> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty() && self.state != ChunkState::Over) {
            at += self.step(rest)?.taken;
        }
        Ok(at)
    }

    /// Processes `bytes` up to the end of the next piece of data, or of the input, or of the body.
    ///
    /// # Errors
    /// The framing is invalid: the end of the body is unknown.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Result<ChunkPiece, BrokenChunks> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at).filter(|_| self.state != ChunkState::Over) {
            if self.state == ChunkState::Data {
                let end = at + self.pass_over(bytes.len() - at);
                return Ok(ChunkPiece { data: at..end, taken: end });
            }
            self.state = self.next(byte)?;
            at += 1;
        }
        Ok(ChunkPiece { data: at..at, taken: at })
    }

    /// Whether a mistake was tolerated. The application may see another end of the body, so the connection must not be
    /// reused.
    pub(crate) fn was_lenient(&self) -> bool {
        self.leniency == Leniency::Tolerated
    }

    /// Whether the end of the body was reached.
    pub fn is_over(&self) -> bool {
        self.state == ChunkState::Over
    }

    /// Consumes at most `available` bytes of data, and returns how many.
    fn pass_over(&mut self, available: usize) -> usize {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(available);
        self.left -= count as u64;
        if self.left == 0 {
            self.state = ChunkState::DataReturn;
        }
        count
    }

    fn next(&mut self, byte: u8) -> Result<ChunkState, BrokenChunks> {
        use ChunkState::{DataLineFeed, LastLineFeed, SizeLineFeed, TrailerLineFeed};
        let after_return = matches!(self.state, SizeLineFeed | DataLineFeed | TrailerLineFeed | LastLineFeed);
        if byte == b'\n' && !after_return {
            self.tolerate()?;
            self.state = self.next_strictly(b'\r')?;
        }
        self.next_strictly(byte)
    }

    fn tolerate(&mut self) -> Result<(), BrokenChunks> {
        if self.leniency == Leniency::Strict {
            return Err(BrokenChunks);
        }
        self.leniency = Leniency::Tolerated;
        Ok(())
    }

    fn next_strictly(&mut self, byte: u8) -> Result<ChunkState, BrokenChunks> {
        use ChunkState::*;
        match (self.state, byte) {
            (Size, b'\r') if self.digits > 0 => Ok(SizeLineFeed),
            (Size, b';') if self.digits > 0 => Ok(Extension),
            (Size, b' ' | b'\t') if self.digits > 0 => self.tolerate().map(|()| Blank),
            (Blank, b' ' | b'\t') => limited(&mut self.extensions, MAX_EXTENSIONS, byte, Blank),
            (Blank, b'\r') => Ok(SizeLineFeed),
            (Blank, b';') => Ok(Extension),
            (Size, _) => self.digit(byte),
            (Extension, b'\r') => Ok(SizeLineFeed),
            (Extension, _) => limited(&mut self.extensions, MAX_EXTENSIONS, byte, Extension),
            (SizeLineFeed, b'\n') => Ok(self.begin_data()),
            (DataReturn, b'\r') => Ok(DataLineFeed),
            (DataLineFeed, b'\n') => Ok(Size),
            (TrailerStart, b'\r') => Ok(LastLineFeed),
            (TrailerStart | TrailerName, _) if is_token(byte) => {
                limited(&mut self.trailers, MAX_TRAILERS, byte, TrailerName)
            }
            (TrailerName, b':') => Ok(TrailerValue),
            (TrailerValue, b'\r') => Ok(TrailerLineFeed),
            (TrailerValue, _) => limited(&mut self.trailers, MAX_TRAILERS, byte, TrailerValue),
            (TrailerLineFeed, b'\n') => Ok(TrailerStart),
            (LastLineFeed, b'\n') => Ok(Over),
            _ => Err(BrokenChunks),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<ChunkState, BrokenChunks> {
        let digit = char::from(byte).to_digit(16).filter(|_| self.digits < MAX_DIGITS).ok_or(BrokenChunks)?;
        self.left = self.left * 16 + u64::from(digit);
        self.digits += 1;
        Ok(ChunkState::Size)
    }

    fn begin_data(&mut self) -> ChunkState {
        self.digits = 0;
        if self.left == 0 { ChunkState::TrailerStart } else { ChunkState::Data }
    }
}

/// Counts a byte and returns `state`; refuses control characters and more than `most` bytes.
fn limited(count: &mut usize, most: usize, byte: u8, state: ChunkState) -> Result<ChunkState, BrokenChunks> {
    *count += 1;
    let text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if text && *count <= most { Ok(state) } else { Err(BrokenChunks) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The number of bytes in the body, and whether it is complete. Parsed in one piece and byte by byte.
    fn read(bytes: &[u8]) -> Result<(usize, bool), BrokenChunks> {
        let mut whole = ChunkReader::default();
        let read = whole.feed(bytes).map(|taken| (taken, whole.is_over()));
        let mut reader = ChunkReader::default();
        let one_by_one = bytes.iter().try_fold(0, |sum, byte| reader.feed(&[*byte]).map(|taken| sum + taken));
        assert_eq!(read, one_by_one.map(|taken| (taken, reader.is_over())), "{:?}", String::from_utf8_lossy(bytes));
        read
    }

    #[test]
    fn the_end_of_a_complete_body_is_found() {
        let cases = [
            ("0\r\n\r\n", 5),
            ("5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n", 15),
            ("A\r\n0123456789\r\n000\r\n\r\n", 22),
            ("3;ext=\"x\"\r\nhel\r\n2;\r\nlo\r\n0;last\r\n\r\n", 34),
            ("0\r\nX-Sum: 5\r\nY:\r\n\r\nnext", 19),
        ];
        for (bytes, end) in cases {
            assert_eq!(read(bytes.as_bytes()), Ok((end, true)), "{bytes:?}");
        }
    }

    #[test]
    fn incomplete_bodies_are_not_over() {
        for bytes in ["", "5", "5\r\nhel", "5\r\nhello\r\n", "0\r\n", "0\r\n\r", "0\r\nX: y\r\n"] {
            assert_eq!(read(bytes.as_bytes()), Ok((bytes.len(), false)), "{bytes:?}");
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        let cases = [
            "\r\n", ";x\r\n", "+5\r\nhello\r\n", "-5\r\n", "0x5\r\nhello\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n",
            "5\t;x\r\nhello\r\n", "5\nhello\r\n", "5\rxhello", "5\r\nhello\n", "5\r\nhello!\r\n", "5\r\nhello\r0\r\n",
            "5;x\nhello\r\n", "5;x\0\r\n", "5;\u{7f}\r\n", "1000000000000000\r\n", "g\r\n", "0\r\n\n",
            "0\r\n X: y\r\n", "0\r\nX\r\n", "0\r\nX : y\r\n", "0\r\n: y\r\n", "0\r\nX: y\n", "0\r\nX: \0\r\n",
            "0\r\n\rX",
        ];
        for bytes in cases {
            assert_eq!(read(bytes.as_bytes()), Err(BrokenChunks), "{bytes:?}");
        }
    }

    /// The data of a body, parsed in one piece and byte by byte, and whether a mistake was tolerated.
    fn data(mut reader: ChunkReader, bytes: &[u8]) -> Result<(Vec<u8>, bool), BrokenChunks> {
        let mut by_bytes = reader;
        let (mut data, mut at) = (Vec::new(), 0);
        while at < bytes.len() && !reader.is_over() {
            let piece = reader.step(&bytes[at..])?;
            data.extend_from_slice(&bytes[at..][piece.data]);
            at += piece.taken;
        }
        let mut one_by_one = Vec::new();
        for byte in bytes.chunks(1) {
            one_by_one.extend_from_slice(&byte[by_bytes.step(byte)?.data]);
        }
        assert_eq!((&data, reader.is_over()), (&one_by_one, by_bytes.is_over()));
        assert_eq!(reader.was_lenient(), by_bytes.was_lenient());
        Ok((data, reader.was_lenient()))
    }

    #[test]
    fn the_data_is_returned_without_the_framing() {
        let cases: [(&str, &str); 4] = [
            ("5;x\r\nhel\n\r\r\n0\r\nX: y\r\n\r\nmore", "hel\n\r"),
            ("1\r\na\r\n1\r\nb\r\n2\r\n", "ab"),
            ("0\r\n\r\n1\r\na\r\n", ""),
            ("5\r\nhe", "he"),
        ];
        for (bytes, want) in cases {
            let read = data(ChunkReader::default(), bytes.as_bytes());
            assert_eq!(read, Ok((want.as_bytes().to_vec(), false)), "{bytes:?}");
        }
    }

    #[test]
    fn known_mistakes_are_tolerated_in_answers_only() {
        let tolerated = [
            "5  \r\nhello\r\n0 \r\n\r\n", "5 ;x\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n", "5;x\nhello\n0\nX: y\n\n", "5\t\nhello\r\n0\r\n\r\n",
        ];
        for bytes in tolerated {
            assert_eq!(data(ChunkReader::default(), bytes.as_bytes()), Err(BrokenChunks), "{bytes:?}");
            assert_eq!(data(ChunkReader::lenient(), bytes.as_bytes()), Ok((b"hello".to_vec(), true)), "{bytes:?}");
        }
        let blanks = format!("5{}\r\nhello\r\n", " ".repeat(MAX_EXTENSIONS + 2));
        let broken = [
            " 5\r\nhello\r\n", "5 5\r\nhello\r\n", "5\rhello", "\nhello", "5\r\nhelloX\n", "0\r\nX\n\n", "-5\n",
            &blanks,
        ];
        for bytes in broken {
            assert_eq!(data(ChunkReader::lenient(), bytes.as_bytes()), Err(BrokenChunks), "{bytes:?}");
        }
        assert_eq!(data(ChunkReader::lenient(), b"5\r\nhello\r\n0\r\n\r\n"), Ok((b"hello".to_vec(), false)));
    }

    #[test]
    fn extensions_and_trailers_are_limited() {
        let extensions = |each: usize, chunks: usize| format!("1;{}\r\nx\r\n", "e".repeat(each)).repeat(chunks);
        assert!(read(extensions(MAX_EXTENSIONS, 1).as_bytes()).is_ok());
        assert!(read(extensions(MAX_EXTENSIONS + 1, 1).as_bytes()).is_err());
        assert!(read(extensions(MAX_EXTENSIONS / 4, 5).as_bytes()).is_err());
        assert!(read(format!("0\r\n{}", "X: y\r\n".repeat(5000)).as_bytes()).is_err());
    }

    proptest! {
        /// Every body that is framed as the standard says is parsed to its end, however it is split into pieces.
        #[test]
        fn framed_bodies_are_read(chunks in proptest::collection::vec("[ -~\r\n]{1,40}", 0..6), cut in 1usize..50) {
            let framed: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
            let body = framed + "0\r\n\r\n";
            let mut reader = ChunkReader::default();
            let taken: usize = body.as_bytes().chunks(cut).map(|piece| reader.feed(piece).unwrap()).sum();
            prop_assert!(taken == body.len() && reader.is_over());
        }
    }
}
