//! A request on its way in, before there is an object of the engine: a head that trickles costs a small buffer.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use super::connection::{Connection, poll_interrupted};
use super::stage::Ending;
use super::transport::Transport;
use crate::values::body::BodyReader;
use crate::values::reason::Reason;
use crate::values::request_head::{HeadLimits, HeadReader};

/// What became of waiting for a head.
pub(super) enum Arrival {
    /// A head that has one reading, with what came behind it.
    Request(Begun),
    /// No request. Nobody knows where the next one would begin.
    Refused(Refused),
    /// The connection is over.
    Gone,
}

/// A request that has begun.
pub(super) struct Begun {
    /// The head, and as much of the body as came with it.
    pub(super) bytes: BytesMut,
    /// What is still to come of the body.
    pub(super) body: BodyReader,
}

/// A head that is no request.
pub(super) struct Refused {
    /// As much of it as came.
    pub(super) bytes: BytesMut,
    /// Why.
    pub(super) reason: Reason,
}

/// Room for most heads; twice as much whenever it is full.
const FIRST_ROOM: usize = 2048;

/// Reads until the head is whole. The sweep keeps its time.
pub(super) async fn read_head(transport: &mut Transport, connection: &Connection, limits: &HeadLimits) -> Arrival {
    let mut bytes = BytesMut::with_capacity(FIRST_ROOM);
    let mut reader = HeadReader::default();
    loop {
        match read_more(transport, connection, &mut bytes).await {
            Ok(count) => connection.count_in(count),
            Err(Some(Ending::HeadTimeout)) => return refused(bytes, Reason::HeadTooSlow),
            Err(_) => return Arrival::Gone,
        }
        match reader.feed(&bytes, limits) {
            Ok(None) => {}
            Err(reason) => return refused(bytes, reason),
            Ok(Some(head)) => {
                let mut body = BodyReader::new(head.framing);
                return match body.feed(bytes.get(head.end..).unwrap_or_default()) {
                    Ok(()) => Arrival::Request(Begun { bytes, body }),
                    Err(_) => refused(bytes, Reason::BodyMalformed),
                };
            }
        }
    }
}

fn refused(bytes: BytesMut, reason: Reason) -> Arrival {
    Arrival::Refused(Refused { bytes, reason })
}

/// At least one more byte, unless the connection was ended from this side, or by the client (`None`).
async fn read_more(
    transport: &mut Transport,
    connection: &Connection,
    bytes: &mut BytesMut,
) -> Result<usize, Option<Ending>> {
    if bytes.len() == bytes.capacity() {
        bytes.reserve(bytes.len());
    }
    let mut read = pin!(transport.read_buf(bytes));
    poll_fn(|context| match poll_interrupted(connection, context) {
        Poll::Ready(ending) => Poll::Ready(Err(Some(ending))),
        Poll::Pending => read.as_mut().poll(context).map(|read| read.ok().filter(|&count| count > 0).ok_or(None)),
    })
    .await
}
