//! Handles the `Set-Cookie` headers of an application's answer.

use super::browser_cookie::BrowserCookie;
use super::jar::CookieContext;
use super::request::RouteCookies;
use super::rules::{AppCookies, Destination};
use super::set_cookie::SetCookie;
use super::store::{Hosts, Vault};
use crate::values::time::WallTime;

/// The decisions about the cookies of an answer.
#[derive(Debug, Default)]
pub(crate) struct AnswerCookies {
    /// For each `Set-Cookie` header, in their order, whether it is passed to the browser.
    pub(crate) passes: Vec<bool>,
    /// The cookies that are to be expired in the browser.
    pub(crate) expire: Vec<BrowserCookie>,
    /// How many cookies are passed to the browser because the vault has no room for them.
    pub(crate) overflowed: u64,
}

impl Vault {
    /// Handles the `Set-Cookie` headers of an answer to a request of this session. `None` if the session has ended:
    /// then the answer may set no cookie. `browser_has` says whether the request had a cookie with this name.
    pub(crate) fn answer<'a>(
        &self,
        host: &str,
        asked: CookieContext<'a>,
        route: RouteCookies<'_>,
        lines: impl Iterator<Item = &'a [u8]>,
        browser_has: impl Fn(&[u8]) -> bool,
    ) -> Option<AnswerCookies> {
        let mut hosts = self.hosts.lock();
        if hosts.is_closed {
            return None;
        }
        let mut made = AnswerCookies::default();
        for line in lines {
            let passes = match SetCookie::parse(line) {
                None => true,
                Some(cookie) if cookie.is_deletion(asked.now) => delete(&mut hosts, host, asked, &cookie, &browser_has),
                Some(cookie) => set(&mut hosts, host, asked, route, &cookie, &mut made, &browser_has),
            };
            made.passes.push(passes);
        }
        Some(made)
    }
}

/// Learns the names of `HttpOnly` cookies from an answer to a request without a session.
pub(crate) fn learn<'a>(asked: CookieContext<'a>, route: RouteCookies<'_>, lines: impl Iterator<Item = &'a [u8]>) {
    if route.rules.mode != AppCookies::Vault {
        return;
    }
    for cookie in lines.filter_map(SetCookie::parse).filter(|cookie| !cookie.is_deletion(asked.now)) {
        if route.rules.destination(&cookie, asked.https) == Destination::Vault {
            route.learned.note(cookie.name, cookie.path(asked.path));
        }
    }
}

/// Applies a deletion to the vault. Returns whether it is passed to the browser, which may hold the cookie.
fn delete<'a>(
    hosts: &mut Hosts,
    host: &str,
    asked: CookieContext<'a>,
    cookie: &SetCookie<'a>,
    browser_has: impl Fn(&[u8]) -> bool,
) -> bool {
    let Some(cookies) = hosts.at(host) else { return true };
    let was_here = cookies.jar.remove(cookie.name, cookie.path(asked.path));
    let may_hold = cookies.is_remembered(cookie.name) || browser_has(cookie.name);
    cookies.forget(&BrowserCookie::set_by(cookie, asked.path));
    may_hold || !was_here || cookie.domain.is_some()
}

/// Whether a `Set-Cookie` header deletes a cookie. In the answer that ends a session, only deletions pass.
pub(crate) fn is_deletion(line: &[u8], now: WallTime) -> bool {
    SetCookie::parse(line).is_some_and(|cookie| cookie.is_deletion(now))
}

/// Puts a cookie into the vault, or remembers it. Returns whether it is passed to the browser.
fn set<'a>(
    hosts: &mut Hosts,
    host: &str,
    asked: CookieContext<'a>,
    route: RouteCookies<'_>,
    cookie: &SetCookie<'a>,
    made: &mut AnswerCookies,
    browser_has: impl Fn(&[u8]) -> bool,
) -> bool {
    let (name, path) = (cookie.name, cookie.path(asked.path));
    let mut destination = route.rules.destination(cookie, asked.https);
    if destination == Destination::Vault && hosts.put(host, cookie, asked).is_err() {
        let cookie = name.escape_ascii();
        tracing::warn!(%host, %cookie, "the vault of a session is full: the cookie is passed to the browser");
        made.overflowed += 1;
        destination = Destination::Browser;
    }
    let Some(cookies) = hosts.at(host) else { return true };
    if destination == Destination::Vault {
        route.learned.note(name, path);
        let held = cookies.take_remembered(name);
        // Otherwise the application would get two values with this name, one of which the browser could choose.
        if held.is_empty() && browser_has(name) {
            made.expire.push(BrowserCookie::of_host(name, path));
        }
        made.expire.extend(held);
        return false;
    }
    cookies.jar.remove_name(name);
    if destination == Destination::Browser {
        cookies.remember(BrowserCookie::set_by(cookie, asked.path));
    }
    true
}
