//! Sends a request to an upstream: its head, and the body as it arrives.

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

/// The bytes to send, and how many have been sent.
#[derive(Debug)]
pub(super) struct Sending {
    bytes: BytesMut,
    written: usize,
    /// Whether everything written has been flushed.
    flushed: bool,
    /// The length of the head, in bytes.
    head: usize,
    /// Whether the whole head has been handed to the system.
    head_has_left: bool,
    in_chunks: bool,
    /// Whether everything from the first byte on is still buffered.
    is_whole: bool,
    /// Whether writing has failed. The upstream may have answered nevertheless.
    pub(super) is_broken: bool,
}

impl Drop for Sending {
    fn drop(&mut self) {
        buffers::give_back(&mut self.bytes);
    }
}

/// Extra capacity for what is added to the head of most requests, in bytes.
const EXTRA_CAPACITY: usize = 1024;
/// The maximum size of a request that is buffered to be sent again, in bytes.
const MAX_KEPT: usize = 64 * 1024;

impl Sending {
    /// The request for the application. Hop-by-hop headers are removed before the permit's edits, so that nothing which
    /// a client nominates in `Connection` removes what the gateway adds.
    pub(super) fn new(client: &mut Client, request: &Request, forward: &Forward, is_socket: bool) -> Self {
        let target = forward.target().unwrap_or_else(|| request.target());
        let method = request.method().as_str().as_bytes();
        let persistence = if is_socket { Persistence::WebSocket } else { Persistence::Usual };
        let mut bytes = buffers::take();
        bytes.reserve(EXTRA_CAPACITY + request.fields().bytes().len());
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
        // A small body is sent together with the head. An error in it is reported by the next read.
        let _ = client.take_body(&mut sending.bytes, sending.in_chunks);
        sending
    }

    /// Whether nothing has been written yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.written == 0 && !self.head_has_left
    }

    /// Whether all of it can be sent again.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Starts over, for another connection.
    pub(super) fn rewind(&mut self) {
        (self.written, self.flushed, self.head_has_left, self.is_broken) = (0, true, false, false);
    }

    /// Writes the buffered bytes. Each write of the head is announced to the session, and not made once the session has
    /// ended: after a logout's answer no byte of a head is handed to the system.
    ///
    /// Ready when everything has been handed to the system.
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

    /// One write, and its flush.
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

    /// Takes more of the body from the client. With `repeatable`, sent bytes are kept up to [`MAX_KEPT`].
    ///
    /// # Errors
    /// The body is invalid.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        client: &mut Client,
        repeatable: bool,
    ) -> Poll<Result<(), Reason>> {
        if !repeatable || self.bytes.len() > MAX_KEPT {
            self.is_whole = false;
            self.bytes.clear();
            (self.written, self.head) = (0, 0);
        }
        client.poll_body(context, &mut self.bytes, self.in_chunks).map_ok(drop)
    }
}
