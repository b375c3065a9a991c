//! A request on its way in: a head that trickles costs a small buffer.

use std::future::poll_fn;
use std::task::Poll;

use super::client::Client;
use super::connection::poll_interrupted;
use super::connection_state::CloseReason;
use super::request::Request;
use crate::http1::request_head::{HeadLimits, HeadReader};
use crate::values::reason::Reason;

/// What became of waiting for a head.
pub(super) enum ReceivedHead {
    /// A head that has one reading.
    Request(Request),
    /// Not a valid request. Where the next one would begin is unknown.
    Refused(Reason),
    /// The connection is over.
    Gone,
}

/// A head of which more has to come. Boxed where it waits, so that an idle connection does not carry its room.
pub(super) struct UnfinishedHead(HeadReader);

/// Reads the head that the client's `input` begins with. What was refused stays there.
///
/// # Errors
/// More of it has to come.
pub(super) fn read_head(client: &mut Client, limits: &HeadLimits) -> Result<ReceivedHead, Box<UnfinishedHead>> {
    let mut reader = HeadReader::default();
    read_on(&mut reader, client, limits).ok_or_else(|| Box::new(UnfinishedHead(reader)))
}

impl UnfinishedHead {
    /// Reads until the head is whole. The sweep keeps its time. What was refused, or broke off, stays in the client's
    /// `input`.
    pub(super) async fn read_rest(mut self: Box<Self>, client: &mut Client, limits: &HeadLimits) -> ReceivedHead {
        loop {
            match read_more(client).await {
                Ok(()) => {}
                Err(Some(CloseReason::HeadTimeout)) => return ReceivedHead::Refused(Reason::HeadTooSlow),
                Err(_) => return ReceivedHead::Gone,
            }
            if let Some(received) = read_on(&mut self.0, client, limits) {
                return received;
            }
        }
    }
}

/// Goes on with what came. `None`: more of the head has to come.
fn read_on(reader: &mut HeadReader, client: &mut Client, limits: &HeadLimits) -> Option<ReceivedHead> {
    let head = match reader.feed(&client.input, limits) {
        Ok(head) => head?,
        Err(reason) => return Some(ReceivedHead::Refused(reason)),
    };
    let body = Request::body(&head);
    let behind = client.input.get(head.end..).unwrap_or_default();
    // A request that is invalid from the start is answered before the gateway sees it.
    if body.clone().feed(behind).is_err() {
        return Some(ReceivedHead::Refused(Reason::BodyMalformed));
    }
    client.body = body;
    Some(ReceivedHead::Request(Request::take(&mut client.input, head)))
}

/// At least one more byte, unless the connection was ended from this side, or by the client (`None`).
async fn read_more(client: &mut Client) -> Result<(), Option<CloseReason>> {
    poll_fn(|context| match poll_interrupted(client.connection(), context) {
        Poll::Ready(ending) => Poll::Ready(Err(Some(ending))),
        Poll::Pending => client.poll_read(context).map(|read| match read {
            Ok(count) if count > 0 => Ok(()),
            _ => Err(None),
        }),
    })
    .await
}
