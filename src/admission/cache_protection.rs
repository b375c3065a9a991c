//! What a browser may cache of a response to a signed-in user.
//!
//! After the sign-out another user may use the same browser. The back button shows pages from the back/forward cache or
//! the disk; images and scripts come from the memory cache, which ignores `Vary`. So pages are not stored at all, and
//! everything else is revalidated each time. A response that the application declares public keeps its lifetime.

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, EXPIRES, VARY};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::http1::header_edits::{HeaderEdit, HeaderEdits};
use crate::http1::headers::Headers;
use crate::http1::media_type::may_be_page;

/// Headers with a cache policy for shared caches between the gateway and the browser, which takes precedence over
/// `Cache-Control` there (RFC 9213 and earlier headers of vendors).
pub(crate) static TARGETED_CACHE_HEADERS: [HeaderName; 7] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("netlify-cdn-cache-control"),
    HeaderName::from_static("vercel-cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("edge-control"),
    HeaderName::from_static("x-accel-expires"),
];

/// An answer to a request that was forwarded with a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedInAnswer<'a> {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its head as the application sent it.
    pub(crate) headers: &'a dyn Headers,
    /// Whether the browser navigates to it.
    pub(crate) is_navigation: bool,
    /// Whether the route is public.
    pub(crate) is_public_route: bool,
    /// Whether it has one of [`TARGETED_CACHE_HEADERS`].
    pub(crate) has_targeted_cache_header: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum CachePolicy {
    /// The response is not stored.
    Nothing,
    /// The application's own header is kept: it is strict enough, or declares the response public.
    Unchanged,
    /// The browser stores it for the lifetime that the application set; shared caches do not.
    BrowserOnly(HeaderValue),
    /// It is stored, and revalidated before each use.
    Revalidate(HeaderValue),
}

/// The edit for most pages.
static NO_STORE: [HeaderEdit; 1] = [HeaderEdit::Set(CACHE_CONTROL, HeaderValue::from_static("no-store"))];

impl SignedInAnswer<'_> {
    /// The edits that hide this response from the next user of the browser.
    pub(crate) fn protection(&self) -> Cow<'static, [HeaderEdit]> {
        let mut edits = HeaderEdits::new();
        let control = match self.cache_policy() {
            CachePolicy::Unchanged if self.is_public_route => return Cow::Owned(edits),
            CachePolicy::Unchanged => None,
            CachePolicy::Nothing if !self.has_targeted_cache_header => return Cow::Borrowed(&NO_STORE),
            CachePolicy::Nothing => Some(HeaderValue::from_static("no-store")),
            CachePolicy::BrowserOnly(value) => Some(value),
            CachePolicy::Revalidate(value) => {
                edits.extend(varying_by_cookie(self.headers));
                // For HTTP/1.0 caches, which do not know `Cache-Control`.
                if self.headers.has(&EXPIRES) {
                    edits.push(HeaderEdit::Set(EXPIRES, HeaderValue::from_static("0")));
                }
                Some(value)
            }
        };
        edits.extend(control.map(|value| HeaderEdit::Set(CACHE_CONTROL, value)));
        if self.has_targeted_cache_header {
            edits.extend(TARGETED_CACHE_HEADERS.iter().cloned().map(HeaderEdit::Remove));
        }
        Cow::Owned(edits)
    }

    fn cache_policy(&self) -> CachePolicy {
        // A 304 has no body and no type: `no-store` on it would discard the copy that it confirms.
        if self.status != StatusCode::NOT_MODIFIED && (self.is_navigation || may_be_page(self.headers)) {
            return CachePolicy::Nothing;
        }
        let control = CacheControl::of(self.headers);
        if control.has("no-store") {
            CachePolicy::Unchanged
        } else if control.is_for_several_users() {
            if self.is_public_route {
                CachePolicy::Unchanged
            } else {
                CachePolicy::BrowserOnly(control.for_browser_only())
            }
        } else {
            let unchanged = control.has("no-transform");
            let value = if unchanged { "private, no-cache, no-transform" } else { "private, no-cache" };
            CachePolicy::Revalidate(HeaderValue::from_static(value))
        }
    }
}

/// The directives of all lines of `Cache-Control` (RFC 9111 5.2).
struct CacheControl<'a>(Vec<&'a str>);

impl<'a> CacheControl<'a> {
    fn of(headers: &'a dyn Headers) -> Self {
        let lines = headers.texts(&CACHE_CONTROL);
        Self(lines.flat_map(elements).map(str::trim).filter(|one| !one.is_empty()).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|directive| named(directive, &[name]))
    }

    /// Whether the application declares the answer cacheable for several users.
    fn is_for_several_users(&self) -> bool {
        self.has("public") || self.has("s-maxage") || self.has("immutable") && !self.has("private")
    }

    /// The same lifetime, for the browser's own cache only.
    fn for_browser_only(&self) -> HeaderValue {
        let of_shared_caches = ["public", "private", "s-maxage", "proxy-revalidate"];
        let kept = self.0.iter().copied().filter(|directive| !named(directive, &of_shared_caches));
        let value = std::iter::once("private").chain(kept).collect::<Vec<_>>().join(", ");
        HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("private"))
    }
}

/// The elements of a list; commas within quotes do not separate them.
fn elements(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |sign| {
        quoted ^= sign == '"';
        sign == ',' && !quoted
    })
}

fn named(directive: &str, names: &[&str]) -> bool {
    let name = directive.split('=').next().unwrap_or_default().trim();
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// `Vary: Cookie` in addition to what the application says.
fn varying_by_cookie(headers: &dyn Headers) -> Option<HeaderEdit> {
    let lines = || headers.lines(&VARY);
    let mut names = lines().flat_map(|line| line.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    if names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie")) {
        return None;
    }
    let lines: Vec<&[u8]> = lines().filter(|line| !line.is_empty()).chain([b"Cookie".as_slice()]).collect();
    HeaderValue::from_bytes(&lines.join(b", ".as_slice())).ok().map(|value| HeaderEdit::Set(VARY, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use http::header::CONTENT_TYPE;

    /// `Cache-Control` and `Vary` after the edits.
    fn cache_headers(
        status: u16,
        lines: &[(&'static str, &'static str)],
        navigation: bool,
        public: bool,
    ) -> [Option<String>; 2] {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers: HeaderMap = lines.iter().map(line).collect();
        let status = StatusCode::from_u16(status).unwrap();
        let answer = SignedInAnswer {
            status,
            headers: &headers,
            is_navigation: navigation,
            is_public_route: public,
            has_targeted_cache_header: false,
        };
        answer.protection().iter().for_each(|edit| edit.apply(&mut headers));
        [CACHE_CONTROL, VARY].map(|name| {
            let lines: Vec<_> = headers.get_all(name).iter().map(|line| line.to_str().unwrap()).collect();
            (!lines.is_empty()).then(|| lines.join(" | "))
        })
    }

    fn control(content_type: &'static str, control: &'static str) -> Vec<(&'static str, &'static str)> {
        let lines = [("content-type", content_type), ("cache-control", control)];
        lines.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    #[test]
    fn pages_are_never_stored() {
        for message in ["", "public, max-age=0", "s-maxage=60", "immutable", "private", "no-cache", "max-age=60"] {
            for kind in ["text/html;charset=utf-8", "application/xhtml+xml", "TEXT/HTML", ""] {
                for public in [false, true] {
                    let told = cache_headers(200, &control(kind, message), false, public);
                    assert_eq!(told[0].as_deref(), Some("no-store"), "{kind} {message} {public}");
                }
            }
            let told = cache_headers(200, &control("application/pdf", message), true, false);
            assert_eq!(told[0].as_deref(), Some("no-store"), "a navigation, {message}");
        }
    }

    #[test]
    fn everything_else_is_revalidated_unless_it_is_public() {
        const AGAIN: &str = "private, no-cache";
        let cases = [
            ("", AGAIN, AGAIN),
            ("private", AGAIN, AGAIN),
            ("max-age=60", AGAIN, AGAIN),
            ("private, max-age=60", AGAIN, AGAIN),
            ("private, max-age=60, immutable", AGAIN, AGAIN),
            ("must-revalidate, no-transform", "private, no-cache, no-transform", "private, no-cache, no-transform"),
            ("no-cache", AGAIN, AGAIN),
            ("no-store", "no-store", "no-store"),
            ("No-Store, public", "No-Store, public", "No-Store, public"),
            ("public", "private", "public"),
            ("public, max-age=60", "private, max-age=60", "public, max-age=60"),
            ("Public,max-age=60 , S-MaxAge=90", "private, max-age=60", "Public,max-age=60 , S-MaxAge=90"),
            ("s-maxage=60", "private", "s-maxage=60"),
            ("private, s-maxage=60", "private", "private, s-maxage=60"),
            ("max-age=60, immutable", "private, max-age=60, immutable", "max-age=60, immutable"),
            ("public, private=\"a, b\", max-age=1", "private, max-age=1", "public, private=\"a, b\", max-age=1"),
            ("extension=\"public, s-maxage=1\"", AGAIN, AGAIN),
            ("publicity", AGAIN, AGAIN),
        ];
        for (message, signed_in, public) in cases {
            for (want, is_public) in [(signed_in, false), (public, true)] {
                let [control, vary] = cache_headers(200, &control("text/css", message), false, is_public);
                assert_eq!(control.as_deref(), Some(want), "{message} {is_public}");
                assert_eq!(vary.is_some(), want.contains("private, no-cache"), "{message} {is_public}");
            }
        }
        let two = [("content-type", "text/css"), ("cache-control", "max-age=60"), ("cache-control", "public")];
        assert_eq!(
            cache_headers(200, &two, false, false)[0].as_deref(),
            Some("private, max-age=60"),
            "all lines are read"
        );
    }

    #[test]
    fn a_304_does_not_discard_the_cached_copy() {
        assert_eq!(cache_headers(304, &[], true, false)[0].as_deref(), Some("private, no-cache"));
        assert_eq!(
            cache_headers(304, &control("text/html", "max-age=60"), false, false)[0].as_deref(),
            Some("private, no-cache")
        );
        assert_eq!(
            cache_headers(304, &control("", "public, max-age=9"), true, false)[0].as_deref(),
            Some("private, max-age=9")
        );
    }

    #[test]
    fn vary_keeps_the_applications_value() {
        let cases: [(&[&'static str], &str); 6] = [
            (&[], "Cookie"),
            (&["Accept-Encoding"], "Accept-Encoding, Cookie"),
            (&["Accept-Encoding", "Origin"], "Accept-Encoding, Origin, Cookie"),
            (&["*"], "*"),
            (&["Accept, cookie"], "Accept, cookie"),
            (&["Cookies"], "Cookies, Cookie"),
        ];
        for (lines, want) in cases {
            let lines = lines.iter().map(|line| ("vary", *line)).chain([("content-type", "text/css")]);
            assert_eq!(cache_headers(200, &lines.collect::<Vec<_>>(), false, false)[1].as_deref(), Some(want));
        }
    }

    #[test]
    fn shared_caches_get_no_other_policy() {
        for public in [false, true] {
            let mut headers: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static("text/css"))].into_iter().collect();
            headers.insert(EXPIRES, HeaderValue::from_static("Thu, 01 Jan 2037 00:00:00 GMT"));
            TARGETED_CACHE_HEADERS
                .iter()
                .for_each(|name| drop(headers.insert(name, HeaderValue::from_static("max-age=60"))));
            let after = |headers: &HeaderMap| {
                let (status, is_navigation) = (StatusCode::OK, false);
                let answer = SignedInAnswer {
                    status,
                    headers,
                    is_navigation,
                    is_public_route: public,
                    has_targeted_cache_header: true,
                };
                let mut headers = headers.clone();
                answer.protection().iter().for_each(|edit| edit.apply(&mut headers));
                headers
            };
            let told = after(&headers);
            assert!(!TARGETED_CACHE_HEADERS.iter().any(|name| told.contains_key(name)) && told[EXPIRES] == "0");
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
            assert_eq!(TARGETED_CACHE_HEADERS.iter().all(|name| after(&headers).contains_key(name)), public);
        }
    }
}
