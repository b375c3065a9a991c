//! Checks which headers a request's `Connection` header nominates as hop-by-hop.
//!
//! Every proxy removes the nominated headers (RFC 9110 7.6.1). By nominating `Host`, `Cookie` or `Sec-Fetch-Site`, an
//! attacker could have a header removed after it was checked and before it is used.

use http::header::CONNECTION;

use super::head_lines::items;
use super::header_name_bytes::is_token;
use super::headers::Headers;

/// End-to-end headers: those that the gateway checks, or on which applications rely.
const END_TO_END: [&str; 44] = [
    "authorization", "cache-control", "cookie", "cookie2", "date", "depth", "destination", "dnt", "early-data",
    "expect", "forwarded", "from", "host", "if", "last-event-id", "lock-token", "max-forwards", "origin", "overwrite",
    "pragma", "prefer", "priority", "purpose", "range", "referer", "save-data", "service-worker",
    "service-worker-navigation-preload", "timeout", "traceparent", "tracestate", "translate",
    "upgrade-insecure-requests", "user-agent", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "x-http-method", "x-http-method-override", "x-method-override", "x-moz", "x-purpose", "x-requested-with",
];

/// Prefixes of further end-to-end headers.
const FAMILIES: [&str; 5] = ["accept", "access-control-", "content-", "if-", "sec-"];

/// The maximum number of nominated names: each one costs a search through all fields.
const MAX_NOMINATED: usize = 10;

/// Whether the `Connection` headers of a request name an end-to-end header, an invalid name, or more than
/// [`MAX_NOMINATED`] names.
pub(crate) fn nominates_end_to_end(headers: &dyn Headers) -> bool {
    // Nearly every request has one of these values.
    let is_usual = |line: &[u8]| line == b"keep-alive" || line == b"close";
    if headers.lines(&CONNECTION).all(is_usual) {
        return false;
    }
    let lines = headers.lines(&CONNECTION).filter(|line| !is_usual(line));
    let names: Vec<_> = lines.flat_map(items).take(MAX_NOMINATED + 1).collect();
    names.len() > MAX_NOMINATED
        || names.into_iter().any(|name| is_end_to_end(name) || !name.iter().all(|&at| is_token(at)))
}

fn is_end_to_end(name: &[u8]) -> bool {
    let begins =
        |family: &str| name.get(..family.len()).is_some_and(|head| head.eq_ignore_ascii_case(family.as_bytes()));
    END_TO_END.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) || FAMILIES.into_iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn end_to_end_headers_cannot_be_nominated() {
        let cases: [(&[&str], bool); 24] = [
            (&[], false),
            (&["keep-alive"], false),
            (&["Close"], false),
            (&["Upgrade"], false),
            (&["keep-alive, Upgrade"], false),
            (&["TE, Trailer, HTTP2-Settings"], false),
            (&["X-Forwarded-User, X_Forwarded_User"], false),
            (&["X-Custom"], false),
            (&["Host"], true),
            (&["close, host"], true),
            (&["keep-alive", "COOKIE"], true),
            (&["keep-alive,\tOrigin ,"], true),
            (&["Authorization"], true),
            (&["Content-Length"], true),
            (&["content-type"], true),
            (&["Sec-Fetch-Site"], true),
            (&["Sec-WebSocket-Key, Upgrade"], true),
            (&["Accept"], true),
            (&["If-None-Match"], true),
            (&["X-HTTP-Method-Override"], true),
            (&["X-Forwarded-For"], true),
            (&[":path"], true),
            (&["a, b, c, d, e", "f, g, h, i, j"], false),
            (&["a, b, c, d, e", "f, g, h, i, j, k"], true),
        ];
        for (lines, want) in cases {
            let headers: HeaderMap = lines.iter().map(|line| (CONNECTION, HeaderValue::from_static(line))).collect();
            assert_eq!(nominates_end_to_end(&headers), want, "{lines:?}");
        }
    }
}
