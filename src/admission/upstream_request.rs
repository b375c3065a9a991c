//! The head of a request as it is sent to the application.

use std::borrow::Cow;

use bytes::BytesMut;
use http::HeaderName;
use http::header::{ACCEPT, AUTHORIZATION, HOST, ORIGIN, REFERER};

use super::forwarded::Forwarded;
use super::head_rules::{HeadRules, RequestContext};
use super::permit::Permit;
use crate::credentials::basic::header::is_basic;
use crate::http1::head_lines::{HeadFields, HeadLine};
use crate::http1::header_edits::{HeaderEdit, one_after_the_other, put_added, put_line, replaces};
use crate::http1::hop_by_hop::HopByHop;
use crate::http1::known_name::KnownName;
use crate::http1::own_cookies::ApplicationCookies;
use crate::routes::table::Route;
use crate::values::identity::Identity;

/// Parts of the client's head that are forwarded in another form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rewritten<'a> {
    /// Edits of the headers that name further resources (WebDAV).
    pub(crate) resources: &'a [HeaderEdit],
    /// The cookies for the application.
    pub(crate) cookies: &'a ApplicationCookies,
}

impl<'a> Rewritten<'a> {
    /// The edits of the resources, and then the operator's.
    fn and_then(self, operators: &'a [HeaderEdit]) -> Cow<'a, [HeaderEdit]> {
        one_after_the_other(Cow::Borrowed(self.resources), Cow::Borrowed(operators))
    }
}

impl HeadRules {
    /// Writes the header lines of a forwarded request, without its framing. Removed from the client's are hop-by-hop
    /// headers, those that `Connection` nominates, and those that only the gateway may set. The operator's edits
    /// follow, and the gateway's own headers come last, so that nothing overrides them.
    pub(crate) fn put_request(
        &self,
        to: &mut BytesMut,
        head: &HeadFields,
        permit: &Permit,
        asked: &RequestContext,
        message: Rewritten<'_>,
    ) {
        let (route, cookies) = (permit.route(), message.cookies);
        let edits = message.and_then(&route.request_headers);
        let hop = HopByHop::of(head);
        let mut claims = Vec::new();
        head.put(to, |line| {
            let name = line.name.of(head.bytes());
            match line.known {
                KnownName::Host => route.upstream_host.is_none(),
                KnownName::Cookie => {
                    matches!(cookies, ApplicationCookies::Untouched) && !replaces(&route.request_headers, name)
                }
                _ if hop.is_one(line, name) || replaces(&edits, name) => false,
                _ if route.basic && is_basic_credentials(name, line.value.of(head.bytes())) => false,
                _ if self.is_claim(line, name, route, asked.by_trusted_proxy) => {
                    claims.push(name);
                    false
                }
                _ => true,
            }
        });
        if !claims.is_empty() {
            note_removed(route, &claims);
        }
        cookies.put(to);
        put_added(&edits, to);
        asked.forwarded.put(to);
        if let Some(instance) = &self.instance {
            instance.put(to);
        }
        if let Some(identity) = permit.identity() {
            identity.put_rendered(self.identity_form, to, |identity, to| self.identity.put(identity, to));
        }
        if let Some(host) = &route.upstream_host {
            put_line(to, &HOST, host.to_string().as_bytes());
        }
    }

    /// Writes the header lines of a logout call, which the gateway makes on behalf of a user, as a page of the
    /// application at this address would send them.
    pub(crate) fn put_own(
        &self,
        to: &mut BytesMut,
        route: &Route,
        (identity, from): (&Identity, &Forwarded),
        referer: &str,
    ) {
        let origin = from.origin();
        match &route.upstream_host {
            Some(host) => put_line(to, &HOST, host.to_string().as_bytes()),
            None => put_line(to, &HOST, from.host().as_bytes()),
        }
        put_line(to, &ORIGIN, origin.as_bytes());
        put_line(to, &REFERER, format!("{origin}{referer}").as_bytes());
        put_line(to, &ACCEPT, b"*/*");
        put_added(&route.request_headers, to);
        from.put(to);
        if let Some(instance) = &self.instance {
            instance.put(to);
        }
        identity.put_rendered(self.identity_form, to, |identity, to| self.identity.put(identity, to));
    }

    fn is_claim(&self, line: &HeadLine, name: &[u8], route: &Route, by_trusted_proxy: bool) -> bool {
        let passes = |name: HeaderName| route.pass_headers.pass(&name, by_trusted_proxy);
        let claimed = !line.is_plain || self.own.claims_lower_case(name);
        claimed && !HeaderName::from_bytes(name).is_ok_and(passes)
    }
}

/// Whether a line has Basic credentials, which may be for the gateway: applications must not receive them.
fn is_basic_credentials(name: &[u8], value: &[u8]) -> bool {
    name.eq_ignore_ascii_case(AUTHORIZATION.as_str().as_bytes()) && is_basic(value)
}

/// Logs the names of removed headers, for operators whose application misses one.
fn note_removed(route: &Route, claims: &[&[u8]]) {
    let names = || {
        claims.iter().map(|name| name.to_ascii_lowercase().escape_ascii().to_string()).collect::<Vec<_>>().join(", ")
    };
    tracing::debug!(route = %route.name, removed = %names(), "removed request headers that clients may not set");
}
