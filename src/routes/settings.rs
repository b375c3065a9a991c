//! The settings of one `[[route]]`.

use std::sync::Arc;
use std::time::Duration;

use super::access::Access;
use super::app_logout::AppLogout;
use super::methods::Methods;
use super::pass_headers::PassHeaders;
use super::path_table::Scope;
use super::pool::{Pool, UpstreamSettings};
use super::resolver::Upstreams;
use super::table::Route;
use super::upstream_trust::UpstreamTrust;
use crate::http1::header_edits::HeaderEdits;
use crate::values::configured_path::ConfiguredPath;
use crate::values::origin::{Authority, Host, Origin};
use crate::values::time::Clock;
use crate::values::upstream_address::UpstreamAddress;
use crate::vault::rules::CookieRules;

/// One route as configured.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// The host that it is for; `None` for every host of the gateway.
    pub host: Option<Host>,
    /// The paths it covers.
    pub path: ConfiguredPath,
    /// Who may use it.
    pub access: Access,
    /// Whether programs may send name and password with every request (HTTP Basic).
    pub basic: bool,
    /// Where the application is reached. Never empty.
    pub upstreams: Vec<UpstreamAddress>,
    /// The certificate authorities trusted for upstreams over TLS.
    pub trust: Arc<UpstreamTrust>,
    /// Timeout for connecting to the application.
    pub connect_timeout: Duration,
    /// Timeout for the head of an answer.
    pub response_timeout: Duration,
    /// The `Host` that the application receives; `None` for the client's.
    pub upstream_host: Option<Authority>,
    /// Whether escapes such as `%2F` and `%3F`, and `//`, are forwarded literally if all readings of the path lead to
    /// this route (`encoded = "opaque"`).
    pub opaque: bool,
    /// Whether the application distinguishes letter case, and names with and without a trailing dot.
    pub case_sensitive: bool,
    /// The methods that are passed on.
    pub methods: Methods,
    /// Whether cross-site requests with an unsafe method are refused.
    pub refuse_cross_site: bool,
    /// Origins besides the gateway's own whose pages may open a WebSocket here.
    pub origins: Vec<Origin>,
    /// Whether the application's service workers may control the gateway's own addresses.
    pub service_workers: bool,
    /// Headers to add to or remove from every forwarded request.
    pub request_headers: HeaderEdits,
    /// Headers to add to or remove from every forwarded answer.
    pub response_headers: HeaderEdits,
    /// Request headers that are removed by default, and that this route passes on.
    pub pass_headers: PassHeaders,
    /// Whether the application's `Cache-Control` is passed on unchanged.
    pub keeps_cache_control: bool,
    /// Paths that pages poll: requests to them do not count as activity of a session.
    pub idle_paths: Vec<ConfiguredPath>,
    /// How the application's cookies are handled (`app_cookies`).
    pub cookies: CookieRules,
    /// How the application ends its own sessions.
    pub logout: AppLogout,
}

impl RouteSettings {
    /// The requests that the route is for.
    pub(crate) fn scope(&self) -> Scope {
        Scope { host: self.host.clone(), path: self.path.clone(), case_sensitive: self.case_sensitive }
    }

    /// Makes the route. Upstreams that are already in use are shared, so that their connections and their health are
    /// kept over a reload.
    pub(crate) fn assemble(self, upstreams: &Upstreams, clock: &Clock) -> Route {
        let addresses = self.upstreams.iter().map(|address| upstreams.get(address)).collect();
        let settings = UpstreamSettings {
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
            ..UpstreamSettings::new(self.trust)
        };
        let host = self.host.as_ref().map_or("", Host::as_str);
        Route {
            name: format!("{host}{}", self.path).into(),
            host: self.host,
            path: self.path,
            access: self.access,
            basic: self.basic,
            pool: Arc::new(Pool::new(addresses, settings, clock.clone())),
            upstream_host: self.upstream_host,
            opaque: self.opaque,
            case_sensitive: self.case_sensitive,
            methods: self.methods,
            refuse_cross_site: self.refuse_cross_site,
            origins: self.origins,
            service_workers: self.service_workers,
            request_headers: self.request_headers,
            response_headers: self.response_headers,
            pass_headers: self.pass_headers,
            keeps_cache_control: self.keeps_cache_control,
            idle_paths: self.idle_paths,
            cookies: self.cookies,
            learned: upstreams.learned(&self.upstreams),
            logout: self.logout,
            call_turns: upstreams.call_turns(&self.upstreams),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tokio::runtime::Handle;

    /// A route to an application that is never reached.
    pub(crate) fn route(path: &str, access: Access) -> RouteSettings {
        RouteSettings {
            host: None,
            path: ConfiguredPath::parse(path).unwrap(),
            access,
            basic: false,
            upstreams: vec![UpstreamAddress::parse("http://127.0.0.1:9").unwrap()],
            trust: UpstreamTrust::none(),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            upstream_host: None,
            opaque: true,
            case_sensitive: false,
            methods: Methods::default(),
            refuse_cross_site: false,
            origins: Vec::new(),
            service_workers: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            pass_headers: PassHeaders::default(),
            keeps_cache_control: false,
            idle_paths: Vec::new(),
            cookies: CookieRules::default(),
            logout: AppLogout::default(),
        }
    }

    #[tokio::test]
    async fn a_route_uses_its_timeouts() {
        let (connect_timeout, response_timeout) = (Duration::from_secs(7), Duration::from_secs(11));
        let settings = RouteSettings { connect_timeout, response_timeout, ..route("/", Access::SignedIn) };
        let route = settings.assemble(&Upstreams::new(Handle::current()), &Clock::system());
        let waits = route.pool.settings();
        assert_eq!((waits.connect_timeout, waits.response_timeout), (connect_timeout, response_timeout));
    }
}
