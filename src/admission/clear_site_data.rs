//! Removes `"cookies"` from an application's `Clear-Site-Data`.

use http::{HeaderName, HeaderValue};

use crate::http1::header_edits::HeaderEdit;
use crate::http1::headers::{Headers, text};

/// The header with which a site makes a browser delete its data.
pub(crate) static CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The edit that removes the cookie directives. Browsers would delete the cookies of the whole domain, the gateway's
/// included, while the session would go on here without its cookie (W3C Clear Site Data 3.1).
pub(crate) fn without_cookies(headers: &dyn Headers) -> Option<HeaderEdit> {
    let lines = || headers.lines(&CLEAR_SITE_DATA).map(|line| text(line).unwrap_or(""));
    let kinds = || lines().flat_map(|line| line.split(',')).map(str::trim);
    let ours = |kind: &str| matches!(kind, "\"cookies\"" | "\"*\"" | "");
    if !kinds().any(ours) {
        return None;
    }
    let kept = kinds().filter(|kind| !ours(kind)).collect::<Vec<_>>().join(", ");
    let kept = HeaderValue::try_from(kept).ok().filter(|kept| !kept.is_empty());
    Some(kept.map_or_else(
        || HeaderEdit::Remove(CLEAR_SITE_DATA.clone()),
        |kept| HeaderEdit::Set(CLEAR_SITE_DATA.clone(), kept),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn an_application_clears_no_cookies() {
        let cases: [(&[&str], Option<Option<&str>>); 6] = [
            (&[], None),
            (&["\"cache\", \"storage\""], None),
            (&["\"cookies\""], Some(None)),
            (&["\"*\""], Some(None)),
            (&["\"storage\",\"cookies\"", "\"cache\""], Some(Some("\"storage\", \"cache\""))),
            (&["\u{e4}"], Some(None)),
        ];
        for (lines, want) in cases {
            let line = |line: &&str| (CLEAR_SITE_DATA.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
            let got = without_cookies(&lines.iter().map(line).collect::<HeaderMap>());
            let want = want.map(|kept| match kept {
                None => HeaderEdit::Remove(CLEAR_SITE_DATA.clone()),
                Some(kept) => HeaderEdit::Set(CLEAR_SITE_DATA.clone(), HeaderValue::from_static(kept)),
            });
            assert_eq!(got, want, "{lines:?}");
        }
    }
}
