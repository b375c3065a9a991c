//! Relays one request and its answer in both directions at once, in one task. Nothing is read before what was read
//! earlier has been written.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut};
use futures_util::future::BoxFuture;

use super::buffers;
use super::client::{Client, MAX_READ, poll_read_into};
use super::dispatch::{Sharing, UpstreamConnection};
use super::failure::ExchangeFailure;
use super::request::Request;
use super::sending::Sending;
use super::socket::Handshake;
use super::wire;
use crate::gateway::{Forward, Gateway};
use crate::http1::answer_head::{AnswerContext, AnswerReader};
use crate::http1::body::BodyReader;
use crate::http1::request_head::HeadLimits;

/// The limits of an answer's head.
const HEAD: HeadLimits = HeadLimits { size: 64 * 1024, fields: 256 };

/// The outcome of a relayed exchange.
pub(super) enum RelayOutcome {
    /// The answer is complete.
    Answered(CompletedAnswer),
    /// The application has opened the WebSocket.
    Switched(UpstreamConnection),
}

/// The state after a complete answer.
pub(super) struct CompletedAnswer {
    /// Whether the client's connection is kept.
    pub(super) keeps: bool,
    /// The connection to the upstream, if another request may be sent on it.
    pub(super) upstream: Option<UpstreamConnection>,
    /// Which exchanges may use that connection.
    pub(super) sharing: Sharing,
    /// The upstream's keep-alive timeout, if it sent one.
    pub(super) promised: Option<Duration>,
}

/// One attempt of an exchange.
pub(super) struct Relay<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) client: &'a mut Client,
    pub(super) request: &'a Request,
    pub(super) forward: &'a Forward,
    pub(super) sending: &'a mut Sending,
    pub(super) upstream: UpstreamConnection,
    pub(super) sharing: Sharing,
    pub(super) may_repeat: bool,
    pub(super) handshake: Option<&'a Handshake>,
    pub(super) answer: AnswerProgress,
    pub(super) awaiting: Awaiting,
    /// The generation of the configuration by which the exchange was judged.
    pub(super) judged: u64,
    /// The saving of the application's cookies, for which the head of the answer waits.
    pub(super) saving: Option<BoxFuture<'a, ()>>,
}

/// The progress of the answer.
pub(super) enum AnswerProgress {
    /// Its head is awaited, after this many interim ones.
    Awaited(AnswerReader, u8),
    /// Its head was forwarded.
    Begun(StartedAnswer),
    /// The 101 was forwarded.
    Switched,
}

/// An answer whose head was forwarded.
pub(super) struct StartedAnswer {
    pub(super) body: BodyReader,
    /// Whether a body that ends with the connection has ended.
    pub(super) has_ended: bool,
    pub(super) in_chunks: bool,
    pub(super) keeps: bool,
    pub(super) reusable: bool,
    pub(super) promised: Option<Duration>,
    /// Whether the application pushes the answer (an event stream): then reading it does not count as activity.
    pub(super) is_push: bool,
    /// Whether its beginning has been sent.
    pub(super) goes_on: bool,
}

/// What the gateway waits for from the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaiting {
    /// Nothing: the client is sending the request, with its own deadline.
    Nothing,
    /// That it accepts more of the request.
    Taking,
    /// An answer: the request is complete.
    Answer,
}

impl AnswerProgress {
    pub(super) fn awaited(request: &Request, is_socket: bool) -> Self {
        Self::Awaited(AnswerReader::new(AnswerContext { by_head: request.is_head(), upgrade: is_socket }), 0)
    }
}

impl StartedAnswer {
    fn is_over(&self) -> bool {
        self.has_ended || self.body.is_over()
    }
}

impl Relay<'_> {
    /// Relays until the answer has been received completely; [`Relay::end`] comes next. The last part of it is still to
    /// be sent to the client, for which the upstream's connection is not needed.
    ///
    /// # Errors
    /// Why the answer is not complete.
    pub(super) async fn run(&mut self) -> Result<(), ExchangeFailure> {
        self.client.connection().note_judged(self.judged);
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ExchangeFailure>> {
        self.check_rules()?;
        self.check_times()?;
        // Each direction proceeds as far as it can without waiting for the other.
        self.poll_request(context)?;
        self.poll_answer(context)?;
        if self.is_over() && self.saving.is_none() {
            return Poll::Ready(Ok(()));
        }
        self.watch_client(context)?;
        Poll::Pending
    }

    fn is_over(&self) -> bool {
        match &self.answer {
            AnswerProgress::Awaited(..) => false,
            AnswerProgress::Begun(begun) => begun.is_over(),
            AnswerProgress::Switched => true,
        }
    }

    /// The outcome.
    pub(super) fn end(self) -> RelayOutcome {
        let Self { client, sending, upstream, sharing, answer, .. } = self;
        client.connection().answer_arrived();
        client.connection().forget_judged();
        let AnswerProgress::Begun(begun) = answer else { return RelayOutcome::Switched(upstream) };
        let reusable = begun.reusable
            && !begun.body.was_lenient()
            && client.body.is_over()
            && !sending.is_broken
            // Data after the response belong to no request, so the connection cannot be reused.
            && upstream.input.is_empty();
        let upstream = reusable.then_some(upstream);
        RelayOutcome::Answered(CompletedAnswer { keeps: begun.keeps, upstream, sharing, promised: begun.promised })
    }

    /// If the configuration has changed, judges the exchange again. A refused request is answered as if it came now, if
    /// its head has not been sent yet; otherwise it is cut.
    fn check_rules(&mut self) -> Result<(), ExchangeFailure> {
        let generation = self.gateway.generation();
        if generation == self.judged {
            return Ok(());
        }
        self.judged = generation;
        let connection = self.client.connection();
        let judged = self.gateway.judge_again(self.request.head_over(connection), connection.peer(), self.forward);
        connection.note_judged(generation);
        match judged {
            Err(reason) if self.sending.is_untouched() => Err(ExchangeFailure::Refused(reason)),
            Err(_) => {
                connection.cut().signal_refused(self.gateway.grace());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Checks the deadlines, which the sweep enforces by waking this task.
    fn check_times(&self) -> Result<(), ExchangeFailure> {
        if self.client.connection().answer_is_overdue() { Err(ExchangeFailure::TooSlow) } else { Ok(()) }
    }

    /// Relays the request until it is complete or has to wait.
    fn poll_request(&mut self, context: &mut Context<'_>) -> Result<(), ExchangeFailure> {
        loop {
            match self.sending.poll_send(context, &mut self.upstream.stream, self.forward) {
                Poll::Pending => {
                    self.awaits(Awaiting::Taking);
                    return Ok(());
                }
                Poll::Ready(sent) => sent?,
            }
            if self.sending.is_broken {
                return Ok(());
            }
            if self.client.body.is_over() {
                self.awaits(Awaiting::Answer);
                return Ok(());
            }
            self.awaits(Awaiting::Nothing);
            match self.sending.poll_fill(context, self.client, self.may_repeat) {
                Poll::Pending => return Ok(()),
                Poll::Ready(filled) => filled.map_err(ExchangeFailure::Body)?,
            }
            self.gateway.touch(self.forward);
        }
    }

    /// Restarts the application's deadline if it is now waited for something else.
    fn awaits(&mut self, owes: Awaiting) {
        if matches!(self.answer, AnswerProgress::Awaited(..)) && self.awaiting != owes {
            self.awaiting = owes;
            let connection = self.client.connection();
            match owes {
                Awaiting::Nothing => connection.answer_arrived(),
                Awaiting::Taking | Awaiting::Answer => {
                    connection.answer_within(self.forward.pool().settings().response_timeout);
                }
            }
        }
    }

    /// Relays the answer until it is complete or has to wait.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Result<(), ExchangeFailure> {
        loop {
            self.digest()?;
            if self.is_saving(context) || self.is_over() {
                return Ok(());
            }
            let to_send = !self.client.out.is_empty();
            match self.client.poll_send(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(sent) => sent.map_err(|_| ExchangeFailure::ClientGone)?,
            }
            self.note_activity(to_send);
            match self.poll_read(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(count)) if count > 0 => self.piece_arrived(),
                Poll::Ready(read) => self.upstream_is_done(read.is_ok())?,
            }
        }
    }

    /// Whether the head of the answer has to wait.
    fn is_saving(&mut self, context: &mut Context<'_>) -> bool {
        let is_saving = self.saving.as_mut().is_some_and(|saving| saving.as_mut().poll(context).is_pending());
        if !is_saving {
            self.saving = None;
        }
        is_saving
    }

    /// Reading a long answer counts as activity. Its beginning does not count again, since the request did.
    fn note_activity(&mut self, sent: bool) {
        if let AnswerProgress::Begun(begun) = &mut self.answer
            && sent
        {
            if begun.goes_on && !begun.is_push {
                self.gateway.touch(self.forward);
            }
            begun.goes_on = true;
        }
    }

    /// Reads more from the upstream: directly into the client's output if the framing is the same.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let UpstreamConnection { stream, input, .. } = &mut self.upstream;
        let begun = match &mut self.answer {
            AnswerProgress::Begun(begun) => begun,
            AnswerProgress::Awaited(..) | AnswerProgress::Switched => {
                if input.capacity() == 0 {
                    *input = buffers::take();
                } else if input.len() == input.capacity() {
                    input.reserve(input.len());
                }
                return poll_read_into(stream, input, context);
            }
        };
        let room = match &begun.body {
            BodyReader::Length(left) => usize::try_from(*left).unwrap_or(MAX_READ).min(MAX_READ),
            BodyReader::UntilClose if !begun.in_chunks => MAX_READ,
            BodyReader::UntilClose | BodyReader::Chunked(_) => {
                input.reserve(MAX_READ / 4);
                return poll_read_into(stream, input, context);
            }
        };
        let out = &mut self.client.out;
        out.reserve(room);
        let read = poll_read_into(stream, &mut out.limit(room), context);
        if let (BodyReader::Length(left), Poll::Ready(Ok(count))) = (&mut begun.body, &read) {
            *left -= *count as u64;
        }
        read
    }

    /// Sets the deadline for the next piece of the answer.
    pub(super) fn piece_arrived(&self) {
        if matches!(self.answer, AnswerProgress::Begun(_)) {
            self.client.connection().answer_within(self.forward.pool().settings().stream_timeout);
        }
    }

    /// The upstream has closed (`cleanly`), or its connection was lost.
    fn upstream_is_done(&mut self, cleanly: bool) -> Result<(), ExchangeFailure> {
        match &mut self.answer {
            AnswerProgress::Awaited(_, 0) if self.upstream.input.is_empty() => Err(ExchangeFailure::Lost),
            AnswerProgress::Begun(begun) if cleanly && matches!(begun.body, BodyReader::UntilClose) => {
                begun.has_ended = true;
                if begun.in_chunks {
                    wire::put_last_chunk(&mut self.client.out);
                }
                Ok(())
            }
            AnswerProgress::Awaited(..) | AnswerProgress::Begun(_) | AnswerProgress::Switched => {
                Err(ExchangeFailure::Broken)
            }
        }
    }

    /// Converts received bytes of the answer into bytes for the client.
    fn digest(&mut self) -> Result<(), ExchangeFailure> {
        while !self.upstream.input.is_empty() {
            match &mut self.answer {
                AnswerProgress::Awaited(reader, _) => {
                    let read = reader.feed(&mut self.upstream.input, &HEAD).map_err(|_| ExchangeFailure::Broken)?;
                    let Some(head) = read else { return Ok(()) };
                    self.head_arrived(head)?;
                }
                AnswerProgress::Begun(begun) if begun.is_over() => return Ok(()),
                AnswerProgress::Begun(begun) => {
                    let piece = begun.body.step(&self.upstream.input).map_err(|_| ExchangeFailure::Broken)?;
                    let data = self.upstream.input.get(piece.data).unwrap_or_default();
                    wire::put_data(&mut self.client.out, data, begun.in_chunks);
                    self.upstream.input.advance(piece.taken);
                    if begun.in_chunks && begun.body.is_over() {
                        wire::put_last_chunk(&mut self.client.out);
                    }
                }
                AnswerProgress::Switched => return Ok(()),
            }
        }
        Ok(())
    }

    /// A client that has closed only its sending direction still gets its answer, but not an endless stream.
    fn watch_client(&mut self, context: &mut Context<'_>) -> Result<(), ExchangeFailure> {
        if self.client.body.is_over() {
            self.client.poll_disconnect(context).map_err(|_| ExchangeFailure::ClientGone)?;
        }
        let endless = matches!(&self.answer, AnswerProgress::Begun(begun) if begun.is_push);
        if self.client.is_half_closed && endless { Err(ExchangeFailure::ClientGone) } else { Ok(()) }
    }
}
