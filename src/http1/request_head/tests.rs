//! Tests of the request parser: valid and malformed heads.

use super::*;
use proptest::prelude::*;

const LIMITS: HeadLimits = HeadLimits { size: 400, fields: 5 };

/// Parses the bytes in one piece and byte by byte; the results must be equal.
fn read(bytes: &[u8]) -> Result<Option<Head>, Reason> {
    let whole = HeadReader::default().feed(bytes, &LIMITS);
    let mut reader = HeadReader::default();
    let by_bytes = (1..=bytes.len()).map(|end| reader.feed(&bytes[..end], &LIMITS)).find(|read| *read != Ok(None));
    assert_eq!(whole, by_bytes.unwrap_or(Ok(None)), "{:?}", String::from_utf8_lossy(bytes));
    whole
}

#[test]
fn the_ranges_of_all_parts_are_found() {
    let bytes = b"\r\nBREW /a?b HTTP/1.1\r\nHost: a\r\nX-Y:\t b \t\r\nCookie:\r\nConnection: x, close\r\n\r\nbody";
    let head = read(bytes).unwrap().unwrap();
    assert_eq!((head.method.of(bytes), head.target.of(bytes)), (b"BREW".as_slice(), b"/a?b".as_slice()));
    let line = |line: &HeadLine| (line.known, line.name.of(bytes).to_vec(), line.value.of(bytes).to_vec());
    let want = [
        (KnownName::Host, "Host", "a"),
        (KnownName::Other, "X-Y", "b"),
        (KnownName::Cookie, "Cookie", ""),
        (KnownName::Connection, "Connection", "x, close"),
    ];
    let want = want.map(|(known, name, value)| (known, name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    assert_eq!(head.lines.iter().map(line).collect::<Vec<_>>(), want);
    assert!(!head.is_old && !head.keeps_alive && head.end == bytes.len() - 4);
}

fn framing(fields: &str) -> Result<BodyFraming, Reason> {
    let head = format!("POST / HTTP/1.1\r\n{fields}\r\n");
    read(head.as_bytes()).map(|read| {
        let head_read = read.unwrap();
        assert_eq!(head_read.end, head.len());
        head_read.framing
    })
}

#[test]
fn the_framing_of_a_body_is_unambiguous() {
    use BodyFraming::*;
    let bad = Err(Reason::HeadMalformed);
    let cases = [
        ("", Ok(Empty)),
        ("Date: a\r\nDate: b\r\nAccept-Charset: c\r\nIf-Modified-Since: d\r\n", Ok(Empty)),
        ("Host: a\r\nCONTENT-length:\t5 \r\n", Ok(Length(5))),
        ("Content-Length: 0\r\n", Ok(Empty)),
        ("Transfer-Encoding: Chunked\r\n", Ok(Chunked)),
        ("Content-Length: 9223372036854775807\r\n", Ok(Length(i64::MAX as u64))),
        ("Content-Length: 9223372036854775808\r\n", bad),
        ("Content-Length: 18446744073709551615\r\n", bad),
        ("Content-Length: 18446744073709551616\r\n", bad),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", bad),
        ("Content-Length: 5, 5\r\n", bad),
        ("Content-Length: +5\r\n", bad),
        ("Content-Length: -1\r\n", bad),
        ("Content-Length: 0x5\r\n", bad),
        ("Content-Length: 05\r\n", bad),
        ("Content-Length: 5 5\r\n", bad),
        ("Content-Length:\r\n", bad),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", bad),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", bad),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", bad),
        ("Transfer-Encoding: identity\r\n", bad),
        ("Transfer-Encoding: gzip, chunked\r\n", bad),
        ("Transfer-Encoding: chunked, identity\r\n", bad),
        ("Transfer-Encoding: \"chunked\"\r\n", bad),
        ("Transfer-Encoding: \u{b}chunked\r\n", bad),
        ("X: \u{7f}\r\n", bad),
        ("X: \u{1b}[1m\r\n", bad),
        ("Transfer-Encoding:\r\n", bad),
    ];
    for (fields, want) in cases {
        assert_eq!(framing(fields), want, "{fields}");
    }
}

#[test]
fn malformed_heads_are_refused_with_a_reason() {
    use Reason::*;
    let cases: [(&str, Reason); 33] = [
        ("\u{16}", HeadMalformed),
        (" GET / HTTP/1.1\r\n", HeadMalformed),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\n", HeadMalformed),
        ("\nGET / HTTP/1.1\r\n", HeadMalformed),
        ("GET / HTTP/1.1\n", HeadMalformed),
        ("GET /\r\n", HeadMalformed),
        ("GET  / HTTP/1.1\r\n", HeadMalformed),
        ("GET /  HTTP/1.1\r\n", HeadMalformed),
        ("GET / HTTP/1.1 \r\n", HeadMalformed),
        ("GET\t/\tHTTP/1.1\r\n", HeadMalformed),
        ("GET /a b HTTP/1.1\r\n", HeadMalformed),
        ("G(T / HTTP/1.1\r\n", HeadMalformed),
        ("GET / http/1.1\r\n", HeadMalformed),
        ("GET / HTTP/1.1x\r\n", HeadMalformed),
        ("GET / HTTP/11\r\n", HeadMalformed),
        ("GET / HTTP/a.1\r\n", HeadMalformed),
        ("GET / HTTP/1.a\r\n", HeadMalformed),
        ("GET / HTTP/2.0\r\n", VersionNotSupported),
        ("GET / HTTP/1.2\r\n", VersionNotSupported),
        ("PRI * HTTP/2.0\r\n", VersionNotSupported),
        ("CONNECT a:443 HTTP/1.1\r\n", MethodNotAllowed),
        ("GET /\u{7f} HTTP/1.1\r\n", TargetAmbiguous),
        ("GET /\u{e4} HTTP/1.1\r\n", TargetAmbiguous),
        ("GET / HTTP/1.1\r\nHost\r\n", HeadMalformed),
        ("GET / HTTP/1.1\r\nHost : a\r\n", HeadMalformed),
        ("GET / HTTP/1.1\r\n: a\r\n", HeadMalformed),
        ("GET / HTTP/1.1\r\n X: a\r\n", HeadMalformed),
        ("GET / HTTP/1.1\r\nX: a\r\n b\r\n", HeadMalformed),
        ("GET / HTTP/1.1\r\nX: a\nY: b\r\n", HeadMalformed),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", HeadMalformed),
        ("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", HeadMalformed),
        ("GET / HTTP/1.1\r\nX: a\0\u{7f}b\r\n\r\n", HeadMalformed),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadMalformed),
    ];
    for (bytes, want) in cases {
        assert_eq!(read(bytes.as_bytes()), Err(want), "{bytes:?}");
    }
}

/// Every byte of a path and of a query is passed on unchanged, or refused with a reason.
#[test]
fn every_byte_of_a_target_is_passed_on_or_refused() {
    let verdict = |target: &[u8]| {
        let head = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        read(&head)?.ok_or(Reason::HeadMalformed)?;
        let target = Target::parse(target).map_err(|_| Reason::TargetAmbiguous)?;
        assert!(target.rewritten().is_none(), "passed on unchanged");
        Ok(())
    };
    for byte in 0..=u8::MAX {
        let in_path = verdict(&[b"/a", &[byte][..], b"b"].concat());
        let in_query = verdict(&[b"/a?b", &[byte][..], b"c"].concat());
        match byte {
            b' ' | b'\n' => assert!(in_path.is_err() && in_query.is_err(), "{byte:#x}"),
            0..=0x1f | 0x7f => assert_eq!(
                (in_path, in_query),
                (Err(Reason::TargetAmbiguous), Err(Reason::TargetAmbiguous)),
                "{byte:#x}"
            ),
            b'#' => assert_eq!((in_path, in_query), (Err(Reason::TargetAmbiguous), Err(Reason::TargetAmbiguous))),
            b'%' | b'\\' | 0x80.. => {
                assert_eq!((in_path, in_query), (Err(Reason::TargetAmbiguous), Ok(())), "{byte:#x}")
            }
            _ => assert_eq!((in_path, in_query), (Ok(()), Ok(())), "{byte:#x}"),
        }
    }
}

#[test]
fn target_and_host_name_one_destination() {
    let (target, head) = (Err(Reason::TargetAmbiguous), Err(Reason::HeadMalformed));
    let cases = [
        ("/", "Host: a\r\n", Ok(())),
        ("/", "Host: a\r\nhost: a\r\n", head),
        ("/", "Host: a\r\nHost:\r\n", head),
        ("/", "Host: b@a\r\n", head),
        ("http://a/", "Host: a\r\n", Ok(())),
        ("http://a?b", "Host: a\r\n", target),
        ("http://a/", "Host: b\r\n", head),
        ("http://a/", "Host: A\r\n", head),
        ("http://a/", "Host: a:80\r\n", head),
        ("http://a/", "Host: a\r\nHost: a\r\n", head),
        ("http://b@a/", "Host: a\r\n", head),
        ("http://b@a/", "Host: b@a\r\n", head),
        ("http://b@a/", "", head),
        ("http://a%/", "Host: a%\r\n", head),
        ("http:///", "Host:\r\n", head),
        ("http:/a", "Host: a\r\n", target),
        ("http:\\\\a/", "Host: a\r\n", target),
        ("ftp://a/", "Host: a\r\n", target),
        ("a", "Host: a\r\n", target),
        ("*", "Host: a\r\n", target),
        ("/#", "Host: a\r\n", target),
    ];
    for (target, fields, want) in cases {
        let head = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(read(head.as_bytes()).map(|head| assert!(head.is_some())), want, "{head}");
    }
}

#[test]
fn the_head_is_limited_in_size_and_fields() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length));
    assert_eq!(read(line(400).as_bytes()), Err(Reason::TargetTooLong));
    let field = |length: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(length));
    assert_eq!(read(field(400).as_bytes()), Err(Reason::HeadTooLarge));
    let fits = field(400 - field(0).len());
    assert_eq!(read(fits.as_bytes()).unwrap().unwrap().end, 400);
    assert_eq!(read(field(401 - field(0).len()).as_bytes()), Err(Reason::HeadTooLarge));
    // The reason is the same if the line beyond the limit has another mistake, and however it is split.
    let bare = field(400).replace("\r\n\r\n", "\n");
    assert_eq!(read(bare.as_bytes()), Err(Reason::HeadTooLarge));
    assert_eq!(read(format!("({}", line(400)).as_bytes()), Err(Reason::HeadMalformed));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(count));
    assert!(read(fields(5).as_bytes()).is_ok());
    assert_eq!(read(fields(6).as_bytes()), Err(Reason::HeadTooLarge));
}

#[test]
fn common_heads_pass_and_end_before_the_body() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", Some(18)),
        ("\r\nGET / HTTP/1.0\r\n\r\n", Some(20)),
        ("POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", Some(39)),
        ("GET / HTTP/1.1\r\nX: \u{e4}\ttext\r\nY:\r\n\r\n", Some(34)),
        ("M-SEARCH / HTTP/1.1\r\n\r\n", Some(23)),
        ("GET http://a:8/ HTTP/1.1\r\nHOST: a:8 \r\n\r\n", Some(40)),
        ("GET HTTPS://a HTTP/1.0\r\n\r\n", Some(26)),
        ("GET / HTTP/1.1\r\nHost: a\r\n", None),
        ("GET / HTTP/1.1\r\n\r", None),
        ("\r", None),
        ("", None),
    ];
    for (bytes, end) in cases {
        assert_eq!(read(bytes.as_bytes()).map(|head| head.map(|head| head.end)), Ok(end), "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Differential test: httparse finds the same end and the same fields in every accepted head. Refused heads are
    /// not compared: no other parser receives them.
    #[test]
    fn agrees_with_httparse(
        line in "(\r\n)?[GP]ET? /a?b? HTTP/1.1\r\n",
        fields in "((X|Content-Length|Host|)( ?):[ \t]?[a5\u{e4}\0]{0,2}(\r\n|\n|\r\n\r\n)){0,6}(\r\n)?",
    ) {
        let lines = line + &fields;
        let bytes = lines.as_bytes();
        if let Ok(Some(head)) = HeadReader::default().feed(bytes, &HeadLimits { size: 4096, fields: 20 }) {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut request = httparse::Request::new(&mut headers);
            prop_assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(head.end)));
            let theirs: Vec<_> = request.headers.iter().map(|line| (line.name.as_bytes(), line.value)).collect();
            let ours: Vec<_> = head.lines.iter().map(|line| (line.name.of(bytes), line.value.of(bytes))).collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn white_space_around_a_value_is_not_passed_on() {
    let cases = [
        ("Host: a\r\nX:b\r\n", "Host: a\r\nX:b\r\n"),
        ("Host: \ta\t \r\nX: b\r\n", "Host: a\r\nX: b\r\n"),
        ("Host: a\r\nX:  b\r\n", "Host: a\r\nX: b\r\n"),
        ("Host: a\r\nX: b \r\n", "Host: a\r\nX: b\r\n"),
        ("Host: a\r\nX:\r\n", "Host: a\r\nX:\r\n"),
    ];
    for (lines, want) in cases {
        let bytes = bytes::Bytes::from(format!("GET / HTTP/1.1\r\n{lines}\r\n"));
        let head = HeadReader::default().feed(&bytes, &LIMITS).unwrap().unwrap();
        let mut written = bytes::BytesMut::new();
        head_lines::HeadFields::new(bytes, head.lines).put(&mut written, |_| true);
        assert_eq!(written, want.as_bytes(), "{lines:?}");
    }
}
