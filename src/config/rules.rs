//! Rules between tables: what each of them allows, and all of them together do not.

use crate::routes::access::Access;
use crate::routes::settings::RouteSettings;
use crate::values::origin::Host;
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::OwnPages;
use crate::values::return_to::ReturnTo;
use crate::values::target::Target;

use super::own_pages;
use super::raw::{Place, Refusal, Table};

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Every accepted host.
    pub hosts: &'a OwnHosts,
    /// The routes.
    pub routes: &'a [RouteSettings],
    /// The gateway's own addresses.
    pub pages: &'a OwnPages,
    /// Where a sign-out leads.
    pub after_logout: Option<&'a ReturnTo>,
}

/// Applies all rules.
pub fn check(file: &Table<'_>, parts: Parts<'_>) {
    unserved_login_host(file, parts);
    if let (Some(item), Some(next)) = (file.find("logout", "next"), parts.after_logout) {
        after_logout(&item.place, next, parts);
    }
}

/// People who sign in go on to the login host's front page.
fn unserved_login_host(file: &Table<'_>, parts: Parts<'_>) {
    let Some(host) = parts.hosts.names().first() else { return };
    let served = parts.routes.iter().any(|route| answers_for(route, host));
    if let (Some(item), false) = (file.find("", "public_url"), served) {
        item.place.warning(
            Refusal::new(format!("no [[route]] answers for {host}: after signing in there, people see a 404"))
                .write("add a route without host, or set login.next"),
        );
    }
}

/// Where a sign-out leads must be open to people who are signed out, and must not sign out again.
fn after_logout(place: &Place<'_>, next: &ReturnTo, parts: Parts<'_>) {
    let hosts: Vec<&Host> = match next.origin() {
        None => parts.hosts.names().iter().collect(),
        Some(origin) => parts.hosts.names().iter().filter(|host| same_host(host, &origin.host)).collect(),
    };
    let path = next.path_and_query().split('#').next().unwrap_or("/");
    let Ok(target) = Target::parse(path.as_bytes()) else {
        return place.problem(Refusal::new("can be read in two ways, so no request for it passes"));
    };
    let found = hosts.iter().find_map(|host| objection(host, target.path(), parts));
    if let Some(refusal) = found {
        place.problem(refusal);
    }
}

fn objection(host: &Host, path: &str, parts: Parts<'_>) -> Option<Refusal> {
    if parts.pages.find(path).is_some() {
        return own_pages::objection_after_logout(parts.pages, path);
    }
    match best(parts.routes, host, path) {
        None => Some(
            Refusal::new(format!("no [[route]] answers {path} on {host}"))
                .write("name a page that is there, or leave it out: the goodbye page is shown"),
        ),
        Some(route) if route.access == Access::Public => None,
        Some(_) => Some(
            Refusal::new(format!("{path} on {host} asks people to sign in again"))
                .write(format!("add a [[route]] with path = \"{path}\" and access = \"public\"")),
        ),
    }
}

fn best<'a>(routes: &'a [RouteSettings], host: &Host, path: &str) -> Option<&'a RouteSettings> {
    let matching = routes.iter().filter(|route| answers_for(route, host) && route.path.covers(path));
    matching.max_by_key(|route| (route.host.is_some(), route.path.specificity()))
}

fn answers_for(route: &RouteSettings, host: &Host) -> bool {
    route.host.as_ref().is_none_or(|own| same_host(own, host))
}

fn same_host(one: &Host, other: &Host) -> bool {
    one == other || (one.is_loopback() && other.is_loopback())
}
