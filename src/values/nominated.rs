//! What a request's `Connection` line may name.
//!
//! It lists the headers that concern only the next hop, and every proxy removes them (RFC 9110 7.6.1). Whoever lists
//! `Host`, `Cookie` or `Sec-Fetch-Site` there wants a header removed between the place where it is judged and the place
//! where it is used.

use http::header::CONNECTION;

use super::headers::Headers;

/// Headers that are judged here, or that mean something to an application, and belong to no connection.
const END_TO_END: [&str; 41] = [
    "authorization", "cache-control", "cookie", "cookie2", "date", "depth", "destination", "dnt", "early-data",
    "expect", "forwarded", "from", "host", "if", "last-event-id", "lock-token", "max-forwards", "origin", "overwrite",
    "pragma", "prefer", "priority", "purpose", "range", "referer", "save-data", "service-worker",
    "service-worker-navigation-preload", "timeout", "traceparent", "tracestate", "translate",
    "upgrade-insecure-requests", "user-agent", "via", "x-http-method", "x-http-method-override", "x-method-override",
    "x-moz", "x-purpose", "x-requested-with",
];

/// Families of them.
const FAMILIES: [&str; 5] = ["accept", "access-control-", "content-", "if-", "sec-"];

/// Whether the `Connection` lines of a request name a header that is no business of a connection.
pub fn nominates_end_to_end(headers: &dyn Headers) -> bool {
    let lines = headers.lines(&CONNECTION);
    // What nearly every request says needs no second look.
    let unusual =
        lines.filter(|line| !line.eq_ignore_ascii_case(b"keep-alive") && !line.eq_ignore_ascii_case(b"close"));
    unusual.flat_map(|line| line.split(|&byte| byte == b',')).any(|name| is_end_to_end(name.trim_ascii()))
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
    fn a_connection_line_names_nothing_that_is_judged() {
        let cases: [(&[&str], bool); 20] = [
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
        ];
        for (lines, want) in cases {
            let headers: HeaderMap = lines.iter().map(|line| (CONNECTION, HeaderValue::from_static(line))).collect();
            assert_eq!(nominates_end_to_end(&headers), want, "{lines:?}");
        }
    }
}
