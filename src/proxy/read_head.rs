//! Reads the head of a request. A slow head only holds a small buffer.

use std::future::poll_fn;
use std::task::Poll;

use super::client::Client;
use super::connection::poll_interrupted;
use super::connection_state::CloseReason;
use super::request::Request;
use crate::http1::request_head::{HeadLimits, HeadReader};
use crate::values::reason::Reason;

/// The result of reading a head.
pub(super) enum ReceivedHead {
    /// A valid head.
    Request(Request),
    /// An invalid head. Where the next request would begin is unknown.
    Refused(Reason),
    /// The connection is over.
    Gone,
}

/// An incomplete head. It is boxed, so that the future of an idle connection does not include it.
pub(super) struct UnfinishedHead(HeadReader);

/// Reads a head from the beginning of the client's `input`. A refused head stays there.
///
/// # Errors
/// The head is incomplete.
pub(super) fn read_head(client: &mut Client, limits: &HeadLimits) -> Result<ReceivedHead, Box<UnfinishedHead>> {
    let mut reader = HeadReader::default();
    read_on(&mut reader, client, limits).ok_or_else(|| Box::new(UnfinishedHead(reader)))
}

impl UnfinishedHead {
    /// Reads until the head is complete. The sweep enforces its deadline. A refused or incomplete head stays in the
    /// client's `input`.
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

/// Continues with the received bytes. `None` if the head is still incomplete.
fn read_on(reader: &mut HeadReader, client: &mut Client, limits: &HeadLimits) -> Option<ReceivedHead> {
    let head = match reader.feed(&client.input, limits) {
        Ok(head) => head?,
        Err(reason) => return Some(ReceivedHead::Refused(reason)),
    };
    let body = Request::body(&head);
    let behind = client.input.get(head.end..).unwrap_or_default();
    // A body that is already known to be invalid is refused before the gateway judges the request.
    if body.clone().feed(behind).is_err() {
        return Some(ReceivedHead::Refused(Reason::BodyMalformed));
    }
    client.body = body;
    Some(ReceivedHead::Request(Request::take(&mut client.input, head)))
}

/// Reads at least one more byte. Fails if the gateway or the client (`None`) has ended the connection.
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
