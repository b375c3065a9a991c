//! The head of an application's answer on its way to the client.

use std::time::Duration;

use bytes::Buf;
use http::{HeaderMap, StatusCode};

use super::dispatch::Sharing;
use super::failure::Failure;
use super::relay::{Answer, Begun, Owes, Relay};
use super::reply;
use super::wire::{self, Framing};
use crate::values::answer_head::{AnswerBody, AnswerHead};
use crate::values::body::BodyReader;
use crate::values::connection_auth::response_touches_connection;
use crate::values::media_type::is_push_stream;

/// Interim answers (1xx) that one exchange may have.
const MAX_INTERIM: u8 = 32;

impl Relay<'_> {
    pub(super) fn head_came(&mut self, head: &AnswerHead) -> Result<(), Failure> {
        if head.is_interim() {
            return self.interim_came(head);
        }
        let status = StatusCode::from_u16(head.status).map_err(|_| Failure::Broken)?;
        let bytes = self.upstream.input.split_to(head.end).freeze();
        let mut headers = head.lines.to_map(&bytes);
        match self.handshake.filter(|_| status == StatusCode::SWITCHING_PROTOCOLS) {
            Some(handshake) if handshake.is_accepted_by(&headers) => {
                self.edit(status, &mut headers);
                let reason = head.reason.of(&bytes);
                self.client.record.iter_mut().for_each(|record| record.answered(status));
                let persistence = wire::Persistence::WebSocket;
                wire::put_answer(&mut self.client.out, (status, reason), &headers, Framing::Nothing, persistence);
                self.client.has_answer = true;
                self.answer = Answer::Switched;
                return Ok(());
            }
            Some(_) => {
                tracing::warn!("a 101 that does not accept the WebSocket it answers");
                return Err(Failure::Broken);
            }
            None => {}
        }
        self.let_out(head, status, head.reason.of(&bytes), headers, head.keep_alive_timeout(&bytes));
        self.piece_came();
        Ok(())
    }

    /// The one function that lets the head of an application's answer out, whichever way it came.
    fn let_out(
        &mut self,
        head: &AnswerHead,
        status: StatusCode,
        reason: &[u8],
        mut headers: HeaderMap,
        promised: Option<u64>,
    ) {
        if response_touches_connection(&headers) {
            self.sharing = Sharing::Owner;
        }
        self.edit(status, &mut headers);
        let is_push = is_push_stream(&headers);
        if is_push {
            self.client.connection().cut().set_streaming();
        }
        let framing = self.framing(head, status);
        let keeps = reply::put_head(self.client, self.request, (status, reason), &headers, framing);
        self.client.chunked_stream = is_push && framing == Framing::Chunked;
        self.answer = Answer::Begun(Begun {
            body: BodyReader::of_answer(head.body),
            has_ended: false,
            in_chunks: framing == Framing::Chunked,
            keeps,
            reusable: head.reusable,
            promised: promised.map(Duration::from_secs),
            is_push,
            goes_on: false,
        });
    }

    /// What the application says about its own connection goes, and what the permit changes is changed.
    fn edit(&self, status: StatusCode, headers: &mut HeaderMap) {
        wire::remove_hop_by_hop(headers);
        let edits = self.forward.response_edits(status, headers);
        edits.iter().for_each(|edit| edit.apply(headers));
    }

    /// How the body is framed for the client, whatever framed it until here.
    fn framing(&self, head: &AnswerHead, status: StatusCode) -> Framing {
        let none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match (head.body, head.announced) {
            _ if none => Framing::Nothing,
            (AnswerBody::Empty, AnswerBody::Length(length)) => Framing::Length(length),
            (AnswerBody::Empty, _) => Framing::Nothing,
            (AnswerBody::Length(length), _) => Framing::Length(length),
            // Who speaks HTTP/1.0 knows no chunks.
            (AnswerBody::Chunked | AnswerBody::UntilClose, _) if self.request.is_old() => Framing::UntilClose,
            (AnswerBody::Chunked | AnswerBody::UntilClose, _) => Framing::Chunked,
        }
    }

    /// An interim answer is a sign of life, and gives the application its time anew. Few are anything for the client.
    fn interim_came(&mut self, head: &AnswerHead) -> Result<(), Failure> {
        let Answer::Awaited(_, interims) = &mut self.answer else { return Err(Failure::Broken) };
        *interims += 1;
        if *interims > MAX_INTERIM {
            return Err(Failure::Broken);
        }
        self.put_interim(head);
        self.upstream.input.advance(head.end);
        if self.owes == Owes::Answer {
            self.client.connection().answer_within(self.forward.pool().settings().response_timeout);
        }
        Ok(())
    }

    /// 100 goes on where it is asked for, and 103 with nothing but links: a line that says more would reach the browser
    /// past everything that is judged in an answer.
    fn put_interim(&mut self, head: &AnswerHead) {
        let (bytes, out) = (&self.upstream.input, &mut self.client.out);
        let only_links = || {
            let mut lines = head.lines.iter();
            !head.lines.is_empty() && lines.all(|line| line.name.of(bytes).eq_ignore_ascii_case(b"link"))
        };
        match head.status {
            _ if self.request.is_old() || self.handshake.is_some() => {}
            100 if self.request.waits_to_be_asked() && !self.client.body.is_over() => {
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
