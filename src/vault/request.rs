//! The `Cookie` line that an application gets: the browser's pairs without those that are the gateway's affair, then
//! those of the jar.

use memchr::memchr;

use super::browser_cookie::BrowserCookie;
use super::jar::Asked;
use super::last_jar::LastJar;
use super::learned::LearnedNames;
use super::rules::CookieRules;
use super::set_cookie::SetCookie;
use super::store::{HostCookies, Hosts, Vault};

/// What a route knows of its application's cookies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteCookies<'a> {
    /// What is configured.
    pub(crate) rules: &'a CookieRules,
    /// The names that the application keeps from scripts.
    pub(crate) learned: &'a LearnedNames,
    /// The path of the route, without a slash at the end.
    pub(crate) path: &'a [u8],
}

/// How a request's cookies are handled.
#[derive(Debug, Default)]
pub(crate) struct RequestCookies {
    /// The line that the application gets, empty for none; `None` where the browser's goes on as it came.
    pub(crate) line: Option<Vec<u8>>,
    /// What the browser is to forget.
    pub(crate) expire: Vec<BrowserCookie>,
}

/// How one pair of the browser's is handled.
enum Pair {
    Passes,
    Withheld,
    /// Withheld, and the browser is told to forget it.
    Expired(BrowserCookie),
}

impl Vault {
    /// Makes the line of a request to this host, out of the browser's without the gateway's own cookies. Whether
    /// another site made the request is only asked where a cookie depends on it.
    pub(crate) fn request(
        &self,
        host: &str,
        asked: Asked<'_>,
        route: RouteCookies<'_>,
        browsers: &[u8],
        cross_site: impl FnOnce() -> bool,
    ) -> RequestCookies {
        let mut hosts = self.hosts.lock();
        if hosts.is_closed {
            return RequestCookies::default();
        }
        bring(&mut hosts, host, asked, route, browsers);
        remember_scripts(&mut hosts, host, route, browsers);
        let Some(cookies) = hosts.at(host) else { return RequestCookies::default() };
        let room = cookies.jar.room();
        let mut made = without(browsers, room, |name| cookies.judge(name, route));
        if room > 0 {
            let is_other = made.line.is_some();
            let mut line = made.line.take().unwrap_or_else(|| copied(browsers, room));
            let before = line.len();
            let cross_site = cookies.jar.has_strict() && cross_site();
            cookies.jar.put_pairs(Asked { cross_site, ..asked }, &mut line);
            made.line = (is_other || line.len() > before).then_some(line);
        }
        made
    }
}

/// These bytes, with room for more.
fn copied(bytes: &[u8], room: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len() + room);
    all.extend_from_slice(bytes);
    all
}

/// Withholds what a browser still holds of a session that has ended.
pub(crate) fn withhold(owed: &[BrowserCookie], browsers: &[u8]) -> Option<Vec<u8>> {
    if owed.is_empty() {
        return None;
    }
    let is_owed = |name: &[u8]| owed.iter().any(|cookie| *cookie.name == *name);
    without(browsers, 0, |name| if is_owed(name) { Pair::Withheld } else { Pair::Passes }).line
}

impl LastJar {
    /// The `Cookie` line of a request: the browser's pairs for cookies that it keeps itself, then those of the jar.
    pub(crate) fn line(&self, asked: Asked<'_>, route: RouteCookies<'_>, browsers: &[u8]) -> Vec<u8> {
        let has_a_say = |name: &[u8]| {
            !self.jar.has(name) && (route.rules.is_of_browser(name) || route.learned.path_of(name).is_none())
        };
        let theirs: Vec<&[u8]> = pairs(browsers).filter(|pair| has_a_say(name_of(pair))).collect();
        let mut line = theirs.join(b"; ".as_slice());
        self.jar.put_pairs(asked, &mut line);
        line
    }
}

/// The value of a cookie in a `Cookie` line.
pub(crate) fn value_in<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let pair = pairs(line).find(|pair| name_of(pair) == name)?;
    pair.get(name.len() + 1..)
}

/// Whether a `Cookie` line has a cookie of this name.
pub(crate) fn shows(browsers: &[u8], name: &[u8]) -> bool {
    pairs(browsers).any(|pair| name_of(pair) == name)
}

/// Takes the cookies into the jar that the browser may bring, each once in a session.
fn bring(hosts: &mut Hosts, host: &str, asked: Asked<'_>, route: RouteCookies<'_>, browsers: &[u8]) {
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
            // What does not fit is withheld like every other cookie of a learned name.
            let _ = hosts.put(host, &cookie, asked);
        }
    }
}

/// Remembers the cookies that scripts of the application have made, so that the browser forgets them at the end of the
/// session like those that the application has set. Scripts that name no path make them for the one of their page,
/// which is `/` or the route's in general.
fn remember_scripts(hosts: &mut Hosts, host: &str, route: RouteCookies<'_>, browsers: &[u8]) {
    if !route.rules.has_script_cookies() {
        return;
    }
    for name in pairs(browsers).map(name_of) {
        // A name that the application keeps from scripts is not theirs: the browser has no say about it.
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
        if self.tell(name) { Pair::Expired(BrowserCookie::of_host(name, path)) } else { Pair::Withheld }
    }
}

/// The browser's pairs that pass, in order and byte for byte; with room for so many bytes more.
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
        // Most lines go on as they came. All pairs before the first that is withheld have passed.
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

/// The name of a pair. One without an equals sign is a value alone to browsers and a name to some applications.
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

    const ASKED: Asked<'_> = Asked { path: b"/app/logout", https: true, cross_site: false, now: WallTime(1000) };

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
    fn to_what_a_session_leaves_behind_a_browser_adds_its_own() {
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
