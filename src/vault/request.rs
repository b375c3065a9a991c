//! The `Cookie` line that an application gets: the browser's pairs without those that are the gateway's affair, then
//! those of the jar.

use memchr::memchr;

use super::browser_cookie::BrowserCookie;
use super::jar::Asked;
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
}

/// What becomes of a request's cookies.
#[derive(Debug, Default)]
pub(crate) struct RequestCookies {
    /// The line that the application gets, empty for none; `None` where the browser's goes on as it came.
    pub(crate) line: Option<Vec<u8>>,
    /// What the browser is to forget.
    pub(crate) expire: Vec<BrowserCookie>,
}

/// What becomes of one pair of the browser's.
enum Pair {
    Passes,
    Withheld,
    /// Withheld, and the browser is told to forget it.
    Expired(BrowserCookie),
}

impl Vault {
    /// Makes the line of a request to this host, out of the browser's without the gateway's own cookies.
    pub(crate) fn request(
        &self,
        host: &str,
        asked: Asked<'_>,
        route: RouteCookies<'_>,
        browsers: &[u8],
    ) -> RequestCookies {
        let mut hosts = self.hosts.lock();
        if hosts.is_closed {
            return RequestCookies::default();
        }
        bring(&mut hosts, host, asked, route, browsers);
        let Some(cookies) = hosts.at(host) else { return RequestCookies::default() };
        let mut made = without(browsers, |name| cookies.judge(name, route));
        let mut ours = Vec::new();
        cookies.jar.put_pairs(asked, &mut ours);
        if !ours.is_empty() {
            let passes = made.line.take().unwrap_or_else(|| browsers.to_vec());
            let parts = [&*passes, &*ours].into_iter().filter(|part| !part.is_empty());
            made.line = Some(parts.collect::<Vec<_>>().join(b"; ".as_slice()));
        }
        made
    }
}

/// Withholds what a browser still holds of a session that has ended.
pub(crate) fn withhold(owed: &[BrowserCookie], browsers: &[u8]) -> Option<Vec<u8>> {
    let is_owed = |name: &[u8]| owed.iter().any(|cookie| *cookie.name == *name);
    without(browsers, |name| if is_owed(name) { Pair::Withheld } else { Pair::Passes }).line
}

/// Whether a `Cookie` line has a cookie of this name.
pub(crate) fn shows(browsers: &[u8], name: &[u8]) -> bool {
    pairs(browsers).any(|pair| name_of(pair) == name)
}

/// Takes the cookies into the jar that the browser may bring, each once in a session.
fn bring(hosts: &mut Hosts, host: &str, asked: Asked<'_>, route: RouteCookies<'_>, browsers: &[u8]) {
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

/// The browser's pairs that pass, in order and byte for byte.
fn without(browsers: &[u8], mut judge: impl FnMut(&[u8]) -> Pair) -> RequestCookies {
    let (mut line, mut made, mut changed) = (Vec::new(), RequestCookies::default(), false);
    for pair in pairs(browsers) {
        match judge(name_of(pair)) {
            Pair::Passes => {
                if !line.is_empty() {
                    line.extend_from_slice(b"; ");
                }
                line.extend_from_slice(pair);
                continue;
            }
            Pair::Withheld => {}
            Pair::Expired(cookie) => made.expire.push(cookie),
        }
        changed = true;
    }
    made.line = changed.then_some(line);
    made
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

/// The name of a pair. One without an equals sign is a value alone to browsers and a name to some applications.
fn name_of(pair: &[u8]) -> &[u8] {
    let mut pair = pair;
    while let Some(rest) = pair.strip_prefix(b"=") {
        pair = rest.trim_ascii_start();
    }
    memchr(b'=', pair).and_then(|end| pair.get(..end)).unwrap_or(pair).trim_ascii()
}
