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
    /// What the log calls it: its host, where it has one, and its path.
    pub(crate) name: Box<str>,
    /// The own host it is for; every own host without one.
    pub(crate) host: Option<Host>,
    /// The paths it covers.
    pub(crate) path: ConfiguredPath,
    /// Who may use it.
    pub(crate) access: Access,
    /// Whether programs may send name and password with every request (HTTP Basic).
    pub(crate) basic: bool,
    /// The applications behind it.
    pub(crate) pool: Arc<Pool>,
    /// The `Host` that the application gets, where that is not the client's.
    pub(crate) upstream_host: Option<Authority>,
    /// Whether the application is asked for `%2F`, `%3F` and the like and for `//` literally, where all readings of
    /// the path lead here.
    pub(crate) opaque: bool,
    /// Whether the application distinguishes upper and lower case, and names with a trailing dot.
    pub(crate) case_sensitive: bool,
    /// The methods that are passed on.
    pub(crate) methods: Methods,
    /// Whether requests of other sites that could change something are refused.
    pub(crate) refuse_cross_site: bool,
    /// Origins besides the gateway's own whose pages may open a WebSocket here.
    pub(crate) origins: Vec<Origin>,
    /// Whether the application's service workers may control the gateway's own addresses.
    pub(crate) service_workers: bool,
    /// Changes to every request that is forwarded.
    pub(crate) request_headers: HeaderEdits,
    /// Changes to every answer that is passed on.
    pub(crate) response_headers: HeaderEdits,
    /// Request headers that would be removed, and pass here.
    pub(crate) pass_headers: PassHeaders,
    /// Whether the application alone says what browsers keep of its answers.
    pub(crate) keeps_cache_control: bool,
    /// Addresses that pages ask for by themselves: that they are asked for keeps no session.
    pub(crate) idle_paths: Vec<ConfiguredPath>,
    /// Where the application's cookies are kept.
    pub(crate) cookies: CookieRules,
    /// The names of cookies that it keeps from scripts.
    pub(crate) learned: Arc<LearnedNames>,
    /// How it ends its own sessions.
    pub(crate) logout: AppLogout,
    /// The turns of such calls that no browser waits for.
    pub(crate) call_turns: Arc<Semaphore>,
}

impl Route {
    /// What is known of its application's cookies.
    pub(crate) fn known_cookies(&self) -> RouteCookies<'_> {
        RouteCookies { rules: &self.cookies, learned: &self.learned, path: self.path.as_str().as_bytes() }
    }
}

/// Every route, by own host and path: a route with a host wins over one without, then the longest path. What no
/// route covers is not forwarded at all.
#[derive(Debug)]
pub(crate) struct RouteTable(PathTable<Arc<Route>>);

impl RouteTable {
    /// Routes for the own hosts. The configuration has refused two of one host and path, and hosts that are not
    /// own ones.
    pub(crate) fn new(hosts: &OwnHosts, routes: &[Arc<Route>]) -> Self {
        let scope = |route: &Route| Scope {
            host: route.host.clone(),
            path: route.path.clone(),
            case_sensitive: route.case_sensitive,
        };
        let entries: Vec<_> = routes.iter().map(|route| (scope(route), Arc::clone(route))).collect();
        Self(PathTable::new(hosts, &entries))
    }

    /// The route that covers a path of an own host.
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
