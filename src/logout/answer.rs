//! The answer to a logout: the redirect target, and the style of the answer.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderName, HeaderValue, StatusCode};

use super::receipts::is_confirmed;
use super::settings::LogoutSettings;
use crate::values::form::{Form, FormValue};
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::{OwnPage, OwnPages};
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::{AllowedOrigins, ReturnTo};
use crate::values::target::Target;

static CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The parameters with the redirect target. `rd` is the name in other gateways.
pub(crate) const NEXT: [&str; 2] = ["next", "rd"];

/// The requested redirect target: from the form, else from the query.
pub(crate) fn requested<'a>(form: Option<&'a Form>, query: &'a Form) -> FormValue<'a> {
    match form.map(|form| form.field(&NEXT)) {
        None | Some(FormValue::Absent) => query.field(&NEXT),
        Some(field) => field,
    }
}

/// Whether a form or a query asks to end all sessions of the user: `everywhere=1`, or `on`, the value of a check box.
pub(crate) fn wants_everywhere(form: &Form) -> bool {
    matches!(form.field(&["everywhere"]), FormValue::One("1" | "on" | "true"))
}

/// How the gateway treats a redirect target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Unsafe, absent, repeated, or one of the gateway's own addresses: the default applies.
    Ignored,
    /// It would sign out again.
    Logout,
    /// A page of an application.
    Page(ReturnTo),
}

/// Judges a requested target.
pub(crate) fn next(field: FormValue<'_>, allowed: &AllowedOrigins, hosts: &OwnHosts, pages: &OwnPages) -> Next {
    let FormValue::One(text) = field else { return Next::Ignored };
    let Some(target) = ReturnTo::parse(text, allowed) else { return Next::Ignored };
    if target.origin().is_some_and(|origin| !hosts.owns(origin)) {
        return Next::Page(target);
    }
    let path = target.path_and_query().split('#').next().unwrap_or_default();
    let Ok(canonical) = Target::parse(path.as_bytes()) else { return Next::Ignored };
    match pages.find(canonical.path()) {
        Ok(None) => Next::Page(target),
        Ok(Some(OwnPage::Logout)) => Next::Logout,
        Ok(Some(OwnPage::Login | OwnPage::Further(_))) | Err(_) => Next::Ignored,
    }
}

/// The redirect target of a logout: a safe `next`, else `logout.next`, else `None` for the goodbye page.
pub(crate) fn target(next: Next, settings: &LogoutSettings) -> Option<ReturnTo> {
    match next {
        Next::Page(target) => Some(target),
        Next::Logout => None,
        Next::Ignored => settings.next.clone(),
    }
}

/// The style of the answer to a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseStyle {
    /// After a GET by a browser: always a redirect, since reloading a page would sign out again.
    Navigation,
    /// After a POST by a browser.
    Page,
    /// After a POST by a program.
    Program,
    /// After a POST that explicitly accepts JSON: the receipt, even if there is a target.
    Json,
}

/// The answer: a redirect to the target, or the goodbye page, which is at `goodbye` and rendered by `page`.
pub(crate) fn reply(
    receipt: &Receipt,
    target: Option<&ReturnTo>,
    style: ResponseStyle,
    goodbye: &ReturnTo,
    page: impl FnOnce(StatusCode) -> Reply,
) -> Reply {
    let status = if is_confirmed(receipt) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match (style, target) {
        (ResponseStyle::Json, _) => Reply::json(status, receipt),
        // An end that the store has not confirmed is reported, not hidden by a redirect.
        (ResponseStyle::Program, _) if status != StatusCode::OK => Reply::json(status, receipt),
        (_, _) if status != StatusCode::OK => page(status),
        (_, Some(target)) => Reply::see_other(target),
        (ResponseStyle::Navigation, None) => Reply::see_other(goodbye),
        // Reloading would send the form again, and sign out a user who has signed in meanwhile: so the browser is
        // redirected to the goodbye page's own address.
        (ResponseStyle::Page, None) => page(status).leading_to(goodbye, Duration::ZERO),
        (ResponseStyle::Program, None) => Reply::json(status, receipt),
    }
}

/// Adds the lines that expire the gateway's cookies and, where it is configured, `Clear-Site-Data`.
pub(crate) fn with_cleared_cookies(mut reply: Reply, expired: Vec<HeaderValue>, settings: &LogoutSettings) -> Reply {
    reply.headers.extend(expired.into_iter().map(|line| (SET_COOKIE, line)));
    reply.headers.extend(settings.clear_site_data.clone().map(|value| (CLEAR_SITE_DATA.clone(), value)));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::origin::{Host, Origin};
    use crate::values::own_path::OwnPath;
    use crate::values::return_to::OriginPattern;

    #[test]
    fn the_target_of_a_logout_is_checked() {
        let hosts = OwnHosts::new(&Origin::parse("https://app.test").unwrap(), Host::parse("shop.test"));
        let patterns = hosts.origins().map(OriginPattern::from).chain(OriginPattern::parse("https://other.test"));
        let allowed = AllowedOrigins::new(patterns);
        let path = |text| OwnPath::parse(text).unwrap();
        let pages = OwnPages::new(path("/login"), vec![path("/logout"), path("/bye")]).unwrap();
        let page = |text: &str| Next::Page(ReturnTo::parse(text, &allowed).unwrap());
        let cases = [
            ("/x?y#z", page("/x?y#z")),
            ("https://shop.test/x", page("https://shop.test/x")),
            ("https://other.test/logout", page("https://other.test/logout")),
            ("https://evil.test/", Next::Ignored),
            ("//evil.test/", Next::Ignored),
            ("/login", Next::Ignored),
            ("/.exeunt/sessions", Next::Ignored),
            ("/logout", Next::Logout),
            ("/Logout/", Next::Logout),
            ("/a/../logout?x", Next::Logout),
            ("/%6cogout#x", Next::Logout),
            ("https://shop.test/bye", Next::Logout),
            ("https://app.test/x/%2e%2e/logout", Next::Logout),
            ("/../logout", Next::Ignored),
        ];
        for (text, want) in cases {
            assert_eq!(next(FormValue::One(text), &allowed, &hosts, &pages), want, "{text}");
        }
        assert_eq!(next(FormValue::Several, &allowed, &hosts, &pages), Next::Ignored);
        assert_eq!(next(FormValue::Absent, &allowed, &hosts, &pages), Next::Ignored);
    }

    #[test]
    fn the_form_overrides_the_query() {
        let form = |text: &str| Form::parse(text.as_bytes()).unwrap();
        let query = form("next=/query");
        assert_eq!(requested(Some(&form("next=/form")), &query), FormValue::One("/form"));
        assert_eq!(requested(Some(&form("rd=/form")), &query), FormValue::One("/form"));
        assert_eq!(requested(Some(&form("a=b")), &query), FormValue::One("/query"));
        assert_eq!(requested(Some(&form("next=/a&rd=/b")), &query), FormValue::Several);
        assert_eq!(requested(None, &query), FormValue::One("/query"));
    }
}
