//! The parser of request heads: where a head ends, and how its body is framed.
//!
//! It works on the bytes as received, and is as strict as RFC 9112. What lenient parsers tolerate (bare LF, spaces
//! within a target, a length beside a transfer coding, folded lines) is read differently by other proxies and servers,
//! which is how request smuggling works. The result is kept as ranges, so that the head is not parsed again; a test
//! compares it with httparse.

use http::uri::Authority;
use memchr::memchr;

use super::head_lines::{self, HeadLine, HeadLines, NameRead, Span};
use super::header_name_bytes::is_token;
use super::known_name::KnownName;
use crate::values::reason::Reason;
use crate::values::target::{ASTERISK, Target};

/// The limits of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The maximum size in bytes, including the request line.
    pub size: usize,
    /// The maximum number of header fields.
    pub fields: usize,
}

/// How the body of a request is framed (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyFraming {
    /// No body.
    #[default]
    Empty,
    /// A body of this many bytes (`Content-Length`).
    Length(u64),
    /// The chunked transfer coding.
    Chunked,
}

/// A complete request head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The length of the head in bytes: the offset at which the body begins.
    pub end: usize,
    /// The framing of the body.
    pub framing: BodyFraming,
    /// The range of the method.
    pub method: Span,
    /// The range of the target.
    pub target: Span,
    /// Whether the version is HTTP/1.0.
    pub is_old: bool,
    /// Whether the client wants to reuse the connection after the answer.
    pub(crate) keeps_alive: bool,
    /// The header fields.
    pub lines: HeadLines,
}

/// An incremental parser of one request head. Every byte is inspected once.
#[derive(Debug, Default)]
pub struct HeadReader {
    /// The offset of the first incomplete line.
    line: usize,
    /// The offset up to which the bytes were searched for LF.
    looked: usize,
    /// The number of complete lines.
    lines: usize,
    /// The number of empty lines before the request line.
    blank: u8,
    begun: bool,
    old_version: bool,
    method: Span,
    target: Span,
    /// The authority of a target in absolute form.
    authority: Option<Box<[u8]>>,
    host: bool,
    fields: HeadLines,
    length: Option<u64>,
    chunked: bool,
}

/// The number of empty lines that are ignored before a request line (RFC 9112 2.2): old clients send some after a form.
const BLANK_LINES: u8 = 2;

impl HeadReader {
    /// Continues with `bytes`, everything received of this request so far. Returns `None` if the head is incomplete.
    ///
    /// # Errors
    /// The reason of the refusal. The connection must be closed: the start of the next request is unknown.
    pub fn feed(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<Head>, Reason> {
        while let Some(at) = memchr(b'\n', bytes.get(self.looked..).unwrap_or_default()) {
            let end = self.looked + at;
            if end >= limits.size {
                // Refused below as if the line had not ended, so that the reason does not depend on how the bytes are
                // split into reads.
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

    /// Refuses bytes that cannot become a request line: another protocol is detected at once instead of after a
    /// timeout.
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

    /// Parses the line at the offset `start`. Returns whether it ends the head.
    fn read_line(&mut self, line: &[u8], start: usize, limits: &HeadLimits) -> Result<bool, Reason> {
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

    /// Parses `method SP target SP version` with exactly these two spaces (RFC 9112 3).
    fn request_line(&mut self, line: &[u8], start: usize) -> Result<(), Reason> {
        let (method, target, version) = words(line).ok_or(Reason::HeadMalformed)?;
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

    /// Allows one `Host`, without user information, and byte for byte equal to the authority of a target in absolute
    /// form (RFC 9112 3.2.2).
    fn host(&mut self, host: &[u8]) -> Result<(), Reason> {
        let same = self.authority.as_deref().is_none_or(|authority| authority == host);
        if self.host || !same || host.contains(&b'@') {
            return Err(Reason::HeadMalformed);
        }
        self.host = true;
        Ok(())
    }

    /// Refuses control characters except tabs and line ends. The complete head is checked in one pass.
    fn check_characters(&self, head: &[u8]) -> Result<(), Reason> {
        // Every line ends with CR and LF: any further control character is inside a line.
        if head_lines::is_text_with_ends(head, 2 * self.lines) { Ok(()) } else { Err(Reason::HeadMalformed) }
    }

    /// Parses `name: value` (RFC 9112 5). A folded line begins with white space, so it has no name and is refused.
    fn field(&mut self, text: &[u8], start: usize, limits: &HeadLimits) -> Result<(), Reason> {
        if self.fields.len() >= limits.fields {
            return Err(Reason::HeadTooLarge);
        }
        let read = NameRead::of(text);
        let name = read.length;
        if name == 0 || text.get(name) != Some(&b':') {
            return Err(Reason::HeadMalformed);
        }
        let line = HeadLine::read(text, start, read, 1);
        if !line.is_usual(start + text.len()) {
            // Servers treat tabs and repeated spaces around a value differently: the field is written again.
            self.fields.mark_odd();
        }
        self.fields.push(line);
        let value = || text.get(name + 1..).unwrap_or_default().trim_ascii();
        if line.known == KnownName::Host {
            self.host(value())
        } else if line.known == KnownName::ContentLength {
            self.content_length(value())
        } else if line.known == KnownName::TransferEncoding {
            self.transfer_encoding(value())
        } else {
            Ok(())
        }
    }

    /// Allows one length, in digits only. A leading zero is refused, since some programs read it as octal.
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

    /// Allows the chunked transfer coding, once, and no other coding.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reason> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Reason::HeadMalformed);
        }
        self.chunked = true;
        Ok(())
    }

    /// The framing; several lengths, or a length beside the chunked coding, are refused (RFC 9112 6.3).
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

/// The three parts of a request line. All valid versions have the same length.
fn words(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (words, version) = line.split_at_checked(line.len().checked_sub(b" HTTP/1.1".len())?)?;
    let at = words.iter().position(|&byte| byte == b' ')?;
    let (method, target) = (words.get(..at)?, words.get(at + 1..)?);
    memchr(b' ', target).is_none().then_some((method, target, version.strip_prefix(b" ")?))
}

/// Whether the bytes of a target are allowed: visible ASCII without `#`, and also non-ASCII bytes in the query. The
/// path is checked later.
fn is_target(target: &[u8]) -> bool {
    let (path, query) = target.split_at(memchr(b'?', target).unwrap_or(target.len()));
    let in_query = |byte: u8| (byte > b' ') & (byte != 0x7f) & (byte != b'#');
    // There is no early exit, so that the compiler can vectorise the loops.
    !target.is_empty()
        && path.iter().fold(true, |sound, &byte| sound & in_query(byte) & byte.is_ascii())
        && query.iter().fold(true, |sound, &byte| sound & in_query(byte))
}

/// The authority of a target in absolute form (RFC 9112 3.2.2). The only other accepted form is a path (origin form).
fn authority(target: &[u8]) -> Result<&[u8], Reason> {
    let authority = Target::authority_of(target).map_err(|_| Reason::TargetAmbiguous)?;
    let authority = authority.filter(|authority| Authority::try_from(*authority).is_ok());
    authority.filter(|authority| !authority.contains('@')).map(str::as_bytes).ok_or(Reason::HeadMalformed)
}

#[cfg(test)]
mod tests;
