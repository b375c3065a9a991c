//! Tests of the answer parser, with complete input and byte by byte.

use super::*;
use proptest::prelude::*;

const LIMITS: HeadLimits = HeadLimits { size: 400, fields: 5 };
const HEAD: AnswerContext = AnswerContext { by_head: true, upgrade: false };
const UPGRADE: AnswerContext = AnswerContext { by_head: false, upgrade: true };

/// A parsed head with its texts, independent of the offsets in the input.
#[derive(Debug, PartialEq)]
struct Read {
    head: AnswerHead,
    reason: String,
    lines: Vec<(String, String)>,
}

fn with_texts(head: AnswerHead, bytes: &[u8]) -> Read {
    let text = |span: Span| span.of(bytes).iter().copied().map(char::from).collect::<String>();
    let lines = head.lines.iter().map(|line| (text(line.name), text(line.value))).collect();
    Read { reason: text(head.reason), lines, head }
}

/// Parses the text in one piece and byte by byte; the results must be equal.
fn read_as(asked: AnswerContext, text: &[u8]) -> Result<Option<Read>, BrokenAnswer> {
    let mut bytes = text.to_vec();
    let whole = AnswerReader::new(asked).feed(&mut bytes, &LIMITS);
    let whole = whole.map(|head| head.map(|head| with_texts(head, &bytes)));
    let mut reader = AnswerReader::new(asked);
    let mut bytes = Vec::new();
    let mut by_bytes = Ok(None);
    for byte in text {
        bytes.push(*byte);
        by_bytes = reader.feed(&mut bytes, &LIMITS).map(|head| head.map(|head| with_texts(head, &bytes)));
        if by_bytes != Ok(None) {
            break;
        }
    }
    assert_eq!(whole, by_bytes, "{:?}", String::from_utf8_lossy(text));
    whole
}

fn read(text: &str) -> Result<Option<Read>, BrokenAnswer> {
    read_as(AnswerContext::default(), text.as_bytes())
}

fn one(asked: AnswerContext, text: &str) -> Result<AnswerHead, BrokenAnswer> {
    read_as(asked, text.as_bytes()).map(|read| read.unwrap().head)
}

#[test]
fn the_status_line_is_read() {
    let cases = [
        ("HTTP/1.1 200 OK\r\n\r\n", 200, "OK", false),
        ("HTTP/1.0 404 Not Found \r\n\r\n", 404, "Not Found ", true),
        ("HTTP/1.1 200\r\n\r\n", 200, "", false),
        ("HTTP/1.1 200 \r\n\r\n", 200, "", false),
        ("HTTP/1.1 999 \u{e4}\ta\r\n\r\n", 999, "\u{c3}\u{a4}\ta", false),
        ("HTTP/1.1 100 \r\n\r\n", 100, "", false),
    ];
    for (text, status, reason, is_old) in cases {
        let read = read(text).unwrap().unwrap();
        let head = read.head;
        assert_eq!((head.status, &*read.reason, head.is_old, head.end), (status, reason, is_old, text.len()), "{text}");
    }
}

#[test]
fn malformed_answers_are_refused() {
    let cases = [
        "220 mail.example.com ESMTP\r\n", "\r\nHTTP/1.1 200 OK\r\n", "HTTP/2.0 200 OK\r\n", "HTTP/1.2 200 OK\r\n",
        "http/1.1 200 OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.1\t200 OK\r\n", "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1 +20 OK\r\n", "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1 200\tOK\r\n", "HTTP/1.1 200 O\rK\r\n", "HTTP/1.1 200 O\0K\r\n", "HTTP/1.1 200 \u{1b}[1m\r\n",
        "HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\nnonsense\r\n", "HTTP/1.1 200 OK\r\n: x\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n", "HTTP/1.1 200 OK\r\nX: a\0b\r\n", "HTTP/1.1 200 OK\r\nX: a\r\r\n",
        "HTTP/1.1 200 OK\r\nX: \u{7f}\r\n", "HTTP/1.1 200 OK\r\nX\u{b}: a\r\n", "HTTP/1.1 200 OK\r\nX y: a\r\n",
        "HTTP/1.1 200 OK\r\n X: a\r\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\0\r\n", "<html>", "HTTX", "\0",
    ];
    for text in cases {
        assert_eq!(read(text), Err(BrokenAnswer), "{text:?}");
    }
    for text in ["", "H", "HTTP/1.", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n\r", "HTTP/1.1 200 OK\n"] {
        assert_eq!(read(text), Ok(None), "{text:?}");
    }
}

/// Header fields, framing, and whether the connection may be reused.
#[test]
fn bodies_end_where_the_standard_says() {
    use AnswerBody::*;
    let broken = Err(BrokenAnswer);
    let cases = [
        ("", Ok((UntilClose, false))),
        ("Content-Length: 5\r\n", Ok((Length(5), true))),
        ("Content-Length: 0\r\n", Ok((Empty, true))),
        ("Content-Length: 9223372036854775807\r\n", Ok((Length(i64::MAX as u64), true))),
        ("transfer-encoding: Chunked\r\n", Ok((Chunked, true))),
        ("Content-Length: 5\r\nConnection: close\r\n", Ok((Length(5), false))),
        ("Connection: x\r\nConnection: y, Close\r\nTransfer-Encoding: chunked\r\n", Ok((Chunked, false))),
        // One length, repeated.
        ("Content-Length: 5, 5\r\n", Ok((Length(5), false))),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Ok((Length(5), false))),
        ("Content-Length: 05\r\n", Ok((Length(5), false))),
        ("Content-Length: 5, 05\r\n", Ok((Length(5), false))),
        // Different lengths.
        ("Content-Length: 5, 6\r\n", broken),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", broken),
        ("Content-Length: 5\r\nContent-Length:\r\n", broken),
        ("Content-Length: 5,\r\n", broken),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5, 6\r\n", broken),
        // Not a valid length.
        ("Content-Length:\r\n", broken),
        ("Content-Length: -5\r\n", broken),
        ("Content-Length: +5\r\n", broken),
        ("Content-Length: 5 5\r\n", broken),
        ("Content-Length: 5; 5\r\n", broken),
        ("Content-Length: 0x5\r\n", broken),
        ("Content-Length: 9223372036854775808\r\n", broken),
        ("Content-Length: 99999999999999999999999999\r\n", broken),
        // The chunked coding takes precedence over a length, and an empty value means no coding.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Ok((Chunked, false))),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Ok((Chunked, false))),
        ("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", Ok((Length(5), false))),
        ("Transfer-Encoding: Identity, chunked\r\n", Ok((Chunked, false))),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Ok((Chunked, false))),
        ("Transfer-Encoding: identity\r\n", Ok((UntilClose, false))),
        ("Transfer-Encoding:\r\nContent-Length: 5\r\n", Ok((Length(5), false))),
        ("Transfer-Encoding: , chunked\r\n", Ok((Chunked, false))),
        // The end of these cannot be determined.
        ("Transfer-Encoding: gzip, chunked\r\n", broken),
        ("Transfer-Encoding: chunked, gzip\r\n", broken),
        ("Transfer-Encoding: gzip\r\n", broken),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", broken),
        ("Transfer-Encoding: chunked, chunked\r\n", broken),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", broken),
        ("Transfer-Encoding: chunked;q=1\r\n", broken),
        ("Transfer-Encoding: \"chunked\"\r\n", broken),
        ("Transfer-Encoding: x chunked\r\n", broken),
        ("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", broken),
    ];
    for (lines, want) in cases {
        let got = one(AnswerContext::default(), &format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
        assert_eq!(got.map(|head| (head.body, head.reusable)), want, "{lines}");
    }
}

#[test]
fn http10_connections_are_reused_only_with_keep_alive() {
    use AnswerBody::*;
    let cases = [
        ("Content-Length: 5\r\n", Length(5), false),
        ("Content-Length: 5\r\nConnection: Keep-Alive\r\n", Length(5), true),
        ("Content-Length: 5\r\nConnection: keep-alive, close\r\n", Length(5), false),
        ("Connection: keep-alive\r\n", UntilClose, false),
        ("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", Chunked, false),
    ];
    for (lines, body, reusable) in cases {
        let head = one(AnswerContext::default(), &format!("HTTP/1.0 200 OK\r\n{lines}\r\n")).unwrap();
        assert_eq!((head.body, head.reusable, head.is_old), (body, reusable, true), "{lines}");
    }
}

/// Some answers never have a body, whatever the head announces.
#[test]
fn some_answers_have_no_body() {
    use AnswerBody::*;
    let plain = AnswerContext::default();
    let cases = [
        (HEAD, 200, "Content-Length: 9\r\n", Length(9), true),
        (HEAD, 200, "Transfer-Encoding: chunked\r\n", Chunked, true),
        (HEAD, 200, "", UntilClose, true),
        (HEAD, 200, "Content-Length: 9\r\nConnection: close\r\n", Length(9), false),
        (plain, 304, "Content-Length: 9\r\n", Length(9), true),
        (plain, 304, "Transfer-Encoding: chunked\r\n", Chunked, false),
        (plain, 304, "", UntilClose, true),
        (plain, 204, "", UntilClose, true),
        (plain, 204, "Content-Length: 0\r\n", Length(0), true),
        (plain, 204, "Content-Length: 9\r\n", Length(9), false),
        (plain, 204, "Transfer-Encoding: chunked\r\n", Chunked, false),
        (plain, 103, "Content-Length: 9\r\n", Length(9), false),
        (UPGRADE, 101, "Upgrade: websocket\r\n", UntilClose, true),
    ];
    for (asked, status, lines, announced, reusable) in cases {
        let head = one(asked, &format!("HTTP/1.1 {status} X\r\n{lines}\r\n")).unwrap();
        assert_eq!((head.body, head.announced, head.reusable), (Empty, announced, reusable), "{status} {lines}");
    }
    assert_eq!(one(HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n"), Err(BrokenAnswer));
}

#[test]
fn a_101_is_accepted_only_after_an_upgrade_request() {
    let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    assert_eq!(one(AnswerContext::default(), text), Err(BrokenAnswer));
    assert_eq!(one(HEAD, text), Err(BrokenAnswer));
    let head = one(UPGRADE, text).unwrap();
    assert!(!head.is_interim() && head.end == text.len());
}

#[test]
fn a_fold_is_a_space_and_a_line_feed_ends_a_line() {
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("X: a\r\n  b \r\nY: c\r\n", &[("X", "a b"), ("Y", "c")]),
        ("X: a \r\n\tb\r\n c\r\n", &[("X", "a b c")]),
        ("X:\r\n a\r\nY: b\r\n", &[("X", "a"), ("Y", "b")]),
        ("X: a\r\n \r\n\t\r\nY: b\r\n", &[("X", "a"), ("Y", "b")]),
        ("X: a\n b\nY: c\n", &[("X", "a b"), ("Y", "c")]),
        ("X: a\nY:b\r\n", &[("X", "a"), ("Y", "b")]),
        ("X : a\r\nY\t :b\r\n", &[("X", "a"), ("Y", "b")]),
        ("X: a\r\n : b\r\n", &[("X", "a : b")]),
        ("X: a\r\n Content-Length: 5\r\n", &[("X", "a Content-Length: 5")]),
    ];
    for (lines, want) in cases {
        for rest in ["\r\n", "Content-Length: 5\r\n\r\n"] {
            let read = read(&format!("HTTP/1.1 204 X\r\n{lines}{rest}")).unwrap().unwrap();
            let got: Vec<_> = read.lines.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(got[..want.len()], *want, "{lines:?}");
            assert_eq!(got.len() - want.len(), usize::from(rest.len() > 2), "{lines:?}");
            assert!(!read.head.reusable, "{lines:?}");
        }
    }
    // The folded text is part of the value.
    let folded = one(AnswerContext::default(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n");
    assert_eq!(folded, Err(BrokenAnswer));
    let close =
        one(AnswerContext::default(), "HTTP/1.1 200 OK\r\nContent-Length:\r\n 12\r\nConnection: x,\r\n close\r\n\r\n");
    assert_eq!(close.map(|head| head.body), Ok(AnswerBody::Length(12)));
    let ends = one(AnswerContext::default(), "HTTP/1.1 200 OK\nContent-Length: 5\n\n").unwrap();
    assert_eq!((ends.body, ends.reusable, ends.end), (AnswerBody::Length(5), false, 35));
}

#[test]
fn one_reader_reads_interim_answers_and_the_last() {
    let heads =
        ["HTTP/1.1 100 Continue\n\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"];
    for (first, reusable) in [(0, false), (1, true)] {
        let mut reader = AnswerReader::new(HEAD);
        let mut bytes = heads[first..].concat().into_bytes();
        for (at, text) in heads.iter().enumerate().skip(first) {
            let head = reader.feed(&mut bytes, &LIMITS).unwrap().unwrap();
            assert_eq!((head.end, head.is_interim()), (text.len(), at < 2));
            assert!(head.status < 200 || head.reusable == reusable, "a mistake in an interim head counts");
            bytes.drain(..head.end);
        }
    }
}

#[test]
fn the_head_is_limited_in_size_and_fields() {
    let field = |length: usize| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(length));
    let least = field(0).len();
    assert_eq!(read(&field(400 - least)).unwrap().unwrap().head.end, 400);
    assert_eq!(read(&field(401 - least)), Err(BrokenAnswer));
    assert_eq!(read(&format!("HTTP/1.1 200 {}", "a".repeat(400))), Err(BrokenAnswer));
    let fields = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(count));
    assert!(read(&fields(5)).is_ok());
    assert_eq!(read(&fields(6)), Err(BrokenAnswer));
}

#[test]
fn the_keep_alive_timeout_is_read() {
    let cases = [
        ("", None),
        ("Keep-Alive: timeout=5, max=100\r\n", Some(5)),
        ("Keep-Alive: max=100\r\nkeep-alive: Timeout = 7\r\n", Some(7)),
        ("Keep-Alive: timeout=x\r\n", None),
        ("Keep-Alive: timeout\r\n", None),
    ];
    for (lines, want) in cases {
        let text = format!("HTTP/1.1 204 X\r\n{lines}\r\n");
        let head = one(AnswerContext::default(), &text).unwrap();
        assert_eq!(head.keep_alive_timeout(text.as_bytes()), want, "{lines}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Differential test: httparse, with the same tolerances, finds the same end and the same fields in every accepted
    /// head.
    #[test]
    fn agrees_with_another_parser(
        line in "HTTP/1[.][01] [12][0-9]{2}( [aO]{0,2})?(\r\n|\n)",
        fields in "((X|Content-Length|)( ?):[ \t]?[a5\u{e4}\0\r]{0,2}(\r\n|\n|\r\n[ \t]|\r\n\r\n)){0,5}(\r\n)?",
    ) {
        let text = line + &fields;
        let mut bytes = text.clone().into_bytes();
        if let Ok(Some(head)) = AnswerReader::new(UPGRADE).feed(&mut bytes, &HeadLimits { size: 4096, fields: 20 }) {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut headers);
            let mut parser = httparse::ParserConfig::default();
            parser.allow_obsolete_multiline_headers_in_responses(true);
            parser.allow_spaces_after_header_name_in_responses(true);
            let end = parser.parse_response(&mut response, text.as_bytes());
            prop_assert_eq!(end, Ok(httparse::Status::Complete(head.end)));
            prop_assert_eq!(response.code, Some(head.status));
            let plain = |value: &[u8]| value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
                .map(<[u8]>::to_vec).collect::<Vec<_>>().join(&b' ');
            let theirs: Vec<_> =
                response.headers.iter().map(|line| (line.name.as_bytes(), plain(line.value))).collect();
            let ours: Vec<_> = head.lines.iter()
                .map(|line| (line.name.of(&bytes), plain(line.value.of(&bytes)))).collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
