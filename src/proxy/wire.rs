//! Writes heads and bodies.

use std::fmt::Write;

use bytes::BytesMut;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::http1::header_edits::put_line;

/// How a body is framed. Each message has one framing, chosen by the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentFraming {
    /// There is no body, and no header for one.
    Nothing,
    /// `Content-Length`; in response to HEAD the length of the body that GET would have.
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// The body ends with the connection.
    UntilClose,
}

/// The interim answer for a client that expects 100-continue.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The persistence of the connection, and its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It is kept, without a header, as is the default in HTTP/1.1.
    Usual,
    /// It is kept, with a header for clients of HTTP/1.0.
    KeepAlive,
    /// It is closed after this message.
    Close,
    /// It becomes a WebSocket.
    WebSocket,
}

/// Writes the head of a request with these lines.
pub(super) fn put_request(
    to: &mut BytesMut,
    (method, target): (&[u8], &[u8]),
    put_lines: impl FnOnce(&mut BytesMut),
    framing: SentFraming,
    persistence: Persistence,
) {
    for part in [method, b" ".as_slice(), target, b" HTTP/1.1\r\n"] {
        to.extend_from_slice(part);
    }
    put_rest(to, put_lines, framing, persistence);
}

/// Writes the head of an answer with these lines.
pub(super) fn put_answer(
    to: &mut BytesMut,
    (status, reason): (StatusCode, &[u8]),
    put_lines: impl FnOnce(&mut BytesMut),
    framing: SentFraming,
    persistence: Persistence,
) {
    for part in [b"HTTP/1.1 ".as_slice(), status.as_str().as_bytes(), b" ", reason, b"\r\n"] {
        to.extend_from_slice(part);
    }
    put_rest(to, put_lines, framing, persistence);
}

fn put_rest(to: &mut BytesMut, put_lines: impl FnOnce(&mut BytesMut), framing: SentFraming, persistence: Persistence) {
    put_lines(to);
    match framing {
        SentFraming::Nothing | SentFraming::UntilClose => {}
        SentFraming::Length(length) => {
            to.extend_from_slice(b"Content-Length: ");
            put_decimal(to, length);
            to.extend_from_slice(b"\r\n");
        }
        SentFraming::Chunked => to.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    to.extend_from_slice(match persistence {
        Persistence::Usual => b"\r\n",
        Persistence::KeepAlive => b"Connection: keep-alive\r\n\r\n",
        Persistence::Close => b"Connection: close\r\n\r\n",
        Persistence::WebSocket => b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    });
}

fn put_decimal(to: &mut BytesMut, mut number: u64) {
    // No u64 is longer.
    let mut digits = [b'0'; 20];
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    to.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// Writes header lines.
pub(super) fn put_headers<'a>(to: &mut BytesMut, headers: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>) {
    headers.into_iter().for_each(|(name, value)| put_line(to, name, value.as_bytes()));
}

/// Writes data of a body, as one chunk or unchanged. Empty data are not written, since an empty chunk would be the
/// last.
pub(super) fn put_data(to: &mut BytesMut, data: &[u8], in_chunks: bool) {
    if in_chunks && !data.is_empty() {
        // Writing to memory does not fail.
        let _ = write!(to, "{:x}\r\n", data.len());
        to.extend_from_slice(data);
        to.extend_from_slice(b"\r\n");
    } else {
        to.extend_from_slice(data);
    }
}

/// Writes the last chunk of a body. Trailers are not forwarded.
pub(super) fn put_last_chunk(to: &mut BytesMut) {
    to.extend_from_slice(b"0\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_message_has_exactly_one_framing() {
        use SentFraming::*;
        let cases = [
            (Nothing, Persistence::Usual, "\r\n"),
            (Length(0), Persistence::Usual, "Content-Length: 0\r\n\r\n"),
            (Chunked, Persistence::Close, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"),
            (UntilClose, Persistence::Close, "Connection: close\r\n\r\n"),
            (Length(7), Persistence::KeepAlive, "Content-Length: 7\r\nConnection: keep-alive\r\n\r\n"),
            (Nothing, Persistence::WebSocket, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        ];
        let headers = headers(&[("x-request-id", "a")]);
        for (framing, persistence, rest) in cases {
            let mut bytes = BytesMut::new();
            let put_lines = |to: &mut BytesMut| put_headers(to, &headers);
            put_answer(&mut bytes, (StatusCode::OK, b"Fine"), put_lines, framing, persistence);
            assert_eq!(bytes, format!("HTTP/1.1 200 Fine\r\nX-Request-Id: a\r\n{rest}"), "{framing:?}");
        }
    }

    #[test]
    fn lengths_are_written_in_decimal() {
        for number in [0, 7, 10, 1024, 999_999, u64::MAX] {
            let mut bytes = BytesMut::new();
            put_decimal(&mut bytes, number);
            assert_eq!(bytes, number.to_string());
        }
    }

    #[test]
    fn empty_data_are_not_a_chunk() {
        let mut bytes = BytesMut::new();
        put_data(&mut bytes, b"", true);
        put_data(&mut bytes, b"hello, world", true);
        put_last_chunk(&mut bytes);
        assert_eq!(bytes, "c\r\nhello, world\r\n0\r\n\r\n");
    }
}
