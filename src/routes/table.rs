//! Which route covers a request.

use std::fmt;
use std::sync::Arc;

use super::access::Access;
use super::methods::Methods;
use super::pass_headers::PassHeaders;
use super::path_prefix::PathPrefix;
use super::pool::Pool;
use crate::values::header_edits::HeaderEdits;
use crate::values::origin::{Authority, Host, Origin};
use crate::values::own_hosts::{HostId, OwnHosts};

/// One `[[route]]`.
#[derive(Debug)]
pub struct Route {
    /// The own host it is for; every own host without one.
    pub host: Option<Host>,
    /// The paths it covers.
    pub path: PathPrefix,
    /// Who may use it.
    pub access: Access,
    /// The applications behind it.
    pub pool: Arc<Pool>,
    /// The `Host` that the application gets, where that is not the client's.
    pub upstream_host: Option<Authority>,
    /// Whether the application is asked for `%2F`, `%25`, `%3B` and `//` literally.
    pub opaque: bool,
    /// The methods that are passed on.
    pub methods: Methods,
    /// Whether requests of other sites that could change something are refused.
    pub refuse_cross_site: bool,
    /// Origins besides our own whose pages may open a WebSocket here.
    pub origins: Vec<Origin>,
    /// Whether the application's service workers may stand in front of our own addresses.
    pub service_workers: bool,
    /// Changes to every request that is forwarded.
    pub request_headers: HeaderEdits,
    /// Changes to every answer that is passed on.
    pub response_headers: HeaderEdits,
    /// Request headers that would be removed, and pass here.
    pub pass_headers: PassHeaders,
    /// Whether the application alone says what browsers keep of its answers.
    pub keeps_cache_control: bool,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.as_ref().map_or(Ok(()), |host| write!(f, "{host}"))?;
        write!(f, "{}", self.path)
    }
}

/// Every route, by own host and path: a route with a host wins over one without, then the longest path. What no
/// route covers is not forwarded at all.
#[derive(Debug)]
pub struct RouteTable {
    by_host: Vec<Vec<Arc<Route>>>,
}

impl RouteTable {
    /// Routes for the own hosts. The configuration has refused two of one host and path, and hosts that are not
    /// own ones.
    pub fn new(hosts: &OwnHosts, routes: Vec<Route>) -> Self {
        let routes: Vec<_> = routes.into_iter().map(Arc::new).collect();
        let of_host = |id: usize| {
            let covers = |route: &&Arc<Route>| {
                route.host.as_ref().is_none_or(|host| hosts.host_id(host).is_some_and(|own| own.index() == id))
            };
            let mut routes: Vec<_> = routes.iter().filter(covers).cloned().collect();
            routes.sort_by_key(|route| (route.host.is_none(), std::cmp::Reverse(route.path.specificity())));
            routes
        };
        Self { by_host: (0..hosts.count()).map(of_host).collect() }
    }

    /// Whether any route of an own host wants paths literally.
    pub fn wants_literal(&self, host: HostId) -> bool {
        self.by_host.get(host.index()).is_some_and(|routes| routes.iter().any(|route| route.opaque))
    }

    /// The route that covers a canonical path of an own host.
    pub fn find(&self, host: HostId, path: &str) -> Option<&Arc<Route>> {
        self.by_host.get(host.index())?.iter().find(|route| route.path.covers(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::pool::UpstreamSettings;
    use crate::routes::upstream_trust::UpstreamTrust;
    use crate::values::time::Clock;

    fn route(host: Option<&str>, path: &str) -> Route {
        let settings = UpstreamSettings::new(UpstreamTrust::nobody());
        Route {
            host: host.map(|host| Host::parse(host).unwrap()),
            path: PathPrefix::parse(path).unwrap(),
            access: Access::SignedIn,
            pool: Arc::new(Pool::new(Vec::new(), settings, Clock::system())),
            upstream_host: None,
            opaque: false,
            methods: Methods::default(),
            refuse_cross_site: false,
            origins: Vec::new(),
            service_workers: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            pass_headers: PassHeaders::default(),
            keeps_cache_control: false,
        }
    }

    #[test]
    fn only_hosts_with_such_a_route_want_paths_literally() {
        let public = Origin::parse("http://app.test").unwrap();
        let hosts = OwnHosts::new(&public, [Host::parse("shop.test").unwrap()]);
        let opaque = Route { opaque: true, ..route(Some("shop.test"), "/a") };
        let table = RouteTable::new(&hosts, vec![route(None, "/"), opaque]);
        let wants = ["app.test", "shop.test"].map(|host| table.wants_literal(hosts.find(host).unwrap()));
        assert_eq!(wants, [false, true]);
    }

    #[test]
    fn the_most_specific_route_wins() {
        let public = Origin::parse("http://app.test").unwrap();
        let hosts = OwnHosts::new(&public, [Host::parse("shop.test").unwrap()]);
        let routes = vec![
            route(None, "/"),
            route(None, "/static"),
            route(Some("shop.test"), "/"),
            route(Some("shop.test"), "/static/private"),
        ];
        let table = RouteTable::new(&hosts, routes);
        let find = |host: &str, path: &str| table.find(hosts.find(host).unwrap(), path).map(|route| route.to_string());
        assert_eq!(find("app.test", "/x").as_deref(), Some("/"));
        assert_eq!(find("app.test", "/static/x").as_deref(), Some("/static"));
        assert_eq!(find("shop.test", "/static/x").as_deref(), Some("shop.test/"), "a route of the host wins");
        assert_eq!(find("shop.test", "/static/private/x").as_deref(), Some("shop.test/static/private"));
    }

    #[test]
    fn what_no_route_names_is_not_served() {
        let hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), []);
        let table = RouteTable::new(&hosts, vec![route(None, "/app")]);
        assert!(table.find(HostId::LOGIN, "/app/x").is_some());
        assert!(table.find(HostId::LOGIN, "/").is_none() && table.find(HostId::LOGIN, "/apple").is_none());
    }
}
