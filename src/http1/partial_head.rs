//! A tolerant parser for heads that were refused. Its result is used only for the form of the answer (HTML or JSON) and
//! for the access line.

use http::{HeaderName, HeaderValue, Method, request};

/// The maximum number of header fields that are read.
const MAX_LINES: usize = 100;
/// The maximum length of the target in bytes; the rest is cut off.
const MAX_TARGET: usize = 2048;

/// Parses `head` as far as possible. Returns the parts, with `/` as the URI, and the raw target.
pub(crate) fn read(head: &[u8]) -> (request::Parts, &[u8]) {
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end).skip_while(|line| line.is_empty());
    let mut words = lines.next().unwrap_or_default().split(|&byte| byte == b' ');
    let method = words.next().and_then(|word| Method::from_bytes(word).ok());
    let target = words.next().unwrap_or_default();
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method.unwrap_or_default();
    let fields = lines.take(MAX_LINES).take_while(|line| !line.is_empty()).filter_map(field);
    // Fields beyond the capacity of the map are not needed.
    fields.for_each(|(name, value)| drop(parts.headers.try_append(name, value)));
    (parts, target.get(..MAX_TARGET).unwrap_or(target))
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let end = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = line.split_at_checked(end)?;
    let value = value.get(1..)?.trim_ascii();
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valid_parts_of_a_malformed_head_are_read() {
        let (parts, target) =
            read(b"\r\nGET /a b HTTP/1.1\r\nAccept: text/html\r\nno colon\nX: \0\r\nHost: a\r\n\r\nX: y");
        assert_eq!((parts.method, target), (Method::GET, b"/a".as_slice()));
        assert_eq!(parts.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept", "host"]);
        for nothing in [b"".as_slice(), b"\x16\x03\x01", b"\r\n", b"(\r\n:\r\n"] {
            let (parts, _) = read(nothing);
            assert!(parts.headers.is_empty() && parts.method == Method::GET, "{nothing:?}");
        }
    }

    #[test]
    fn target_and_fields_are_limited() {
        let head = format!("GET /{} HTTP/1.1\r\n{}", "a".repeat(100_000), "X: y\r\n".repeat(100_000));
        let (parts, target) = read(head.as_bytes());
        assert_eq!((target.len(), parts.headers.len()), (MAX_TARGET, MAX_LINES));
    }
}
