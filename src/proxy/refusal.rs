//! Answers without the engine: to what is no request, and to whom there is no room for.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderName, HeaderValue};
use pingora::apps::HttpServerApp;
use pingora::proxy::{HttpProxy, ProxyHttp};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::connection::{Connection, poll_interrupted};
use super::transport::Transport;
use crate::values::client_address::Peer;
use crate::values::reason::Reason;
use crate::values::reply::Reply;

/// What stands behind the door: it answers requests as the engine carries them, and says what is told to a client
/// whose head is no request.
pub trait Behind: HttpServerApp + Send + Sync + 'static {
    /// The answer to a head that was refused before anybody parsed it, of which `head` is what came. `peer` sent it.
    fn refuse(&self, peer: Peer, head: &[u8], reason: Reason) -> Reply {
        let _ = (peer, head);
        plain(reason)
    }
}

/// An engine around something that has no pages of its own.
impl<A> Behind for HttpProxy<A>
where
    A: ProxyHttp + Send + Sync + 'static,
    A::CTX: Send + Sync,
{
}

/// The reason alone, for programs and for whoever reads no page.
pub(super) fn plain(reason: Reason) -> Reply {
    Reply::json(reason.status(), &json!({ "error": reason.id(), "message": reason.message() }))
}

/// The answer to a client that there is no room for: nobody has read what it wants.
pub(super) fn no_room(reason: Reason) -> Vec<u8> {
    last_words(plain(reason).with(RETRY_AFTER, HeaderValue::from_static("1")))
}

/// An answer as it goes over the wire, after which the connection is closed.
pub(super) fn last_words(reply: Reply) -> Vec<u8> {
    let length = (CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    let close = (CONNECTION, HeaderValue::from_static("close"));
    let mut bytes = format!("HTTP/1.1 {}\r\n", reply.status).into_bytes();
    for (name, value) in reply.headers.iter().chain([&length, &close]) {
        write_line(&mut bytes, name, value);
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&reply.body);
    bytes
}

fn write_line(bytes: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    bytes.extend_from_slice(name.as_str().as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value.as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

/// Sends an answer, for as long as the connection is not ended. A client that does not read it misses it.
pub(super) async fn say(transport: &mut Transport, connection: &Connection, bytes: &[u8]) {
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
    fn a_refusal_is_one_whole_answer() {
        for reason in [Reason::TooManyConnections, Reason::HeadTooSlow, Reason::HeadTooLarge] {
            let bytes = no_room(reason);
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head) = response.parse(&bytes).unwrap() else { panic!("a whole head") };
            assert_eq!(response.code, Some(reason.status().as_u16()));
            let length = response.headers.iter().find(|header| header.name == "content-length").unwrap();
            assert_eq!(length.value, (bytes.len() - head).to_string().as_bytes());
            assert!(String::from_utf8_lossy(&bytes[head..]).contains(reason.id()));
        }
    }
}
