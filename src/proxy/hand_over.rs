//! Leaving the engine: the rest of a connection as a raw stream, for a protocol that the client upgraded to.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::client_io::ClientIo;
use super::connection::{Connection, Handover};
use super::transport::Transport;

/// The connection that an exchange runs on; `None` if its stream is not one of the door's.
pub fn connection_of(session: &Session) -> Option<&Arc<Connection>> {
    match session.downstream_session.as_ref() {
        ServerSession::H1(session) => session.stream().as_any().downcast_ref::<ClientIo>().map(ClientIo::connection),
        _ => None,
    }
}

/// Writes `switching` (a 101) to the client and gives the rest of the connection to `take_over`, which runs once
/// the engine has let go of the stream. The request filter that called this answers `Ok(true)`.
///
/// `take_over` gets the raw stream, the bytes that the client sent right after its handshake (they come first),
/// and the connection. It must watch the connection's cut itself; the future is dropped when the connection
/// is ended without grace.
///
/// # Errors
/// When the request asked for no upgrade or has a body, when a response was begun, or when the client is gone.
/// Nothing is handed over then.
pub async fn hand_over<T, F>(session: &mut Session, switching: ResponseHeader, take_over: T) -> Result<()>
where
    T: FnOnce(Transport, Bytes, Arc<Connection>) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let Some(connection) = connection_of(session).map(Arc::clone) else {
        return Error::e_explain(ErrorType::InternalError, "a stream that is not the door's");
    };
    let downstream = session.downstream_session.as_mut();
    if !downstream.is_upgrade_req() || !downstream.is_body_empty() {
        return Error::e_explain(ErrorType::InvalidHTTPHeader, "no upgrade was asked for, or it has a body");
    }
    downstream.write_response_header(Box::new(switching)).await?;
    if !downstream.was_upgraded() {
        return Error::e_explain(ErrorType::InternalError, "the response is no upgrade, or came second");
    }
    let early = early_bytes(downstream)?;
    let take_over = Box::new(|transport, early, connection| -> super::connection::Rest {
        Box::pin(take_over(transport, early, connection))
    });
    connection.left_behind().handover = Some(Handover { early, take_over });
    Ok(())
}

/// What the client sent with its handshake is in the engine's body reader, which gives it whole and first. The
/// read must not wait, so it is polled once: what is not there yet comes from the raw stream later.
fn early_bytes(downstream: &mut ServerSession) -> Result<Bytes> {
    let read = downstream.read_request_body().now_or_never();
    Ok(read.transpose()?.flatten().unwrap_or_default())
}
