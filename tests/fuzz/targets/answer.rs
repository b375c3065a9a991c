//! What an application answers: heads and body come to the same in whichever pieces they come; what passes is read by
//! another's parser, set to forgive the same, with the same end, status and lines; and a connection is used again only
//! behind an answer that nothing had to be forgiven in.
//!
//! The first byte says how the rest is cut and what was asked for; the rest is what the application sends.

#![no_main]

use exeunt::http1::answer_head::{AnswerBody, AnswerContext, AnswerHead, AnswerReader, BrokenAnswer};
use exeunt::http1::body::BodyReader;
use exeunt::http1::request_head::HeadLimits;

const LIMITS: HeadLimits = HeadLimits { size: 2048, fields: 40 };
/// As many as an exchange takes.
const HEADS: usize = 32;

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (how, mut bytes) = input;
    let cut = usize::from(how & 0x3f).max(1);
    let asked = AnswerContext { by_head: how & 0x40 != 0, upgrade: how & 0x80 != 0 };
    let (mut whole, mut by_pieces) = (AnswerReader::new(asked), AnswerReader::new(asked));
    for _ in 0..HEADS {
        let read = feed(&mut whole, bytes, bytes.len().max(1));
        assert_eq!(read, feed(&mut by_pieces, bytes, cut), "it matters how the bytes come");
        let Ok(Some((head, seen))) = read else { return };
        agrees_with_a_parser(bytes, &head, &seen);
        body_is_framed(asked, &head, &seen);
        bytes = &bytes[head.end..];
        if !head.is_interim() {
            return body(bytes, &head, cut);
        }
    }
});

/// Names and values, in their order.
type Seen = Vec<(Vec<u8>, Vec<u8>)>;

fn feed(reader: &mut AnswerReader, bytes: &[u8], cut: usize) -> Result<Option<(AnswerHead, Seen)>, BrokenAnswer> {
    let mut came = Vec::new();
    for piece in bytes.chunks(cut) {
        came.extend_from_slice(piece);
        if let Some(head) = reader.feed(&mut came, &LIMITS)? {
            let seen = head.lines.iter().map(|line| (line.name.of(&came).to_vec(), line.value.of(&came).to_vec()));
            let seen = seen.collect();
            return Ok(Some((head, seen)));
        }
    }
    Ok(None)
}

/// Values with every run of white space as one space: how much of it a folded line has is not compared.
fn words(value: &[u8]) -> Vec<&[u8]> {
    value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
}

fn agrees_with_a_parser(bytes: &[u8], head: &AnswerHead, seen: &Seen) {
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    config.allow_spaces_after_header_name_in_responses(true);
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    // A parser may refuse more.
    if let Ok(status) = config.parse_response(&mut response, bytes) {
        assert_eq!(status, httparse::Status::Complete(head.end), "two ends of one head");
        assert_eq!((response.code, response.version), (Some(head.status), Some(u8::from(!head.is_old))));
        let theirs = response.headers.iter().map(|line| (line.name.as_bytes(), words(line.value)));
        assert!(theirs.eq(seen.iter().map(|(name, value)| (name.as_slice(), words(value)))), "two readings of a line");
    }
    for (name, value) in seen {
        assert!(!name.is_empty() && name.iter().all(u8::is_ascii_graphic), "no name");
        assert!(value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control()), "a control character");
        assert_eq!(value.trim_ascii(), value, "white space around a value");
    }
    if head.reusable {
        strictly_too(bytes, head);
    }
}

/// Nothing was forgiven: who reads strictly reads the same.
fn strictly_too(bytes: &[u8], head: &AnswerHead) {
    let raw = &bytes[..head.end];
    assert!(raw.windows(2).all(|pair| pair[1] != b'\n' || pair[0] == b'\r'), "a bare line feed is forgotten");
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    if httparse::ParserConfig::default().parse_response(&mut response, bytes).is_err() {
        assert!(response.headers.iter().all(|line| !line.value.contains(&b'\n')), "a fold is forgotten");
    }
}

/// What is announced is what the lines say, told in one way where the connection is used again.
fn body_is_framed(asked: AnswerContext, head: &AnswerHead, seen: &Seen) {
    let of = |known: &str| {
        let lines = seen.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        lines.map(|(_, value)| value.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let (lengths, codings) = (of("content-length"), of("transfer-encoding"));
    match head.announced {
        AnswerBody::Chunked => assert!(codings.iter().any(|coding| coding.ends_with(b"chunked") || coding.len() > 7)),
        AnswerBody::Length(length) => {
            let numbers = lengths.iter().flat_map(|line| line.split(|&byte| byte == b','));
            let mut numbers = numbers.map(|one| String::from_utf8(one.trim_ascii().to_vec()).unwrap().parse::<u64>());
            assert!(!lengths.is_empty() && numbers.all(|one| one == Ok(length)), "{length} out of {lengths:?}");
        }
        AnswerBody::Empty | AnswerBody::UntilClose => assert!(lengths.is_empty()),
    }
    let none = asked.by_head || matches!(head.status, 100..=199 | 204 | 304);
    assert!(!none || head.body == AnswerBody::Empty, "a body where there is none");
    let closes = of("connection")
        .iter()
        .flat_map(|line| line.split(|&byte| byte == b','))
        .any(|one| one.trim_ascii() == b"close");
    if head.reusable {
        assert!(!closes && head.body != AnswerBody::UntilClose && lengths.len() + codings.len() < 2, "one framing");
        assert!(codings.iter().all(|coding| coding == b"chunked"), "a coding is forgotten");
    }
    assert!(head.status != 101 || asked.upgrade);
}

/// The data of a body, whether it came to its end, and whether something was forgiven.
fn read_body(mut reader: BodyReader, bytes: &[u8], cut: usize) -> Option<(Vec<u8>, usize, bool, bool)> {
    let (mut data, mut at) = (Vec::new(), 0);
    for piece in bytes.chunks(cut) {
        let mut rest = piece;
        while !rest.is_empty() && !reader.is_over() {
            let step = reader.step(rest).ok()?;
            data.extend_from_slice(&rest[step.data]);
            rest = &rest[step.taken..];
            at += step.taken;
        }
    }
    Some((data, at, reader.is_over(), reader.was_lenient()))
}

fn body(bytes: &[u8], head: &AnswerHead, cut: usize) {
    let reader = BodyReader::of_answer(head.body);
    let whole = read_body(reader, bytes, bytes.len().max(1));
    assert_eq!(whole, read_body(reader, bytes, cut), "it matters how the bytes come");
    let Some((data, taken, over, forgave)) = whole else { return };
    match head.body {
        AnswerBody::Empty => assert!(data.is_empty() && taken == 0 && over),
        AnswerBody::Length(length) => assert_eq!(data.len() as u64, length.min(bytes.len() as u64)),
        AnswerBody::UntilClose => assert!(data == bytes && !over),
        AnswerBody::Chunked if !forgave => {
            use exeunt::http1::request_head::BodyFraming;
            let strict = read_body(BodyReader::new(BodyFraming::Chunked), bytes, cut);
            assert_eq!(strict, Some((data, taken, over, false)), "who reads strictly reads the same");
        }
        AnswerBody::Chunked => {}
    }
}
