//! The rules of one configuration for the heads of forwarded requests and their answers.

use http::HeaderName;

use super::cache_protection::TARGETED_CACHE_HEADERS;
use super::clear_site_data::CLEAR_SITE_DATA;
use super::facts::RequestFacts;
use super::forwarded::Forwarded;
use super::identity_headers::IdentityHeaders;
use super::permit::Permit;
use super::public_address::ADDRESS_HEADERS;
use super::service_worker::SERVICE_WORKER_ALLOWED;
use crate::http1::header_names::{NameSet, OwnHeaders};
use crate::http1::headers::Headers;
use crate::http1::instance_id::InstanceId;
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::OwnPages;

/// Response headers that are removed since they apply to the whole host, including the gateway's own addresses:
/// alternative services (RFC 7838) and failure reports (W3C Network Error Logging). `Reporting-Endpoints` applies to
/// its own document only and is passed on.
static HOST_WIDE_HEADERS: [HeaderName; 3] =
    [HeaderName::from_static("alt-svc"), HeaderName::from_static("nel"), HeaderName::from_static("report-to")];

/// The rules for heads of one configuration.
#[derive(Debug)]
pub(crate) struct HeadRules {
    pub(super) own: OwnHeaders,
    pub(super) identity: IdentityHeaders,
    /// [`IdentityHeaders::form`], the key under which an identity caches its rendered headers.
    pub(super) identity_form: u64,
    pub(super) removed: NameSet,
    /// The names of all answer headers that the rules inspect or remove.
    pub(super) noticed: NameSet,
    pub(super) hosts: OwnHosts,
    pub(super) own_pages: OwnPages,
    pub(super) instance: Option<InstanceId>,
}

/// What the rules keep of a request until its answer.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub(super) forwarded: Forwarded,
    /// Whether the sender is one of `trusted_proxies`.
    pub(super) by_trusted_proxy: bool,
    /// Whether the browser navigates to the response.
    pub(super) is_navigation: bool,
}

impl HeadRules {
    /// Rules that send the identity in these headers.
    pub(crate) fn new(identity: IdentityHeaders, hosts: OwnHosts, own_pages: OwnPages) -> Self {
        let own = OwnHeaders::new(identity.names().cloned());
        let removed: Vec<_> = identity.names().chain(&HOST_WIDE_HEADERS).cloned().collect();
        let edited = ADDRESS_HEADERS
            .iter()
            .chain(&TARGETED_CACHE_HEADERS)
            .chain([&CLEAR_SITE_DATA, &SERVICE_WORKER_ALLOWED])
            .cloned();
        Self {
            noticed: NameSet::new(removed.iter().cloned().chain(edited).collect()),
            removed: NameSet::new(removed),
            // Without random bytes, loops are not detected and end at the limits for connections.
            instance: InstanceId::generate().ok(),
            own,
            identity_form: identity.form(),
            identity,
            hosts,
            own_pages,
        }
    }

    /// Whether this gateway has already forwarded the request: the upstream of its route leads back here.
    pub(crate) fn is_loop(&self, headers: &dyn Headers) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.has_forwarded(headers))
    }

    /// What the rules keep of a request.
    pub(crate) fn context(&self, facts: &RequestFacts<'_>, permit: &Permit) -> RequestContext {
        RequestContext {
            forwarded: Forwarded::of(facts, self.hosts.scheme()),
            by_trusted_proxy: facts.provenance.by_trusted_proxy,
            // Only responses to signed-in users are protected.
            is_navigation: permit.session().is_some() && facts.is_browser(),
        }
    }
}
