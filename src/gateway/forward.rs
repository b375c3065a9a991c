//! An allowed request, with everything that the proxy needs to forward it.

use std::sync::Arc;

use bytes::BytesMut;
use http::StatusCode;
#[cfg(test)]
use http::{HeaderMap, Method};

use super::answers;
use super::assembled::Assembled;
use crate::admission::head_rules::RequestContext;
use crate::admission::permit::Permit;
use crate::admission::upstream_request::Rewritten;
use crate::http1::head_lines::HeadFields;
use crate::http1::header_edits::HeaderEdits;
use crate::http1::headers::{Headers, RequestHead};
use crate::http1::own_cookies::ApplicationCookies;
use crate::routes::pool::Pool;
use crate::routes::table::Route;
use crate::session::WriteGuard;
use crate::session::record::Session;
use crate::values::own_hosts::HostId;
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::vault::browser_cookie::BrowserCookie;

/// The maximum size: with only one request at a time, the allocator would create and free a page for every larger one.
const _: () = assert!(size_of::<Forward>() <= 256);

/// A permit, and the rules under which it was made.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(super) assembled: Arc<Assembled>,
    pub(super) permit: Permit,
    pub(super) target: Option<Box<[u8]>>,
    pub(super) context: RequestContext,
    pub(super) websocket: bool,
    pub(super) may_repeat: bool,
    pub(super) affinity: u64,
    pub(super) resources: HeaderEdits,
    pub(super) cookies: ApplicationCookies,
    /// The cookies that the browser has to delete.
    pub(super) expire: Box<[BrowserCookie]>,
    pub(super) host: HostId,
    pub(super) is_idle: bool,
    /// The generation of the configuration under which the permit was made.
    pub(super) generation: u64,
}

impl Forward {
    /// The upstreams to choose from.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.permit.route().pool
    }

    /// The route of the request.
    pub(super) fn route(&self) -> &Arc<Route> {
        self.permit.route()
    }

    /// What the rules keep of the request.
    pub(super) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// The generation of the permit's configuration: see [`super::Gateway::generation`].
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// A number that stays the same for a session, or for an address without one: the same upstream serves both.
    pub(crate) fn affinity(&self) -> u64 {
        self.affinity
    }

    /// The request target to write, if it differs from the client's.
    pub(crate) fn target(&self) -> Option<&[u8]> {
        self.target.as_deref()
    }

    /// Whether this asks to become a WebSocket.
    pub(crate) fn is_websocket(&self) -> bool {
        self.websocket
    }

    /// Whether the request is idempotent (RFC 9110 9.2.2), with the request line's method and with an override.
    pub(crate) fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// Whether it is background traffic that does not count as activity.
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// The session of the request.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.permit.session()
    }

    /// Writes the header lines of the forwarded request, without its framing.
    pub(crate) fn put_request(&self, to: &mut BytesMut, head: &HeadFields) {
        let rewritten = Rewritten { resources: &self.resources, cookies: &self.cookies };
        self.assembled.heads.put_request(to, head, &self.permit, &self.context, rewritten);
    }

    /// Writes the header lines of the forwarded response, without its framing. They never set a cookie of the gateway,
    /// since shared caches may store an application's response.
    pub(crate) fn put_response(
        &self,
        to: &mut BytesMut,
        status: StatusCode,
        head: &HeadFields,
        request: RequestHead<'_>,
    ) {
        let cookies = self.answer_cookies(head, request);
        self.assembled.heads.put_response(to, status, head, &self.permit, &self.context, cookies);
    }

    /// The edits of the forwarded response. They never set a cookie of the gateway, since shared caches may store an
    /// application's response.
    #[cfg(test)]
    pub(crate) fn response_edits(&self, status: StatusCode, headers: &dyn Headers) -> HeaderEdits {
        let request = RequestHead { method: &Method::GET, target: b"/", headers: &HeaderMap::new(), last_key: None };
        let cookies = self.answer_cookies(headers, request);
        self.assembled.heads.response(status, headers, &self.permit, &self.context, cookies).into_owned()
    }

    /// Announces a write of the head, or of bytes of a tunnel, to the application; to be called again right before each
    /// write, which must not wait. `None` if the session has ended: then nothing may be written.
    pub(crate) fn begin_write(&self) -> Option<WriteGuard<'_>> {
        self.permit.begin_write()
    }

    /// Whether the session has ended since the permit was made.
    pub(crate) fn has_ended(&self) -> bool {
        self.permit.session().is_some_and(|session| session.has_ended())
    }

    /// The answer to a request with these headers if the upstream gave none that can be forwarded.
    pub(crate) fn upstream_failed(&self, headers: &dyn Headers, reason: Reason) -> Reply {
        answers::refuse(&self.assembled, headers, &reason.into())
    }
}
