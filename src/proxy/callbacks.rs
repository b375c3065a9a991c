//! What the engine asks us about an exchange, in the order of its life. Every callback is thin: the gateway decides,
//! `dispatch` chooses the upstream, and what is left here is to carry values to and fro.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{Method, Version};
use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::protocols::http::ServerSession;
use pingora::proxy::{FailToProxy, HttpProxy, ProxyHttp, ProxyWarnLogContext, Session, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tokio::sync::watch;
use tokio::time::timeout;

use super::context::Context;
use super::dispatch::Dispatch;
use super::failure::UpstreamFailure;
use super::hand_over::connection_of;
use super::peer::OwnAuthorities;
use super::refusal::Behind;
use super::upgrade;
use crate::gateway::{Forward, Gateway, OwnRequest, Received};
use crate::values::client_address::Peer;
use crate::values::header_edits::HeaderEdits;
use crate::values::media_type::is_push_stream;
use crate::values::reason::Reason;
use crate::values::reply::Reply;

/// The longest time that the body of a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(30);

/// Attempts of one exchange: as many endpoints as may be tried, and one more for a connection that was closing.
const ATTEMPTS: usize = 4;

/// Idle connections to upstreams that are kept for the next request, in all; above, the one that was used least
/// recently goes. The application ends what it does not want to keep, and TCP notices one that is dead; a timer of ours
/// for each would be a good part of what a request costs.
const WARM_CONNECTIONS: usize = 1024;

/// The gateway as the engine sees it.
pub struct App {
    gateway: Arc<Gateway>,
    authorities: OwnAuthorities,
}

/// The engine around a gateway, ready for [`super::Door::open`].
pub struct Engine {
    proxy: Arc<HttpProxy<App>>,
    gateway: Arc<Gateway>,
}

/// An engine around this gateway.
pub fn engine(gateway: Arc<Gateway>) -> Arc<Engine> {
    let conf =
        ServerConf { max_retries: ATTEMPTS, upstream_keepalive_pool_size: WARM_CONNECTIONS, ..ServerConf::default() };
    let app = App { gateway: Arc::clone(&gateway), authorities: OwnAuthorities::default() };
    Arc::new(Engine { proxy: Arc::new(http_proxy(&Arc::new(conf), app)), gateway })
}

impl HttpServerApp for Engine {
    // The engine's future as it is: `async fn` would put it into one more box.
    fn process_new_http<'own, 'stop, 'both>(
        self: &'own Arc<Self>,
        session: ServerSession,
        stopping: &'stop watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'both>>
    where
        'own: 'both,
        'stop: 'both,
        Self: 'both,
    {
        self.proxy.process_new_http(session, stopping)
    }
}

impl Behind for Engine {
    fn refuse(&self, peer: Peer, head: &[u8], reason: Reason) -> Reply {
        self.gateway.refuse(peer, head, reason)
    }
}

#[async_trait]
impl ProxyHttp for App {
    type CTX = Context;

    fn new_ctx(&self) -> Self::CTX {
        Context::default()
    }

    fn init_downstream_modules(&self, _: &mut HttpModules) {
        // Bodies are passed on as they are.
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        let Some(connection) = connection_of(session).map(Arc::clone) else {
            return Error::e_explain(ErrorType::InternalError, "a stream that is not the door's");
        };
        let head = session.req_header();
        let (exchange, received) =
            self.gateway.receive(head.as_ref(), head.raw_path(), connection.peer(), connection.cut()).await;
        ctx.exchange = Some(exchange);
        ctx.connection = Some(connection);
        match received {
            Received::Forward(forward) if forward.is_websocket() && upgrade::is_asked_for(session) => {
                Box::pin(upgrade::websocket(&self.gateway, session, ctx, forward)).await
            }
            Received::Forward(forward) => forward_to_upstream(session, ctx, forward),
            // Boxed, so that what is forwarded does not carry the room of what is answered here.
            Received::Answer(reply) => Box::pin(answer(session, ctx, reply)).await,
            Received::Own(own) => Box::pin(self.perform(session, ctx, own)).await,
        }
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        match &mut ctx.dispatch {
            Some(dispatch) => dispatch.upstream_peer(&self.authorities).await,
            None => Error::e_explain(ErrorType::InternalError, "no permit, no upstream"),
        }
    }

    fn fail_to_connect(&self, _: &mut Session, peer: &HttpPeer, ctx: &mut Self::CTX, error: Box<Error>) -> Box<Error> {
        tracing::warn!(upstream = %peer._address, %error, "cannot connect to an upstream");
        match &mut ctx.dispatch {
            Some(dispatch) => dispatch.fail_to_connect(error),
            None => error,
        }
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _: bool,
        _: &HttpPeer,
        _: std::os::unix::io::RawFd,
        _: Option<&Digest>,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.dispatch.iter().for_each(Dispatch::connected);
        Ok(())
    }

    /// The engine's last request phase: what a client's `Connection` line nominates is gone already, and what is
    /// set here stays.
    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        let (Some(forward), Some(dispatch)) = (&ctx.forward, &ctx.dispatch) else {
            return Error::e_explain(ErrorType::InternalError, "no permit, no upstream");
        };
        edit_request(request, forward);
        dispatch.upstream_request(request)
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        complete: bool,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        if complete {
            ctx.request_complete();
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.dispatch.iter().for_each(|dispatch| dispatch.upstream_response(response));
        if ctx.head_came(response.status) {
            Ok(())
        } else {
            Err(Error::explain(ErrorType::InvalidHTTPHeader, "interim answers without end, or a switch of protocols")
                .into_up())
        }
    }

    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        last: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        ctx.piece_came(last);
        Ok(None)
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        match &mut ctx.dispatch {
            Some(dispatch) => dispatch.error_while_proxy(session, error, reused),
            None => error,
        }
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        let Some(forward) = ctx.forward.as_ref().filter(|_| !response.status.is_informational()) else {
            return Ok(());
        };
        let edits = forward.response_edits(response.status, &response.headers);
        apply_to_response(response, edits);
        // What the upstream speaks is between it and us (RFC 9110 7.6.3).
        response.set_version(Version::HTTP_11);
        let connection = ctx.connection.as_ref();
        if connection.is_some_and(|connection| connection.is_draining()) {
            session.set_keepalive(None);
        }
        if is_push_stream(&response.headers) {
            connection.iter().for_each(|connection| connection.cut().set_streaming());
        }
        let status = response.status;
        ctx.answered(status);
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Self::CTX) -> FailToProxy {
        let failure = if ctx.answer_is_overdue() { UpstreamFailure::TooSlow } else { UpstreamFailure::of(error) };
        let fault = ctx.body_fault();
        if fault.is_some() || failure == UpstreamFailure::ClientGone {
            // Nothing that clients can do fills the log: the access line tells it.
            tracing::debug!(%error, "the client went away, or its body is none");
        } else {
            tracing::warn!(%error, "an exchange failed");
        }
        let reason = fault.or_else(|| reason_of(failure));
        reason.iter().for_each(|&reason| ctx.refused(reason));
        let headers = &session.req_header().headers;
        let failed = reason.zip(ctx.forward.as_ref());
        let reply = failed.map(|(reason, forward)| forward.upstream_failed(headers, reason));
        let answerable = session.response_written().is_none_or(|head| head.status.is_informational());
        session.set_keepalive(None);
        let status = reply.as_ref().map_or(0, |reply| reply.status.as_u16());
        if let Some(reply) = reply.filter(|_| answerable) {
            // Whoever is gone by now misses nothing.
            let _ = answer(session, ctx, reply).await;
        }
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Self::CTX, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }
}

impl App {
    async fn perform(&self, session: &mut Session, ctx: &mut Context, own: Box<OwnRequest>) -> Result<bool> {
        ctx.exchange(|exchange| exchange.note(own.note()));
        let limit = own.body_limit();
        let body = async { read_body(session, limit).await.map_err(|reason| ctx.body_fault().unwrap_or(reason)) };
        let reply = self.gateway.perform(own, body).await;
        answer(session, ctx, reply).await
    }
}

/// Leaves a request to the engine. False: it is not answered yet.
fn forward_to_upstream(session: &mut Session, ctx: &mut Context, forward: Box<Forward>) -> Result<bool> {
    simplify(session.req_header_mut(), &forward)?;
    let pool = Arc::clone(forward.pool());
    ctx.dispatch = Some(Dispatch::new(pool, forward.affinity(), None, session.req_header()));
    ctx.forward = Some(forward);
    Ok(false)
}

/// Why there is no answer of the application; `None` where nobody waits for one.
pub(super) fn reason_of(failure: UpstreamFailure) -> Option<Reason> {
    match failure {
        UpstreamFailure::Unreachable => Some(Reason::UpstreamUnreachable),
        UpstreamFailure::BadAnswer => Some(Reason::UpstreamBroken),
        UpstreamFailure::TooSlow => Some(Reason::UpstreamTooSlow),
        UpstreamFailure::BadRequest => Some(Reason::HeadMalformed),
        UpstreamFailure::Internal => Some(Reason::Internal),
        UpstreamFailure::ClientGone => None,
    }
}

/// Writes an answer of our own. True: the request is answered.
pub(super) async fn answer(session: &mut Session, ctx: &mut Context, reply: Reply) -> Result<bool> {
    ctx.exchange(|exchange| exchange.replied(&reply));
    let mut head = ResponseHeader::build(reply.status, Some(reply.headers.len() + 4))?;
    for (name, value) in reply.headers {
        head.append_header(name, value)?;
    }
    head.insert_header(CONTENT_LENGTH, reply.body.len())?;
    // A body that nobody reads would be taken for the next request.
    let draining = ctx.connection.as_ref().is_some_and(|connection| connection.is_draining());
    if draining || !session.as_downstream_mut().is_body_done() {
        session.set_keepalive(None);
    }
    let without_body = session.req_header().method == Method::HEAD || reply.body.is_empty();
    session.write_response_header(Box::new(head), without_body).await?;
    if !without_body {
        session.write_response_body(Some(reply.body), true).await?;
    }
    Ok(true)
}

/// Edits a request's head as it leaves.
fn edit_request(request: &mut RequestHeader, forward: &Forward) {
    let mut head = take_head(request);
    forward.edit_request(&mut head.headers);
    *request = head.into();
}

/// Takes the names as the client spelled them out of a head, and the target as it was judged into it.
///
/// The engine keeps a second table with every name as the client spelled it, copies it for every upstream, and makes
/// each edit in both. Names mean the same in any case (RFC 9110 5.1): they go on without that table.
fn simplify(request: &mut RequestHeader, forward: &Forward) -> Result<()> {
    // A target in origin-form is all in the URI; any other has its canonical form in `target`.
    *request = take_head(request).into();
    forward.target().map_or(Ok(()), |target| request.set_raw_path(target.as_bytes()))
}

fn take_head(request: &mut RequestHeader) -> http::request::Parts {
    let (nothing, ()) = http::Request::new(()).into_parts();
    std::mem::replace(request, nothing.into()).into()
}

/// Edits an answer's head. As with requests, without the engine's second table of names: each edit is made once.
pub(super) fn apply_to_response(response: &mut ResponseHeader, edits: HeaderEdits) {
    if edits.is_empty() {
        return;
    }
    let (nothing, ()) = http::Response::new(()).into_parts();
    let mut head = http::response::Parts::from(std::mem::replace(response, nothing.into()));
    edits.into_iter().for_each(|edit| edit.apply(&mut head.headers));
    *response = head.into();
}

/// Reads a form's body, at most `limit` bytes of it.
async fn read_body(session: &mut Session, limit: usize) -> std::result::Result<Bytes, Reason> {
    if limit == 0 || session.as_downstream_mut().is_body_empty() {
        return Ok(Bytes::new());
    }
    let announced = session.req_header().headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > limit) {
        return Err(Reason::FormTooLarge);
    }
    timeout(FORM_TIMEOUT, read_pieces(session, limit)).await.unwrap_or(Err(Reason::BodyIncomplete))
}

async fn read_pieces(session: &mut Session, limit: usize) -> std::result::Result<Bytes, Reason> {
    let downstream = session.as_downstream_mut();
    if downstream.req_header().headers.contains_key(http::header::EXPECT) {
        downstream.write_continue_response().await.map_err(|_| Reason::BodyIncomplete)?;
    }
    let mut body = BytesMut::new();
    while let Some(piece) = downstream.read_request_body().await.map_err(|_| Reason::BodyIncomplete)? {
        if body.len() + piece.len() > limit {
            return Err(Reason::FormTooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}
