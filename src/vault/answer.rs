//! How each `Set-Cookie` of an application's answer is handled.

use super::browser_cookie::BrowserCookie;
use super::jar::Asked;
use super::request::RouteCookies;
use super::rules::{AppCookies, Destination};
use super::set_cookie::SetCookie;
use super::store::{Hosts, Vault};
use crate::values::time::WallTime;

/// How the cookies of an answer are handled.
#[derive(Debug, Default)]
pub(crate) struct AnswerCookies {
    /// For each line, in their order, whether the browser gets it.
    pub(crate) passes: Vec<bool>,
    /// What the browser is to forget.
    pub(crate) expire: Vec<BrowserCookie>,
}

impl Vault {
    /// Judges the `Set-Cookie` lines of an answer to a request that this session made. `None`: the session has ended,
    /// and its answer sets no cookie. `browser_has`: whether the request carried a cookie of this name.
    pub(crate) fn answer<'a>(
        &self,
        host: &str,
        asked: Asked<'a>,
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
                Some(cookie) => set(&mut hosts, host, asked, route, &cookie, &mut made.expire, &browser_has),
            };
            made.passes.push(passes);
        }
        Some(made)
    }
}

/// Learns from an answer to a request without a session which names the application keeps from scripts.
pub(crate) fn learn<'a>(asked: Asked<'a>, route: RouteCookies<'_>, lines: impl Iterator<Item = &'a [u8]>) {
    if route.rules.mode != AppCookies::Vault {
        return;
    }
    for cookie in lines.filter_map(SetCookie::parse).filter(|cookie| !cookie.is_deletion(asked.now)) {
        if route.rules.destination(&cookie, asked.https) == Destination::Vault {
            route.learned.note(cookie.name, cookie.path(asked.path));
        }
    }
}

/// Whether the browser gets a deletion: only where it may hold that name.
fn delete<'a>(
    hosts: &mut Hosts,
    host: &str,
    asked: Asked<'a>,
    cookie: &SetCookie<'a>,
    browser_has: impl Fn(&[u8]) -> bool,
) -> bool {
    let Some(cookies) = hosts.at(host) else { return true };
    let was_here = cookies.jar.remove(cookie.name, cookie.path(asked.path));
    let may_hold = cookies.is_remembered(cookie.name) || browser_has(cookie.name);
    cookies.forget(&BrowserCookie::set_by(cookie, asked.path));
    may_hold || !was_here || cookie.domain.is_some()
}

/// Whether a `Set-Cookie` line deletes a cookie: of the answer that ends a session, nothing else passes.
pub(crate) fn is_deletion(line: &[u8], now: WallTime) -> bool {
    SetCookie::parse(line).is_some_and(|cookie| cookie.is_deletion(now))
}

/// Keeps a cookie. Whether the browser gets it.
fn set<'a>(
    hosts: &mut Hosts,
    host: &str,
    asked: Asked<'a>,
    route: RouteCookies<'_>,
    cookie: &SetCookie<'a>,
    expire: &mut Vec<BrowserCookie>,
    browser_has: impl Fn(&[u8]) -> bool,
) -> bool {
    let (name, path) = (cookie.name, cookie.path(asked.path));
    let mut destination = route.rules.destination(cookie, asked.https);
    if destination == Destination::Vault && hosts.put(host, cookie, asked).is_err() {
        tracing::warn!(%host, cookie = %name.escape_ascii(), "more cookies than a session may keep here: it passes");
        destination = Destination::Browser;
    }
    let Some(cookies) = hosts.at(host) else { return true };
    if destination == Destination::Vault {
        route.learned.note(name, path);
        let held = cookies.take_remembered(name);
        // Under one name the application would get two values, and one of them would be the browser's choice.
        if held.is_empty() && browser_has(name) {
            expire.push(BrowserCookie::of_host(name, path));
        }
        expire.extend(held);
        return false;
    }
    cookies.jar.remove_name(name);
    if destination == Destination::Browser {
        cookies.remember(BrowserCookie::set_by(cookie, asked.path));
    }
    true
}
