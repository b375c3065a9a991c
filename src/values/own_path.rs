//! The paths that the gateway answers itself and never forwards.

use std::fmt;

use thiserror::Error;

use super::ambiguous::Ambiguous;
use super::configured_path::{ConfiguredPath, ConfiguredPathError};
use super::readings::RequestPath;

/// A path of the gateway, such as `/logout`. It is matched without case and with a trailing slash as well: otherwise
/// `/Logout` would be forwarded to an application that ignores case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPath(ConfiguredPath);

/// Why a text is not a path that the gateway can answer. Its message says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OwnPathError {
    /// It is not a valid path.
    #[error(transparent)]
    Path(#[from] ConfiguredPathError),
    /// `/`.
    #[error("must not be /, which is the whole site: write \"/logout\", or another path")]
    Root,
    /// A path below [`RESERVED`] with another use, or without one.
    #[error("of the paths under {RESERVED}/ only {LOGIN} and {LOGOUT} can be used here")]
    Reserved,
}

impl OwnPath {
    /// Reads a path from the configuration.
    pub fn parse(text: &str) -> Result<Self, OwnPathError> {
        let path = ConfiguredPath::parse(text)?;
        if path.is_root() {
            return Err(OwnPathError::Root);
        }
        let resembles =
            |address: &str| ConfiguredPath::parse(address).is_ok_and(|address| path.is_same_when_folded(&address));
        let named = resembles(LOGIN) || resembles(LOGOUT);
        if is_reserved(path.as_str()) && !named {
            return Err(OwnPathError::Reserved);
        }
        Ok(Self(path))
    }

    /// Whether some programs could read both paths as the same.
    pub(crate) fn is_same_when_folded(&self, other: &Self) -> bool {
        self.0.is_same_when_folded(&other.0)
    }

    /// Whether this path is `address`, one of [`LOGIN`] and [`LOGOUT`].
    pub(crate) fn is(&self, address: &str) -> bool {
        self.0.is_loosely(address.as_bytes())
    }

    /// The path.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for OwnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The sign-in and sign-out paths, and with them all paths of the gateway.
#[derive(Clone, Debug)]
pub struct OwnPages {
    login: OwnPath,
    logout: Vec<OwnPath>,
}

/// The page at a path of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnPage<'a> {
    /// The sign-in form.
    Login,
    /// The logout.
    Logout,
    /// A further page, by its path below [`RESERVED`].
    Further(&'a str),
}

impl OwnPages {
    /// The configured sign-in and sign-out paths, in addition to [`LOGIN`] and [`LOGOUT`]. `None` if a path is used for
    /// both, or there is no sign-out path.
    pub fn new(login: OwnPath, logout: Vec<OwnPath>) -> Option<Self> {
        let both = |path: &OwnPath| path.is_same_when_folded(&login) || path.is(LOGIN);
        let distinct = !logout.is_empty() && !logout.iter().any(both) && !login.is(LOGOUT);
        distinct.then_some(Self { login, logout })
    }

    /// The page of the gateway at a path, if there is one.
    ///
    /// # Errors
    /// One reading of the path is a path of the gateway, and another one is not, or is a different one.
    pub(crate) fn find<'a>(&self, path: &'a RequestPath<'_>) -> Result<Option<OwnPage<'a>>, Ambiguous> {
        if path.fork().is_some_and(|fork| self.any_within(fork)) {
            return Err(path.differs());
        }
        let loose = self.of_form(path.loose(), ConfiguredPath::is_loosely);
        let literal = match (loose, path.is_plain()) {
            // The common case of a path that all programs read in the same way.
            (None, true) => return Ok(None),
            _ => self.of_form(path.literal(), ConfiguredPath::is),
        };
        let strict = self.of_form(path.strict(), ConfiguredPath::is);
        match (literal, loose) {
            _ if literal != loose || strict != loose => Err(path.differs()),
            (_, None) => Ok(None),
            (_, Some(PageKind::Login)) => Ok(Some(OwnPage::Login)),
            (_, Some(PageKind::Logout)) => Ok(Some(OwnPage::Logout)),
            (_, Some(PageKind::Further)) => Ok(Some(OwnPage::Further(below_reserved(path.text()).unwrap_or_default()))),
        }
    }

    fn of_form(&self, path: &[u8], is: fn(&ConfiguredPath, &[u8]) -> bool) -> Option<PageKind> {
        if is(&self.login.0, path) {
            return Some(PageKind::Login);
        }
        if self.logout.iter().any(|own| is(&own.0, path)) {
            return Some(PageKind::Logout);
        }
        let below = |address: &str| path.strip_suffix(b"/").unwrap_or(path).eq_ignore_ascii_case(address.as_bytes());
        if below(LOGIN) {
            Some(PageKind::Login)
        } else if below(LOGOUT) {
            Some(PageKind::Logout)
        } else {
            is_within_reserved(path).then_some(PageKind::Further)
        }
    }

    /// Whether a path of the gateway is this one, in its loose form, or is below it.
    fn any_within(&self, loose: &[u8]) -> bool {
        let mut named = std::iter::once(&self.login).chain(&self.logout);
        is_within_reserved(loose) || loose.is_empty() || named.any(|own| own.0.is_within(loose))
    }

    /// Whether a path of the gateway begins with this one, compared as browsers compare the scope of a service worker.
    /// Every scope below [`RESERVED`] is included.
    pub(crate) fn any_below(&self, scope: &RequestPath<'_>) -> bool {
        let slash: &[u8] = if scope.text().ends_with('/') { b"/" } else { b"" };
        let of_form = |form: &[u8]| [form.strip_suffix(slash).unwrap_or(form), slash].concat();
        [scope.literal(), scope.strict(), scope.loose()].iter().any(|form| self.any_begins(&of_form(form)))
    }

    fn any_begins(&self, scope: &[u8]) -> bool {
        let starts =
            |text: &[u8], start: &[u8]| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        let further = format!("{RESERVED}/");
        let named = std::iter::once(&self.login).chain(&self.logout);
        let mut addresses = named.map(OwnPath::as_str).chain([further.as_str()]);
        // A path with a trailing slash is the same page.
        addresses.any(|address| starts(format!("{address}/").as_bytes(), scope)) || starts(scope, further.as_bytes())
    }

    /// The sign-in path.
    pub(crate) fn login(&self) -> &OwnPath {
        &self.login
    }

    /// The configured sign-in and sign-out paths.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.login).chain(&self.logout).map(OwnPath::as_str)
    }

    /// The first sign-out path, which the gateway's own pages use.
    pub(crate) fn logout(&self) -> &str {
        self.logout.first().map_or("", OwnPath::as_str)
    }
}

/// The kind of page for one form of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageKind {
    Login,
    Logout,
    Further,
}

/// The prefix of the gateway's further pages.
pub(crate) const RESERVED: &str = "/.exeunt";
/// The sign-in path that exists with any configuration.
pub(crate) const LOGIN: &str = "/.exeunt/login";
/// The sign-out path that exists with any configuration.
pub(crate) const LOGOUT: &str = "/.exeunt/logout";

/// Whether a form of a path is [`RESERVED`] or is below it.
fn is_within_reserved(path: &[u8]) -> bool {
    let (head, rest) = path.split_at_checked(RESERVED.len()).unwrap_or_default();
    matches!(rest, [] | [b'/', ..]) && head.eq_ignore_ascii_case(RESERVED.as_bytes())
}

/// The part of a canonical path below [`RESERVED`], without slashes around it; `None` for other paths.
pub(crate) fn below_reserved(path: &str) -> Option<&str> {
    let (head, rest) = path.split_at_checked(RESERVED.len())?;
    let inside = head.eq_ignore_ascii_case(RESERVED) && (rest.is_empty() || rest.starts_with('/'));
    inside.then(|| rest.trim_matches('/'))
}

/// Whether a canonical path is [`RESERVED`] or is below it.
pub(crate) fn is_reserved(path: &str) -> bool {
    below_reserved(path).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(login: &str, logout: &[&str]) -> OwnPages {
        let path = |text: &str| OwnPath::parse(text).unwrap();
        OwnPages::new(path(login), logout.iter().map(|text| path(text)).collect()).unwrap()
    }

    /// The result for a path, as text.
    fn found(pages: &OwnPages, text: &str) -> String {
        match RequestPath::read(text).and_then(|path| pages.find(&path).map(|page| format!("{page:?}"))) {
            Ok(page) => page,
            Err(ambiguous) => ambiguous.detail().to_owned(),
        }
    }

    #[test]
    fn the_gateways_paths_are_recognised_in_any_spelling() {
        let pages = pages("/login", &["/logout", "/user:logout"]);
        let logout = [
            "/logout", "/logout/", "/LOGOUT", "/Logout/", "/%6cogout", "/user%3Alogout", "/User%3alogout/", "/./logout",
        ];
        for path in logout {
            assert_eq!(found(&pages, path), "Some(Logout)", "{path}");
        }
        for path in ["/", "/logoutx", "/logout/x", "/a/logout", "/a//logout", "/user", "/logout-x.", "/a%3Fb"] {
            assert_eq!(found(&pages, path), "None", "{path}");
        }
        let ambiguous = [
            ("/logout;x", "a semicolon"),
            ("/logout%3Bx%2Fy", "%3B"),
            ("/logout%2F", "%2F"),
            ("/logout%252F", "%25"),
            ("/logout%3Fx", "%3F"),
            ("/logout%23", "%23"),
            ("/logout%5C", "%5C"),
            ("/logout//", "\"//\""),
            ("/logout%20", "%20"),
            ("/logout.", "the end of a name"),
            ("/LOGOUT. .", "the end of a name"),
            ("/logout::$DATA", "the end of a name"),
            ("/logout:$i30:$INDEX_ALLOCATION", "the end of a name"),
            ("/%EF%BD%8Cogout", "%EF"),
            ("/log%C2%ADout", "%C2"),
            ("/%EF%BD%8Cogout;%EF%BC%8Fx", "a semicolon"),
            ("/login%E3%80%82x/..;", "a \".\" or \"..\" segment"),
            ("/.exeunt%2Fx", "%2F"),
            ("/.exeunt;x/y", "a semicolon"),
            ("/.exeunt./y", "the end of a name"),
        ];
        for (path, culprit) in ambiguous {
            assert_eq!(found(&pages, path), culprit, "{path}");
        }
        assert_eq!(below_reserved("/.Exeunt/Goodbye/"), Some("Goodbye"));
        assert_eq!(below_reserved("/.exeunt"), Some(""));
        assert_eq!(below_reserved("/.exeuntx"), None);
        assert_eq!(below_reserved("/é"), None);
    }

    #[test]
    fn a_path_has_only_one_page() {
        let path = |text| OwnPath::parse(text).unwrap();
        let usual = pages("/login", &["/logout", "/bye/"]);
        assert_eq!(found(&usual, "/Login"), "Some(Login)");
        assert_eq!(found(&usual, "/bye"), "Some(Logout)");
        assert_eq!(found(&usual, "/.exeunt/session"), "Some(Further(\"session\"))");
        assert_eq!(found(&usual, "/loginx"), "None");
        assert_eq!((usual.login().as_str(), usual.logout()), ("/login", "/logout"), "the first of several");
        assert!(OwnPages::new(path("/x"), vec![path("/X/")]).is_none());
        assert!(OwnPages::new(path("/x"), vec![path("/x.")]).is_none());
        assert!(OwnPages::new(path("/x"), Vec::new()).is_none());
    }

    #[test]
    fn two_paths_exist_with_any_configuration() {
        let path = |text| OwnPath::parse(text).unwrap();
        let moved = pages("/.exeunt/login", &["/.exeunt/logout/"]);
        let usual = pages("/login", &["/logout"]);
        for (address, page) in [
            ("/.exeunt/login", "Some(Login)"),
            ("/.Exeunt/LOGIN/", "Some(Login)"),
            ("/.exeunt/logout", "Some(Logout)"),
            ("/.exeunt/Logout/", "Some(Logout)"),
            ("/.exeunt/loginx", "Some(Further(\"loginx\"))"),
            ("/.exeunt/login/x", "Some(Further(\"login/x\"))"),
        ] {
            assert_eq!((found(&moved, address).as_str(), found(&usual, address).as_str()), (page, page), "{address}");
        }
        let free = ["/login", "/logout"].map(|path| found(&moved, path));
        assert_eq!(free, ["None", "None"], "they are forwarded to the application");
        assert_eq!((moved.login().as_str(), moved.logout()), ("/.exeunt/login", "/.exeunt/logout"));
        assert!(OwnPages::new(path("/.exeunt/logout"), vec![path("/x")]).is_none());
        assert!(OwnPages::new(path("/x"), vec![path("/y"), path("/.exeunt/login")]).is_none());
    }

    #[test]
    fn a_scope_covers_the_paths_that_begin_with_it() {
        let pages = pages("/in", &["/out", "/bye"]);
        let covers = |scope: &str| pages.any_below(&RequestPath::read(scope).unwrap());
        let ours = [
            "/", "/in", "/I", "/o", "/bye", "/in/", "/Out/", "/.exeunt/", "/.E", "/.exeunt/l", "/.Exeunt/x/", "/%2Eex",
            "/i%6E",
        ];
        let others = ["/inn/", "/in/x", "/outer/", "/app/", "/.exeuntx/", "/app%2F"];
        assert_eq!(ours.map(covers), [true; 13], "{ours:?}");
        assert!(!others.map(covers).contains(&true), "{others:?}");
    }

    #[test]
    fn invalid_paths_are_refused() {
        let odd = [
            "", "/", "//", "logout", "/a?b", "/a;b", "/%61", "/a%2Fb", "/a/../b", "/.exeunt/x", "/.EXEUNT",
            "/.exeunt/login/x",
        ];
        for text in odd {
            assert!(OwnPath::parse(text).is_err(), "{text}");
        }
    }
}
