//! The head of an application's answer as it is sent to the browser.

use std::borrow::Cow;

use bytes::BytesMut;
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, StatusCode};

use super::cache_protection::{SignedInAnswer, TARGETED_CACHE_HEADERS};
use super::clear_site_data::{self, CLEAR_SITE_DATA};
use super::head_rules::{HeadRules, RequestContext};
use super::permit::Permit;
use super::public_address::{ADDRESS_HEADERS, PublicAddress};
use super::service_worker::{self, SERVICE_WORKER_ALLOWED};
use crate::http1::head_lines::{HeadFields, HeadLine};
use crate::http1::header_edits::{HeaderEdit, HeaderEdits, added, one_after_the_other, put_added, replaces};
use crate::http1::headers::Headers;
use crate::http1::hop_by_hop::HopByHop;
use crate::routes::access::Access;
use crate::routes::table::Route;

/// The edits of an answer's cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CookieEdits {
    /// The edits of its `Set-Cookie` lines.
    pub(crate) lines: HeaderEdits,
    /// Whether they make the browser delete a cookie: then the answer must not be cached.
    pub(crate) expires: bool,
}

impl HeadRules {
    /// Writes the header lines of a forwarded answer, without its framing.
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

    /// The header lines of a forwarded answer to a request that has ended its own session.
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

    /// The edits of a forwarded answer. The operator's come last.
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
        let mut has_targeted_cache_header = false;
        for name in self.noticed.present(headers) {
            has_targeted_cache_header |= TARGETED_CACHE_HEADERS.contains(name);
            self.edit(name, headers, route, asked, &mut edits);
        }
        let mut edits = Cow::Owned(edits);
        if is_signed_in && !route.keeps_cache_control && !status.is_informational() {
            let is_public_route = route.access == Access::Public;
            let is_navigation = asked.is_navigation;
            let answer = SignedInAnswer { status, headers, is_navigation, is_public_route, has_targeted_cache_header };
            edits = one_after_the_other(edits, answer.protection());
        }
        if expires {
            let no_store = HeaderEdit::Set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            edits = one_after_the_other(edits, Cow::Owned(vec![no_store]));
        }
        one_after_the_other(edits, Cow::Borrowed(&route.response_headers))
    }

    /// The edit of one header of an answer.
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
        } else if ADDRESS_HEADERS.contains(name) {
            let public = PublicAddress { route, hosts: &self.hosts, asked: asked.forwarded.host() };
            public.edit(name, headers, edits);
        }
    }

    /// Whether an answer would widen a service worker's scope to the gateway's addresses.
    fn is_widened(&self, headers: &dyn Headers, route: &Route) -> bool {
        let widens = |scope| service_worker::widens(scope, &self.own_pages);
        !route.service_workers && headers.header(&SERVICE_WORKER_ALLOWED).is_none_or(widens)
    }
}
