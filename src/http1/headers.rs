//! Access to header fields by name, independent of their representation: a map, or ranges of the receive buffer.

use std::fmt;

use http::{HeaderMap, HeaderName, Method, request};

use crate::values::remembered_key::RememberedKey;

/// The header fields of one message.
pub trait Headers: fmt::Debug + Sync {
    /// The value of the next field with this name, and the position from which to search for the one after it. `from`
    /// is 0 for the first, else a position that an earlier call with the same name returned.
    fn next_line(&self, name: &HeaderName, from: usize) -> Option<(&[u8], usize)>;

    /// A filter: a bit for the [`mark`](super::header_name_bytes::mark) of every name that may be present.
    fn marks(&self) -> u64 {
        u64::MAX
    }
}

impl dyn Headers + '_ {
    /// The values of all fields with this name.
    pub(crate) fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let (value, behind) = self.next_line(name, from)?;
            from = behind;
            Some(value)
        })
    }

    /// The values of all fields with this name that are printable ASCII.
    pub(crate) fn texts<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
        self.lines(name).filter_map(text)
    }

    /// Whether there is a field with this name.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        self.next_line(name, 0).is_some()
    }

    /// The value of the first field with this name.
    pub(crate) fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.next_line(name, 0).map(|(value, _)| value)
    }

    /// The value of the only field with this name; `None` if there are several.
    pub(crate) fn single(&self, name: &HeaderName) -> Option<&[u8]> {
        let (value, behind) = self.next_line(name, 0)?;
        self.next_line(name, behind).is_none().then_some(value)
    }

    /// Like `single`, if the value is printable ASCII.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.single(name).and_then(text)
    }
}

/// The head of a request, independent of its representation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead<'a> {
    /// The method.
    pub(crate) method: &'a Method,
    /// The target of the request line, byte for byte.
    pub(crate) target: &'a [u8],
    /// The header fields.
    pub(crate) headers: &'a dyn Headers,
    /// The last session cookie of its connection, with its key; `None` if the request did not come from a connection.
    pub(crate) last_key: Option<&'a RememberedKey>,
}

impl<'a> RequestHead<'a> {
    /// The head of `parts`, with the raw target.
    pub(crate) fn of(parts: &'a request::Parts, target: &'a [u8]) -> Self {
        Self { method: &parts.method, target, headers: &parts.headers, last_key: None }
    }
}

impl Headers for HeaderMap {
    fn next_line(&self, name: &HeaderName, from: usize) -> Option<(&[u8], usize)> {
        self.get_all(name).iter().nth(from).map(|value| (value.as_bytes(), from + 1))
    }
}

/// The value as text, if it consists of printable ASCII and tabs.
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
    fn fields_are_found_in_both_representations() {
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
    fn text_is_printable_ascii_and_tabs() {
        for value in [b"".as_slice(), b"a b\t~"] {
            assert_eq!(text(value).map(str::as_bytes), Some(value));
        }
        for value in [b"\x7f".as_slice(), b"\xc3\xa9", b"a\0", b"\n"] {
            assert_eq!(text(value), None);
        }
    }
}
