//! Answers of the shop.

use std::convert::Infallible;

use bytes::Bytes;
use cookie::{Cookie, SameSite};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use super::language::{self, ShopLanguage};
use super::visit::SESSION_COOKIE;
use super::visitors::VisitorId;

/// A complete body, or an endless stream.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The content security policy: no scripts, no resources of other sites, no frames.
const POLICY: &str = "default-src 'none'; style-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The same for the one page with a script, which opens connections.
const LIVE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An answer with this content type and content.
pub(super) fn content(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    with(response, CONTENT_TYPE, HeaderValue::from_static(content_type))
}

/// A page without scripts.
pub(super) fn page(status: StatusCode, html: String) -> Response<Body> {
    let response = content(status, "text/html; charset=utf-8", html);
    with(response, CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
}

/// A page whose script may open connections to the shop.
pub(super) fn live_page(html: String) -> Response<Body> {
    with(page(StatusCode::OK, html), CONTENT_SECURITY_POLICY, HeaderValue::from_static(LIVE_POLICY))
}

/// A file, the same for all visitors.
pub(super) fn file(content_type: &'static str, text: &'static str) -> Response<Body> {
    let response = content(StatusCode::OK, content_type, text);
    with(response, CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"))
}

/// A 303 to this page.
pub(super) fn see_other(page: &'static str) -> Response<Body> {
    let response = content(StatusCode::SEE_OTHER, "text/plain", "");
    with(response, LOCATION, HeaderValue::from_static(page))
}

/// A short refusal.
pub(super) fn refusal(status: StatusCode, text: &'static str) -> Response<Body> {
    content(status, "text/plain; charset=utf-8", text)
}

/// A 503: a limit is reached.
pub(super) fn full() -> Response<Body> {
    let response = refusal(StatusCode::SERVICE_UNAVAILABLE, "the shop is full\n");
    with(response, RETRY_AFTER, HeaderValue::from_static("10"))
}

/// A 405.
pub(super) fn wrong_method(allowed: &'static str) -> Response<Body> {
    let response = refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method\n");
    with(response, ALLOW, HeaderValue::from_static(allowed))
}

/// Sets a header, replacing lines of the same name.
pub(super) fn with(mut response: Response<Body>, name: HeaderName, value: HeaderValue) -> Response<Body> {
    response.headers_mut().insert(name, value);
    response
}

/// Sets the session cookie of this visitor, or expires it.
pub(super) fn with_visitor(response: Response<Body>, visitor: Option<VisitorId>) -> Response<Body> {
    let mut cookie = Cookie::new(SESSION_COOKIE, visitor.map_or_else(String::new, VisitorId::cookie_value));
    cookie.set_http_only(true);
    if visitor.is_none() {
        cookie.set_max_age(cookie::time::Duration::ZERO);
    }
    with_cookie(response, cookie)
}

/// Sets the language cookie.
pub(super) fn with_language(response: Response<Body>, language: ShopLanguage) -> Response<Body> {
    let mut cookie = Cookie::new(language::COOKIE, language.code());
    cookie.set_max_age(cookie::time::Duration::days(365));
    with_cookie(response, cookie)
}

fn with_cookie(mut response: Response<Body>, mut cookie: Cookie<'static>) -> Response<Body> {
    cookie.set_path("/");
    cookie.set_same_site(SameSite::Lax);
    if let Ok(line) = HeaderValue::try_from(cookie.to_string()) {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}
