//! The client's side of a connection: received bytes that are not processed yet, and bytes that are still to be sent.
//!
//! An idle connection holds no buffer.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::buffers;
use super::connection::Connection;
use super::connection_state::{CloseReason, ConnectionState};
use super::idle::AuthenticatedConnection;
use super::outcome::ExchangeOutcome;
use super::request::Request;
use super::transport::Transport;
use super::wire;
use crate::gateway::Exchange;
use crate::http1::body::BodyReader;
use crate::values::interruption::Interruption;
use crate::values::reason::Reason;

/// A client, for the lifetime of its connection.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    connection: Arc<Connection>,
    /// Received and not processed yet.
    pub(super) input: BytesMut,
    /// To be sent.
    pub(super) out: BytesMut,
    /// The rest of the current request's body.
    pub(super) body: BodyReader,
    /// Writes the access line of the current exchange when it is dropped.
    pub(super) record: Option<Exchange>,
    /// Whether the head of the final answer has been sent or put into `out`.
    pub(super) has_answer: bool,
    /// Whether the answer ends with the connection.
    pub(super) ends_by_close: bool,
    /// Whether the answer is an event stream in chunks, which gets its last chunk even if it is cut.
    pub(super) chunked_stream: bool,
    /// Whether the client has closed its sending direction.
    pub(super) is_half_closed: bool,
    /// A connection to an upstream that one of this client's requests has authenticated (NTLM, Negotiate).
    pub(super) bound: Option<Box<AuthenticatedConnection>>,
}

/// The size of the first read, in bytes: enough for most heads.
const FIRST_READ: usize = 2048;
/// The maximum size of one read of a body, in bytes.
pub(super) const MAX_READ: usize = 64 * 1024;
/// Small chunks are collected up to this size before they are forwarded, in bytes.
const COALESCE_SIZE: usize = 16 * 1024;

impl Client {
    pub(super) fn new(transport: Transport, connection: Arc<Connection>) -> Self {
        Self {
            transport,
            connection,
            input: BytesMut::new(),
            out: BytesMut::new(),
            body: BodyReader::Length(0),
            record: None,
            has_answer: false,
            ends_by_close: false,
            chunked_stream: false,
            is_half_closed: false,
            bound: None,
        }
    }

    /// The shared state of the connection.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The connection, and the received bytes that are not processed yet.
    pub(super) fn into_parts(self) -> (Transport, Bytes) {
        (self.transport, self.input.freeze())
    }

    /// Waits for the first byte of a request without holding a buffer. False if the client has closed.
    pub(super) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if !self.input.is_empty() {
            return Poll::Ready(true);
        }
        if self.is_half_closed || ready!(self.transport.poll_read_ready(context)).is_err() {
            return Poll::Ready(false);
        }
        let read = self.poll_read(context);
        if read.is_pending() {
            // The readiness was outdated: its bytes have already been read.
            buffers::give_back(&mut self.input);
        }
        read.map(|read| read.is_ok_and(|count| count > 0))
    }

    /// Reads more into `input`; zero at the end of the client's data.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() == 0 {
            self.input = buffers::take();
        } else if self.input.len() == self.input.capacity() {
            self.input.reserve(self.input.len());
        }
        let room = if self.input.is_empty() { FIRST_READ } else { usize::MAX };
        let read = ready!(poll_read_into(&mut self.transport, &mut (&mut self.input).limit(room), context));
        Poll::Ready(self.note_read(read))
    }

    fn note_read(&mut self, read: io::Result<usize>) -> io::Result<usize> {
        let count = read?;
        self.connection.count_in(count);
        self.is_half_closed = count == 0;
        Ok(count)
    }

    /// Checks whether the client disconnects while it waits for its answer. What it sends meanwhile belongs to the next
    /// request.
    ///
    /// # Errors
    /// The connection is lost.
    pub(super) fn poll_disconnect(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if !self.input.is_empty() || self.is_half_closed {
            return Ok(());
        }
        match self.transport.poll_read_ready(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(ready) => ready.and_then(|()| match self.poll_read(context) {
                Poll::Ready(read) => read.map(drop),
                Poll::Pending => Ok(()),
            }),
        }
    }

    /// Moves more of the request's body to `to`, chunked or unchanged. False if all of it has been moved.
    ///
    /// # Errors
    /// The body is malformed, too slow, or incomplete.
    pub(super) fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        to: &mut BytesMut,
        in_chunks: bool,
    ) -> Poll<Result<bool, Reason>> {
        loop {
            if let Some(reason) = self.connection.body_fault() {
                return Poll::Ready(Err(reason));
            }
            let before = to.len();
            let finished = self.take_body(to, in_chunks)?;
            if finished || to.len() > before {
                return Poll::Ready(Ok(to.len() > before));
            }
            let Poll::Ready(read) = self.poll_read_body(context, to, in_chunks) else {
                self.connection.await_body();
                return Poll::Pending;
            };
            self.connection.body_arrived();
            if read.unwrap_or(0) == 0 {
                return Poll::Ready(Err(Reason::BodyIncomplete));
            }
            if to.len() > before {
                return Poll::Ready(Ok(true));
            }
        }
    }

    /// Reads a body of known length directly into its destination, any other into `input`.
    fn poll_read_body(
        &mut self,
        context: &mut Context<'_>,
        to: &mut BytesMut,
        in_chunks: bool,
    ) -> Poll<io::Result<usize>> {
        let BodyReader::Length(left) = &mut self.body else { return self.poll_read(context) };
        if in_chunks {
            return self.poll_read(context);
        }
        let room = usize::try_from(*left).unwrap_or(MAX_READ).min(MAX_READ);
        to.reserve(room);
        let read = ready!(poll_read_into(&mut self.transport, &mut to.limit(room), context));
        *left -= read.as_ref().map_or(0, |&count| count as u64);
        Poll::Ready(self.note_read(read))
    }

    /// Takes the part of `input` that belongs to the body. True if the body is complete.
    pub(super) fn take_body(&mut self, to: &mut BytesMut, in_chunks: bool) -> Result<bool, Reason> {
        let enough = to.len() + COALESCE_SIZE;
        while !self.input.is_empty() && !self.body.is_over() && to.len() < enough {
            let piece = self.body.step(&self.input).map_err(|_| Reason::BodyMalformed)?;
            let data = self.input.get(piece.data).unwrap_or_default();
            wire::put_data(to, data, in_chunks);
            self.input.advance(piece.taken);
            if in_chunks && self.body.is_over() {
                wire::put_last_chunk(to);
            }
        }
        Ok(self.body.is_over())
    }

    /// Skips the received part of an unwanted body. True if the next request follows.
    pub(super) fn skip_body(&mut self) -> bool {
        let mut waste = BytesMut::new();
        while !self.input.is_empty() && !self.body.is_over() {
            waste.clear();
            if self.take_body(&mut waste, false).is_err() {
                return false;
            }
        }
        self.body.is_over()
    }

    /// Sends `out`, and records the time during which the client takes nothing.
    ///
    /// # Errors
    /// The client has closed the connection.
    pub(super) fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let sent = Pin::new(&mut self.transport).poll_write(context, &self.out);
            match (sent.is_pending(), self.connection.state() == ConnectionState::Stalled) {
                (true, false) => drop(self.connection.enter(ConnectionState::Stalled)),
                (false, true) => self.connection.client_reads_again(),
                _ => {}
            }
            let count = ready!(sent)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.connection.count_out(count);
            self.out.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends `out`, and then `bytes`.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(bytes);
        self.send_rest().await
    }

    /// Sends `out`.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) async fn send_rest(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_send(context)).await
    }

    /// Reads the body of a form, at most `limit` bytes. Sends 100-continue first if the client expects it.
    ///
    /// # Errors
    /// The body is too large, too slow, or malformed.
    pub(super) async fn read_form(&mut self, request: &Request, limit: usize) -> Result<Bytes, Reason> {
        if limit == 0 || self.body.is_over() {
            return Ok(Bytes::new());
        }
        if matches!(self.body, BodyReader::Length(length) if length > limit as u64) {
            return Err(Reason::FormTooLarge);
        }
        if request.expects_continue() {
            self.send(wire::CONTINUE).await.map_err(|_| Reason::BodyIncomplete)?;
        }
        let mut form = BytesMut::new();
        while poll_fn(|context| self.poll_body(context, &mut form, false)).await? {
            if form.len() > limit {
                return Err(Reason::FormTooLarge);
            }
        }
        Ok(form.freeze())
    }

    /// Notes why the exchange was interrupted.
    pub(super) fn note_cut(&mut self, why: Interruption) {
        self.record.iter_mut().for_each(|record| record.cut(why));
    }

    /// Cuts an exchange. An event stream gets its last chunk, so that its reader sees a regular end and reconnects.
    pub(super) fn cut_short(&mut self, ending: CloseReason) {
        self.note_cut(match ending {
            CloseReason::SendTimeout => Interruption::ClientTooSlow,
            _ if self.connection.is_draining() => Interruption::Stopping,
            _ if self.connection.cut().is_refused() => Interruption::Refused,
            _ => Interruption::SessionEnded,
        });
        if self.chunked_stream && ending == CloseReason::Cut {
            wire::put_last_chunk(&mut self.out);
            // What the system does not accept now is lost, since the connection is about to be closed.
            if let Ok(count) = self.transport.try_write(&self.out) {
                self.connection.count_out(count);
            }
        }
    }

    /// Finishes the exchange: writes its access line and resets the state for the next one.
    pub(super) fn finish(&mut self) {
        (self.has_answer, self.chunked_stream) = (false, false);
        self.connection.forget_judged();
        if let Some(mut record) = self.record.take() {
            record.sent(self.connection.bytes_out());
        }
        if self.out.is_empty() {
            buffers::give_back(&mut self.out);
        }
        if self.input.is_empty() {
            buffers::give_back(&mut self.input);
        }
    }

    /// Aborts a response so that clients cannot mistake it for a complete one: with a length or chunked coding, closing
    /// in the middle suffices; if the response ends with the connection, the connection has to be reset.
    pub(super) fn abort_response(&mut self) -> ExchangeOutcome {
        if self.ends_by_close {
            self.transport.reset_when_dropped();
            return ExchangeOutcome::Gone;
        }
        // What the system does not accept now is lost; the response is incomplete anyway.
        let _ = self.transport.try_write(&self.out);
        ExchangeOutcome::Close
    }

    pub(super) fn transport(&mut self) -> &mut Transport {
        &mut self.transport
    }
}

/// Reads available bytes into `buffer`, which must have spare capacity.
pub(super) fn poll_read_into<R, B>(reader: &mut R, buffer: &mut B, context: &mut Context<'_>) -> Poll<io::Result<usize>>
where
    R: AsyncRead + Unpin + ?Sized,
    B: BufMut + ?Sized,
{
    // The future has no state between two polls, so it can be dropped.
    pin!(reader.read_buf(buffer)).poll(context)
}
