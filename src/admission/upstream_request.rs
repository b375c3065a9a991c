//! The head of a request as its application gets it.

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

/// What of the client's own words goes on in another form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rewritten<'a> {
    /// The further resources that it names, as the application knows them.
    pub(crate) resources: &'a [HeaderEdit],
    /// Its cookies.
    pub(crate) cookies: &'a ApplicationCookies,
}

impl<'a> Rewritten<'a> {
    /// The edits of the resources, and then the operator's.
    fn and_then(self, operators: &'a [HeaderEdit]) -> Cow<'a, [HeaderEdit]> {
        one_after_the_other(Cow::Borrowed(self.resources), Cow::Borrowed(operators))
    }
}

impl HeadRules {
    /// Writes the lines of a request as it leaves, without its framing. Of the client's lines those of its connection
    /// go, those that it nominates, and what clients may not say; then come the operator's, then ours, so that nothing
    /// stands over what we tell.
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
                _ if route.basic && is_our_password(name, line.value.of(head.bytes())) => false,
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
        self.instance.iter().for_each(|instance| instance.put(to));
        if let Some(identity) = permit.identity() {
            identity.put_rendered(self.identity_form, to, |identity, to| self.identity.put(identity, to));
        }
        if let Some(host) = &route.upstream_host {
            put_line(to, &HOST, host.to_string().as_bytes());
        }
    }

    /// Writes the lines of a request that the gateway makes itself in the name of a user, to sign out: as a page of the
    /// application at this address would make it.
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
        self.instance.iter().for_each(|instance| instance.put(to));
        identity.put_rendered(self.identity_form, to, |identity, to| self.identity.put(identity, to));
    }

    fn is_claim(&self, line: &HeadLine, name: &[u8], route: &Route, by_trusted_proxy: bool) -> bool {
        let passes = |name: HeaderName| route.pass_headers.pass(&name, by_trusted_proxy);
        let claimed = !line.is_plain || self.own.claims_plain(name);
        claimed && !HeaderName::from_bytes(name).is_ok_and(passes)
    }
}

/// Whether a line may hold a password for the gateway, used or not: applications must not see it.
fn is_our_password(name: &[u8], value: &[u8]) -> bool {
    name.eq_ignore_ascii_case(AUTHORIZATION.as_str().as_bytes()) && is_basic(value)
}

/// A removed header may matter to an application, so its name is reported.
fn note_removed(route: &Route, claims: &[&[u8]]) {
    let names = || {
        claims.iter().map(|name| name.to_ascii_lowercase().escape_ascii().to_string()).collect::<Vec<_>>().join(", ")
    };
    tracing::debug!(route = %route.name, removed = %names(), "request headers that no client can set");
}
