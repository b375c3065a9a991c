//! What an answer's `Content-Type` may be taken for.
//!
//! One line with one type is the rule. Where there are several, separated by commas or on lines of their own, browsers
//! and programs differ about which one counts (WHATWG Fetch, "extract a MIME type"), so that all of them count here.

use http::header::CONTENT_TYPE;
use memchr::memchr;

use super::headers::Headers;

/// Types of answers that go on for as long as the application likes: event streams, pictures that replace each other,
/// records one after another.
const PUSHED: [&[u8]; 13] = [
    b"text/event-stream", b"multipart/x-mixed-replace", b"application/x-ndjson", b"application/ndjson",
    b"application/json-seq", b"application/geo+json-seq", b"application/stream+json", b"application/x-json-stream",
    b"application/jsonl", b"application/jsonlines", b"application/x-jsonlines", b"application/json-lines",
    b"application/x-dom-event-stream",
];

/// Types that a browser shows as a page with scripts and forms.
const PAGES: [&[u8]; 2] = [b"text/html", b"application/xhtml+xml"];

/// Written down, and still no type: browsers look at the body and guess (WHATWG MIME Sniffing 7).
const UNKNOWN: [&[u8]; 3] = [b"unknown/unknown", b"application/unknown", b"*/*"];

/// What most pages say behind their type, letter by letter.
const USUAL_PARAMETERS: [&[u8]; 3] = [b"; charset=utf-8", b"; charset=UTF-8", b""];

/// Whether an answer may be one that its application pushes for as long as it likes.
pub(crate) fn is_push_stream(headers: &dyn Headers) -> bool {
    let is_pushed = |line: &[u8]| types(line).any(|one| is_one_of(one, &PUSHED));
    headers.lines(&CONTENT_TYPE).any(|line| !is_usual_page(line) && is_pushed(line))
}

/// Whether a browser may show an answer as a page: HTML, XHTML, or a body whose type it has to guess.
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

/// Whether this is what most pages say: nothing else has to be asked then.
fn is_usual_page(line: &[u8]) -> bool {
    line.strip_prefix(b"text/html").is_some_and(|parameters| USUAL_PARAMETERS.contains(&parameters))
}

/// All types of a line, without their parameters.
fn types(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',').map(|one| without_parameters(one).trim_ascii())
}

fn without_parameters(one: &[u8]) -> &[u8] {
    memchr(b';', one).and_then(|end| one.get(..end)).unwrap_or(one)
}

fn is_one_of(one: &[u8], known: &[&[u8]]) -> bool {
    known.iter().any(|known| one.eq_ignore_ascii_case(known))
}

/// `type/subtype`, whatever they are.
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
    fn any_line_and_any_type_of_it_may_be_a_stream() {
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
    fn a_page_is_what_a_browser_may_show_as_one() {
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
