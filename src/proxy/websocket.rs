//! Opening a WebSocket at the upstream, without the engine: what comes of it is handed to the tunnel.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::{
    CONNECTION, HeaderName, PROXY_AUTHENTICATE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::time::timeout;

use super::dial::{Connection, dial};
use super::failure::UpstreamFailure;
use super::tunnel::Side;
use crate::routes::endpoint::Tried;
use crate::routes::pool::Pool;
use crate::values::websocket_request::has_token;

/// The largest head of an answer to a handshake.
const MAX_HEAD: usize = 64 * 1024;
/// The most lines in it.
const MAX_FIELDS: usize = 256;

/// A WebSocket that the application has opened.
pub struct Opened {
    /// The 101, for the client.
    pub head: response::Parts,
    /// The connection, and what the application sent together with the 101.
    pub upstream: Side<Connection>,
}

/// Why there is no WebSocket.
pub enum NotOpened {
    /// The application answered something else, which is for the client.
    Answer(Box<Answer>),
    /// There is no usable answer.
    Failure(UpstreamFailure),
}

/// An ordinary answer to a handshake.
pub struct Answer {
    /// Its head, without hop-by-hop fields.
    pub head: response::Parts,
    body: Incoming,
    patience: Duration,
}

impl Answer {
    /// The next piece of the body; `None` at its end. The application is read no faster than this is called.
    ///
    /// # Errors
    /// It was silent for `response_timeout`, or the connection broke.
    pub async fn next_piece(&mut self) -> Option<Result<Bytes, UpstreamFailure>> {
        loop {
            let frame = match timeout(self.patience, self.body.frame()).await {
                Err(_) => return Some(Err(UpstreamFailure::TooSlow)),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some(Err(UpstreamFailure::BadAnswer)),
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers are dropped, as on the engine's way.
            if let Ok(piece) = frame.into_data() {
                return Some(Ok(piece));
            }
        }
    }
}

/// Opens a WebSocket at one of the pool's endpoints, with a handshake that [`is_websocket_request`] has accepted
/// and that is edited for the upstream: origin-form target, `Host`, identity, cookies. `Connection` and `Upgrade`
/// are set here.
///
/// A failed connect moves on to the next endpoint; the handshake itself is sent once.
///
/// # Errors
/// The application's own answer, or why there is none.
///
/// [`is_websocket_request`]: crate::values::websocket_request::is_websocket_request
pub async fn open(pool: &Pool, affinity: u64, request: Request<()>) -> Result<Opened, NotOpened> {
    let connection = connect(pool, affinity).await.ok_or(NotOpened::Failure(UpstreamFailure::Unreachable))?;
    let expected = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| accept_of(key.as_bytes()));
    let patience = pool.settings().response_timeout;
    let exchange = timeout(patience, exchange(connection, request)).await;
    let response = exchange.map_err(|_| NotOpened::Failure(UpstreamFailure::TooSlow))?;
    let response = response.map_err(|error| {
        tracing::warn!(%error, "no answer to a WebSocket handshake");
        NotOpened::Failure(UpstreamFailure::BadAnswer)
    })?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (mut head, body) = response.into_parts();
        remove_hop_by_hop(&mut head.headers);
        return Err(NotOpened::Answer(Box::new(Answer { head, body, patience })));
    }
    if !accepts(response.headers(), expected.as_deref()) {
        tracing::warn!("a 101 that does not accept the WebSocket it answers");
        return Err(NotOpened::Failure(UpstreamFailure::BadAnswer));
    }
    take_over(response).await.ok_or(NotOpened::Failure(UpstreamFailure::BadAnswer))
}

async fn connect(pool: &Pool, affinity: u64) -> Option<Connection> {
    let mut tried = Tried::NOTHING;
    loop {
        let endpoint = pool.choose(affinity, &tried).await?;
        match dial(&endpoint, pool.settings()).await {
            Ok(connection) => {
                endpoint.connected();
                return Some(connection);
            }
            Err(error) => {
                tracing::warn!(place = ?endpoint.place(), %error, "no connection to the upstream");
                pool.failed_to_connect(&endpoint);
                tried.insert(&endpoint);
            }
        }
    }
}

async fn exchange(connection: Connection, request: Request<()>) -> hyper::Result<Response<Incoming>> {
    let mut request = request.map(|()| Empty::<Bytes>::new());
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD).max_headers(MAX_FIELDS).title_case_headers(true);
    let (mut sender, driver) = builder.handshake(TokioIo::new(connection)).await?;
    // It ends with the answer, whether that is taken over, read to its end, or dropped.
    tokio::spawn(driver.with_upgrades());
    sender.send_request(request).await
}

async fn take_over(mut response: Response<Incoming>) -> Option<Opened> {
    let upgraded = hyper::upgrade::on(&mut response).await.ok()?;
    let parts = upgraded.downcast::<TokioIo<Connection>>().ok()?;
    let upstream = Side { stream: parts.io.into_inner(), already_read: parts.read_buf };
    Some(Opened { head: response.into_parts().0, upstream })
}

/// RFC 6455 4.1, what a client must find in a 101.
fn accepts(headers: &HeaderMap, expected: Option<&str>) -> bool {
    let accept = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &CONNECTION, "upgrade")
        && accept.is_some()
        && accept == expected.map(str::as_bytes)
}

/// The only right answer to a key (RFC 6455 4.2.2).
fn accept_of(key: &[u8]) -> String {
    const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64.encode(&Sha1::new().chain_update(key.trim_ascii()).chain_update(MAGIC).finalize())
}

/// Removes what concerns the connection to the upstream alone (RFC 9110 7.6.1).
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let lines = headers.get_all(CONNECTION).into_iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let nominated: Vec<_> = lines.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect();
    let own = [CONNECTION, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in nominated.into_iter().chain(own).chain([HeaderName::from_static("keep-alive")]) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_of_the_standards_example() {
        assert_eq!(accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn hop_by_hop_fields_go_and_the_others_stay() {
        let lines = [
            ("connection", "close, X-Debug"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("x-debug", "1"),
            ("content-type", "text/plain"),
        ];
        let line = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::from_iter(lines.map(line));
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
    }
}
