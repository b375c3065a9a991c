//! Prices over a WebSocket (RFC 6455).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};

use super::answer::{self, Body};
use super::ticker::{Ticker, Ticks, message};
use crate::http1::websocket_request::is_websocket_request;

/// The maximum size of a client's message, in bytes; messages are ignored.
const MAX_MESSAGE: usize = 4096;
/// Timeout for sending one price.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Accepts a handshake, and sends prices until the client disconnects or the shop closes.
pub(super) fn answer<B>(ticker: &Ticker, mut request: Request<B>) -> Response<Body> {
    let Some(accept) = accept_value(request.method(), request.version(), request.headers()) else {
        let refusal = answer::refusal(StatusCode::UPGRADE_REQUIRED, "this address speaks WebSocket, version 13\n");
        let refusal = answer::with(refusal, UPGRADE, HeaderValue::from_static("websocket"));
        return answer::with(refusal, SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    };
    let Some(ticks) = ticker.listen() else { return answer::full() };
    tokio::spawn(serve_socket(hyper::upgrade::on(&mut request), ticks));
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let response = answer::with(response, CONNECTION, HeaderValue::from_static("upgrade"));
    let response = answer::with(response, UPGRADE, HeaderValue::from_static("websocket"));
    answer::with(response, SEC_WEBSOCKET_ACCEPT, accept)
}

/// The value of `Sec-WebSocket-Accept` for a valid handshake.
fn accept_value(method: &Method, version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    is_websocket_request(method, version, headers).ok().filter(|asks| *asks)?;
    let key = headers.get(SEC_WEBSOCKET_KEY)?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes().trim_ascii())).ok()
}

async fn serve_socket(upgrade: OnUpgrade, mut ticks: Ticks) {
    let Ok(stream) = upgrade.await else { return };
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let config = config.read_buffer_size(MAX_MESSAGE).write_buffer_size(0).max_write_buffer_size(64 * 1024);
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await;
    // The client is gone, or too slow: the error cannot be reported to it.
    let _ = send_ticks(&mut socket, &mut ticks).await;
}

/// Sends every tick. It also reads, which answers pings and detects the end.
async fn send_ticks(socket: &mut Socket, ticks: &mut Ticks) -> Option<()> {
    loop {
        tokio::select! {
            tick = ticks.next() => match tick {
                Some(tick) => timeout(SEND_TIMEOUT, socket.send(Message::text(message(tick)))).await.ok()?.ok()?,
                None => {
                    let close_frame = CloseFrame { code: CloseCode::Away, reason: "the shop closes".into() };
                    return timeout(SEND_TIMEOUT, socket.close(Some(close_frame))).await.ok()?.ok();
                }
            },
            message = socket.next() => drop(message?.ok()?),
        }
    }
}
