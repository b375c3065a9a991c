//! The header fields of a message as ranges of the receive buffer: parsed once and never copied.
//!
//! The parser records the range of every name and value, and the [`KnownName`] of each. The bytes themselves are passed
//! to each query.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::HeaderName;
#[cfg(test)]
use http::{HeaderMap, HeaderValue};

use super::header_name_bytes::{equals_lower_case, mark, measure};
use super::headers::Headers;
use super::known_name::KnownName;
use super::usual_names::usual_name;

/// A range of the bytes of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The range. Offsets are always below `u32::MAX`, since the size of heads is limited.
    pub(super) fn new(range: Range<usize>) -> Self {
        let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(range.start), end: narrow(range.end) }
    }

    /// The range as indices.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes in the range.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }
}

/// The name at the beginning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameRead {
    /// The length of the name; zero if there is none.
    pub(super) length: usize,
    is_plain: bool,
    known: KnownName,
    mark: u8,
}

impl NameRead {
    /// Reads the name. Usual names, which most lines have, are found in a table.
    pub(super) fn of(line: &[u8]) -> Self {
        if let Some((name, mark, known)) = usual_name(line) {
            return Self { length: name.len(), is_plain: true, known, mark };
        }
        let (length, is_plain) = measure(line);
        let name = line.get(..length).unwrap_or_default();
        Self { length, is_plain, known: KnownName::of(name), mark: mark(name) }
    }
}

/// One header field. The range of the value excludes surrounding white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLine {
    /// The name, if it is a known one.
    pub known: KnownName,
    /// Whether the name is plain: no application normalises it to another name.
    pub is_plain: bool,
    /// The [`mark`] of the name.
    mark: u8,
    /// The range of the name, in its original case.
    pub name: Span,
    /// The range of the value.
    pub value: Span,
}

impl HeadLine {
    /// The field of a line at the offset `start`; the value begins `gap` bytes after the name.
    pub(super) fn read(line: &[u8], start: usize, name: NameRead, gap: usize) -> Self {
        let NameRead { length, is_plain, known, mark } = name;
        let value = line.get(length + gap..).unwrap_or_default();
        let from = value.trim_ascii_start();
        let value_start = start + line.len() - from.len();
        Self {
            known,
            is_plain,
            mark,
            name: Span::new(start..start + length),
            value: Span::new(value_start..value_start + from.trim_ascii_end().len()),
        }
    }

    /// Whether the field has this name, compared without case.
    fn is_called(&self, bytes: &[u8], name: &[u8]) -> bool {
        let own = self.name.of(bytes);
        if self.is_plain { equals_lower_case(own, name) } else { own.eq_ignore_ascii_case(name) }
    }

    /// Whether the value follows after a colon and at most one space, and ends at `end`, the end of the line.
    pub(super) fn is_usual(&self, end: usize) -> bool {
        let (name, value) = (self.name.range(), self.value.range());
        value.end == end && value.start <= name.end + b": ".len()
    }
}

/// The header fields of a head, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadLines {
    lines: Vec<HeadLine>,
    /// Whether the lines have to be written again from their parts: some are folded or have unusual line ends.
    are_odd: bool,
    /// A bit for the mark of every name: a filter that answers most queries for absent names.
    marks: u64,
    /// The same for the marks that more than one line has.
    repeated: u64,
    /// A bit for every [`KnownName`].
    known: u32,
}

/// The initial capacity, enough for most heads.
const USUAL_LINES: usize = 24;

impl HeadLines {
    #[inline]
    pub(super) fn push(&mut self, line: HeadLine) {
        if self.lines.is_empty() {
            self.lines = Vec::with_capacity(USUAL_LINES);
        }
        let mark = 1 << line.mark;
        self.repeated |= self.marks & mark;
        self.marks |= mark;
        self.known |= 1 << line.known as u32;
        self.lines.push(line);
    }

    pub(super) fn mark_odd(&mut self) {
        self.are_odd = true;
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut HeadLine> {
        self.lines.last_mut()
    }

    /// The number of fields.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no field.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = &HeadLine> {
        self.lines.iter()
    }

    /// Whether there is a field with a known name.
    pub fn has(&self, known: KnownName) -> bool {
        self.known & 1 << known as u32 != 0
    }

    /// The values of all fields with a known name.
    pub(crate) fn known<'a>(&'a self, bytes: &'a [u8], known: KnownName) -> impl Iterator<Item = &'a [u8]> {
        let lines = if self.has(known) { self.lines.as_slice() } else { &[] };
        lines.iter().filter(move |line| line.known == known).map(|line| line.value.of(bytes))
    }

    /// The first field with this name, compared without case, at index `from` or later.
    fn find(&self, bytes: &[u8], name: &[u8], from: usize) -> Option<(usize, &HeadLine)> {
        let mark = mark(name);
        // Callers search from a later index only after they have found a field of this name.
        let among = if from == 0 { self.marks } else { self.repeated };
        if among & 1 << mark == 0 { None } else { self.search(bytes, name, mark, from) }
    }

    /// A separate function that is not inlined, so that the common query for an absent name stays small.
    #[inline(never)]
    fn search(&self, bytes: &[u8], name: &[u8], mark: u8, from: usize) -> Option<(usize, &HeadLine)> {
        let is_it = |line: &HeadLine| line.mark == mark && line.is_called(bytes, name);
        let at = from + self.lines.get(from..)?.iter().position(is_it)?;
        self.lines.get(at).map(|line| (at, line))
    }

    /// The fields as a map, for tests. Fields that a map cannot hold are left out; the parsers accept none of them.
    #[cfg(test)]
    pub(crate) fn to_map(&self, bytes: &Bytes) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.lines.len() + USUAL_LINES);
        for line in &self.lines {
            let name = HeaderName::from_bytes(line.name.of(bytes));
            let value = bytes.get(line.value.range()).map(|_| bytes.slice(line.value.range()));
            if let (Ok(name), Some(Ok(value))) = (name, value.map(HeaderValue::from_maybe_shared)) {
                map.append(name, value);
            }
        }
        map
    }
}

/// Header fields together with the bytes of the head.
#[derive(Clone, Debug)]
pub struct HeadFields {
    bytes: Bytes,
    lines: HeadLines,
}

impl HeadFields {
    /// Joins the bytes of a head and its fields.
    pub(crate) fn new(bytes: Bytes, lines: HeadLines) -> Self {
        Self { bytes, lines }
    }

    /// The bytes of the head.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The ranges of the fields.
    pub fn lines(&self) -> &HeadLines {
        &self.lines
    }

    /// Writes the fields that `keeps` selects, in their order and byte for byte. Consecutive fields are written in one
    /// piece.
    pub(crate) fn put(&self, to: &mut BytesMut, mut keeps: impl FnMut(&HeadLine) -> bool) {
        if self.lines.are_odd {
            return self.lines.iter().filter(|line| keeps(line)).for_each(|line| self.put_normalised(to, line));
        }
        let mut run: Option<usize> = None;
        for line in self.lines.iter() {
            let start = line.name.range().start;
            match (keeps(line), run) {
                (true, None) => run = Some(start),
                (false, Some(from)) => {
                    to.extend_from_slice(self.bytes.get(from..start).unwrap_or_default());
                    run = None;
                }
                _ => {}
            }
        }
        if let Some(from) = run {
            // The empty line after the last field is not copied.
            let end = self.bytes.len().saturating_sub(b"\r\n".len());
            to.extend_from_slice(self.bytes.get(from..end).unwrap_or_default());
        }
    }

    fn put_normalised(&self, to: &mut BytesMut, line: &HeadLine) {
        for part in [line.name.of(&self.bytes), b": ", line.value.of(&self.bytes), b"\r\n"] {
            to.extend_from_slice(part);
        }
    }
}

impl Headers for HeadFields {
    fn next_line(&self, name: &HeaderName, from: usize) -> Option<(&[u8], usize)> {
        let (at, line) = self.lines.find(&self.bytes, name.as_str().as_bytes(), from)?;
        Some((line.value.of(&self.bytes), at + 1))
    }

    fn marks(&self) -> u64 {
        self.lines.marks
    }
}

/// Whether the head has no control characters except tabs and `ends` bytes of line ends.
pub(super) fn is_text_with_ends(head: &[u8], ends: usize) -> bool {
    let is_control = |byte: u8| (byte < b' ') & (byte != b'\t') | (byte == 0x7f);
    // Counting the bytes outside of printable ASCII is faster, and enough for most heads.
    count(head, |byte| byte.wrapping_sub(b' ') > b'~' - b' ') == ends || count(head, is_control) == ends
}

/// Counts in pieces whose count fits into a byte, so that the compiler can vectorise the loop.
fn count(bytes: &[u8], counts: impl Fn(u8) -> bool) -> usize {
    let of_piece = |piece: &[u8]| piece.iter().fold(0_u8, |count, &byte| count + u8::from(counts(byte)));
    bytes.chunks(240).map(|piece| usize::from(of_piece(piece))).sum()
}

/// The elements of a comma-separated list, without empty ones (RFC 9110 5.6.1).
pub(crate) fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// Whether a connection persists after a message (RFC 9112 9.3). `close` has precedence over all other options.
pub(super) fn keeps_alive(lines: &HeadLines, bytes: &[u8], is_old: bool) -> bool {
    let mut asked = !is_old;
    for value in lines.known(bytes, KnownName::Connection) {
        // The value that most browsers send.
        if value == b"keep-alive" {
            asked = true;
            continue;
        }
        for item in items(value) {
            if item.eq_ignore_ascii_case(b"close") {
                return false;
            }
            asked |= item.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    asked
}

/// Parses a length in decimal digits, below 2^63: larger values overflow in other programs.
pub(super) fn length(digits: &[u8]) -> Option<u64> {
    let add = |length: i64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    };
    let length = digits.iter().try_fold(0, add)?;
    u64::try_from(length).ok().filter(|_| !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> HeadLines {
        let mut lines = HeadLines::default();
        let mut start = 0;
        for line in text.split_inclusive("\r\n") {
            lines.push(HeadLine::read(
                line.trim_end_matches("\r\n").as_bytes(),
                start,
                NameRead::of(line.as_bytes()),
                1,
            ));
            start += line.len();
        }
        lines
    }

    #[test]
    fn lines_are_found_by_name() {
        let text = "Host: a\r\nX-A:\t b c \r\nx-a:\r\nCookie:d\r\n";
        let lines = lines(text);
        let found = |name: &str, from| lines.find(text.as_bytes(), name.as_bytes(), from).map(|(at, _)| at);
        assert_eq!((found("x-a", 0), found("x-a", 2), found("x-a", 3)), (Some(1), Some(2), None));
        assert_eq!((found("host", 0), found("host", 1), found("x-b", 0)), (Some(0), None, None));
        assert_eq!(lines.known(text.as_bytes(), KnownName::Cookie).collect::<Vec<_>>(), [b"d"]);
        assert_eq!((lines.len(), lines.is_empty(), lines.iter().count()), (4, false, 4));
        let map = lines.to_map(&Bytes::from_static(b"Host: a\r\nX-A:\t b c \r\nx-a:\r\nCookie:d\r\n"));
        assert_eq!(map.get_all("x-a").iter().collect::<Vec<_>>(), ["b c", ""]);
        assert_eq!((map.len(), &map["host"], &map["cookie"]), (4, &"a".parse().unwrap(), &"d".parse().unwrap()));
    }

    #[test]
    fn kept_fields_are_written_byte_for_byte() {
        let head = b"X: a \r\nY:b\r\nZ:\tc\r\nx: d\r\n\r\n";
        let cases = [
            ("", "X: a \r\nY:b\r\nZ:\tc\r\nx: d\r\n"),
            ("x", "Y:b\r\nZ:\tc\r\n"),
            ("y", "X: a \r\nZ:\tc\r\nx: d\r\n"),
            ("z", "X: a \r\nY:b\r\nx: d\r\n"),
            ("xyz", ""),
        ];
        for (left_out, want) in cases {
            let text = std::str::from_utf8(head).unwrap().strip_suffix("\r\n").unwrap();
            let mut fields = HeadFields::new(Bytes::from_static(head), lines(text));
            let keeps = |line: &HeadLine| !left_out.contains(char::from(line.name.of(head)[0].to_ascii_lowercase()));
            let mut written = BytesMut::new();
            fields.put(&mut written, keeps);
            assert_eq!(written, want, "without {left_out}");
            fields.lines.mark_odd();
            written.clear();
            fields.put(&mut written, keeps);
            let normalised = want.replace(": a ", ": a").replace("Y:b", "Y: b").replace(":\t", ": ");
            assert_eq!(written, normalised, "without {left_out}");
        }
    }

    #[test]
    fn a_connection_persists_by_version_and_options() {
        let cases = [
            ("", false, true),
            ("", true, false),
            ("Connection: keep-alive\r\n", true, true),
            ("Connection: Upgrade, Keep-Alive\r\n", true, true),
            ("Connection: close\r\n", false, false),
            ("Connection: keep-alive\r\nConnection: x, CLOSE ,\r\n", false, false),
            ("Connection: keep-alive, close\r\n", true, false),
            ("Connection: closed\r\n", false, true),
        ];
        for (text, is_old, want) in cases {
            assert_eq!(keeps_alive(&lines(text), text.as_bytes(), is_old), want, "{text} {is_old}");
        }
    }

    #[test]
    fn lengths_are_decimal_and_below_two_to_the_63() {
        let cases = [
            ("0", Some(0)),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("", None),
            ("+1", None),
            ("1 ", None),
            ("0x1", None),
        ];
        for (digits, want) in cases {
            assert_eq!(length(digits.as_bytes()), want, "{digits}");
        }
    }
}
