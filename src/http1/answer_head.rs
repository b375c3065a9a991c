//! The head of an application's answer: where it ends, how its body is framed, and whether its connection may be
//! reused.
//!
//! Requests come from untrusted clients and are parsed strictly; answers come from applications that the operator
//! chose, some of them old. Known harmless mistakes are normalised here: a folded line is joined, a bare LF ends a
//! line, a repeated equal length counts once. Since the application may itself read such a message differently, the end
//! of the message is not certain, and the connection is not reused. An ambiguous head (a bare CR, two different
//! lengths, an unknown transfer coding) is refused.
//!
//! The framing is not passed on: the body is framed again for the client.

use memchr::memchr;

use super::head_lines::{self, HeadLine, HeadLines, NameRead, Span, items};
use super::known_name::KnownName;
use super::request_head::HeadLimits;

/// The properties of the request on which the parsing of its answer depends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerContext {
    /// Whether it was a HEAD request: the answer has no body.
    pub by_head: bool,
    /// Whether it asked for another protocol with `Upgrade`: the answer may be a 101.
    pub upgrade: bool,
}

/// How the body of an answer is framed (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerBody {
    /// No body.
    #[default]
    Empty,
    /// A body of this many bytes (`Content-Length`).
    Length(u64),
    /// The chunked transfer coding.
    Chunked,
    /// The body ends when the connection is closed.
    UntilClose,
}

/// The head of an interim answer (1xx) or of the final one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// The length of the head in bytes: the offset at which the body begins.
    pub end: usize,
    /// The status code, 100 to 999.
    pub status: u16,
    /// The range of the reason phrase.
    pub(crate) reason: Span,
    /// Whether the version is HTTP/1.0.
    pub is_old: bool,
    /// The framing in the head, also if no body follows: an answer to HEAD and a 304 announce the length of a GET.
    pub announced: AnswerBody,
    /// The framing of the body that follows.
    pub body: AnswerBody,
    /// Whether the connection may be reused after the body.
    pub reusable: bool,
    /// The header fields.
    pub lines: HeadLines,
}

/// The head is not a valid response, is ambiguous, or exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenAnswer;

/// An incremental parser of the heads of one response: interim ones, then the final one. Every byte is inspected once,
/// except in folded lines.
#[derive(Debug, Default)]
pub struct AnswerReader {
    asked: AnswerContext,
    /// Whether something had to be normalised, in this head or in an interim one before it.
    normalised: bool,
    /// The offset of the first incomplete line.
    line: usize,
    /// The offset up to which the bytes were searched for LF.
    looked: usize,
    status: Option<StatusLine>,
    lines: HeadLines,
    /// The offset up to which control characters were checked, and the number of bytes in line ends after it.
    counted: usize,
    ends: usize,
}

#[derive(Clone, Copy, Debug)]
struct StatusLine {
    status: u16,
    reason: Span,
    is_old: bool,
}

impl AnswerReader {
    /// A parser for the answer to a request with these properties.
    pub fn new(asked: AnswerContext) -> Self {
        Self { asked, ..Self::default() }
    }

    /// Continues with `bytes`, everything received of this head so far. Returns `None` if the head is incomplete.
    /// Folded lines are joined in place, so that every value is one range of `bytes`; bytes between the ranges are
    /// undefined afterwards.
    ///
    /// After an interim head the same parser continues with the bytes after it.
    ///
    /// # Errors
    /// [`BrokenAnswer`]; the connection cannot be used any more.
    pub fn feed(&mut self, bytes: &mut [u8], limits: &HeadLimits) -> Result<Option<AnswerHead>, BrokenAnswer> {
        while let Some(at) = memchr(b'\n', bytes.get(self.looked..).unwrap_or_default()) {
            let end = self.looked + at;
            if end >= limits.size {
                return Err(BrokenAnswer);
            }
            let start = std::mem::replace(&mut self.line, end + 1);
            self.looked = end + 1;
            if self.read_line(bytes, start, end, limits)? {
                return self.finish(bytes, end + 1).map(Some);
            }
        }
        self.looked = bytes.len();
        self.check_characters(bytes, self.line)?;
        if bytes.len() >= limits.size || self.is_no_status_line(bytes) { Err(BrokenAnswer) } else { Ok(None) }
    }

    /// Whether the bytes cannot become a status line: another protocol is detected at once instead of after a timeout.
    fn is_no_status_line(&self, bytes: &[u8]) -> bool {
        const BEGIN: &[u8] = b"HTTP/1.";
        self.status.is_none() && !bytes.iter().zip(BEGIN).all(|(byte, want)| byte == want)
    }

    /// Parses one line. Returns whether it ends the head.
    fn read_line(
        &mut self,
        bytes: &mut [u8],
        start: usize,
        end: usize,
        limits: &HeadLimits,
    ) -> Result<bool, BrokenAnswer> {
        let line = bytes.get(start..end).unwrap_or_default();
        let (text, bare) = line.strip_suffix(b"\r").map_or((line, true), |text| (text, false));
        // A bare LF ends the line; a bare CR is refused by `check_characters`.
        self.normalised |= bare;
        self.ends += line.len() + 1 - text.len();
        match (&self.status, text.first()) {
            (None, _) => self.status = Some(StatusLine::read(text, start)?),
            (Some(_), None) => return Ok(true),
            (Some(_), Some(b' ' | b'\t')) => {
                let text_end = start + text.len();
                self.check_characters(bytes, end + 1)?;
                self.fold(bytes, start, text_end)?;
            }
            (Some(_), Some(_)) => self.field(text, start, limits)?,
        }
        Ok(false)
    }

    /// Refuses control characters other than tabs and line ends, up to `end`. Most heads arrive in one piece and are
    /// checked in one pass.
    fn check_characters(&mut self, bytes: &[u8], end: usize) -> Result<(), BrokenAnswer> {
        let from = std::mem::replace(&mut self.counted, end);
        let ends = std::mem::take(&mut self.ends);
        let piece = bytes.get(from..end).unwrap_or_default();
        if head_lines::is_text_with_ends(piece, ends) { Ok(()) } else { Err(BrokenAnswer) }
    }

    /// Parses `name: value`. White space before the colon is removed (RFC 9112 5.1).
    fn field(&mut self, text: &[u8], start: usize, limits: &HeadLimits) -> Result<(), BrokenAnswer> {
        if self.lines.len() >= limits.fields {
            return Err(BrokenAnswer);
        }
        let read = NameRead::of(text);
        let name = read.length;
        let rest = text.get(name..).unwrap_or_default();
        let colon = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(rest.len());
        if name == 0 || rest.get(colon) != Some(&b':') {
            return Err(BrokenAnswer);
        }
        self.normalised |= colon > 0;
        self.lines.push(HeadLine::read(text, start, read, colon + 1));
        Ok(())
    }

    /// Joins a folded line to the value before it, with one space between (RFC 9112 5.2).
    fn fold(&mut self, bytes: &mut [u8], start: usize, end: usize) -> Result<(), BrokenAnswer> {
        self.normalised = true;
        let line = self.lines.last_mut().ok_or(BrokenAnswer)?;
        let more = bytes.get(start..end).unwrap_or_default();
        let from = end - more.trim_ascii_start().len();
        let length = more.trim_ascii().len();
        if length > 0 {
            let value = line.value.range();
            let to = if value.is_empty() { value.start } else { value.end + 1 };
            // The folded text comes after a line end, so there is space for the blank before it.
            if let Some(space) = bytes.get_mut(value.end).filter(|_| !value.is_empty()) {
                *space = b' ';
            }
            bytes.copy_within(from..from + length, to);
            line.value = Span::new(value.start..to + length);
        }
        Ok(())
    }

    /// Makes the complete head and resets the parser, except for `normalised`.
    fn finish(&mut self, bytes: &[u8], end: usize) -> Result<AnswerHead, BrokenAnswer> {
        self.check_characters(bytes, end)?;
        let StatusLine { status, reason, is_old } = self.status.take().ok_or(BrokenAnswer)?;
        let mut lines = std::mem::take(&mut self.lines);
        if self.normalised {
            lines.mark_odd();
        }
        (self.line, self.looked, self.counted) = (0, 0, 0);
        let announced = self.announced(&lines, bytes, is_old)?;
        let body = self.body(status, announced)?;
        let goes_on = head_lines::keeps_alive(&lines, bytes, is_old) && body != AnswerBody::UntilClose;
        Ok(AnswerHead { end, status, reason, is_old, announced, body, reusable: goes_on && !self.normalised, lines })
    }

    /// The framing that the header fields announce.
    fn announced(&mut self, lines: &HeadLines, bytes: &[u8], is_old: bool) -> Result<AnswerBody, BrokenAnswer> {
        let length = self.length(lines, bytes)?;
        let chunked = self.is_chunked(lines, bytes)?;
        // HTTP/1.0 has no chunked coding, and a length beside the coding is a mistake.
        self.normalised |= chunked && (is_old || length.is_some());
        Ok(match (chunked, length) {
            (true, _) => AnswerBody::Chunked,
            (false, Some(length)) => AnswerBody::Length(length),
            (false, None) => AnswerBody::UntilClose,
        })
    }

    /// The content length. Repeated equal values count as one (RFC 9112 6.3).
    fn length(&mut self, lines: &HeadLines, bytes: &[u8]) -> Result<Option<u64>, BrokenAnswer> {
        let mut length = None;
        for value in lines.known(bytes, KnownName::ContentLength) {
            for one in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                let value = head_lines::length(one).ok_or(BrokenAnswer)?;
                self.normalised |= length.is_some() || one.len() > 1 && one.starts_with(b"0");
                if length.is_some_and(|known| known != value) {
                    return Err(BrokenAnswer);
                }
                length = Some(value);
            }
        }
        Ok(length)
    }

    /// Whether the body has the chunked transfer coding. `identity` means no coding; any other coding is refused.
    fn is_chunked(&mut self, lines: &HeadLines, bytes: &[u8]) -> Result<bool, BrokenAnswer> {
        let mut chunked = false;
        for value in lines.known(bytes, KnownName::TransferEncoding) {
            self.normalised |= !value.eq_ignore_ascii_case(b"chunked");
            for coding in items(value).filter(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
                if chunked || !coding.eq_ignore_ascii_case(b"chunked") {
                    return Err(BrokenAnswer);
                }
                chunked = true;
            }
        }
        Ok(chunked)
    }

    /// The framing of the body that follows (RFC 9112 6.3).
    fn body(&mut self, status: u16, announced: AnswerBody) -> Result<AnswerBody, BrokenAnswer> {
        if status == 101 && !self.asked.upgrade {
            return Err(BrokenAnswer);
        }
        let none = matches!(status, 100..=199 | 204 | 304);
        // An application that announces a body where none is allowed may send it.
        self.normalised |= match announced {
            AnswerBody::Chunked => none,
            AnswerBody::Length(length) => none && status != 304 && length > 0,
            AnswerBody::Empty | AnswerBody::UntilClose => false,
        };
        Ok(match announced {
            _ if none || self.asked.by_head => AnswerBody::Empty,
            AnswerBody::Length(0) => AnswerBody::Empty,
            announced => announced,
        })
    }
}

impl StatusLine {
    /// `version SP status SP reason`; without a reason the last space is often missing (RFC 9112 4).
    fn read(line: &[u8], start: usize) -> Result<Self, BrokenAnswer> {
        let (is_old, rest) = match line.split_at_checked(b"HTTP/1.x ".len()) {
            Some((b"HTTP/1.1 ", rest)) => (false, rest),
            Some((b"HTTP/1.0 ", rest)) => (true, rest),
            _ => return Err(BrokenAnswer),
        };
        let (digits, reason) = rest.split_at_checked(3).ok_or(BrokenAnswer)?;
        let status = head_lines::length(digits).and_then(|status| u16::try_from(status).ok());
        let status = status.filter(|&status| status >= 100).ok_or(BrokenAnswer)?;
        if !matches!(reason.first(), None | Some(b' ')) {
            return Err(BrokenAnswer);
        }
        let end = start + line.len();
        let reason = reason.get(1..).unwrap_or_default().len();
        Ok(Self { status, reason: Span::new(end - reason..end), is_old })
    }
}

impl AnswerHead {
    /// Whether it is an interim answer, after which another one follows. A 101 is final.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// The `timeout` of the `Keep-Alive` header: the seconds for which the application keeps an idle connection open.
    pub(crate) fn keep_alive_timeout(&self, bytes: &[u8]) -> Option<u64> {
        if !self.lines.has(KnownName::KeepAlive) {
            return None;
        }
        let mut parameters = self.lines.known(bytes, KnownName::KeepAlive).flat_map(items);
        parameters.find_map(|parameter| {
            let at = memchr(b'=', parameter)?;
            let (name, value) = parameter.split_at_checked(at)?;
            let is_it = name.trim_ascii().eq_ignore_ascii_case(b"timeout");
            is_it.then(|| head_lines::length(value.get(1..)?.trim_ascii())).flatten()
        })
    }
}

#[cfg(test)]
mod tests;
