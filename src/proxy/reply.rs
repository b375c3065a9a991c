//! Writes the head of a final answer, and the gateway's own answers.

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::client::Client;
use super::outcome::ExchangeOutcome;
use super::request::Request;
use super::wire::{self, Persistence, SentFraming};
use crate::values::reply::Reply;

/// Writes the head of a final answer, with the framing of the body. Returns whether the connection is kept, which the
/// head tells the client.
pub(super) fn put_head(
    client: &mut Client,
    request: &Request,
    (status, reason): (StatusCode, &[u8]),
    put_lines: impl FnOnce(&mut BytesMut),
    framing: SentFraming,
) -> bool {
    let keeps = request.keeps_alive()
        // Bytes after a declined handshake may be of the other protocol.
        && !request.is_upgrade()
        && framing != SentFraming::UntilClose
        // The rest of the request's body would be read as the next request.
        && client.body.is_over()
        && (client.input.is_empty() || request.may_be_followed())
        && !client.connection().is_draining();
    let persistence = match (keeps, request.is_http10()) {
        (true, false) => Persistence::Usual,
        (true, true) => Persistence::KeepAlive,
        (false, _) => Persistence::Close,
    };
    (client.has_answer, client.ends_by_close) = (true, framing == SentFraming::UntilClose);
    client.record.iter_mut().for_each(|record| record.answered(status));
    wire::put_answer(&mut client.out, (status, reason), put_lines, framing, persistence);
    keeps
}

/// Writes one of the gateway's own answers.
pub(super) async fn answer(client: &mut Client, request: &Request, reply: Reply) -> ExchangeOutcome {
    client.record.iter_mut().for_each(|record| record.note_reply(&reply));
    client.skip_body();
    let Reply { status, headers, body, .. } = reply;
    let reason = status.canonical_reason().unwrap_or_default().as_bytes();
    let put_lines = |to: &mut BytesMut| wire::put_headers(to, headers.iter().map(|(name, value)| (name, value)));
    let keeps = put_head(client, request, (status, reason), put_lines, framing_of(status, &body));
    let body = if request.is_head() { Bytes::new() } else { body };
    match client.send(&body).await {
        Ok(()) if keeps => ExchangeOutcome::Again,
        Ok(()) => ExchangeOutcome::Close,
        Err(_) => ExchangeOutcome::Gone,
    }
}

fn framing_of(status: StatusCode, body: &Bytes) -> SentFraming {
    match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => SentFraming::Nothing,
        _ => SentFraming::Length(body.len() as u64),
    }
}
