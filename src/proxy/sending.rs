//! A request on its way to an upstream: its head, and the body as it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncWrite;

use super::buffers;
use super::client::Client;
use super::failure::ExchangeFailure;
use super::request::Request;
use super::upstream_stream::UpstreamStream;
use super::wire::{self, Persistence, SentFraming};
use crate::gateway::Forward;
use crate::values::reason::Reason;

/// What is sent, and how far that is.
#[derive(Debug)]
pub(super) struct Sending {
    bytes: BytesMut,
    written: usize,
    /// Of what was written, nothing waits on the gateway's side of the socket.
    flushed: bool,
    /// The length of the head.
    head: usize,
    /// The whole head is the system's.
    head_has_left: bool,
    in_chunks: bool,
    /// Everything from the first byte on is still at hand.
    is_whole: bool,
    /// The upstream takes no more. It may have answered nevertheless.
    pub(super) is_broken: bool,
}

impl Drop for Sending {
    fn drop(&mut self) {
        buffers::give_back(&mut self.bytes);
    }
}

/// Room for what is added to the head of most requests.
const ROOM_BESIDE: usize = 1024;
/// Of a request that may have to be sent again so much is kept.
const MOST_KEPT: usize = 64 * 1024;

impl Sending {
    /// The request as the application gets it: the client's lines without those that concern its connection alone, then
    /// edited by the permit, so that nothing which a client nominates removes what the gateway adds.
    pub(super) fn new(client: &mut Client, request: &Request, forward: &Forward, is_socket: bool) -> Self {
        let target = forward.target().unwrap_or_else(|| request.target());
        let method = request.method().as_str().as_bytes();
        let persistence = if is_socket { Persistence::WebSocket } else { Persistence::Usual };
        let mut bytes = buffers::take();
        bytes.reserve(ROOM_BESIDE + request.fields().bytes().len());
        let put_lines = |to: &mut BytesMut| forward.put_request(to, request.fields());
        wire::put_request(&mut bytes, (method, target), put_lines, request.framing(), persistence);
        let mut sending = Self {
            head: bytes.len(),
            bytes,
            written: 0,
            flushed: true,
            head_has_left: false,
            in_chunks: request.framing() == SentFraming::Chunked,
            is_whole: true,
            is_broken: false,
        };
        // A small body leaves with its head. What is wrong with it shows when more of it is asked for.
        let _ = client.take_body(&mut sending.bytes, sending.in_chunks);
        sending
    }

    /// Whether nothing of it was written.
    pub(super) fn is_untouched(&self) -> bool {
        self.written == 0 && !self.head_has_left
    }

    /// Whether all of it can be sent once more.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Starts over, for another connection.
    pub(super) fn rewind(&mut self) {
        (self.written, self.flushed, self.head_has_left, self.is_broken) = (0, true, false, false);
    }

    /// Writes what is to be written. Each write of the head, the first and any further, is announced to the session and
    /// not made once that has ended: after a logout's answer no byte of a head is given to the system.
    ///
    /// Ready when all of it is the system's.
    ///
    /// # Errors
    /// The session has ended. An upstream that stops reading is not an error here: it may have answered already.
    pub(super) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut UpstreamStream,
        forward: &Forward,
    ) -> Poll<Result<(), ExchangeFailure>> {
        while !self.is_broken && (self.written < self.bytes.len() || !self.flushed) {
            let write_guard = match self.head_has_left {
                true => None,
                false => Some(forward.begin_write().ok_or(ExchangeFailure::SessionEnded)?),
            };
            let step = self.poll_write(context, stream);
            drop(write_guard);
            self.is_broken |= ready!(step).is_err();
        }
        Poll::Ready(Ok(()))
    }

    /// One write, and what pushes it to the system.
    fn poll_write(&mut self, context: &mut Context<'_>, stream: &mut UpstreamStream) -> Poll<io::Result<()>> {
        let rest = self.bytes.get(self.written..).unwrap_or_default();
        if !rest.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.flushed = false;
        }
        if self.written == self.bytes.len() {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.flushed = true;
            self.head_has_left |= self.written >= self.head;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes more of the body from the client. `repeatable`: what was sent is kept as long as it is little.
    ///
    /// # Errors
    /// The body is none.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        client: &mut Client,
        repeatable: bool,
    ) -> Poll<Result<(), Reason>> {
        if !repeatable || self.bytes.len() > MOST_KEPT {
            self.is_whole = false;
            self.bytes.clear();
            (self.written, self.head) = (0, 0);
        }
        client.poll_body(context, &mut self.bytes, self.in_chunks).map_ok(drop)
    }
}
