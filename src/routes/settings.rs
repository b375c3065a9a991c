//! What one `[[route]]` says.

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
    /// The own host it is for; every own host without one.
    pub host: Option<Host>,
    /// The paths it covers.
    pub path: ConfiguredPath,
    /// Who may use it.
    pub access: Access,
    /// Whether programs may send name and password with every request (HTTP Basic).
    pub basic: bool,
    /// Where the application is. At least one.
    pub upstreams: Vec<UpstreamAddress>,
    /// The certificate authorities trusted for upstreams over TLS.
    pub trust: Arc<UpstreamTrust>,
    /// The limit of making a connection to the application.
    pub connect_timeout: Duration,
    /// The limit of waiting for the head of an answer.
    pub response_timeout: Duration,
    /// The `Host` that the application gets, where that is not the client's.
    pub upstream_host: Option<Authority>,
    /// Whether the application is asked for `%2F`, `%3F` and the like and for `//` literally, where all readings of
    /// the path lead here.
    pub opaque: bool,
    /// Whether the application distinguishes upper and lower case, and names with a trailing dot.
    pub case_sensitive: bool,
    /// The methods that are passed on.
    pub methods: Methods,
    /// Whether requests of other sites that could change something are refused.
    pub refuse_cross_site: bool,
    /// Origins besides the gateway's own whose pages may open a WebSocket here.
    pub origins: Vec<Origin>,
    /// Whether the application's service workers may control the gateway's own addresses.
    pub service_workers: bool,
    /// Changes to every request that is forwarded.
    pub request_headers: HeaderEdits,
    /// Changes to every answer that is passed on.
    pub response_headers: HeaderEdits,
    /// Request headers that would be removed, and pass here.
    pub pass_headers: PassHeaders,
    /// Whether the application alone says what browsers keep of its answers.
    pub keeps_cache_control: bool,
    /// Addresses that pages ask for by themselves: that they are asked for keeps no session.
    pub idle_paths: Vec<ConfiguredPath>,
    /// Where the application's cookies are kept.
    pub cookies: CookieRules,
    /// How the application ends its own sessions.
    pub logout: AppLogout,
}

impl RouteSettings {
    /// Which requests it is for.
    pub(crate) fn scope(&self) -> Scope {
        Scope { host: self.host.clone(), path: self.path.clone(), case_sensitive: self.case_sensitive }
    }

    /// The route, with its upstreams out of those that are known already: their connections and their health
    /// outlive a configuration.
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
    async fn a_route_waits_as_long_as_it_is_told_to() {
        let (connect_timeout, response_timeout) = (Duration::from_secs(7), Duration::from_secs(11));
        let settings = RouteSettings { connect_timeout, response_timeout, ..route("/", Access::SignedIn) };
        let route = settings.assemble(&Upstreams::new(Handle::current()), &Clock::system());
        let waits = route.pool.settings();
        assert_eq!((waits.connect_timeout, waits.response_timeout), (connect_timeout, response_timeout));
    }
}
