//! What a request to a logout path asks for, and whether it is allowed.

use http::Method;

use super::answer::ResponseStyle;
use crate::admission::cross_site::{self, GetPolicy, LogoutByGet};
use crate::admission::facts::RequestFacts;
use crate::values::own_hosts::OwnHosts;
use crate::values::reason::Reason;

/// The decision about a request to a logout path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogoutRequest {
    /// It ends every session that its cookies name.
    End(ResponseStyle),
    /// It ends nothing. The user is asked, and told the reason if the request was refused.
    Confirm(Option<Reason>),
    /// It is refused, and ends nothing.
    Refuse(Reason),
    /// It is neither GET nor POST.
    MethodNotAllowed,
}

impl LogoutRequest {
    /// Reads a request to one of these hosts.
    pub(crate) fn read(facts: &RequestFacts<'_>, hosts: &OwnHosts, policy: GetPolicy) -> Self {
        match *facts.method {
            Method::POST => match cross_site::logout_post(facts, hosts) {
                Ok(()) => Self::End(style_of_post(facts)),
                // The user may have meant it, and can press the button.
                Err(reason) if facts.is_browser() => Self::Confirm(Some(reason)),
                Err(reason) => Self::Refuse(reason),
            },
            Method::GET => match cross_site::logout_get(facts, policy) {
                LogoutByGet::End => Self::End(ResponseStyle::Navigation),
                LogoutByGet::Confirm => Self::Confirm(None),
                LogoutByGet::Refuse(reason) => Self::Refuse(reason),
            },
            _ => Self::MethodNotAllowed,
        }
    }
}

fn style_of_post(facts: &RequestFacts<'_>) -> ResponseStyle {
    match (facts.is_browser(), facts.wants_json()) {
        (true, _) => ResponseStyle::Page,
        (false, true) => ResponseStyle::Json,
        (false, false) => ResponseStyle::Program,
    }
}

#[cfg(test)]
mod tests {
    use super::LogoutRequest::{self, Confirm, End, MethodNotAllowed, Refuse};
    use super::*;
    use crate::admission::facts::tests::{facts, hosts, request};

    #[test]
    fn requests_are_decided() {
        const BROWSER: &str = "Accept: text/html";
        const FOREIGN: &str = "Origin: http://evil.test";
        const CLICK: [&str; 3] =
            ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
        let cross_site = Reason::CrossSite;
        let cases: [(&str, &[&str], LogoutRequest); 12] = [
            ("POST", &[], End(ResponseStyle::Program)),
            ("POST", &["Accept: application/json"], End(ResponseStyle::Json)),
            ("POST", &[BROWSER], End(ResponseStyle::Page)),
            ("POST", &[BROWSER, FOREIGN], Confirm(Some(cross_site))),
            ("POST", &[FOREIGN], Refuse(cross_site)),
            ("GET", &CLICK, End(ResponseStyle::Navigation)),
            ("GET", &[BROWSER], Confirm(None)),
            ("GET", &[], Refuse(Reason::LogoutByGet)),
            ("GET", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image"], Refuse(Reason::NotANavigation)),
            ("HEAD", &CLICK, MethodNotAllowed),
            ("PUT", &[], MethodNotAllowed),
            ("DELETE", &[FOREIGN], MethodNotAllowed),
        ];
        for (method, lines, want) in cases {
            let (hosts, head) = (hosts(), request(method, "/logout", lines));
            let facts = facts(&head, &hosts).unwrap();
            assert_eq!(LogoutRequest::read(&facts, &hosts, GetPolicy::Navigate), want, "{method} {lines:?}");
        }
    }
}
