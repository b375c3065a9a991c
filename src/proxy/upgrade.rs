//! A WebSocket through the gateway: opened at the application without the engine, then handed over to the tunnel.

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::callbacks::{answer, apply_to_response, reason_of};
use super::context::Context;
use super::hand_over::hand_over;
use super::tunnel::{self, Side};
use super::websocket::{self, Answer, NotOpened, Opened, remove_hop_by_hop};
use crate::gateway::{Forward, Gateway};
use crate::values::reason::Reason;
use crate::values::websocket_request::{BadWebSocketRequest, is_websocket_request};

/// Whether the request asks for a WebSocket, be it well or badly.
pub(super) fn is_asked_for(session: &Session) -> bool {
    let head = session.req_header();
    is_websocket_request(&head.method, head.version, &head.headers) != Ok(false)
}

/// Opens the WebSocket and hands the connection over, or answers what the application answered. True: the
/// request is answered.
pub(super) async fn websocket(
    gateway: &Arc<Gateway>,
    session: &mut Session,
    ctx: &mut Context,
    forward: Box<Forward>,
) -> Result<bool> {
    let head = session.req_header();
    if let Err(bad) = is_websocket_request(&head.method, head.version, &head.headers) {
        let version = bad == BadWebSocketRequest::Version;
        let reason = if version { Reason::SocketVersion } else { Reason::HeadMalformed };
        let reply = forward.upstream_failed(&head.headers, reason);
        return answer(session, ctx, reply).await;
    }
    let Some(request) = handshake(session, &forward) else {
        return Error::e_explain(ErrorType::InternalError, "a handshake that cannot be written");
    };
    match websocket::open(forward.pool(), forward.affinity(), request).await {
        Ok(opened) => join(gateway, session, ctx, forward, opened).await,
        Err(NotOpened::Answer(other)) => relay(session, ctx, &forward, *other).await,
        Err(NotOpened::Failure(failure)) => match reason_of(failure) {
            Some(reason) => {
                let reply = forward.upstream_failed(&session.req_header().headers, reason);
                answer(session, ctx, reply).await
            }
            None => Ok(true),
        },
    }
}

/// The handshake as the application gets it: the client's lines, edited as any request is.
fn handshake(session: &Session, forward: &Forward) -> Option<Request<()>> {
    let head = session.req_header();
    let mut headers = head.headers.clone();
    remove_hop_by_hop(&mut headers);
    forward.edit_request(&mut headers);
    let target = forward.target().map_or_else(|| head.raw_path(), str::as_bytes);
    let mut request = Request::builder().uri(std::str::from_utf8(target).ok()?).body(()).ok()?;
    *request.headers_mut() = headers;
    Some(request)
}

/// Answers 101 and leaves the rest to the tunnel, which holds the permit for as long as it runs.
async fn join(
    gateway: &Arc<Gateway>,
    session: &mut Session,
    ctx: &mut Context,
    forward: Box<Forward>,
    opened: Opened,
) -> Result<bool> {
    let switching = response(&opened.head.headers, StatusCode::SWITCHING_PROTOCOLS, &forward)?;
    ctx.answered(StatusCode::SWITCHING_PROTOCOLS);
    let exchange = ctx.take_exchange();
    let gateway = Arc::clone(gateway);
    let upstream = opened.upstream;
    hand_over(session, switching, move |client, early, connection| async move {
        let client = Side { stream: client, already_read: early };
        let end = tunnel::run(client, upstream, connection.cut(), |_| gateway.touch(&forward)).await;
        if let Some(mut exchange) = exchange {
            exchange.sent(end.to_client);
        }
    })
    .await?;
    Ok(true)
}

/// Passes on an ordinary answer to a handshake: the application's own refusal.
async fn relay(session: &mut Session, ctx: &mut Context, forward: &Forward, mut other: Answer) -> Result<bool> {
    let status = other.head.status;
    let head = response(&other.head.headers, status, forward)?;
    ctx.answered(status);
    session.set_keepalive(None);
    session.write_response_header(Box::new(head), false).await?;
    while let Some(piece) = other.next_piece().await {
        let Ok(piece) = piece else {
            return Error::e_explain(ErrorType::ReadError, "an answer to a handshake that broke off");
        };
        session.write_response_body(Some(piece), false).await?;
    }
    session.write_response_body(None, true).await?;
    Ok(true)
}

fn response(headers: &HeaderMap, status: StatusCode, forward: &Forward) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(headers.len() + 2))?;
    for (name, value) in headers {
        head.append_header(name.clone(), value.clone())?;
    }
    let edits = forward.response_edits(status, headers);
    apply_to_response(&mut head, edits);
    Ok(head)
}
