//! The framing of a body in chunks (RFC 9112 7.1), read as strictly as it is written, and taken away: what is passed on
//! is framed again, without extensions and trailers.
//!
//! What some parsers tolerate and others do not (white space after a size, a bare LF, endless extensions) is refused in
//! a request. Some old applications pad the size with spaces: in a response that is tolerated, and its connection is
//! not used again.

use std::ops::Range;

use super::header_name_bytes::is_token;

/// Reads the framing of one body. The data in the chunks is not inspected.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChunkReader {
    state: ChunkState,
    /// Bytes of the chunk that are still to come.
    left: u64,
    /// Digits of the size that is being read.
    digits: u8,
    /// Bytes of extensions in this body.
    extensions: usize,
    /// Bytes of the trailer section.
    trailers: usize,
    leniency: Leniency,
}

/// Whether small mistakes are tolerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leniency {
    #[default]
    Strict,
    Lenient,
    /// Lenient, and a mistake was tolerated.
    Forgave,
}

/// What was gone over, and what of it is the body's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkPiece {
    /// Data. Empty where there was nothing but framing.
    pub data: Range<usize>,
    /// All that was gone over.
    pub taken: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    /// White space behind a size.
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

/// Digits of a size at most: no body has a chunk of 2^60 bytes.
const MAX_DIGITS: u8 = 15;
/// Bytes of chunk extensions in one body at most. They have no legitimate use here; many of them only cause work.
const MAX_EXTENSIONS: usize = 4096;
/// Bytes of a trailer section at most. It is not passed on.
const MAX_TRAILERS: usize = 8192;

impl ChunkReader {
    /// A reader for an answer, which may be a little wrong.
    pub(crate) fn lenient() -> Self {
        Self { leniency: Leniency::Lenient, ..Self::default() }
    }

    /// Goes over `bytes`. Answers how many of them belong to the body.
    ///
    /// # Errors
    /// The body has no single end any more.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, BrokenChunks> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty() && self.state != ChunkState::Over) {
            at += self.step(rest)?.taken;
        }
        Ok(at)
    }

    /// Goes over `bytes` to the end of the next data in them, of all of them where there is none, or of the body.
    ///
    /// # Errors
    /// The body has no single end any more.
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

    /// Whether something was tolerated: the end of this body is a guess.
    pub(crate) fn was_lenient(&self) -> bool {
        self.leniency == Leniency::Forgave
    }

    /// Whether the body is over.
    pub fn is_over(&self) -> bool {
        self.state == ChunkState::Over
    }

    /// Skips data, of which this many bytes are available.
    fn pass_over(&mut self, there: usize) -> usize {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(there);
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
            self.forgive()?;
            self.state = self.next_strictly(b'\r')?;
        }
        self.next_strictly(byte)
    }

    fn forgive(&mut self) -> Result<(), BrokenChunks> {
        if self.leniency == Leniency::Strict {
            return Err(BrokenChunks);
        }
        self.leniency = Leniency::Forgave;
        Ok(())
    }

    fn next_strictly(&mut self, byte: u8) -> Result<ChunkState, BrokenChunks> {
        use ChunkState::*;
        match (self.state, byte) {
            (Size, b'\r') if self.digits > 0 => Ok(SizeLineFeed),
            (Size, b';') if self.digits > 0 => Ok(Extension),
            (Size, b' ' | b'\t') if self.digits > 0 => self.forgive().map(|()| Blank),
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

/// Stays in its state for one more byte of text, up to the limit.
fn limited(count: &mut usize, most: usize, byte: u8, state: ChunkState) -> Result<ChunkState, BrokenChunks> {
    *count += 1;
    let text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if text && *count <= most { Ok(state) } else { Err(BrokenChunks) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How much belongs to the body, and whether it is over. Fed whole and byte by byte.
    fn read(bytes: &[u8]) -> Result<(usize, bool), BrokenChunks> {
        let mut whole = ChunkReader::default();
        let read = whole.feed(bytes).map(|taken| (taken, whole.is_over()));
        let mut reader = ChunkReader::default();
        let one_by_one = bytes.iter().try_fold(0, |sum, byte| reader.feed(&[*byte]).map(|taken| sum + taken));
        assert_eq!(read, one_by_one.map(|taken| (taken, reader.is_over())), "{:?}", String::from_utf8_lossy(bytes));
        read
    }

    #[test]
    fn whole_bodies_end_where_they_end() {
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
    fn unfinished_bodies_wait() {
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

    /// The content of a body, read at once and byte by byte, and whether something was tolerated.
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
    fn data_is_what_is_left_without_the_framing() {
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
    fn an_answer_is_forgiven_what_a_request_is_not() {
        let forgiven = [
            "5  \r\nhello\r\n0 \r\n\r\n", "5 ;x\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n", "5;x\nhello\n0\nX: y\n\n", "5\t\nhello\r\n0\r\n\r\n",
        ];
        for bytes in forgiven {
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
    fn what_is_no_data_has_a_limit() {
        let extensions = |each: usize, chunks: usize| format!("1;{}\r\nx\r\n", "e".repeat(each)).repeat(chunks);
        assert!(read(extensions(MAX_EXTENSIONS, 1).as_bytes()).is_ok());
        assert!(read(extensions(MAX_EXTENSIONS + 1, 1).as_bytes()).is_err());
        assert!(read(extensions(MAX_EXTENSIONS / 4, 5).as_bytes()).is_err());
        assert!(read(format!("0\r\n{}", "X: y\r\n".repeat(5000)).as_bytes()).is_err());
    }

    proptest! {
        /// Whatever is framed as the standard says comes to its end, in whichever pieces it comes.
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
