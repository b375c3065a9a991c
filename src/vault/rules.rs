//! What a route says about its application's cookies, and where one of them is kept.

use std::time::Duration;

use super::set_cookie::{SameSite, SetCookie};

/// Where an application's cookies are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppCookies {
    /// Those that no script may read in the gateway, all others in the browser, and these expire at the logout.
    #[default]
    Vault,
    /// All in the browser; they expire at the logout.
    Track,
    /// All in the browser, untouched.
    Pass,
}

/// The limits of applications' cookies in all sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieLimits {
    /// The longest `Cookie` line that an application gets, in bytes.
    pub max_header: usize,
    /// How long is remembered what a browser holds of a session that ended without it.
    pub debts: Duration,
}

impl Default for CookieLimits {
    fn default() -> Self {
        Self { max_header: 16 * 1024, debts: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// Names of cookies: one name, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: Box<str>,
    is_prefix: bool,
}

/// The cookies of one route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieRules {
    /// Where they are kept.
    pub mode: AppCookies,
    /// Those that a logout leaves alone.
    pub keep: Vec<NamePattern>,
    /// Those that a browser may bring into a new session.
    pub carry: Vec<NamePattern>,
    /// Those that stay in the browser, whatever they say.
    pub browser: Vec<NamePattern>,
    /// Those that scripts of the application make: no answer sets them, and they expire at the logout as well.
    pub script: Vec<NamePattern>,
}

/// Where a cookie is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// In the vault of the session.
    Vault,
    /// In the browser, which is told to forget it at the end of the session.
    Browser,
    /// In the browser, for longer than the session.
    Kept,
}

impl NamePattern {
    /// Reads a name, or the beginning of names with `*` behind it. `None` for what is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix('*').unwrap_or(text);
        let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}*".contains(&byte);
        let sound = !name.is_empty() && name.len() <= LONGEST && name.bytes().all(is_token);
        sound.then(|| Self { text: name.into(), is_prefix: name.len() < text.len() })
    }

    fn matches(&self, name: &[u8]) -> bool {
        let text = self.text.as_bytes();
        if self.is_prefix { name.starts_with(text) } else { name == text }
    }
}

/// The longest name that can be written, in bytes.
const LONGEST: usize = 256;

fn any(patterns: &[NamePattern], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

impl CookieRules {
    /// Where a cookie of a session is kept. `https`: whether browsers use https.
    pub(super) fn destination(&self, cookie: &SetCookie<'_>, https: bool) -> Destination {
        if any(&self.keep, cookie.name) {
            return Destination::Kept;
        }
        let eligible = self.mode == AppCookies::Vault
            && cookie.http_only
            && cookie.domain.is_none()
            && cookie.same_site != SameSite::None
            && !cookie.partitioned
            && (https || !cookie.secure)
            && cookie.keeps_its_prefix()
            && !any(&self.browser, cookie.name);
        if eligible { Destination::Vault } else { Destination::Browser }
    }

    /// Whether the browser may set a cookie of this name.
    pub(super) fn is_of_browser(&self, name: &[u8]) -> bool {
        self.mode != AppCookies::Vault || any(&self.keep, name) || any(&self.browser, name)
    }

    /// Whether there is a name of cookies that scripts make.
    pub(crate) fn has_script_cookies(&self) -> bool {
        !self.script.is_empty()
    }

    /// Whether a script makes the cookie of this name, and a logout does not leave it alone.
    pub(super) fn is_of_script(&self, name: &[u8]) -> bool {
        any(&self.script, name) && !any(&self.keep, name)
    }

    /// Whether there is a name that the browser may bring into a new session.
    pub(super) fn may_carry_any(&self) -> bool {
        !self.carry.is_empty()
    }

    /// Whether the browser may bring a cookie of this name into a new session.
    pub(super) fn may_carry(&self, name: &[u8]) -> bool {
        any(&self.carry, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<NamePattern> {
        texts.iter().map(|text| NamePattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn where_a_cookie_is_kept() {
        use Destination::{Browser, Kept, Vault};
        let cases = [
            ("a=b; HttpOnly", Vault),
            ("a=b; HttpOnly; Path=/x; Max-Age=99; SameSite=Lax", Vault),
            ("a=b; HttpOnly; SameSite=Strict", Vault),
            ("a=b; HttpOnly; Secure", Vault),
            ("__Host-a=b; HttpOnly; Secure; Path=/", Vault),
            ("a=b", Browser),
            ("a=b; Secure", Browser),
            ("a=b; HttpOnly; Domain=app.test", Browser),
            ("a=b; HttpOnly; Secure; SameSite=None", Browser),
            ("a=b; HttpOnly; Secure; Partitioned", Browser),
            ("__Host-a=b; HttpOnly", Browser),
            ("mine=b; HttpOnly", Browser),
            ("js_1=b; HttpOnly", Browser),
            ("js=b; HttpOnly", Vault),
            ("language=de; HttpOnly", Kept),
            ("language=de", Kept),
            ("carried=b; HttpOnly", Vault),
        ];
        let lists = || CookieRules {
            keep: patterns(&["language"]),
            carry: patterns(&["carried"]),
            browser: patterns(&["mine", "js_*"]),
            ..CookieRules::default()
        };
        for (line, want) in cases {
            let cookie = SetCookie::parse(line.as_bytes()).unwrap();
            assert_eq!(lists().destination(&cookie, true), want, "{line}");
            let plain = if cookie.secure && want == Vault { Browser } else { want };
            assert_eq!(lists().destination(&cookie, false), plain, "{line}, without https");
            let track = CookieRules { mode: AppCookies::Track, ..lists() };
            let want = if want == Kept { Kept } else { Browser };
            assert_eq!(track.destination(&cookie, true), want, "{line}, tracked");
        }
    }

    #[test]
    fn names_and_beginnings_of_names() {
        let one = NamePattern::parse("sid").unwrap();
        let many = NamePattern::parse("wordpress_logged_in_*").unwrap();
        assert!(one.matches(b"sid") && !one.matches(b"sid2") && !one.matches(b"SID"));
        assert!(many.matches(b"wordpress_logged_in_5e") && !many.matches(b"wordpress_test"));
        for text in ["", "*", "a b", "a=b", "a*b", "a;", "\u{e4}", &"a".repeat(257)] {
            assert!(NamePattern::parse(text).is_none(), "{text}");
        }
    }
}
