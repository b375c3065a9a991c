//! The head of a forwarded request and of its response: what the application gets, and what the browser gets.

use std::borrow::Cow;

use bytes::BytesMut;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, REFERER};
use http::{HeaderName, HeaderValue, StatusCode};

use super::cache_protection::{FOR_CACHES_BETWEEN, SignedInAnswer};
use super::clear_site_data::{self, CLEAR_SITE_DATA};
use super::facts::RequestFacts;
use super::forwarded::Forwarded;
use super::identity_headers::IdentityHeaders;
use super::permit::Permit;
use super::public_address::{LEADING, PublicAddress};
use super::service_worker::{self, SERVICE_WORKER_ALLOWED};
use crate::credentials::basic::header::is_basic;
use crate::http1::head_lines::{HeadFields, HeadLine};
use crate::http1::header_edits::{HeaderEdit, HeaderEdits, added, put_added, put_line, replaces};
use crate::http1::header_names::{NameSet, OwnHeaders};
use crate::http1::headers::Headers;
use crate::http1::hop_by_hop::HopByHop;
use crate::http1::instance_id::InstanceId;
use crate::http1::known_name::KnownName;
use crate::http1::own_cookies::ApplicationCookies;
use crate::routes::access::Access;
use crate::routes::table::Route;
use crate::values::identity::Identity;
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::OwnPages;

/// Response headers with which one application would decide for every address of its host, including the gateway's:
/// alternative services (RFC 7838) and failure reports (W3C Network Error Logging). `Reporting-Endpoints` concerns its
/// own document only, and passes.
static OF_THE_WHOLE_HOST: [HeaderName; 3] =
    [HeaderName::from_static("alt-svc"), HeaderName::from_static("nel"), HeaderName::from_static("report-to")];

/// The rules for heads of one configuration.
#[derive(Debug)]
pub(crate) struct HeadRules {
    own: OwnHeaders,
    identity: IdentityHeaders,
    /// That of the identity headers.
    identity_form: u64,
    removed: NameSet,
    /// The names in an answer that are looked at, those that are removed among them.
    noticed: NameSet,
    hosts: OwnHosts,
    own_pages: OwnPages,
    instance: Option<InstanceId>,
}

/// What the rules remember of a request, for its answer too.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    forwarded: Forwarded,
    /// Whether the sender is one of `trusted_proxies`.
    by_trusted_proxy: bool,
    /// Whether the browser navigates to the response.
    is_navigation: bool,
}

/// What becomes of an answer's cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CookieEdits {
    /// The edits of its `Set-Cookie` lines.
    pub(crate) lines: HeaderEdits,
    /// Whether they make the browser forget a cookie: then nobody may keep the answer.
    pub(crate) expires: bool,
}

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
    /// Rules that send the identity under these headers.
    pub(crate) fn new(identity: IdentityHeaders, hosts: OwnHosts, own_pages: OwnPages) -> Self {
        let own = OwnHeaders::new(identity.names().cloned());
        let removed: Vec<_> = identity.names().chain(&OF_THE_WHOLE_HOST).cloned().collect();
        let edited =
            LEADING.iter().chain(&FOR_CACHES_BETWEEN).chain([&CLEAR_SITE_DATA, &SERVICE_WORKER_ALLOWED]).cloned();
        Self {
            noticed: NameSet::new(removed.iter().cloned().chain(edited).collect()),
            removed: NameSet::new(removed),
            // Without random bytes a circle is ended by the number of connections.
            instance: InstanceId::generate().ok(),
            own,
            identity_form: identity.form(),
            identity,
            hosts,
            own_pages,
        }
    }

    /// Whether a request was forwarded by this gateway already: an upstream of its route leads here.
    pub(crate) fn is_loop(&self, headers: &dyn Headers) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.has_forwarded(headers))
    }

    /// What is remembered of a request.
    pub(crate) fn context(&self, facts: &RequestFacts<'_>, permit: &Permit) -> RequestContext {
        RequestContext {
            forwarded: Forwarded::of(facts, self.hosts.scheme()),
            by_trusted_proxy: facts.provenance.by_trusted_proxy,
            // Only responses to signed-in users are protected.
            is_navigation: permit.session().is_some() && facts.is_browser(),
        }
    }

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

    /// Writes the lines of an answer as it is passed on, without its framing.
    pub(crate) fn put_response(
        &self,
        to: &mut BytesMut,
        status: StatusCode,
        head: &HeadFields,
        permit: &Permit,
        asked: &RequestContext,
        cookies: CookieEdits,
    ) {
        let edits = self.response(status, head, permit, asked, cookies);
        let hop = HopByHop::of(head);
        head.put(to, |line| {
            let name = line.name.of(head.bytes());
            !hop.is_one(line, name) && !replaces(&edits, name)
        });
        put_added(&edits, to);
    }

    /// The lines of the answer to a request that has ended its session, as they are passed on.
    pub(crate) fn last_answer(
        &self,
        status: StatusCode,
        head: &HeadFields,
        route: &Route,
        asked: &RequestContext,
        cookies: CookieEdits,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let (edits, hop) = (self.edits(status, head, (route, true), asked, cookies), HopByHop::of(head));
        let passes = |line: &&HeadLine| {
            let name = line.name.of(head.bytes());
            !hop.is_one(line, name) && !replaces(&edits, name)
        };
        let read = |line: &HeadLine| {
            let [name, value] = [line.name, line.value].map(|part| part.of(head.bytes()));
            Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
        };
        let mut lines: Vec<_> = head.lines().iter().filter(passes).filter_map(read).collect();
        lines.extend(added(&edits).map(|(name, value)| (name.clone(), value.clone())));
        lines
    }

    /// The edits of an answer as it is passed on. The operator's own come last.
    pub(crate) fn response<'a>(
        &self,
        status: StatusCode,
        headers: &dyn Headers,
        permit: &'a Permit,
        asked: &RequestContext,
        cookies: CookieEdits,
    ) -> Cow<'a, [HeaderEdit]> {
        self.edits(status, headers, (permit.route(), permit.session().is_some()), asked, cookies)
    }

    fn edits<'a>(
        &self,
        status: StatusCode,
        headers: &dyn Headers,
        (route, is_signed_in): (&'a Route, bool),
        asked: &RequestContext,
        cookies: CookieEdits,
    ) -> Cow<'a, [HeaderEdit]> {
        let CookieEdits { lines: mut edits, expires } = cookies;
        let mut speaks_to_caches_between = false;
        for name in self.noticed.present(headers) {
            speaks_to_caches_between |= FOR_CACHES_BETWEEN.contains(name);
            self.edit(name, headers, route, asked, &mut edits);
        }
        let mut edits = Cow::Owned(edits);
        if is_signed_in && !route.keeps_cache_control && !status.is_informational() {
            let is_public_route = route.access == Access::Public;
            let is_navigation = asked.is_navigation;
            let answer = SignedInAnswer { status, headers, is_navigation, is_public_route, speaks_to_caches_between };
            edits = one_after_the_other(edits, answer.protection());
        }
        if expires {
            let no_store = HeaderEdit::Set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            edits = one_after_the_other(edits, Cow::Owned(vec![no_store]));
        }
        one_after_the_other(edits, Cow::Borrowed(&route.response_headers))
    }

    /// What becomes of one header of an answer.
    fn edit(
        &self,
        name: &HeaderName,
        headers: &dyn Headers,
        route: &Route,
        asked: &RequestContext,
        edits: &mut HeaderEdits,
    ) {
        if self.removed.contains(name) || *name == SERVICE_WORKER_ALLOWED && self.is_widened(headers, route) {
            edits.push(HeaderEdit::Remove(name.clone()));
        } else if *name == CLEAR_SITE_DATA {
            edits.extend(clear_site_data::without_cookies(headers));
        } else if LEADING.contains(name) {
            let public = PublicAddress { route, hosts: &self.hosts, asked: asked.forwarded.host() };
            public.edit(name, headers, edits);
        }
    }

    /// Whether an answer would let a service worker stand in front of our addresses.
    fn is_widened(&self, headers: &dyn Headers, route: &Route) -> bool {
        let widens = |scope| service_worker::widens(scope, &self.own_pages);
        !route.service_workers && headers.header(&SERVICE_WORKER_ALLOWED).is_none_or(widens)
    }
}

/// Edits, and those that are made after them.
fn one_after_the_other<'a>(edits: Cow<'a, [HeaderEdit]>, later: Cow<'a, [HeaderEdit]>) -> Cow<'a, [HeaderEdit]> {
    match (&*edits, &*later) {
        (_, []) => edits,
        ([], _) => later,
        (edits, later) => Cow::Owned([edits, later].concat()),
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
