//! The addresses that the gateway answers itself. They are never forwarded.

use std::fmt;

use super::target::plain_path;

/// A canonical path of ours, such as `/logout`. It is meant in any letter case and with a slash at its end too: an
/// application that folds case behind us would take `/Logout` for its own sign-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPath(Box<str>);

impl OwnPath {
    /// Reads a path from the configuration. The error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = plain_path(text)?;
        if text.contains([';', '%']) {
            return Err("programs read semicolons and escapes differently: leave them out".to_owned());
        }
        match text.trim_end_matches('/') {
            "" => Err("the whole site cannot be this: name a path such as \"/logout\"".to_owned()),
            path if is_reserved(path) && always(path).is_none() => {
                Err(format!("of the addresses under /.exeunt/ only {LOGIN} and {LOGOUT} can be named here"))
            }
            path => Ok(Self(path.into())),
        }
    }

    /// Whether a canonical path means this address.
    pub fn matches(&self, path: &str) -> bool {
        path.strip_suffix('/').unwrap_or(path).eq_ignore_ascii_case(&self.0)
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OwnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every address of ours.
#[derive(Clone, Debug)]
pub struct OwnPages {
    login: OwnPath,
    logout: Vec<OwnPath>,
}

/// What one of our addresses is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPage<'a> {
    /// The sign-in form.
    Login,
    /// One of the addresses that sign out.
    Logout,
    /// A further page, by its path below [`RESERVED`].
    Further(&'a str),
}

impl OwnPages {
    /// The address to sign in at, and those to sign out at, beside [`LOGIN`] and [`LOGOUT`]. `None` if one of them
    /// is both, or there is none to sign out at.
    pub fn new(login: OwnPath, logout: Vec<OwnPath>) -> Option<Self> {
        let both = |path: &OwnPath| path.matches(login.as_str()) || path.matches(LOGIN);
        let distinct = !logout.is_empty() && !logout.iter().any(both) && !login.matches(LOGOUT);
        distinct.then_some(Self { login, logout })
    }

    /// Which of our addresses a canonical path means.
    pub fn find<'a>(&self, path: &'a str) -> Option<OwnPage<'a>> {
        if self.login.matches(path) {
            Some(OwnPage::Login)
        } else if self.logout.iter().any(|own| own.matches(path)) {
            Some(OwnPage::Logout)
        } else {
            always(path).or_else(|| below_reserved(path).map(OwnPage::Further))
        }
    }

    /// Whether one of our addresses begins with this text, as the scope of a service worker is compared; every scope
    /// below [`RESERVED`] is among ours.
    pub fn any_below(&self, scope: &str) -> bool {
        let begins = |address: &str| address.get(..scope.len()).is_some_and(|head| head.eq_ignore_ascii_case(scope));
        // With a slash at its end it is the same address.
        let begins = |address: &str| begins(address) || begins(&format!("{address}/"));
        let further = format!("{RESERVED}/");
        let inside = scope.get(..further.len()).is_some_and(|head| head.eq_ignore_ascii_case(&further));
        let named = begins(self.login.as_str()) || self.logout.iter().any(|path| begins(path.as_str()));
        named || begins(&further) || inside
    }

    /// Where people sign in.
    pub fn login(&self) -> &OwnPath {
        &self.login
    }

    /// Where our own pages let people sign out: the first of the addresses.
    pub fn logout(&self) -> &str {
        self.logout.first().map_or("", OwnPath::as_str)
    }
}

/// Where the gateway's further pages live.
pub const RESERVED: &str = "/.exeunt";
/// Where people can always sign in, whatever the configuration says.
pub const LOGIN: &str = "/.exeunt/login";
/// Where people can always sign out, whatever the configuration says.
pub const LOGOUT: &str = "/.exeunt/logout";

/// Which of the two addresses that are always there a canonical path means.
fn always(path: &str) -> Option<OwnPage<'static>> {
    let page = below_reserved(path)?;
    let is = |address: &str| below_reserved(address).is_some_and(|name| name.eq_ignore_ascii_case(page));
    if is(LOGIN) { Some(OwnPage::Login) } else { is(LOGOUT).then_some(OwnPage::Logout) }
}

/// The part of a canonical path below [`RESERVED`], without its slash; `None` outside of it.
pub fn below_reserved(path: &str) -> Option<&str> {
    let (head, rest) = path.split_at_checked(RESERVED.len())?;
    let inside = head.eq_ignore_ascii_case(RESERVED) && (rest.is_empty() || rest.starts_with('/'));
    inside.then(|| rest.trim_matches('/'))
}

/// Whether a canonical path is [`RESERVED`] or below it.
pub fn is_reserved(path: &str) -> bool {
    below_reserved(path).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_addresses_are_ours_in_any_spelling() {
        let logout = OwnPath::parse("/logout").unwrap();
        for path in ["/logout", "/logout/", "/LOGOUT", "/Logout/"] {
            assert!(logout.matches(path), "{path}");
        }
        for path in ["/", "/logoutx", "/logout/x", "/a/logout"] {
            assert!(!logout.matches(path), "{path}");
        }
        assert_eq!(below_reserved("/.Exeunt/Goodbye/"), Some("Goodbye"));
        assert_eq!(below_reserved("/.exeunt"), Some(""));
        assert_eq!(below_reserved("/.exeuntx"), None);
        assert_eq!(below_reserved("/é"), None);
    }

    #[test]
    fn no_address_is_for_two_things() {
        let path = |text| OwnPath::parse(text).unwrap();
        let pages = OwnPages::new(path("/login"), vec![path("/logout"), path("/bye/")]).unwrap();
        assert_eq!(pages.find("/Login"), Some(OwnPage::Login));
        assert_eq!(pages.find("/bye"), Some(OwnPage::Logout));
        assert_eq!(pages.find("/.exeunt/session"), Some(OwnPage::Further("session")));
        assert_eq!(pages.find("/loginx"), None);
        assert_eq!((pages.login().as_str(), pages.logout()), ("/login", "/logout"), "the first of several");
        assert!(OwnPages::new(path("/x"), vec![path("/X/")]).is_none());
        assert!(OwnPages::new(path("/x"), Vec::new()).is_none());
    }

    #[test]
    fn two_addresses_are_always_there() {
        let path = |text| OwnPath::parse(text).unwrap();
        let moved = OwnPages::new(path("/.exeunt/login"), vec![path("/.exeunt/logout/")]).unwrap();
        let usual = OwnPages::new(path("/login"), vec![path("/logout")]).unwrap();
        for (address, page) in [
            ("/.exeunt/login", OwnPage::Login),
            ("/.Exeunt/LOGIN/", OwnPage::Login),
            ("/.exeunt/logout", OwnPage::Logout),
            ("/.exeunt/Logout/", OwnPage::Logout),
            ("/.exeunt/loginx", OwnPage::Further("loginx")),
            ("/.exeunt/login/x", OwnPage::Further("login/x")),
        ] {
            assert_eq!((moved.find(address), usual.find(address)), (Some(page), Some(page)), "{address}");
        }
        assert_eq!((moved.find("/login"), moved.find("/logout")), (None, None), "the application's");
        assert_eq!((moved.login().as_str(), moved.logout()), ("/.exeunt/login", "/.exeunt/logout"));
        assert!(OwnPages::new(path("/.exeunt/logout"), vec![path("/x")]).is_none());
        assert!(OwnPages::new(path("/x"), vec![path("/y"), path("/.exeunt/login")]).is_none());
    }

    #[test]
    fn a_scope_covers_what_begins_with_it() {
        let path = |text| OwnPath::parse(text).unwrap();
        let pages = OwnPages::new(path("/in"), vec![path("/out"), path("/bye")]).unwrap();
        let covers = ["/", "/in", "/I", "/o", "/bye", "/in/", "/Out/", "/.exeunt/", "/.E", "/.exeunt/l", "/.Exeunt/x/"];
        assert!(covers.iter().all(|scope| pages.any_below(scope)));
        let others = ["/inn/", "/in/x", "/out//", "/app/", "/.exeuntx/"];
        assert!(!others.iter().any(|scope| pages.any_below(scope)));
    }

    #[test]
    fn odd_addresses_are_refused() {
        for text in
            ["", "/", "//", "logout", "/a?b", "/a;b", "/%61", "/a/../b", "/.exeunt/x", "/.EXEUNT", "/.exeunt/login/x"]
        {
            assert!(OwnPath::parse(text).is_err(), "{text}");
        }
    }
}
