//! The cookie rules of a route, and the decision where a cookie is kept.

use std::time::Duration;

use super::set_cookie::{SameSite, SetCookie};

/// The mode of a route: where an application's cookies are kept (`app_cookies`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppCookies {
    /// `HttpOnly` cookies in the gateway, all others in the browser. A logout removes both.
    #[default]
    Vault,
    /// All cookies in the browser. A logout expires them.
    Track,
    /// All cookies in the browser. A logout does not change them.
    Pass,
}

/// The limits for application cookies in all sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieLimits {
    /// The maximum length of the `Cookie` header for an application, in bytes.
    pub max_header: usize,
    /// The lifetime of debts: of the cookies that a browser holds of a session which ended without a request of its.
    pub debts: Duration,
}

impl Default for CookieLimits {
    fn default() -> Self {
        Self { max_header: 16 * 1024, debts: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// A pattern for names of cookies: one name, or a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: Box<str>,
    is_prefix: bool,
}

/// The cookie rules of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieRules {
    /// The mode (`app_cookies`).
    pub mode: AppCookies,
    /// The cookies that a logout does not change (`keep_cookies`).
    pub keep: Vec<NamePattern>,
    /// The cookies that are moved from the browser into the vault of a new session (`carry_cookies`).
    pub carry: Vec<NamePattern>,
    /// The cookies that stay in the browser even if they are `HttpOnly` (`browser_cookies`).
    pub browser: Vec<NamePattern>,
    /// The cookies that scripts of the application set; they are expired at the logout as well (`script_cookies`).
    pub script: Vec<NamePattern>,
}

/// Where a cookie is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// In the vault of the session.
    Vault,
    /// In the browser; it is expired at the end of the session.
    Browser,
    /// In the browser, beyond the end of the session.
    Kept,
}

impl NamePattern {
    /// Parses a name, or a prefix followed by `*`; `None` if it is not valid.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix('*').unwrap_or(text);
        let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}*".contains(&byte);
        let sound = !name.is_empty() && name.len() <= MAX_PATTERN_LENGTH && name.bytes().all(is_token);
        sound.then(|| Self { text: name.into(), is_prefix: name.len() < text.len() })
    }

    fn matches(&self, name: &[u8]) -> bool {
        let text = self.text.as_bytes();
        if self.is_prefix { name.starts_with(text) } else { name == text }
    }
}

/// The maximum length of a pattern in bytes, without `*`.
const MAX_PATTERN_LENGTH: usize = 256;

fn any(patterns: &[NamePattern], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

impl CookieRules {
    /// Where a cookie of a session is kept. `https` says whether browsers use https.
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

    /// Whether cookies with this name stay in the browser, so that the browser may set them.
    pub(super) fn is_of_browser(&self, name: &[u8]) -> bool {
        self.mode != AppCookies::Vault || any(&self.keep, name) || any(&self.browser, name)
    }

    /// Whether any names are configured in `script_cookies`.
    pub(crate) fn has_script_cookies(&self) -> bool {
        !self.script.is_empty()
    }

    /// Whether a script sets the cookie of this name, and a logout does not keep it.
    pub(super) fn is_of_script(&self, name: &[u8]) -> bool {
        any(&self.script, name) && !any(&self.keep, name)
    }

    /// Whether any names are configured in `carry_cookies`.
    pub(super) fn may_carry_any(&self) -> bool {
        !self.carry.is_empty()
    }

    /// Whether a cookie with this name may be moved from the browser into the vault of a new session.
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
    fn the_destination_of_a_cookie_depends_on_attributes_and_rules() {
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
    fn patterns_are_names_or_prefixes() {
        let one = NamePattern::parse("sid").unwrap();
        let many = NamePattern::parse("wordpress_logged_in_*").unwrap();
        assert!(one.matches(b"sid") && !one.matches(b"sid2") && !one.matches(b"SID"));
        assert!(many.matches(b"wordpress_logged_in_5e") && !many.matches(b"wordpress_test"));
        for text in ["", "*", "a b", "a=b", "a*b", "a;", "\u{e4}", &"a".repeat(257)] {
            assert!(NamePattern::parse(text).is_none(), "{text}");
        }
    }
}
