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

/// Reads until the head is whole. The sweep keeps its time. What was refused, or broke off, stays in the client's
/// `input`.
pub(super) async fn read_head(client: &mut Client, limits: &HeadLimits) -> ReceivedHead {
    let mut reader = HeadReader::default();
    loop {
        match reader.feed(&client.input, limits) {
            Ok(None) => {}
            Err(reason) => return ReceivedHead::Refused(reason),
            Ok(Some(head)) => {
                let body = Request::body(&head);
                let behind = client.input.get(head.end..).unwrap_or_default();
                // A request that is invalid from the start is answered before the gateway sees it.
                if body.clone().feed(behind).is_err() {
                    return ReceivedHead::Refused(Reason::BodyMalformed);
                }
                client.body = body;
                return ReceivedHead::Request(Request::take(&mut client.input, head));
            }
        }
        match read_more(client).await {
            Ok(()) => {}
            Err(Some(CloseReason::HeadTimeout)) => return ReceivedHead::Refused(Reason::HeadTooSlow),
            Err(_) => return ReceivedHead::Gone,
        }
    }
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
