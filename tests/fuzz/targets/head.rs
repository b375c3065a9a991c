//! The first reading of a request: head and chunks come to the same in whichever pieces they come, and what passes is
//! read by a parser of another's with the same end, the same words and the same lines, byte for byte.

#![no_main]

use exeunt::http1::chunks::ChunkReader;
use exeunt::http1::request_head::{BodyFraming, Head, HeadLimits, HeadReader};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { size: 2048, fields: 40 };

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0).max(1), input.1);
    let whole = HeadReader::default().feed(bytes, &LIMITS);
    let mut reader = HeadReader::default();
    let ends = (1..=bytes.len()).step_by(cut).chain([bytes.len()]);
    let pieces = ends.map(|end| reader.feed(&bytes[..end], &LIMITS)).find(|read| *read != Ok(None)).unwrap_or(Ok(None));
    assert_eq!(whole, pieces, "it matters how the bytes come");
    if let Ok(Some(head)) = whole {
        agrees_with_a_parser(bytes, &head);
        if head.framing == BodyFraming::Chunked {
            chunks(&bytes[head.end..], cut);
        }
    }
});

fn agrees_with_a_parser(bytes: &[u8], head: &Head) {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    // A parser may refuse more: a character of a target, for one.
    if let Ok(status) = request.parse(bytes) {
        assert_eq!(status, httparse::Status::Complete(head.end), "two ends of one head");
        let theirs = request.headers.iter().map(|line| (line.name.as_bytes(), line.value));
        let ours = head.lines.iter().map(|line| (line.name.of(bytes), line.value.of(bytes)));
        assert!(theirs.eq(ours), "two readings of one line");
        let words = (head.method.of(bytes), head.target.of(bytes), head.is_old);
        let version = request.version == Some(0);
        assert_eq!(words, (request.method.unwrap().as_bytes(), request.path.unwrap().as_bytes(), version));
        let named = |name: &str| request.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(name)).count();
        let lengths = (named("content-length"), named("transfer-encoding"));
        let told = match head.framing {
            BodyFraming::Empty => lengths == (0, 0) || lengths == (1, 0),
            BodyFraming::Length(_) => lengths == (1, 0),
            BodyFraming::Chunked => lengths == (0, 1),
        };
        assert!(told, "{:?} out of {lengths:?}", head.framing);
    }
}

fn chunks(body: &[u8], cut: usize) {
    let mut whole = ChunkReader::default();
    let read = whole.feed(body).map(|taken| (taken, whole.is_over()));
    let mut reader = ChunkReader::default();
    let taken = body.chunks(cut).try_fold(0, |sum, piece| reader.feed(piece).map(|taken| sum + taken));
    assert_eq!(read, taken.map(|taken| (taken, reader.is_over())), "it matters how the bytes come");
}
