//! Makes the `Cookie` header for the application: the browser's cookies without those that belong to the vault, then
//! those of the jar.

use memchr::memchr;

use super::browser_cookie::BrowserCookie;
use super::jar::CookieContext;
use super::last_jar::LastJar;
use super::learned::LearnedNames;
use super::rules::CookieRules;
use super::set_cookie::SetCookie;
use super::store::{HostCookies, Hosts, Vault};

/// The cookie rules of a route, and the learned names of its upstream pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteCookies<'a> {
    /// The configured rules.
    pub(crate) rules: &'a CookieRules,
    /// The learned names of `HttpOnly` cookies.
    pub(crate) learned: &'a LearnedNames,
    /// The path of the route, without a slash at the end.
    pub(crate) path: &'a [u8],
}

/// The decisions about the cookies of a request.
#[derive(Debug, Default)]
pub(crate) struct RequestCookies {
    /// The `Cookie` value for the application, empty for none; `None` if that of the browser is passed on unchanged.
    pub(crate) line: Option<Vec<u8>>,
    /// The cookies that are to be expired in the browser.
    pub(crate) expire: Vec<BrowserCookie>,
}

/// The decision about one cookie of the browser.
enum Pair {
    Passes,
    Withheld,
    /// Withheld, and expired in the browser.
    Expired(BrowserCookie),
}

impl Vault {
    /// Makes the `Cookie` value for a request to this host. `browsers` is that of the browser without the gateway's own
    /// cookies. `cross_site` is called only if a cookie depends on it.
    pub(crate) fn request(
        &self,
        host: &str,
        asked: CookieContext<'_>,
        route: RouteCookies<'_>,
        browsers: &[u8],
        cross_site: impl FnOnce() -> bool,
    ) -> RequestCookies {
        let mut hosts = self.hosts.lock();
        if hosts.is_closed {
            return RequestCookies::default();
        }
        carry_over(&mut hosts, host, asked, route, browsers);
        remember_scripts(&mut hosts, host, route, browsers);
        let Some(cookies) = hosts.at(host) else { return RequestCookies::default() };
        let room = cookies.jar.room();
        let mut made = without(browsers, room, |name| cookies.judge(name, route));
        if room > 0 {
            let is_other = made.line.is_some();
            let mut line = made.line.take().unwrap_or_else(|| copied(browsers, room));
            let before = line.len();
            let cross_site = cookies.jar.has_strict() && cross_site();
            cookies.jar.put_pairs(CookieContext { cross_site, ..asked }, &mut line);
            made.line = (is_other || line.len() > before).then_some(line);
        }
        made
    }
}

/// A copy of the bytes, with capacity for `room` more.
fn copied(bytes: &[u8], room: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len() + room);
    all.extend_from_slice(bytes);
    all
}

/// Removes the debts of an ended session from the browser's `Cookie` value; `None` if nothing is removed.
pub(crate) fn withhold(owed: &[BrowserCookie], browsers: &[u8]) -> Option<Vec<u8>> {
    if owed.is_empty() {
        return None;
    }
    let is_owed = |name: &[u8]| owed.iter().any(|cookie| *cookie.name == *name);
    without(browsers, 0, |name| if is_owed(name) { Pair::Withheld } else { Pair::Passes }).line
}

impl LastJar {
    /// The `Cookie` value for a logout call: the browser's cookies that do not belong to the vault, then those of the
    /// jar.
    pub(crate) fn line(&self, asked: CookieContext<'_>, route: RouteCookies<'_>, browsers: &[u8]) -> Vec<u8> {
        let passes = |name: &[u8]| {
            !self.jar.has(name) && (route.rules.is_of_browser(name) || route.learned.path_of(name).is_none())
        };
        let theirs: Vec<&[u8]> = pairs(browsers).filter(|pair| passes(name_of(pair))).collect();
        let mut line = theirs.join(b"; ".as_slice());
        self.jar.put_pairs(asked, &mut line);
        line
    }
}

/// The value of a cookie in a `Cookie` header.
pub(crate) fn value_in<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let pair = pairs(line).find(|pair| name_of(pair) == name)?;
    pair.get(name.len() + 1..)
}

/// Whether a `Cookie` header has a cookie with this name.
pub(crate) fn shows(browsers: &[u8], name: &[u8]) -> bool {
    pairs(browsers).any(|pair| name_of(pair) == name)
}

/// Moves cookies with names in `carry_cookies` from the browser into the jar, each name once in a session.
fn carry_over(hosts: &mut Hosts, host: &str, asked: CookieContext<'_>, route: RouteCookies<'_>, browsers: &[u8]) {
    if !route.rules.may_carry_any() {
        return;
    }
    for pair in pairs(browsers) {
        let name = name_of(pair);
        if route.rules.is_of_browser(name) || !route.rules.may_carry(name) {
            continue;
        }
        let Some(path) = route.learned.path_of(name) else { continue };
        let Some(cookies) = hosts.at(host) else { continue };
        if cookies.jar.has(name) || cookies.is_remembered(name) || cookies.carry(name) {
            continue;
        }
        let line = [pair, b"; Path=", &*path].concat();
        if let Some(cookie) = SetCookie::parse(&line) {
            // A cookie that does not fit is withheld like every other cookie with a learned name.
            let _ = hosts.put(host, &cookie, asked);
        }
    }
}

/// Remembers the cookies that scripts of the application have set, so that they are expired at the end of the session
/// like those that the application sets. A script that names no path sets them for the path of its page, which is
/// usually `/` or that of the route.
fn remember_scripts(hosts: &mut Hosts, host: &str, route: RouteCookies<'_>, browsers: &[u8]) {
    if !route.rules.has_script_cookies() {
        return;
    }
    for name in pairs(browsers).map(name_of) {
        // A script cannot set a cookie that the application sets as `HttpOnly`, so the browser has no say about it.
        if !route.rules.is_of_script(name) || route.learned.path_of(name).is_some() {
            continue;
        }
        let Some(cookies) = hosts.at(host) else { continue };
        if cookies.jar.has(name) || cookies.is_remembered(name) {
            continue;
        }
        let further = Some(route.path).filter(|path| !path.is_empty());
        for path in [b"/".as_slice()].into_iter().chain(further) {
            cookies.remember(BrowserCookie::of_host(name, path));
        }
    }
}

impl HostCookies {
    fn judge(&mut self, name: &[u8], route: RouteCookies<'_>) -> Pair {
        if let Some(path) = self.jar.path_of(name).map(Box::from) {
            return self.withheld(name, &path);
        }
        if route.rules.is_of_browser(name) || self.is_remembered(name) {
            return Pair::Passes;
        }
        match route.learned.path_of(name) {
            Some(path) => self.withheld(name, &path),
            None => Pair::Passes,
        }
    }

    fn withheld(&mut self, name: &[u8], path: &[u8]) -> Pair {
        if self.note_expired(name) { Pair::Expired(BrowserCookie::of_host(name, path)) } else { Pair::Withheld }
    }
}

/// The browser's pairs that pass, in order and byte for byte, with capacity for `room` more bytes.
fn without(browsers: &[u8], room: usize, mut judge: impl FnMut(&[u8]) -> Pair) -> RequestCookies {
    let mut made = RequestCookies::default();
    for (number, pair) in pairs(browsers).enumerate() {
        match judge(name_of(pair)) {
            Pair::Passes => {
                made.line.iter_mut().for_each(|line| add(pair, line));
                continue;
            }
            Pair::Withheld => {}
            Pair::Expired(cookie) => made.expire.push(cookie),
        }
        // The first withheld pair: copy the pairs before it, all of which have passed. Most headers have no such pair
        // and are not copied.
        made.line.get_or_insert_with(|| {
            let mut line = Vec::with_capacity(browsers.len() + room);
            pairs(browsers).take(number).for_each(|pair| add(pair, &mut line));
            line
        });
    }
    made
}

fn add(pair: &[u8], line: &mut Vec<u8>) {
    if !line.is_empty() {
        line.extend_from_slice(b"; ");
    }
    line.extend_from_slice(pair);
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    let parts = std::iter::from_fn(move || {
        let line = rest?;
        let split = memchr(b';', line).and_then(|end| line.split_at_checked(end));
        let (part, others) = split.map_or((line, None), |(part, others)| (part, others.get(1..)));
        rest = others;
        Some(part)
    });
    parts.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

/// The name of a pair. A pair without an equals sign is a value without a name for browsers, but a name for some
/// applications.
fn name_of(pair: &[u8]) -> &[u8] {
    let mut pair = pair;
    while let Some(rest) = pair.strip_prefix(b"=") {
        pair = rest.trim_ascii_start();
    }
    memchr(b'=', pair).and_then(|end| pair.get(..end)).unwrap_or(pair).trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::super::rules::AppCookies;
    use super::*;
    use crate::values::time::WallTime;

    const ASKED: CookieContext<'_> =
        CookieContext { path: b"/app/logout", https: true, cross_site: false, now: WallTime(1000) };

    fn last_line(set: &[&str], rules: &CookieRules, browsers: &str) -> String {
        let mut last = LastJar::empty("app.test");
        set.iter().for_each(|line| last.take(ASKED, line.as_bytes()));
        let learned = LearnedNames::default();
        learned.note(b"sid", b"/");
        learned.note(b"other", b"/");
        let route = RouteCookies { rules, learned: &learned, path: b"" };
        String::from_utf8(last.line(ASKED, route, browsers.as_bytes())).unwrap()
    }

    #[test]
    fn a_logout_call_has_the_cookies_of_the_jar_and_of_the_browser() {
        let (vault, track) = (CookieRules::default(), CookieRules { mode: AppCookies::Track, ..Default::default() });
        let set = ["sid=1; Path=/", "far=2; Path=/elsewhere"];
        assert_eq!(last_line(&set, &vault, ""), "sid=1");
        assert_eq!(last_line(&set, &vault, "csrf=x; sid=planted; other=planted"), "csrf=x; sid=1");
        assert_eq!(last_line(&[], &track, "csrf=x; sid=2"), "csrf=x; sid=2");
        assert_eq!(last_line(&["sid=1; Path=/", "sid=2; Path=/", "nonce=3"], &vault, ""), "nonce=3; sid=2");
    }

    #[test]
    fn a_value_is_found_by_its_name() {
        let line = b"a=1; csrftoken=x=y; b";
        assert_eq!(value_in(line, b"csrftoken"), Some(b"x=y".as_slice()));
        assert_eq!((value_in(line, b"csrf"), value_in(line, b"b")), (None, None));
    }
}
