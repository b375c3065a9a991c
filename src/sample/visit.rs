//! The data of a request that all pages need.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::cookies::cookie;
use super::language::ShopLanguage;
use super::visitors::VisitorId;

/// The shop's own session cookie.
pub(super) const SESSION_COOKIE: &str = "shopsession";

/// The header with the user's name, set by the proxy in front. It is trusted without a check, as in legacy
/// applications.
const USER: &str = "x-forwarded-user";

/// The data of one request that all pages need.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    /// The requested path.
    pub(crate) path: &'a str,
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
    /// The user's name, if a proxy in front has sent it.
    pub(crate) user: Option<String>,
    /// The language of the answer.
    pub(crate) language: ShopLanguage,
    /// The id in the session cookie, known or not.
    pub(crate) visitor: Option<VisitorId>,
}

impl<'a> Visit<'a> {
    /// Reads the head of a request.
    pub(crate) fn of(path: &'a str, headers: &'a HeaderMap) -> Self {
        Self {
            path,
            headers,
            user: user(headers),
            language: ShopLanguage::of(headers),
            visitor: cookie(headers, SESSION_COOKIE).and_then(VisitorId::parse),
        }
    }
}

/// Names beyond ASCII arrive percent-encoded.
fn user(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(USER)?.to_str().ok()?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned()).filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::super::cookies::cookies;
    use super::*;

    #[test]
    fn a_request_has_user_language_and_visitor() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "a=1;lang=de; b; a=2".parse().unwrap());
        headers.insert(USER, "J%C3%BCrgen".parse().unwrap());
        let visit = Visit::of("/", &headers);
        assert_eq!((visit.user.as_deref(), visit.language), (Some("Jürgen"), ShopLanguage::German));
        assert_eq!((cookie(&headers, "a"), cookie(&headers, "b")), (Some("1"), None));
        assert_eq!(cookies(&headers).count(), 3);
        assert_eq!(visit.visitor, None);
    }
}
