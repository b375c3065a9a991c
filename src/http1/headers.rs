//! Header lines by name, however they are kept: rules ask, and do not care whether a head is a map or ranges of the
//! bytes that came.

use std::fmt;

use http::{HeaderMap, HeaderName, Method, request};

use crate::values::remembered_key::RememberedKey;

/// The header lines of one message.
pub trait Headers: fmt::Debug + Sync {
    /// The value of the next line of this name, and where to ask for the one behind it. The first is found from 0; no
    /// other place is asked for that was not answered.
    fn next_line(&self, name: &HeaderName, from: usize) -> Option<(&[u8], usize)>;

    /// A bit for the [`mark`](super::header_name_bytes::mark) of every name that there may be.
    fn marks(&self) -> u64 {
        u64::MAX
    }
}

impl dyn Headers + '_ {
    /// The values of all lines of a name.
    pub(crate) fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let (value, behind) = self.next_line(name, from)?;
            from = behind;
            Some(value)
        })
    }

    /// The lines of a name that are text.
    pub(crate) fn texts<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
        self.lines(name).filter_map(text)
    }

    /// Whether there is a line of this name.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        self.next_line(name, 0).is_some()
    }

    /// The value of the first line of a name.
    pub(crate) fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.next_line(name, 0).map(|(value, _)| value)
    }

    /// The value of the one line of a name; `None` where there are more.
    pub(crate) fn single(&self, name: &HeaderName) -> Option<&[u8]> {
        let (value, behind) = self.next_line(name, 0)?;
        self.next_line(name, behind).is_none().then_some(value)
    }

    /// The same, where it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.single(name).and_then(text)
    }
}

/// The head of a request, however it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead<'a> {
    /// What is to be done.
    pub(crate) method: &'a Method,
    /// The target of the request line, byte for byte.
    pub(crate) target: &'a [u8],
    /// The lines after it.
    pub(crate) headers: &'a dyn Headers,
    /// The session cookie that its connection showed last, if it came over one.
    pub(crate) last_key: Option<&'a RememberedKey>,
}

impl<'a> RequestHead<'a> {
    /// Parts that a map is among, and the target that belongs to them.
    pub(crate) fn of(parts: &'a request::Parts, target: &'a [u8]) -> Self {
        Self { method: &parts.method, target, headers: &parts.headers, last_key: None }
    }
}

impl Headers for HeaderMap {
    fn next_line(&self, name: &HeaderName, from: usize) -> Option<(&[u8], usize)> {
        self.get_all(name).iter().nth(from).map(|value| (value.as_bytes(), from + 1))
    }
}

/// A value that is printable ASCII and tabs alone.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    let is_text = value.iter().fold(true, |all, &byte| all & (byte == b'\t' || matches!(byte, b' '..=b'~')));
    std::str::from_utf8(value).ok().filter(|_| is_text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::header::{ACCEPT, COOKIE, HOST};

    use crate::http1::head_lines::HeadFields;
    use crate::http1::request_head::{HeadLimits, HeadReader};

    #[test]
    fn lines_are_found_however_they_are_kept() {
        let bytes = Bytes::from_static(b"GET / HTTP/1.1\r\nHOST: a\r\naccept: b \r\nX: y\r\nAccept: \xe9\r\n\r\n");
        let head = HeadReader::default().feed(&bytes, &HeadLimits { size: 1000, fields: 9 }).unwrap().unwrap();
        let map = head.lines.to_map(&bytes);
        let fields = HeadFields::new(bytes, head.lines);
        let kept: [&dyn Headers; 2] = [&map, &fields];
        for headers in kept {
            assert_eq!(headers.lines(&ACCEPT).collect::<Vec<_>>(), [b"b".as_slice(), b"\xe9"]);
            assert_eq!(headers.texts(&ACCEPT).collect::<Vec<_>>(), ["b"]);
            assert_eq!((headers.has(&HOST), headers.has(&COOKIE)), (true, false));
            assert_eq!((headers.first(&ACCEPT), headers.first(&COOKIE)), (Some(b"b".as_slice()), None));
            assert_eq!((headers.single(&ACCEPT), headers.single(&HOST)), (None, Some(b"a".as_slice())));
            assert_eq!((headers.header(&HOST), headers.header(&COOKIE)), (Some("a"), None));
        }
    }

    #[test]
    fn text_is_what_can_be_printed() {
        for value in [b"".as_slice(), b"a b\t~"] {
            assert_eq!(text(value).map(str::as_bytes), Some(value));
        }
        for value in [b"\x7f".as_slice(), b"\xc3\xa9", b"a\0", b"\n"] {
            assert_eq!(text(value), None);
        }
    }
}
