//! Classifies answers by `Content-Type`: push streams and pages.
//!
//! If there are several types, separated by commas or in several headers, browsers and programs differ about which one
//! applies (WHATWG Fetch, "extract a MIME type"), so each of them is considered here.

use http::header::CONTENT_TYPE;
use memchr::memchr;

use super::headers::Headers;

/// Types of answers without a foreseeable end: event streams, motion pictures, sequences of records.
const PUSH_TYPES: [&[u8]; 13] = [
    b"text/event-stream", b"multipart/x-mixed-replace", b"application/x-ndjson", b"application/ndjson",
    b"application/json-seq", b"application/geo+json-seq", b"application/stream+json", b"application/x-json-stream",
    b"application/jsonl", b"application/jsonlines", b"application/x-jsonlines", b"application/json-lines",
    b"application/x-dom-event-stream",
];

/// Types that a browser displays as a page with scripts and forms.
const PAGES: [&[u8]; 2] = [b"text/html", b"application/xhtml+xml"];

/// Types for which browsers guess the type from the body (WHATWG MIME Sniffing 7).
const UNKNOWN: [&[u8]; 3] = [b"unknown/unknown", b"application/unknown", b"*/*"];

/// The most common parameters after `text/html`, for a fast comparison.
const USUAL_PARAMETERS: [&[u8]; 3] = [b"; charset=utf-8", b"; charset=UTF-8", b""];

/// Whether an answer may be a push stream: one that its application continues for an unlimited time.
pub(crate) fn is_push_stream(headers: &dyn Headers) -> bool {
    let is_pushed = |line: &[u8]| types(line).any(|one| is_one_of(one, &PUSH_TYPES));
    headers.lines(&CONTENT_TYPE).any(|line| !is_usual_page(line) && is_pushed(line))
}

/// Whether a browser may display an answer as a page: HTML, XHTML, or a body whose type it has to guess.
pub(crate) fn may_be_page(headers: &dyn Headers) -> bool {
    let mut typed = false;
    for line in headers.lines(&CONTENT_TYPE) {
        if is_usual_page(line) || types(line).any(|one| is_one_of(one, &PAGES)) {
            return true;
        }
        typed |= types(line).any(|one| is_type(one) && !is_one_of(one, &UNKNOWN));
    }
    !typed
}

/// Whether the value is one of the most common ones of pages, which need no further parsing.
fn is_usual_page(line: &[u8]) -> bool {
    line.strip_prefix(b"text/html").is_some_and(|parameters| USUAL_PARAMETERS.contains(&parameters))
}

/// All types of a value, without their parameters.
fn types(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',').map(|one| without_parameters(one).trim_ascii())
}

fn without_parameters(one: &[u8]) -> &[u8] {
    memchr(b';', one).and_then(|end| one.get(..end)).unwrap_or(one)
}

fn is_one_of(one: &[u8], known: &[&[u8]]) -> bool {
    known.iter().any(|known| one.eq_ignore_ascii_case(known))
}

/// Whether it has the form `type/subtype`.
fn is_type(one: &[u8]) -> bool {
    let slash = one.iter().position(|&byte| byte == b'/');
    slash.is_some_and(|at| at > 0 && at + 1 < one.len()) && !one.contains(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use http::HeaderValue;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (CONTENT_TYPE, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn each_type_in_each_header_may_be_a_stream() {
        let cases: [(&[&str], bool); 16] = [
            (&[], false),
            (&["text/event-stream"], true),
            (&["Text/Event-Stream; charset=utf-8"], true),
            (&["text/event-stream;"], true),
            (&["text/plain", "text/event-stream"], true),
            (&["text/event-stream", "text/plain"], true),
            (&["text/plain,\ttext/event-stream;x=y"], true),
            (&["text/plain; x=\"a,b\", text/event-stream"], true),
            (&["multipart/x-mixed-replace; boundary=x"], true),
            (&["application/x-ndjson"], true),
            (&["application/json-seq"], true),
            (&["application/stream+json"], true),
            (&["text/event-streams"], false),
            (&["text/plain; type=text/event-stream"], false),
            (&["application/json"], false),
            (&["multipart/mixed"], false),
        ];
        for (lines, want) in cases {
            assert_eq!(is_push_stream(&headers(lines)), want, "{lines:?}");
        }
    }

    #[test]
    fn everything_that_a_browser_may_display_as_a_page_is_a_page() {
        let cases: [(&[&str], bool); 16] = [
            (&[], true),
            (&[""], true),
            (&["text/html;charset=utf-8"], true),
            (&["Text/HTML"], true),
            (&[" application/xhtml+xml"], true),
            (&["text/css", "text/html"], true),
            (&["text/html", "text/css"], true),
            (&["text/css, text/html"], true),
            (&["*/*"], true),
            (&["unknown/unknown"], true),
            (&["html"], true),
            (&["/"], true),
            (&["text/css"], false),
            (&["*/*", "text/css"], false),
            (&["image/png; x=text/html"], false),
            (&["application/octet-stream"], false),
        ];
        for (lines, want) in cases {
            assert_eq!(may_be_page(&headers(lines)), want, "{lines:?}");
        }
    }
}
