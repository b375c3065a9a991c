//! Forwards the head of an application's answer to the client.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::StatusCode;

use super::buffers;
use super::dispatch::Sharing;
use super::failure::ExchangeFailure;
use super::relay::{AnswerProgress, Awaiting, Relay, StartedAnswer};
use super::reply;
use super::wire::{self, Persistence, SentFraming};
use crate::gateway::Exchange;
use crate::http1::answer_head::{AnswerBody, AnswerHead};
use crate::http1::body::BodyReader;
use crate::http1::connection_auth::response_touches_connection;
use crate::http1::head_lines::{HeadFields, Span};
use crate::http1::media_type::is_push_stream;

/// Extra capacity for what is added to the head of most answers, in bytes.
const EXTRA_CAPACITY: usize = 256;
/// The maximum number of interim answers (1xx) in one exchange.
const MAX_INTERIM: u8 = 32;

impl Relay<'_> {
    pub(super) fn head_arrived(&mut self, head: AnswerHead) -> Result<(), ExchangeFailure> {
        if head.is_interim() {
            return self.interim_arrived(&head);
        }
        let status = StatusCode::from_u16(head.status).map_err(|_| ExchangeFailure::Broken)?;
        self.client.record.iter_mut().for_each(Exchange::upstream_answered);
        let bytes = self.upstream.input.split_to(head.end).freeze();
        let promised = head.keep_alive_timeout(&bytes).map(Duration::from_secs);
        let (body, reusable, framing) = (head.body, head.reusable, self.framing(&head, status));
        let fields = HeadFields::new(bytes, head.lines);
        match self.handshake.filter(|_| status == StatusCode::SWITCHING_PROTOCOLS) {
            Some(handshake) if handshake.is_accepted_by(&fields) => self.switch(status, head.reason, &fields),
            Some(_) => {
                tracing::warn!("an upstream answered a WebSocket handshake with an invalid 101");
                return Err(ExchangeFailure::Broken);
            }
            None => {
                let (keeps, is_push) = self.send_head(status, head.reason, &fields, framing);
                let (body, in_chunks) = (BodyReader::of_answer(body), framing == SentFraming::Chunked);
                let (has_ended, goes_on) = (false, false);
                self.answer = AnswerProgress::Begun(StartedAnswer {
                    body,
                    has_ended,
                    in_chunks,
                    keeps,
                    reusable,
                    promised,
                    is_push,
                    goes_on,
                });
                self.piece_arrived();
            }
        }
        Ok(())
    }

    /// Forwards the 101, after which the connection has another protocol.
    fn switch(&mut self, status: StatusCode, reason: Span, fields: &HeadFields) {
        let reason = reason.of(fields.bytes());
        let put_lines = |to: &mut BytesMut| self.forward.put_response(to, status, fields, self.request.head());
        let out = &mut self.client.out;
        wire::put_answer(out, (status, reason), put_lines, SentFraming::Nothing, Persistence::WebSocket);
        self.client.record.iter_mut().for_each(|record| record.answered(status));
        self.client.has_answer = true;
        self.answer = AnswerProgress::Switched;
        self.saving = self.gateway.save_cookies(self.forward);
    }

    /// The only function that forwards the head of an application's answer: hop-by-hop headers are removed and the
    /// permit's edits applied. Returns whether the client's connection is kept, and whether the answer is pushed by the
    /// application (an event stream).
    fn send_head(
        &mut self,
        status: StatusCode,
        reason: Span,
        fields: &HeadFields,
        framing: SentFraming,
    ) -> (bool, bool) {
        if response_touches_connection(fields) {
            self.sharing = Sharing::Owner;
        }
        let is_push = is_push_stream(fields);
        if is_push {
            self.client.connection().cut().set_streaming();
        }
        let reason = reason.of(fields.bytes());
        let put_lines = |to: &mut BytesMut| self.forward.put_response(to, status, fields, self.request.head());
        if self.client.out.capacity() == 0 {
            self.client.out = buffers::take();
        }
        self.client.out.reserve(EXTRA_CAPACITY + fields.bytes().len() + self.upstream.input.len());
        let keeps = reply::put_head(self.client, self.request, (status, reason), put_lines, framing);
        self.saving = self.gateway.save_cookies(self.forward);
        self.client.chunked_stream = is_push && framing == SentFraming::Chunked;
        (keeps, is_push)
    }

    /// The framing of the body towards the client, which does not depend on the upstream's framing.
    fn framing(&self, head: &AnswerHead, status: StatusCode) -> SentFraming {
        let none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match (head.body, head.announced) {
            _ if none => SentFraming::Nothing,
            (AnswerBody::Empty, AnswerBody::Length(length)) => SentFraming::Length(length),
            (AnswerBody::Empty, _) => SentFraming::Nothing,
            (AnswerBody::Length(length), _) => SentFraming::Length(length),
            // HTTP/1.0 clients do not support chunked coding.
            (AnswerBody::Chunked | AnswerBody::UntilClose, _) if self.request.is_http10() => SentFraming::UntilClose,
            (AnswerBody::Chunked | AnswerBody::UntilClose, _) => SentFraming::Chunked,
        }
    }

    /// An interim answer shows that the application is working, so its timeout starts again. Only some of them are
    /// forwarded to the client.
    fn interim_arrived(&mut self, head: &AnswerHead) -> Result<(), ExchangeFailure> {
        let AnswerProgress::Awaited(_, interims) = &mut self.answer else { return Err(ExchangeFailure::Broken) };
        *interims += 1;
        if *interims > MAX_INTERIM {
            return Err(ExchangeFailure::Broken);
        }
        self.put_interim(head);
        self.upstream.input.advance(head.end);
        if self.awaiting == Awaiting::Answer {
            self.client.connection().answer_within(self.forward.pool().settings().response_timeout);
        }
        Ok(())
    }

    /// 100 is forwarded if the client expects it, and 103 with `Link` lines only: other lines would reach the browser
    /// without the rules for answers.
    fn put_interim(&mut self, head: &AnswerHead) {
        let (bytes, out) = (&self.upstream.input, &mut self.client.out);
        let only_links = || {
            let mut lines = head.lines.iter();
            !head.lines.is_empty() && lines.all(|line| line.name.of(bytes).eq_ignore_ascii_case(b"link"))
        };
        match head.status {
            _ if self.request.is_http10() || self.handshake.is_some() => {}
            100 if self.request.expects_continue() && !self.client.body.is_over() => {
                out.extend_from_slice(wire::CONTINUE);
            }
            103 if only_links() && !self.forward.has_ended() => {
                out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
                for line in head.lines.iter() {
                    for part in [b"Link: ".as_slice(), line.value.of(bytes), b"\r\n"] {
                        out.extend_from_slice(part);
                    }
                }
                out.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
    }
}
