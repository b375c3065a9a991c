//! Finds the end of a request's head in the bytes that pass by.

/// Where the bytes of a request stand. A head ends with the first empty line after its request line
/// (RFC 9112, 2.1); empty lines before it are skipped (2.2), and a bare line feed ends a line: the engine's
/// parser reads the same way, and a test holds the two together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HeadScan {
    /// Nothing yet but empty lines.
    #[default]
    Before,
    /// Within a line.
    InLine,
    /// After a line feed.
    LineStart,
    /// After a line feed and a carriage return.
    LineStartReturn,
    /// The head is over.
    Complete,
}

impl HeadScan {
    /// Goes on over `bytes` and answers whether the head is complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        // The common request comes whole and without a body: its last bytes tell, none is looked at.
        let begins_a_line = bytes.first().is_some_and(|byte| !matches!(byte, b'\r' | b'\n'));
        if *self == Self::Before && begins_a_line && bytes.ends_with(b"\r\n\r\n") {
            *self = Self::Complete;
        }
        for &byte in bytes {
            *self = match (*self, byte) {
                (Self::Complete, _) => return true,
                (Self::Before, b'\r' | b'\n') => Self::Before,
                (Self::LineStart | Self::LineStartReturn, b'\n') => Self::Complete,
                (Self::LineStart, b'\r') => Self::LineStartReturn,
                (_, b'\n') => Self::LineStart,
                _ => Self::InLine,
            };
        }
        *self == Self::Complete
    }

    /// Whether the head is over.
    pub(super) fn is_complete(self) -> bool {
        self == Self::Complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_of_a_head() {
        let cases: [(&str, bool); 9] = [
            ("", false),
            ("GET / HTTP/1.1\r\n", false),
            ("GET / HTTP/1.1\r\n\r", false),
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\n\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", true),
            ("\r\n\r\n\r\n", false),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", true),
        ];
        for (bytes, complete) in cases {
            assert_eq!(HeadScan::default().feed(bytes.as_bytes()), complete, "{bytes:?}");
        }
    }

    /// Fed byte by byte, and checked to say the same when the bytes come in one piece.
    fn end_by_scan(bytes: &[u8]) -> Option<usize> {
        let mut scan = HeadScan::default();
        let end = (1..=bytes.len()).find(|&end| scan.feed(&bytes[end - 1..end]));
        assert_eq!(HeadScan::default().feed(bytes), end.is_some());
        end
    }

    proptest! {
        /// Never complete before the engine's parser thinks so (a slow client would get more time than it
        /// should), never later (a running exchange would be taken for a slow head).
        #[test]
        fn agrees_with_the_parser(lines in "(\r?\n){0,2}GET /a HTTP/1.1(\r|\n|\r\n|a|: b|Host){0,12}") {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            match httparse::Request::new(&mut headers).parse(lines.as_bytes()) {
                Ok(httparse::Status::Complete(end)) => {
                    prop_assert_eq!(end_by_scan(lines.as_bytes()), Some(end));
                }
                Ok(httparse::Status::Partial) => prop_assert_eq!(end_by_scan(lines.as_bytes()), None),
                Err(_) => {}
            }
        }
    }
}
