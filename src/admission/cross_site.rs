//! CSRF protection: whether a state-changing request comes from the user's own action or from another web site.
//!
//! The threat: a page of another site makes a signed-in user's browser send a request here, with its cookies, that
//! signs the user out, or in as another user. Browsers state the initiator of a request: in `Sec-Fetch-Site`, which
//! scripts cannot forge, over https and on loopback; in `Origin` with every POST. A request with neither does not come
//! from a browser, and has only its sender's own cookies. There is no token and no list of exceptions: exceptions by
//! path have been used to bypass this check in other products.

use http::Method;

use super::facts::RequestFacts;
use crate::values::origin::Origin;
use crate::values::own_hosts::OwnHosts;
use crate::values::reason::Reason;

/// Checks a state-changing request, for the gateway's own addresses and for routes with `cross_site = "refuse-unsafe"`.
pub(crate) fn change(facts: &RequestFacts<'_>, hosts: &OwnHosts) -> Result<(), Reason> {
    match (facts.fetch_site(), facts.origin()) {
        (Some("same-origin" | "none"), _) => Ok(()),
        (Some(_), _) => Err(Reason::CrossSite),
        (None, None) if facts.has_fetch_metadata() => Err(Reason::CrossSite),
        (None, None) => Ok(()),
        (None, Some(Ok(origin))) if facts.comes_from_own_address(&origin, hosts) => Ok(()),
        (None, Some(_)) => Err(Reason::CrossSite),
    }
}

/// Checks a POST that signs out: like [`change`], but pages of the gateway's other origins may send it too.
pub(crate) fn logout_post(facts: &RequestFacts<'_>, hosts: &OwnHosts) -> Result<(), Reason> {
    match facts.origin() {
        Some(Ok(origin)) if is_own_page(facts, hosts, &origin) => Ok(()),
        _ => change(facts, hosts),
    }
}

/// What a GET of a logout path does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogoutByGet {
    /// The user clicked a link of this site or typed the address: it ends the session.
    End,
    /// The user came from another site, or the browser does not state the initiator: the user is asked.
    Confirm,
    /// It is no navigation by a user: it does nothing.
    Refuse(Reason),
}

/// What `logout.get` allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GetPolicy {
    /// A same-origin navigation ends the session.
    #[default]
    Navigate,
    /// A navigation always asks first.
    Confirm,
    /// GET never signs out.
    Never,
}

/// Judges a GET of a logout path.
pub(crate) fn logout_get(facts: &RequestFacts<'_>, policy: GetPolicy) -> LogoutByGet {
    if policy == GetPolicy::Never {
        return LogoutByGet::Refuse(Reason::LogoutByGet);
    }
    if facts.is_prefetch() {
        return LogoutByGet::Refuse(Reason::NotANavigation);
    }
    if !facts.has_fetch_metadata() {
        let person = facts.is_browser();
        return if person { LogoutByGet::Confirm } else { LogoutByGet::Refuse(Reason::LogoutByGet) };
    }
    match (facts.is_document_navigation(), facts.fetch_site()) {
        (false, _) => LogoutByGet::Refuse(Reason::NotANavigation),
        (true, Some("none" | "same-origin")) if policy == GetPolicy::Navigate => LogoutByGet::End,
        (true, _) => LogoutByGet::Confirm,
    }
}

/// Checks a WebSocket handshake with a session. The same-origin policy does not apply to WebSockets: any page can open
/// one, and the browser sends the cookie.
pub(crate) fn socket(facts: &RequestFacts<'_>, hosts: &OwnHosts, allowed: &[Origin]) -> Result<(), Reason> {
    match facts.origin() {
        None => Ok(()),
        Some(Ok(origin)) if is_own_page(facts, hosts, &origin) || allowed.contains(&origin) => Ok(()),
        Some(_) => Err(Reason::SocketOrigin),
    }
}

/// Whether an origin is one of the gateway's: that of this request's address, or the public origin of one of its hosts.
/// Another port of such a host is another program, although browsers send it the same cookies.
fn is_own_page(facts: &RequestFacts<'_>, hosts: &OwnHosts, origin: &Origin) -> bool {
    facts.comes_from_own_address(origin, hosts) || hosts.origins().any(|own| own == *origin)
}

/// Whether a method only reads (RFC 9110 9.2.1), among those that the gateway's own addresses accept.
pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a method is registered as safe (RFC 9110 16.1.1). An unknown method counts as unsafe.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PROPFIND" | "QUERY" | "REPORT" | "SEARCH")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::facts::tests::{facts, hosts, request};

    #[test]
    fn cross_site_posts_are_refused() {
        let cases: [(&[&str], bool, bool); 14] = [
            (&[], true, true),
            (&["Sec-Fetch-Site: same-origin"], true, true),
            (&["Sec-Fetch-Site: none"], true, true),
            (&["Sec-Fetch-Site: same-site"], false, false),
            (&["Sec-Fetch-Site: cross-site"], false, false),
            (&["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"], false, false),
            (&["Sec-Fetch-Mode: navigate"], false, false),
            (&["Origin: http://app.test"], true, true),
            (&["Origin: http://app.test:80"], true, true),
            (&["Origin: https://app.test"], false, false),
            (&["Origin: http://app.test:8080"], false, false),
            (&["Origin: null"], false, false),
            (&["Origin: http://evil.test"], false, false),
            (&["Origin: http://shop.test", "Sec-Fetch-Site: cross-site"], false, true),
        ];
        for (head, own, logout) in cases {
            let hosts = hosts();
            let head = request("POST", "/logout", head);
            let facts = facts(&head, &hosts).unwrap();
            assert_eq!(change(&facts, &hosts).is_ok(), own, "{:?}", head.headers);
            assert_eq!(logout_post(&facts, &hosts).is_ok(), logout, "{:?}", head.headers);
        }
    }

    /// Sign-in; sign-out and sockets.
    type Allowed = (bool, bool);
    const SIGN_IN: Allowed = (true, true);
    const LOGOUT_ONLY: Allowed = (false, true);
    const NEITHER: Allowed = (false, false);

    /// `public_url`, the browser's `Origin`, and the `Host` that arrives through a proxy in front.
    const ORIGINS: [(&str, &str, &str, Allowed); 41] = [
        // nginx's $host (no port), $http_host (unchanged), $host:$server_port, and the gateway without a proxy.
        ("http://app.test:8080", "http://app.test:8080", "app.test", SIGN_IN),
        ("http://app.test:8080", "http://app.test:8080", "app.test:8080", SIGN_IN),
        ("http://app.test:8080", "http://app.test:8080", "app.test:9000", SIGN_IN),
        ("http://app.test:8080", "http://app.test:9000", "app.test:9000", SIGN_IN),
        ("http://app.test:8080", "http://app.test", "app.test:80", SIGN_IN),
        ("http://app.test:8080", "http://app.test:3000", "app.test", NEITHER),
        ("http://app.test:8080", "http://app.test:3000", "app.test:8080", NEITHER),
        ("http://app.test:8080", "https://app.test:8080", "app.test:8080", NEITHER),
        // Without a port in public_url it is unknown what a proxy has removed.
        ("http://app.test", "http://app.test:8080", "app.test", NEITHER),
        ("http://app.test", "http://app.test:8080", "app.test:8080", SIGN_IN),
        ("http://app.test", "http://app.test", "app.test:8080", SIGN_IN),
        ("http://app.test", "http://app.test:80", "app.test", SIGN_IN),
        ("http://app.test:80", "http://app.test", "app.test:80", SIGN_IN),
        // TLS is terminated by a proxy in front.
        ("https://app.test", "https://app.test", "app.test", SIGN_IN),
        ("https://app.test", "https://app.test", "app.test:443", SIGN_IN),
        ("https://app.test", "https://app.test:443", "app.test", SIGN_IN),
        ("https://app.test", "https://app.test", "app.test:8080", SIGN_IN),
        ("https://app.test", "http://app.test", "app.test", NEITHER),
        ("https://app.test:8443", "https://app.test:8443", "app.test", SIGN_IN),
        ("https://app.test:8443", "https://app.test:8443", "app.test:8443", SIGN_IN),
        ("https://app.test:8443", "https://app.test", "app.test", SIGN_IN),
        // Other hosts of the gateway, and foreign ones.
        ("http://app.test:8080", "http://shop.test:8080", "shop.test", SIGN_IN),
        ("http://app.test:8080", "http://shop.test:8080", "app.test", LOGOUT_ONLY),
        ("http://app.test:8080", "http://app.test:8080", "shop.test", LOGOUT_ONLY),
        ("http://app.test:8080", "http://shop.test", "app.test", NEITHER),
        ("http://app.test:8080", "http://evil.test:8080", "app.test", NEITHER),
        ("http://app.test:8080", "http://app.test.evil.test", "app.test", NEITHER),
        ("http://app.test:8080", "http://evil.app.test:8080", "app.test", NEITHER),
        // Trailing dots, empty ports, upper case.
        ("http://app.test:8080", "http://app.test.:8080", "app.test.", SIGN_IN),
        ("http://app.test:8080", "http://app.test.:8080", "app.test.:8080", SIGN_IN),
        ("http://app.test", "http://app.test", "app.test:", SIGN_IN),
        ("http://app.test", "http://app.test", "APP.Test", SIGN_IN),
        // The names of loopback are one host, and three origins.
        ("http://localhost:8080", "http://localhost.:8080", "localhost.", SIGN_IN),
        ("http://localhost:8080", "http://127.0.0.1:8080", "127.0.0.1", SIGN_IN),
        ("http://localhost:8080", "http://127.0.0.1:8080", "localhost", NEITHER),
        ("http://localhost:8080", "http://localhost:8080", "127.0.0.1", LOGOUT_ONLY),
        ("http://localhost:8080", "http://[::1]:8080", "[::1]", SIGN_IN),
        ("http://localhost:8080", "http://[::1]:8080", "[::1]:", SIGN_IN),
        ("http://localhost:8080", "http://[0:0:0:0:0:0:0:1]:8080", "[::1]:8080", SIGN_IN),
        ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080", "[2001:db8::1]", SIGN_IN),
        ("http://[2001:db8::1]:8080", "http://[2001:db8::2]:8080", "[2001:db8::1]", NEITHER),
    ];

    #[test]
    fn an_origin_is_compared_with_the_host_that_was_asked() {
        for (public, origin, host, (sign_in, logout)) in ORIGINS {
            let shop = crate::values::origin::Host::parse("shop.test").unwrap();
            let hosts = OwnHosts::new(&Origin::parse(public).unwrap(), [shop]);
            let head = request("POST", "/login", &[&format!("Origin: {origin}"), &format!("Host: {host}")]);
            let facts = facts(&head, &hosts).unwrap();
            assert_eq!(change(&facts, &hosts).is_ok(), sign_in, "{public}: {origin} at {host}");
            assert_eq!(logout_post(&facts, &hosts).is_ok(), logout, "{public}: {origin} at {host}");
            assert_eq!(socket(&facts, &hosts, &[]).is_ok(), logout, "{public}: {origin} at {host}");
        }
    }

    #[test]
    fn a_get_signs_out_only_after_a_navigation_of_the_user() {
        use GetPolicy::{Confirm as Ask, Navigate, Never};
        use LogoutByGet::{Confirm, End, Refuse};
        const NAVIGATION: &str = "Sec-Fetch-Mode: navigate";
        const DOCUMENT: &str = "Sec-Fetch-Dest: document";
        let no_person = Refuse(Reason::NotANavigation);
        let cases: [(GetPolicy, &[&str], LogoutByGet); 17] = [
            (Navigate, &["Sec-Fetch-Site: none", NAVIGATION, DOCUMENT], End),
            (Navigate, &["Sec-Fetch-Site: same-origin", NAVIGATION, DOCUMENT], End),
            (Navigate, &["Sec-Fetch-Site: same-site", NAVIGATION, DOCUMENT], Confirm),
            (Navigate, &["Sec-Fetch-Site: cross-site", NAVIGATION, DOCUMENT], Confirm),
            (Navigate, &["Sec-Fetch-Site: same-origin", NAVIGATION, "Sec-Fetch-Dest: iframe"], no_person),
            (Navigate, &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"], no_person),
            (Navigate, &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"], no_person),
            (Navigate, &["Sec-Fetch-Site: none", NAVIGATION, DOCUMENT, "Sec-Purpose: prefetch"], no_person),
            (Navigate, &["Sec-Fetch-Site: none", NAVIGATION, DOCUMENT, "Purpose: prefetch"], no_person),
            (Navigate, &["Accept: text/html", "X-Moz: prefetch"], no_person),
            (Navigate, &["Accept: text/html"], Confirm),
            (Navigate, &["Accept: */*"], Refuse(Reason::LogoutByGet)),
            (Navigate, &["Sec-Fetch-Site: none"], no_person),
            (Ask, &["Sec-Fetch-Site: none", NAVIGATION, DOCUMENT], Confirm),
            (Ask, &["Accept: text/html"], Confirm),
            (Never, &["Sec-Fetch-Site: none", NAVIGATION, DOCUMENT], Refuse(Reason::LogoutByGet)),
            (Never, &["Accept: text/html"], Refuse(Reason::LogoutByGet)),
        ];
        for (policy, head, want) in cases {
            let hosts = hosts();
            let head = request("GET", "/logout", head);
            assert_eq!(logout_get(&facts(&head, &hosts).unwrap(), policy), want, "{policy:?} {:?}", head.headers);
        }
    }

    #[test]
    fn sockets_open_for_the_gateways_origins_and_for_programs() {
        let allowed = [Origin::parse("https://dash.test").unwrap()];
        let cases: [(&[&str], bool); 9] = [
            (&[], true),
            (&["Origin: http://app.test"], true),
            (&["Origin: http://app.test:3000"], false),
            (&["Origin: http://app.test:3000", "Host: app.test:3000"], true),
            (&["Origin: https://app.test"], false),
            (&["Origin: http://shop.test"], true),
            (&["Origin: https://dash.test"], true),
            (&["Origin: http://evil.test"], false),
            (&["Origin: null"], false),
        ];
        for (head, want) in cases {
            let hosts = hosts();
            let head = request("GET", "/", head);
            assert_eq!(socket(&facts(&head, &hosts).unwrap(), &hosts, &allowed).is_ok(), want, "{:?}", head.headers);
        }
    }
}
