//! An application's own logout links: the addresses at which it signs its users out.

use crate::values::configured_path::ConfiguredPath;
use crate::values::form::Form;
use crate::values::readings::RequestPath;
use crate::values::target::Target;

/// One logout link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutLink {
    path: ConfiguredPath,
    query: Vec<(Box<str>, Box<str>)>,
}

impl LogoutLink {
    /// A link with this path, and with all of these names and values in its query.
    pub(crate) fn new(path: ConfiguredPath, query: Vec<(Box<str>, Box<str>)>) -> Self {
        Self { path, query }
    }

    /// Whether a request is for this link, in any reading of its path: a false match only costs the user another
    /// sign-in.
    pub(crate) fn is(&self, target: &Target<'_>) -> bool {
        self.is_at(target.path()) && (self.query.is_empty() || self.matches_query(target.query().unwrap_or_default()))
    }

    fn is_at(&self, path: &RequestPath<'_>) -> bool {
        self.path.is(path.literal()) || self.path.is(path.strict()) || self.path.is_loosely(path.loose())
    }

    /// If a name is repeated, any of its values counts: applications differ in which one they read.
    fn matches_query(&self, query: &[u8]) -> bool {
        let Ok(form) = Form::parse(query) else { return false };
        self.query.iter().all(|(name, value)| form.says(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, query: &[(&str, &str)]) -> LogoutLink {
        let query = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        LogoutLink::new(ConfiguredPath::parse(path).unwrap(), query)
    }

    #[test]
    fn requests_for_a_link_are_matched() {
        let (plain, dokuwiki) = (link("/accounts/logout/", &[]), link("/doku.php", &[("do", "logout")]));
        let php_my_admin = link("/index.php", &[("route", "/logout"), ("server", "1")]);
        let cases = [
            (&plain, "/accounts/logout/", true),
            (&plain, "/accounts/logout", true),
            (&plain, "/Accounts/Logout/?next=/", true),
            (&plain, "/accounts/%6cogout/", true),
            (&plain, "/accounts/x/../logout/", true),
            (&plain, "/accounts/logout/done", false),
            (&plain, "/accounts/logouts", false),
            (&plain, "/", false),
            (&dokuwiki, "/doku.php?id=start&do=logout&sectok=5eaf", true),
            (&dokuwiki, "/doku.php?do=log%6Fut", true),
            (&dokuwiki, "/doku.php?do=edit&do=logout", true),
            (&dokuwiki, "/doku.php?do=logout2", false),
            (&dokuwiki, "/doku.php?todo=logout", false),
            (&dokuwiki, "/doku.php?Do=logout", false),
            (&dokuwiki, "/doku.php", false),
            (&php_my_admin, "/index.php?route=%2Flogout&server=1", true),
            (&php_my_admin, "/index.php?route=/logout&server=1", true),
            (&php_my_admin, "/index.php?route=/logout", false),
        ];
        for (link, target, want) in cases {
            assert_eq!(link.is(&Target::parse(target.as_bytes()).unwrap()), want, "{target}");
        }
    }
}
