//! Rules between tables: combinations that are refused although each table is valid.

use crate::gateway::GatewaySettings;
use crate::routes::access::Access;
use crate::routes::path_table::PathTable;
use crate::routes::settings::RouteSettings;
use crate::values::ambiguous::Ambiguous;
use crate::values::listen_address::ListenAddress;
use crate::values::origin::{Host, Origin, Scheme};
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::{OwnPage, OwnPages};
use crate::values::readings::RequestPath;
use crate::values::return_to::ReturnTo;
use crate::values::target::Target;
use crate::values::upstream_address::UpstreamAddress;

use super::own_pages;
use super::raw::{Location, RawTable};
use super::refusal::ValueRefusal;

/// Applies all rules except those about single routes.
pub(crate) fn check(file: &RawTable<'_>, settings: &GatewaySettings) {
    if let Some(item) = file.item("public_url") {
        tls_in_front(&item.location, settings);
        lost_after_login(&item.location, settings);
    }
    if let Some(item) = file.find("login", "next") {
        after_login(&item.location, settings);
    }
    if let (Some(item), Some(next)) = (file.find("logout", "next"), &settings.logout.next) {
        after_logout(&item.location, next, settings);
    }
}

/// Refuses two routes with the same host and path, since only one of them could be used. If the served hosts are
/// unknown, names are compared as written.
pub(crate) fn refuse_duplicates(routes: &[(Location<'_>, RouteSettings)], hosts: Option<&OwnHosts>) {
    let same_host = |one: &RouteSettings, other: &RouteSettings| match (&one.host, &other.host, hosts) {
        (Some(one), Some(other), Some(hosts)) => hosts.host_id(one) == hosts.host_id(other),
        (one, other, _) => one == other,
    };
    for (at, (location, route)) in routes.iter().enumerate() {
        let mut earlier = routes.iter().take(at).filter(|(_, other)| same_host(route, other));
        let twin = earlier.clone().find(|(_, other)| route.path == other.path);
        if let Some((twin, _)) = twin {
            location.problem(ValueRefusal::new(format!("{} has the same host and path", twin.key)).write(
                "write `path = \"/other\"` in this [[route]], or another host, or list both upstreams in one route",
            ));
        } else if let Some((twin, other)) = earlier.find(|(_, other)| are_confused(route, other)) {
            location.problem(
                ValueRefusal::new(format!(
                    "applications that ignore letter case, or dots and spaces, read {} as {}, the path of {}",
                    route.path, other.path, twin.key
                ))
                .write("if the applications do not, write case_sensitive = true in both routes; else remove one"),
            );
        }
    }
}

/// Refuses an upstream with the name of a served host and a port of the gateway: a loop. A loop under another name is
/// detected when the request comes back.
pub(crate) fn refuse_loops(
    routes: &[(Location<'_>, RouteSettings)],
    hosts: Option<&OwnHosts>,
    listen: &[ListenAddress],
) {
    let Some(hosts) = hosts else { return };
    let listens = |at: u16| listen.iter().any(|own| matches!(own, ListenAddress::Tcp(own) if own.port() == at));
    let is_home = |address: &&UpstreamAddress| match address {
        UpstreamAddress::Tcp { host, port, .. } => {
            hosts.host_id(host).is_some() && (hosts.origins().any(|own| own.port == *port) || listens(*port))
        }
        UpstreamAddress::Unix(_) | UpstreamAddress::Sample => false,
    };
    for (location, route) in routes {
        if let Some(address) = route.upstreams.iter().find(is_home) {
            location.problem(ValueRefusal::new(format!("upstream {address} is this gateway itself")).write(
                "write `upstream = \"http://127.0.0.1:9000\"` in this [[route]], with the application's address",
            ));
        }
    }
}

/// Refuses a route at one of the gateway's own paths: no request would reach its application.
pub(crate) fn refuse_hidden(routes: &[(Location<'_>, RouteSettings)], own_pages: Option<&OwnPages>) {
    for (location, route) in routes {
        let path = route.path.to_string();
        let asked = RequestPath::read(&path).ok();
        let found = own_pages.zip(asked.as_ref()).map(|(pages, path)| pages.find(path));
        let (what, key) = match found {
            Some(Ok(Some(OwnPage::Logout))) => ("it signs users out", "`paths = [\"/.exeunt/logout\"]` in [logout]"),
            // In some reading it is a path of the gateway.
            Some(Ok(Some(OwnPage::Login)) | Err(_)) => ("it signs users in", "`path = \"/.exeunt/login\"` in [login]"),
            Some(Ok(Some(OwnPage::Further(_)) | None)) | None => continue,
        };
        location.problem(
            ValueRefusal::new(format!(
                "the gateway itself answers {path} ({what}): no request for it would reach this application"
            ))
            .write(format!("write {key} to move the gateway's page, or another path here")),
        );
    }
}

/// Whether requests for one route could be read as requests for the other, without `case_sensitive` on both.
fn are_confused(one: &RouteSettings, other: &RouteSettings) -> bool {
    one.path.is_same_when_folded(&other.path) && !(one.case_sensitive && other.case_sensitive)
}

/// Warns if `public_url` is https and no proxy in front is known that could terminate TLS.
fn tls_in_front(location: &Location<'_>, settings: &GatewaySettings) {
    let nobody = settings.trusted.networks.is_empty() && !settings.trusted.unix;
    if settings.hosts.scheme() == Scheme::Https && nobody {
        location.warning(
            ValueRefusal::new("https needs a proxy in front that speaks TLS, and trusted_proxies is empty")
                .write("write `trusted_proxies = [\"127.0.0.1\"]` at the top of the file, with the proxy's address"),
        );
    }
}

/// Warns if a sign-in without a return target leads to a path that no route covers.
fn lost_after_login(location: &Location<'_>, settings: &GatewaySettings) {
    let (Some(host), true) = (settings.hosts.names().first(), settings.login.next.origin().is_none()) else { return };
    let answered =
        read(&settings.login.next).is_some_and(|target| matches!(route(host, target.path(), settings), Ok(Some(_))));
    if !answered {
        location.warning(
            ValueRefusal::new(format!(
                "a sign-in on {host} leads to {}, where no [[route]] answers",
                settings.login.next
            ))
            .write("add a [[route]] for it, or set login.next to a page of an application"),
        );
    }
}

/// Parses a target as a request for it would be; `None` if that would be refused.
fn read(target: &ReturnTo) -> Option<Target<'_>> {
    Target::parse(target.path_and_query().split('#').next()?.as_bytes()).ok()
}

/// A sign-in must lead to a page of an application: the gateway's own would sign out again, or ask to sign in.
fn after_login(location: &Location<'_>, settings: &GatewaySettings) {
    let next = &settings.login.next;
    let target = read(next);
    let path = target.as_ref().map(Target::path);
    let refusal = match path.map(|path| (path.text(), settings.own_pages.find(path))) {
        None | Some((_, Err(_))) => in_two_ways(),
        Some((text, Ok(Some(_)))) => ValueRefusal::new(format!("{text} is an address of the gateway itself")),
        Some((_, Ok(None))) => return,
    };
    location.problem(refusal.write("write \"/\", or the path of another page of an application"));
}

/// A sign-out must lead to a public page that does not sign out again.
fn after_logout(location: &Location<'_>, next: &ReturnTo, settings: &GatewaySettings) {
    let ours = |origin: &Origin| settings.hosts.origins().any(|own| own == *origin);
    let mut hosts = settings.hosts.names().iter().filter(|host| match next.origin() {
        None => true,
        Some(origin) => ours(origin) && origin.host == **host,
    });
    let Some(target) = read(next) else {
        return location.problem(in_two_ways());
    };
    let refusal = hosts.find_map(|host| refusal_for(host, target.path(), settings));
    if let Some(refusal) = refusal {
        location.problem(refusal);
    }
}

fn refusal_for(host: &Host, path: &RequestPath<'_>, settings: &GatewaySettings) -> Option<ValueRefusal> {
    let text = path.text();
    match settings.own_pages.find(path) {
        Ok(Some(page)) => return own_pages::refusal_after_logout(page, text),
        Ok(None) => {}
        Err(_) => return Some(in_two_ways()),
    }
    match route(host, path, settings) {
        Err(_) => Some(in_two_ways()),
        Ok(None) => Some(
            ValueRefusal::new(format!("no [[route]] answers {text} on {host}"))
                .write("remove this line to show the goodbye page, or write the path of a public page"),
        ),
        Ok(Some(route)) if route.access == Access::Public => None,
        Ok(Some(_)) => Some(ValueRefusal::new(format!("{text} on {host} requires a sign-in")).write(format!(
            "remove this line to show the goodbye page, or add a [[route]] with path = \"{text}\" and \
                     access = \"public\""
        ))),
    }
}

fn in_two_ways() -> ValueRefusal {
    ValueRefusal::new("can be read as two different paths, so every request for it is refused")
}

/// The route that answers a target.
fn route<'a>(
    host: &Host,
    path: &RequestPath<'_>,
    settings: &'a GatewaySettings,
) -> Result<Option<&'a RouteSettings>, Ambiguous> {
    let Some(host) = settings.hosts.host_id(host) else { return Ok(None) };
    let entries: Vec<_> = settings.routes.iter().map(|route| (route.scope(), route)).collect();
    Ok(PathTable::new(&settings.hosts, &entries).find(host, path)?.copied())
}
