//! What an operator can set about routes.

use std::sync::Arc;
use std::time::Duration;

use super::access::Access;
use super::path_prefix::PathPrefix;
use super::pool::UpstreamSettings;
use super::upstream_trust::UpstreamTrust;
use crate::values::header_edits::HeaderEdits;
use crate::values::origin::{Authority, Host, Origin};
use crate::values::upstream_address::UpstreamAddress;

/// One `[[route]]` as configured, before names are resolved and pools made.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// The own host it is for; every own host without one.
    pub host: Option<Host>,
    /// The paths it covers. Default: `/`.
    pub path: PathPrefix,
    /// The applications behind it, at least one.
    pub upstreams: Vec<UpstreamAddress>,
    /// The `Host` that the application gets, where that is not the client's.
    pub upstream_host: Option<Authority>,
    /// Who may vouch for upstreams over TLS; `None`: the machine's own authorities.
    pub upstream_trust: Option<Arc<UpstreamTrust>>,
    /// Who may use it. Default: whoever is signed in.
    pub access: Access,
    /// Origins besides our own whose pages may open a WebSocket here.
    pub origins: Vec<Origin>,
    /// Changes to every request that is forwarded.
    pub request_headers: HeaderEdits,
    /// Changes to every answer that is passed on.
    pub response_headers: HeaderEdits,
}

/// How long upstreams may take, on every route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Making a connection. Default: 5 s.
    pub connect: Duration,
    /// Silence of an upstream that owes a response. Default: 60 s.
    pub response: Duration,
    /// Silence of an event stream. Default: 1 h.
    pub stream: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(60),
            stream: Duration::from_secs(3600),
        }
    }
}

impl UpstreamTimeouts {
    /// The settings of a pool whose upstreams are vouched for by `trust`.
    pub fn with_trust(self, trust: Arc<UpstreamTrust>) -> UpstreamSettings {
        UpstreamSettings {
            connect_timeout: self.connect,
            response_timeout: self.response,
            stream_timeout: self.stream,
            ..UpstreamSettings::new(trust)
        }
    }
}
