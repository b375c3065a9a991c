//! The cookies of an ended session for one host. They are kept only for the logout call that ends the application's own
//! session.

use super::jar::{CookieContext, Jar};
use super::set_cookie::SetCookie;

/// The cookies of one host at the end of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastJar {
    host: Box<str>,
    pub(super) jar: Jar,
}

impl LastJar {
    pub(super) fn new(host: &str, jar: Jar) -> Self {
        Self { host: host.into(), jar }
    }

    /// A jar without cookies, for a route whose cookies are all in the browser.
    pub(crate) fn empty(host: &str) -> Self {
        Self { host: host.into(), ..Self::default() }
    }

    /// The host.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether any cookie is sent with this request.
    pub(crate) fn has_for(&self, asked: CookieContext<'_>) -> bool {
        self.jar.has_for(asked)
    }

    /// Applies a `Set-Cookie` header of an answer, for the next request of the same logout call.
    pub(crate) fn take(&mut self, asked: CookieContext<'_>, line: &[u8]) {
        match SetCookie::parse(line) {
            Some(cookie) if cookie.is_deletion(asked.now) => _ = self.jar.remove(cookie.name, cookie.path(asked.path)),
            Some(cookie) if self.jar.len() < MAX_ADDED => self.jar.put(&cookie, asked),
            Some(_) | None => {}
        }
    }
}

/// The maximum number of cookies that answers can add.
const MAX_ADDED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::time::WallTime;

    #[test]
    fn an_answer_sets_and_deletes_up_to_a_limit() {
        let asked = CookieContext { path: b"/app/logout", https: true, cross_site: false, now: WallTime(1000) };
        let mut last = LastJar::empty("app.test");
        assert!(!last.has_for(asked) && last.host() == "app.test");
        for line in ["sid=1; Path=/", "far=2; Path=/elsewhere", "gone=4; Max-Age=0", "not a cookie"] {
            last.take(asked, line.as_bytes());
        }
        assert!(last.has_for(asked) && last.jar.len() == 2);
        last.take(asked, b"sid=; Path=/; Max-Age=0");
        assert!(!last.has_for(asked), "a cookie for another path is not sent");
        (0..2 * MAX_ADDED).for_each(|number| last.take(asked, format!("n{number}=x").as_bytes()));
        assert_eq!(last.jar.len(), MAX_ADDED);
    }
}
