//! Responses to invalid request heads.

use super::Gateway;
use super::answers;
use super::exchange::Exchange;
use crate::http1::headers::RequestHead;
use crate::http1::partial_head;
use crate::http1::provenance::Provenance;
use crate::values::client_address::Peer;
use crate::values::interruption::Interruption;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::target::Target;

impl Gateway {
    /// The answer to a head that was refused before it was parsed, and its access line. `head` are the received bytes.
    pub(crate) fn refuse(&self, peer: Peer, head: &[u8], reason: Reason) -> Reply {
        let assembled = self.assembled.load_full();
        let (parts, target) = partial_head::read(head);
        let head = RequestHead::of(&parts, target);
        let mut exchange = Exchange::begin(&self.pipeline.log, &self.pipeline.clock, head);
        exchange.note_client(Provenance::of(peer, &parts.headers, &assembled.trusted).client);
        let refusal = refusal(reason, target);
        exchange.note_refusal(&refusal);
        let reply = answers::refuse(&assembled, &parts.headers, &refusal);
        exchange.note_reply(&reply);
        reply
    }

    /// The access line of a client that disconnected in the middle of a head. `head` are the received bytes.
    pub(crate) fn left(&self, peer: Peer, head: &[u8]) {
        let assembled = self.assembled.load_full();
        let (parts, target) = partial_head::read(head);
        let head = RequestHead::of(&parts, target);
        let mut exchange = Exchange::begin(&self.pipeline.log, &self.pipeline.clock, head);
        exchange.note_client(Provenance::of(peer, &parts.headers, &assembled.trusted).client);
        exchange.cut(Interruption::ClientGone);
    }
}

/// The refusal, with the part of the target that caused it, if the target did.
fn refusal(reason: Reason, target: &[u8]) -> Refusal {
    let ambiguous = if reason == Reason::TargetAmbiguous { Target::parse(target).err() } else { None };
    ambiguous.map_or_else(|| reason.into(), Refusal::from)
}
