//! Recognises and checks WebSocket handshakes (RFC 6455 4.1, 4.2.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, Method, Version};

use super::head_lines::items;
use super::headers::Headers;

/// Why a WebSocket handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadWebSocketRequest {
    /// Not `GET`, or not HTTP/1.1, or without `Host`: 400.
    NoHandshake,
    /// Not exactly one `Sec-WebSocket-Key` of 16 bytes in base64: 400.
    Key,
    /// Another version than 13: 426 with `Sec-WebSocket-Version: 13` (RFC 6455 4.2.2).
    Version,
    /// The request has a body, which would become the first bytes of the tunnel: 400.
    Body,
}

/// Whether a request is a WebSocket handshake: `Upgrade: websocket`, nominated by `Connection`. Other upgrades are not
/// forwarded.
///
/// # Errors
/// It is one, but violates RFC 6455.
pub(crate) fn is_websocket_request(
    method: &Method,
    version: Version,
    headers: &dyn Headers,
) -> Result<bool, BadWebSocketRequest> {
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return Ok(false);
    }
    if method != Method::GET || version != Version::HTTP_11 || !headers.has(&HOST) {
        return Err(BadWebSocketRequest::NoHandshake);
    }
    if headers.single(&SEC_WEBSOCKET_VERSION).map(<[u8]>::trim_ascii) != Some(b"13") {
        return Err(BadWebSocketRequest::Version);
    }
    if !headers.single(&SEC_WEBSOCKET_KEY).map(<[u8]>::trim_ascii).is_some_and(is_key) {
        return Err(BadWebSocketRequest::Key);
    }
    let empty = headers.lines(&CONTENT_LENGTH).all(|length| length == b"0");
    if !empty || headers.has(&TRANSFER_ENCODING) {
        return Err(BadWebSocketRequest::Body);
    }
    Ok(true)
}

/// Whether a header that is a list of tokens contains `token`, compared without case, in any of its fields.
pub(crate) fn has_token(headers: &dyn Headers, name: &HeaderName, token: &str) -> bool {
    headers.lines(name).flat_map(items).any(|item| item.eq_ignore_ascii_case(token.as_bytes()))
}

fn is_key(value: &[u8]) -> bool {
    data_encoding::BASE64.decode(value).is_ok_and(|nonce| nonce.len() == 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use BadWebSocketRequest::{Body, Key, NoHandshake, Version as BadVersion};
    use http::{HeaderMap, HeaderValue};

    const GOOD: [(&str, &str); 5] = [
        ("host", "app.test"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn judge(lines: &[(&str, &str)]) -> Result<bool, BadWebSocketRequest> {
        is_websocket_request(&Method::GET, Version::HTTP_11, &headers(lines))
    }

    /// The valid request with one header replaced, or removed if the value is empty.
    fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
        let mut lines: Vec<_> = GOOD.into_iter().filter(|line| line.0 != name).collect();
        if !value.is_empty() {
            lines.push((name, value));
        }
        lines
    }

    #[test]
    fn a_handshake_is_recognised() {
        assert_eq!(judge(&GOOD), Ok(true));
        let mut two_lines = with("connection", "keep-alive");
        two_lines.push(("connection", "upgrade"));
        assert_eq!(judge(&two_lines), Ok(true));
        assert_eq!(judge(&with("content-length", "0")), Ok(true));
    }

    #[test]
    fn other_requests_are_not_handshakes() {
        for lines in [with("upgrade", ""), with("upgrade", "h2c"), with("connection", "keep-alive")] {
            assert_eq!(judge(&lines), Ok(false), "{lines:?}");
        }
    }

    #[test]
    fn an_invalid_handshake_is_refused() {
        let cases = [
            (with("host", ""), NoHandshake),
            (with("sec-websocket-version", ""), BadVersion),
            (with("sec-websocket-version", "8"), BadVersion),
            (with("sec-websocket-key", ""), Key),
            (with("sec-websocket-key", "c2hvcnQ="), Key),
            (with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ"), Key),
            (with("content-length", "5"), Body),
            (with("transfer-encoding", "chunked"), Body),
        ];
        for (lines, want) in cases {
            assert_eq!(judge(&lines), Err(want), "{lines:?}");
        }
        let mut twice = GOOD.to_vec();
        twice.push(("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(judge(&twice), Err(Key));
        let map = headers(&GOOD);
        assert_eq!(is_websocket_request(&Method::POST, Version::HTTP_11, &map), Err(NoHandshake));
        assert_eq!(is_websocket_request(&Method::GET, Version::HTTP_10, &map), Err(NoHandshake));
    }
}
