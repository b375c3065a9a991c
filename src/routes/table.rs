//! Which route covers a request.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::access::Access;
use super::app_logout::AppLogout;
use super::methods::Methods;
use super::pass_headers::PassHeaders;
use super::path_table::{PathTable, Scope};
use super::pool::Pool;
use crate::http1::header_edits::HeaderEdits;
use crate::values::ambiguous::Ambiguous;
use crate::values::configured_path::ConfiguredPath;
use crate::values::origin::{Authority, Host, Origin};
use crate::values::own_hosts::{HostId, OwnHosts};
use crate::values::readings::RequestPath;
use crate::vault::learned::LearnedNames;
use crate::vault::request::RouteCookies;
use crate::vault::rules::CookieRules;

/// One `[[route]]`.
#[derive(Debug)]
pub(crate) struct Route {
    /// Its name in the log: its host, if it has one, and its path.
    pub(crate) name: Box<str>,
    /// The host that it is for; `None` for every host of the gateway.
    pub(crate) host: Option<Host>,
    /// The paths it covers.
    pub(crate) path: ConfiguredPath,
    /// Who may use it.
    pub(crate) access: Access,
    /// Whether programs may send name and password with every request (HTTP Basic).
    pub(crate) basic: bool,
    /// The applications behind it.
    pub(crate) pool: Arc<Pool>,
    /// The `Host` that the application receives; `None` for the client's.
    pub(crate) upstream_host: Option<Authority>,
    /// Whether escapes such as `%2F` and `%3F`, and `//`, are forwarded literally if all readings of the path lead to
    /// this route (`encoded = "opaque"`).
    pub(crate) opaque: bool,
    /// Whether the application distinguishes letter case, and names with and without a trailing dot.
    pub(crate) case_sensitive: bool,
    /// The methods that are passed on.
    pub(crate) methods: Methods,
    /// Whether cross-site requests with an unsafe method are refused.
    pub(crate) refuse_cross_site: bool,
    /// Origins besides the gateway's own whose pages may open a WebSocket here.
    pub(crate) origins: Vec<Origin>,
    /// Whether the application's service workers may control the gateway's own addresses.
    pub(crate) service_workers: bool,
    /// Headers to add to or remove from every forwarded request.
    pub(crate) request_headers: HeaderEdits,
    /// Headers to add to or remove from every forwarded answer.
    pub(crate) response_headers: HeaderEdits,
    /// Request headers that are removed by default, and that this route passes on.
    pub(crate) pass_headers: PassHeaders,
    /// Whether the application's `Cache-Control` is passed on unchanged.
    pub(crate) keeps_cache_control: bool,
    /// Paths that pages poll: requests to them do not count as activity of a session.
    pub(crate) idle_paths: Vec<ConfiguredPath>,
    /// How the application's cookies are handled (`app_cookies`).
    pub(crate) cookies: CookieRules,
    /// The learned names of cookies that the application sets as HttpOnly.
    pub(crate) learned: Arc<LearnedNames>,
    /// How the application ends its own sessions.
    pub(crate) logout: AppLogout,
    /// Limits the concurrent logout calls that no browser waits for.
    pub(crate) call_turns: Arc<Semaphore>,
}

impl Route {
    /// The rules and learned names of its application's cookies.
    pub(crate) fn known_cookies(&self) -> RouteCookies<'_> {
        RouteCookies { rules: &self.cookies, learned: &self.learned, path: self.path.as_str().as_bytes() }
    }
}

/// All routes, by host and path: a route with a host wins over one without, then the longest path. A request that no
/// route covers is not forwarded.
#[derive(Debug)]
pub(crate) struct RouteTable(PathTable<Arc<Route>>);

impl RouteTable {
    /// A table for the gateway's hosts. The configuration refuses two routes with the same host and path, and hosts
    /// that are not the gateway's.
    pub(crate) fn new(hosts: &OwnHosts, routes: &[Arc<Route>]) -> Self {
        let scope = |route: &Route| Scope {
            host: route.host.clone(),
            path: route.path.clone(),
            case_sensitive: route.case_sensitive,
        };
        let entries: Vec<_> = routes.iter().map(|route| (scope(route), Arc::clone(route))).collect();
        Self(PathTable::new(hosts, &entries))
    }

    /// The route that covers a path of a host.
    ///
    /// # Errors
    /// The path's readings lead to different routes, or it has escapes that the route does not pass on.
    pub(crate) fn find(&self, host: HostId, path: &RequestPath<'_>) -> Result<Option<&Arc<Route>>, Ambiguous> {
        let route = self.0.find(host, path)?;
        match (route, path.opaque()) {
            (Some(route), Some(escape)) if !route.opaque => Err(escape.clone()),
            _ => Ok(route),
        }
    }
}
