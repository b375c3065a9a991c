//! Responses to invalid requests, and to clients over the connection limit.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use http::HeaderValue;
use http::header::RETRY_AFTER;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::connection::{Connection, poll_interrupted};
use super::transport::Transport;
use super::wire::{self, Persistence, SentFraming};
use crate::values::reason::Reason;
use crate::values::reply::Reply;

/// The answer with only the reason, for clients that do not accept HTML.
pub(super) fn plain(reason: Reason) -> Reply {
    Reply::json(reason.status(), &json!({ "error": reason.id(), "message": reason.message() }))
}

/// The response to a client over the connection limit: its request is not read.
pub(super) fn no_room(reason: Reason) -> BytesMut {
    closing_answer(plain(reason).with(RETRY_AFTER, HeaderValue::from_static("1")))
}

/// The bytes of an answer after which the connection is closed.
pub(super) fn closing_answer(reply: Reply) -> BytesMut {
    let mut bytes = BytesMut::new();
    let reason = reply.status.canonical_reason().unwrap_or_default().as_bytes();
    let put_lines = |to: &mut BytesMut| wire::put_headers(to, reply.headers.iter().map(|(name, value)| (name, value)));
    let framing = SentFraming::Length(reply.body.len() as u64);
    wire::put_answer(&mut bytes, (reply.status, reason), put_lines, framing, Persistence::Close);
    bytes.extend_from_slice(&reply.body);
    bytes
}

/// Sends an answer, until the connection is ended.
pub(super) async fn send(transport: &mut Transport, connection: &Connection, bytes: &[u8]) {
    let mut write = pin!(transport.write_all(bytes));
    poll_fn(|context| match poll_interrupted(connection, context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => write.as_mut().poll(context).map(|_| ()),
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_complete_answer() {
        for reason in [Reason::TooManyConnections, Reason::HeadTooSlow, Reason::HeadTooLarge] {
            let bytes = no_room(reason);
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head) = response.parse(&bytes).unwrap() else { panic!("a whole head") };
            assert_eq!(response.code, Some(reason.status().as_u16()));
            let length = response.headers.iter().find(|header| header.name == "Content-Length").unwrap();
            assert_eq!(length.value, (bytes.len() - head).to_string().as_bytes());
            assert!(String::from_utf8_lossy(&bytes[head..]).contains(reason.id()));
        }
    }
}
