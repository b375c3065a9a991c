//! The first reading of a request: where its head ends, and how long its body is.
//!
//! Done on the bytes as they come, before any parser sees them, and as strictly as RFC 9112 is written. What lenient
//! parsers forgive (bare line feeds, spaces within a target, a length beside a transfer coding, folded lines) is read
//! differently by another program in front or behind, and that difference is how requests are smuggled. What was read
//! is kept as ranges, so that nobody has to read the head again; a test holds them together with another's parser.

use http::uri::Authority;
use memchr::{memchr, memchr_iter};

use super::head_lines::{self, HeadLine, HeadLines, KnownName, Span};
use crate::values::reason::Reason;
use crate::values::target::{ASTERISK, Target};

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedHead {
    /// Bytes, the request line included.
    pub size: usize,
    /// Lines after the request line.
    pub fields: usize,
}

/// How a body is framed (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// There is none.
    #[default]
    Empty,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// A whole head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Where the body begins.
    pub(crate) end: usize,
    /// What the body is.
    pub(crate) framing: BodyFraming,
    /// Where the method is.
    pub(crate) method: Span,
    /// Where the target is.
    pub(crate) target: Span,
    /// Whether it is HTTP/1.0.
    pub(crate) is_old: bool,
    /// Whether the client wants the connection to go on after the answer.
    pub(crate) keeps_alive: bool,
    /// The lines after the request line.
    pub(crate) lines: HeadLines,
}

/// Reads a head piece by piece. Nothing is looked at twice.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    /// Where the line begins that is not whole yet.
    line: usize,
    /// Up to where there is no further line feed.
    looked: usize,
    lines: usize,
    /// Empty lines before the request line.
    blank: u8,
    begun: bool,
    old_version: bool,
    method: Span,
    target: Span,
    /// What a target in absolute form goes to.
    authority: Option<Box<[u8]>>,
    host: bool,
    fields: HeadLines,
    length: Option<u64>,
    chunked: bool,
}

/// Empty lines before a request line that are passed over (RFC 9112 2.2): old clients send some after a form.
const BLANK_LINES: u8 = 2;

impl HeadReader {
    /// Goes on with `bytes`: everything that came of this request until now. `None`: more has to come.
    ///
    /// # Errors
    /// The reason of the refusal. The connection has to be closed after it: nobody knows where the next request begins.
    pub(crate) fn feed(&mut self, bytes: &[u8], limits: &ParsedHead) -> Result<Option<Head>, Reason> {
        while let Some(at) = memchr(b'\n', bytes.get(self.looked..).unwrap_or_default()) {
            let end = self.looked + at;
            if end >= limits.size {
                // Refused below as if the line had not ended: the reason is the same however the bytes come.
                break;
            }
            let start = std::mem::replace(&mut self.line, end + 1);
            self.looked = end + 1;
            let line = bytes.get(start..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Reason::HeadMalformed)?;
            self.lines += 1;
            if self.read_line(line, start, limits)? {
                return self.finish(bytes.get(..=end).unwrap_or_default()).map(Some);
            }
        }
        self.looked = bytes.len();
        self.check_unfinished(bytes)?;
        if bytes.len() >= limits.size { Err(self.too_large()) } else { Ok(None) }
    }

    /// Whether this cannot become a request any more: another protocol is told at once instead of after a time-out.
    fn check_unfinished(&self, bytes: &[u8]) -> Result<(), Reason> {
        match bytes.get(self.line) {
            Some(&first) if !self.begun && first != b'\r' && !is_token(first) => Err(Reason::HeadMalformed),
            _ => Ok(()),
        }
    }

    fn too_large(&self) -> Reason {
        if self.begun { Reason::HeadTooLarge } else { Reason::TargetTooLong }
    }

    fn finish(&mut self, head: &[u8]) -> Result<Head, Reason> {
        self.check_characters(head)?;
        let lines = std::mem::take(&mut self.fields);
        Ok(Head {
            end: head.len(),
            framing: self.framing()?,
            method: self.method,
            target: self.target,
            is_old: self.old_version,
            keeps_alive: head_lines::keeps_alive(&lines, head, self.old_version),
            lines,
        })
    }

    /// Whether this line, which stands at `start`, ends the head.
    fn read_line(&mut self, line: &[u8], start: usize, limits: &ParsedHead) -> Result<bool, Reason> {
        match (self.begun, line.is_empty()) {
            (true, true) => Ok(true),
            (true, false) => self.field(line, start, limits).map(|()| false),
            (false, true) if self.blank < BLANK_LINES => {
                self.blank += 1;
                Ok(false)
            }
            (false, true) => Err(Reason::HeadMalformed),
            (false, false) => self.request_line(line, start).map(|()| false),
        }
    }

    /// `method SP target SP version`, and not a space more (RFC 9112 3).
    fn request_line(&mut self, line: &[u8], start: usize) -> Result<(), Reason> {
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Reason::HeadMalformed);
        };
        if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
            return Err(Reason::HeadMalformed);
        }
        self.old_version = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
                return Err(Reason::VersionNotSupported);
            }
            _ => return Err(Reason::HeadMalformed),
        };
        if method == b"CONNECT" {
            return Err(Reason::MethodNotAllowed);
        }
        if !is_target(target) {
            return Err(Reason::TargetAmbiguous);
        }
        if !target.starts_with(b"/") && (method, target) != (b"OPTIONS", ASTERISK) {
            self.authority = Some(authority(target)?.into());
        }
        let target_start = start + method.len() + 1;
        self.method = Span::new(start..start + method.len());
        self.target = Span::new(target_start..target_start + target.len());
        self.begun = true;
        Ok(())
    }

    /// One `Host`, without a user name, and the authority of a target in absolute form to the letter (RFC 9112 3.2.2).
    fn host(&mut self, host: &[u8]) -> Result<(), Reason> {
        let same = self.authority.as_deref().is_none_or(|authority| authority == host);
        if self.host || !same || host.contains(&b'@') {
            return Err(Reason::HeadMalformed);
        }
        self.host = true;
        Ok(())
    }

    /// No control characters but tabs and the ends of lines. A whole head is looked at in one go.
    fn check_characters(&self, head: &[u8]) -> Result<(), Reason> {
        // Every line ends with a carriage return: one more is within a line.
        let returns = memchr_iter(b'\r', head).count();
        if has_control(head) || returns != self.lines { Err(Reason::HeadMalformed) } else { Ok(()) }
    }

    /// `name: value` (RFC 9112 5). A line that begins with a space has no name, so folding is refused here as well.
    fn field(&mut self, text: &[u8], start: usize, limits: &ParsedHead) -> Result<(), Reason> {
        if self.fields.len() >= limits.fields {
            return Err(Reason::HeadTooLarge);
        }
        let name = text.iter().position(|&byte| !is_token(byte)).unwrap_or(text.len());
        if name == 0 || text.get(name) != Some(&b':') {
            return Err(Reason::HeadMalformed);
        }
        let line = HeadLine::read(text, start, name, 1);
        if !line.is_usual(start + text.len()) {
            // Servers differ about tabs around a value, and about more blanks than one.
            self.fields.mark_odd();
        }
        self.fields.push(line);
        let value = text.get(name + 1..).unwrap_or_default().trim_ascii();
        if line.known == KnownName::Host {
            self.host(value)
        } else if line.known == KnownName::ContentLength {
            self.content_length(value)
        } else if line.known == KnownName::TransferEncoding {
            self.transfer_encoding(value)
        } else {
            Ok(())
        }
    }

    /// Digits alone, once. A leading zero is a way to be read as an octal number.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Reason> {
        let length = head_lines::length(value).filter(|_| value.len() == 1 || !value.starts_with(b"0"));
        match (self.length, length) {
            (None, Some(length)) => {
                self.length = Some(length);
                Ok(())
            }
            _ => Err(Reason::HeadMalformed),
        }
    }

    /// The one transfer coding of a request that everybody understands, once.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reason> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Reason::HeadMalformed);
        }
        self.chunked = true;
        Ok(())
    }

    /// One length, told in one way (RFC 9112 6.3).
    fn framing(&self) -> Result<BodyFraming, Reason> {
        match (self.length, self.chunked) {
            (None, false) => Ok(BodyFraming::Empty),
            (Some(0), false) => Ok(BodyFraming::Empty),
            (Some(length), false) => Ok(BodyFraming::Length(length)),
            (None, true) if !self.old_version => Ok(BodyFraming::Chunked),
            (_, true) => Err(Reason::HeadMalformed),
        }
    }
}

/// Whether a target could be one: graphic ASCII without a fragment, and anything beyond ASCII in a query. What its path
/// means is judged later.
fn is_target(target: &[u8]) -> bool {
    let (path, query) = target.split_at(memchr(b'?', target).unwrap_or(target.len()));
    let in_query = |byte: &u8| byte.is_ascii_graphic() || !byte.is_ascii();
    let sound = path.iter().all(u8::is_ascii_graphic) && query.iter().all(in_query);
    !target.is_empty() && sound && memchr(b'#', target).is_none()
}

/// Where a target in absolute form goes to (RFC 9112 3.2.2). There is no other form but that of a path.
fn authority(target: &[u8]) -> Result<&[u8], Reason> {
    let target = Target::parse(target).map_err(|_| Reason::TargetAmbiguous)?;
    let authority = target.authority().filter(|authority| Authority::try_from(*authority).is_ok());
    authority.filter(|authority| !authority.contains('@')).map(str::as_bytes).ok_or(Reason::HeadMalformed)
}

/// The characters of names and methods (RFC 9110 5.6.2).
#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a byte is below 256")]
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut bytes = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".as_slice();
    while let [byte, rest @ ..] = bytes {
        table[*byte as usize] = true;
        bytes = rest;
    }
    table
};

/// Whether this is one of them.
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Without stopping at the first, so that the compiler compares many bytes at once.
fn has_control(head: &[u8]) -> bool {
    let is_control = |byte: u8| byte.is_ascii_control() & (byte != b'\t') & (byte != b'\r') & (byte != b'\n');
    head.iter().fold(false, |found, &byte| found | is_control(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: ParsedHead = ParsedHead { size: 400, fields: 5 };

    /// Fed whole and byte by byte, which must come to the same.
    fn read(bytes: &[u8]) -> Result<Option<Head>, Reason> {
        let whole = HeadReader::default().feed(bytes, &LIMITS);
        let mut reader = HeadReader::default();
        let by_bytes = (1..=bytes.len()).map(|end| reader.feed(&bytes[..end], &LIMITS)).find(|read| *read != Ok(None));
        assert_eq!(whole, by_bytes.unwrap_or(Ok(None)), "{:?}", String::from_utf8_lossy(bytes));
        whole
    }

    /// What is at the ranges is what the line says.
    #[test]
    fn ranges_are_where_things_are() {
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
    fn bodies_have_one_length_told_in_one_way() {
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
    fn what_is_no_head_is_refused_and_says_why() {
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

    /// Every byte of a path and of a query is passed on as it came, or refused with a reason.
    #[test]
    fn every_byte_of_a_target_is_passed_on_or_refused() {
        let verdict = |target: &[u8]| {
            let head = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            read(&head)?.ok_or(Reason::HeadMalformed)?;
            let target = Target::parse(target).map_err(|_| Reason::TargetAmbiguous)?;
            assert!(target.rewritten().is_none(), "as it came");
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
    fn a_request_goes_to_one_place() {
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
    fn a_head_has_a_size() {
        let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length));
        assert_eq!(read(line(400).as_bytes()), Err(Reason::TargetTooLong));
        let field = |length: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(length));
        assert_eq!(read(field(400).as_bytes()), Err(Reason::HeadTooLarge));
        let fits = field(400 - field(0).len());
        assert_eq!(read(fits.as_bytes()).unwrap().unwrap().end, 400);
        assert_eq!(read(field(401 - field(0).len()).as_bytes()), Err(Reason::HeadTooLarge));
        // Whatever else is wrong with a line beyond the limit, and however it comes.
        let bare = field(400).replace("\r\n\r\n", "\n");
        assert_eq!(read(bare.as_bytes()), Err(Reason::HeadTooLarge));
        assert_eq!(read(format!("({}", line(400)).as_bytes()), Err(Reason::HeadMalformed));
        let fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(count));
        assert!(read(fields(5).as_bytes()).is_ok());
        assert_eq!(read(fields(6).as_bytes()), Err(Reason::HeadTooLarge));
    }

    #[test]
    fn usual_heads_pass_and_what_follows_is_left() {
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

        /// What passes here is read by the engine's parser with the same end and the same fields; the rest it may read
        /// as it likes, since it never gets it.
        #[test]
        fn agrees_with_the_parser(
            line in "(\r\n)?[GP]ET? /a?b? HTTP/1.1\r\n",
            fields in "((X|Content-Length|Host|)( ?):[ \t]?[a5\u{e4}\0]{0,2}(\r\n|\n|\r\n\r\n)){0,6}(\r\n)?",
        ) {
            let lines = line + &fields;
            let bytes = lines.as_bytes();
            if let Ok(Some(head)) = HeadReader::default().feed(bytes, &ParsedHead { size: 4096, fields: 20 }) {
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
    fn blanks_around_a_value_are_not_passed_on() {
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
}
