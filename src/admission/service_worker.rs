//! Keeps applications' service workers away from the gateway's own addresses.
//!
//! A service worker intercepts requests between pages and the network, for every address below its scope. One at `/`
//! could show a sign-in form of its own at `/login`, or suppress a sign-out. Browsers send `Service-Worker: script`
//! when they fetch a worker's script; its scope is at most the script's own folder, unless the response widens it with
//! `Service-Worker-Allowed` (W3C Service Workers, 4.6 and 6).

use http::HeaderName;

use super::facts::RequestFacts;
use crate::routes::table::Route;
use crate::values::own_path::OwnPages;
use crate::values::readings::RequestPath;
use crate::values::reason::Reason;

/// The response header that widens a worker's scope.
pub(crate) static SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");
static SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");

/// Whether a browser requests the script of a worker to register it.
pub(crate) fn is_script(facts: &RequestFacts<'_>) -> bool {
    facts.headers.has(&SERVICE_WORKER)
}

/// Refuses the script of a worker whose scope could cover the gateway's addresses, unless the route allows that
/// (`service_workers`).
pub(crate) fn script(facts: &RequestFacts<'_>, route: &Route, pages: &OwnPages) -> Result<(), Reason> {
    if route.service_workers || !is_script(facts) {
        return Ok(());
    }
    let path = facts.target.path().text();
    let folder = path.rfind('/').and_then(|end| path.get(..=end)).unwrap_or("/");
    let covers = RequestPath::read(folder).map_or(true, |folder| pages.any_below(&folder));
    if covers { Err(Reason::ServiceWorker) } else { Ok(()) }
}

/// Whether a `Service-Worker-Allowed` could widen a scope to the gateway's addresses, or is ambiguous. Browsers resolve
/// it against the script's address, and some end the value at a comma.
pub(crate) fn widens(allowed: &str, pages: &OwnPages) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'~' | b'-');
    let climbs = || allowed.split('/').any(|segment| matches!(segment, "." | ".."));
    let is_path = allowed.starts_with('/') && !allowed.contains("//") && allowed.bytes().all(plain);
    !is_path || climbs() || RequestPath::read(allowed).map_or(true, |scope| pages.any_below(&scope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::own_path::OwnPath;

    #[test]
    fn a_scope_covers_the_gateway_if_one_of_its_addresses_begins_with_it() {
        let path = |text| OwnPath::parse(text).unwrap();
        let pages = OwnPages::new(path("/auth/login"), vec![path("/auth/logout")]).unwrap();
        let covering = [
            "/", "/auth/", "/auth/log", "/AUTH/", "/auth/login", "/auth/login/", "/.exeunt/", "/.exe",
            "/.exeunt/login", "/.EXEUNT/x",
        ];
        let unclear = [
            "", "x", "x/", "./", "/a/../", "/app/..", "/./", "/app/.", "//", "//app/", "/app//", "/,", "/app/,/",
            "/app/, /", "/app/;x", "/app/?x", "/app/#x", "/app/%2e", "/app\\", "/app/ ", "/app/\t",
            "http://app.test/app/", "/app/*", "/app/\u{e4}",
        ];
        for scope in covering.iter().chain(&unclear) {
            assert!(widens(scope, &pages), "{scope}");
        }
        for scope in ["/app/", "/authx", "/auth/login/x", "/app/v1.2/~me_-", "/.exeuntx/"] {
            assert!(!widens(scope, &pages), "{scope}");
        }
    }
}
