//! Tunnels a WebSocket after its handshake: copies bytes in both directions until one side closes or the session ends.
//!
//! Nothing is allocated while the connections are idle: a piece is read onto the stack and written at once, and only
//! what the other side does not accept is kept, so each direction holds at most one piece.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, timeout};

use super::frames::FrameTracker;
use crate::session::live::Cut;

/// The size of one read, in bytes.
const BUFFER_SIZE: usize = 8 * 1024;
/// Timeout for the Close frames of a cut, including the wait for frame boundaries and slow readers.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// After one side has closed: the longest pause in the other direction before both are closed.
const LINGER: Duration = Duration::from_secs(10);

/// One of the two connections of a tunnel.
#[derive(Debug)]
pub struct Side<S> {
    /// The connection.
    pub stream: S,
    /// Bytes after the handshake that have already been read, to be forwarded first.
    pub already_read: Bytes,
}

/// One of the two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelPeer {
    /// The browser or program that opened the WebSocket.
    Client,
    /// The application.
    Upstream,
}

/// The rules of a tunnel.
pub trait TunnelRules {
    /// Delays the end of the session for the duration of one write.
    type WriteGuard<'a>
    where
        Self: 'a;

    /// Announces a write to the upstream; `None` if the session has ended: then nothing may be written.
    fn begin_write(&self) -> Option<Self::WriteGuard<'_>>;

    /// Called at every wake-up: cuts the tunnel if the current configuration does not allow it any more.
    fn check(&self);

    /// Called when the client has sent data that count as activity of the user.
    fn note_activity(&self);

    /// The close frame for the client when the tunnel is cut.
    fn close_message(&self) -> CloseMessage;
}

/// The Close frame of a tunnel that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMessage {
    /// 1008 (policy violation), "session ended".
    SessionEnded,
    /// 1008, "no longer allowed": the configuration has changed.
    NoLongerAllowed,
    /// 1012 (service restart): clients reconnect.
    Restart,
    /// 1001 (going away), for peers that may not know 1012.
    GoingAway,
}

impl CloseMessage {
    /// The bytes of the Close frame (RFC 6455 5.5.1, 7.4.1; 1012 is in the IANA registry).
    const fn frame(self) -> &'static [u8] {
        match self {
            Self::SessionEnded => b"\x88\x0f\x03\xf0session ended",
            Self::NoLongerAllowed => b"\x88\x13\x03\xf0no longer allowed",
            Self::Restart => b"\x88\x11\x03\xf4service restart",
            Self::GoingAway => b"\x88\x0c\x03\xe9going away",
        }
    }
}

/// Why a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEndCause {
    /// This peer closed or lost its connection.
    Ended(TunnelPeer),
    /// The session ended, or the gateway stops.
    Cut,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelEnd {
    /// The cause.
    pub cause: TunnelEndCause,
    /// Whether one of the peers had sent a Close frame.
    pub in_order: bool,
    /// Bytes that were written to the client.
    pub to_client: u64,
    /// Bytes that were written to the upstream.
    pub to_upstream: u64,
}

/// Tunnels between the two connections until one of them closes or `cut` is signalled; returns when both are closed.
///
/// After a cut the client gets the rest of its current frame and then a Close frame. Nothing that it sends is forwarded
/// any more, and what the upstream has not taken yet is discarded. The upstream gets Close 1001, unless it is in the
/// middle of a frame. All of this ends within half a second, with or without the Close frames.
pub async fn run<C, U, R>(client: Side<C>, upstream: Side<U>, cut: &Arc<Cut>, rules: &R) -> TunnelEnd
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    R: TunnelRules,
{
    cut.set_streaming();
    let mut tunnel = Tunnel {
        to_upstream: Flow::new(&client.already_read),
        to_client: Flow::new(&upstream.already_read),
        client: client.stream,
        upstream: upstream.stream,
        rules,
    };
    let cause = tunnel.join(cut).await;
    if cause == TunnelEndCause::Cut {
        // After the timeout the connections are closed without a Close frame.
        let _ = timeout(CLOSE_TIMEOUT, tunnel.close()).await;
    }
    let Tunnel { to_client, to_upstream, .. } = tunnel;
    let in_order = to_client.tracker.closes() || to_upstream.tracker.closes();
    TunnelEnd { cause, in_order, to_client: to_client.written, to_upstream: to_upstream.written }
}

struct Tunnel<'a, C, U, R> {
    client: C,
    upstream: U,
    to_client: Flow,
    to_upstream: Flow,
    rules: &'a R,
}

impl<C, U, R> Tunnel<'_, C, U, R>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    R: TunnelRules,
{
    async fn join(&mut self, cut: &Cut) -> TunnelEndCause {
        let first = poll_fn(|context| {
            self.rules.check();
            if cut.poll_signalled(context).is_ready() {
                return Poll::Ready(TunnelEndCause::Cut);
            }
            self.poll_first_end(context).map(TunnelEndCause::Ended)
        });
        match first.await {
            TunnelEndCause::Ended(peer) => self.finish(cut, peer).await,
            TunnelEndCause::Cut => TunnelEndCause::Cut,
        }
    }

    /// After one direction has ended, delivers what the other still carries, as long as it does not stall.
    async fn finish(&mut self, cut: &Cut, first: TunnelPeer) -> TunnelEndCause {
        loop {
            let before = (self.to_client.written, self.to_upstream.written);
            let mut limit = pin!(sleep(LINGER));
            let cause = poll_fn(|context| {
                self.rules.check();
                if cut.poll_signalled(context).is_ready() {
                    return Poll::Ready(Some(TunnelEndCause::Cut));
                }
                if self.poll_closed(context).is_ready() {
                    return Poll::Ready(Some(TunnelEndCause::Ended(first)));
                }
                limit.as_mut().poll(context).map(|()| None)
            });
            if let Some(cause) = cause.await {
                return cause;
            }
            if before == (self.to_client.written, self.to_upstream.written) {
                return TunnelEndCause::Ended(first);
            }
        }
    }

    /// Sends both a Close frame and closes both.
    async fn close(&mut self) {
        self.to_client.end_after_frame(self.rules.close_message().frame());
        self.to_upstream.end_now(&masked_close_1001());
        poll_fn(|context| self.poll_closed(context)).await;
    }

    /// Ready when both directions have ended and both peers have closed. What they still send is discarded: a
    /// connection that is dropped with unread bytes is reset, and then its peer may lose the last bytes.
    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let to_upstream = self.poll_to_upstream(context).is_ready();
        let to_client = self.poll_to_client(context).is_ready();
        if !(to_upstream && to_client) {
            return Poll::Pending;
        }
        let client = poll_discard(context, &mut self.client).is_ready();
        let upstream = poll_discard(context, &mut self.upstream).is_ready();
        if client && upstream { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_first_end(&mut self, context: &mut Context<'_>) -> Poll<TunnelPeer> {
        if let Poll::Ready(end) = self.poll_to_upstream(context) {
            return Poll::Ready(if end == FlowEnd::Reader { TunnelPeer::Client } else { TunnelPeer::Upstream });
        }
        self.poll_to_client(context)
            .map(|end| if end == FlowEnd::Reader { TunnelPeer::Upstream } else { TunnelPeer::Client })
    }

    /// Each step is announced to the session. After the end of the session nothing is written until the cut, and after
    /// the cut only the gateway's Close frame.
    fn poll_to_upstream(&mut self, context: &mut Context<'_>) -> Poll<FlowEnd> {
        let write_guard = match self.to_upstream.complete {
            true => None,
            false => match self.rules.begin_write() {
                None => return Poll::Pending,
                write_guard => write_guard,
            },
        };
        let active = || self.rules.note_activity();
        let polled = self.to_upstream.poll(context, &mut self.client, &mut self.upstream, active);
        drop(write_guard);
        polled
    }

    fn poll_to_client(&mut self, context: &mut Context<'_>) -> Poll<FlowEnd> {
        self.to_client.poll(context, &mut self.upstream, &mut self.client, || ())
    }
}

/// Which end of a direction has ended first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlowEnd {
    /// The reader is at its end, and everything was delivered.
    Reader,
    /// The writer is closed.
    Writer,
}

/// One direction.
#[derive(Debug)]
struct Flow {
    tracker: FrameTracker,
    /// Bytes that were read and are not written yet.
    pending: BytesMut,
    /// Whether written bytes are not flushed yet.
    unflushed: bool,
    /// Whether nothing more is read.
    complete: bool,
    /// The Close frame to write in place of the next frame.
    close_frame: Option<&'static [u8]>,
    end: Option<FlowEnd>,
    written: u64,
}

impl Flow {
    fn new(already_read: &[u8]) -> Self {
        let mut tracker = FrameTracker::at_start();
        tracker.take_all(already_read);
        Self {
            tracker,
            pending: BytesMut::from(already_read),
            unflushed: false,
            complete: false,
            close_frame: None,
            end: None,
            written: 0,
        }
    }

    /// Stops at the next frame boundary, with this frame as the last.
    fn end_after_frame(&mut self, frame: &'static [u8]) {
        if !self.complete {
            self.close_frame = Some(frame);
        }
    }

    /// Stops at once, with this frame as the last if this is a frame boundary. Pending bytes are discarded.
    fn end_now(&mut self, frame: &[u8]) {
        let is_boundary = !self.complete && self.tracker.at_boundary() && self.pending.is_empty();
        self.pending.clear();
        if is_boundary {
            self.pending.extend_from_slice(frame);
        }
        self.complete = true;
    }

    /// Copies what can be copied. Ready when this direction has ended; it may be polled again after that.
    fn poll<R, W>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        active: impl Fn(),
    ) -> Poll<FlowEnd>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while self.end.is_none() {
            ready!(self.poll_write_pending(context, writer));
            if self.tracker.at_boundary()
                && let Some(frame) = self.close_frame.take()
            {
                self.pending.extend_from_slice(frame);
                self.complete = true;
            } else if self.complete && self.end.is_none() {
                // If it fails, the writer is already gone, which does not matter at the end of the reader.
                let _ = ready!(Pin::new(&mut *writer).poll_shutdown(context));
                self.end = Some(FlowEnd::Reader);
            } else if self.end.is_none() && self.poll_read_on(context, reader, writer, &active).is_pending() {
                self.poll_flush(context, writer);
                return Poll::Pending;
            }
        }
        Poll::Ready(self.end.unwrap_or(FlowEnd::Writer))
    }

    fn poll_write_pending<W>(&mut self, context: &mut Context<'_>, writer: &mut W) -> Poll<()>
    where
        W: AsyncWrite + Unpin,
    {
        while !self.pending.is_empty() && self.end.is_none() {
            let outcome = ready!(Pin::new(&mut *writer).poll_write(context, &self.pending));
            let count = self.note_written(outcome);
            self.pending.advance(count);
        }
        if self.pending.capacity() > 0 {
            self.pending = BytesMut::new();
        }
        Poll::Ready(())
    }

    /// Reads one piece and writes at once what the writer accepts.
    fn poll_read_on<R, W>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        active: &impl Fn(),
    ) -> Poll<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut space = [MaybeUninit::uninit(); BUFFER_SIZE];
        let mut buffer = ReadBuf::uninit(&mut space);
        let outcome = ready!(Pin::new(reader).poll_read(context, &mut buffer));
        if outcome.is_err() || buffer.filled().is_empty() {
            self.complete = true;
            return Poll::Ready(());
        }
        let bytes = self.take(buffer.filled(), active);
        let count = match Pin::new(writer).poll_write(context, bytes) {
            Poll::Ready(outcome) => self.note_written(outcome),
            Poll::Pending => 0,
        };
        self.pending.extend_from_slice(bytes.get(count..).unwrap_or_default());
        Poll::Ready(())
    }

    /// Tracks the frames. Before a Close frame of the gateway only the rest of the current frame is taken.
    fn take<'bytes>(&mut self, bytes: &'bytes [u8], active: impl Fn()) -> &'bytes [u8] {
        if self.close_frame.is_some() {
            let piece = self.tracker.take(bytes);
            return bytes.get(..piece.length).unwrap_or_default();
        }
        if self.tracker.take_all(bytes) {
            active();
        }
        bytes
    }

    fn note_written(&mut self, outcome: std::io::Result<usize>) -> usize {
        let count = outcome.unwrap_or(0);
        if count == 0 {
            self.end = Some(FlowEnd::Writer);
        }
        self.unflushed = true;
        self.written += count as u64;
        count
    }

    fn poll_flush<W: AsyncWrite + Unpin>(&mut self, context: &mut Context<'_>, writer: &mut W) {
        // An error is reported by the next write.
        if self.unflushed && Pin::new(writer).poll_flush(context).is_ready() {
            self.unflushed = false;
        }
    }
}

/// Reads and discards until the end.
fn poll_discard<R: AsyncRead + Unpin>(context: &mut Context<'_>, reader: &mut R) -> Poll<()> {
    loop {
        let mut space = [MaybeUninit::uninit(); BUFFER_SIZE];
        let mut buffer = ReadBuf::uninit(&mut space);
        let outcome = ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer));
        if outcome.is_err() || buffer.filled().is_empty() {
            return Poll::Ready(());
        }
    }
}

/// Close, status 1001 (going away), masked as a client must. A fixed key is sufficient: the payload is not
/// attacker-controlled, and the peer only needs the mask to be present (RFC 6455 5.3, 10.3).
fn masked_close_1001() -> [u8; 8] {
    let mut key = [0; 4];
    // Without random bytes a key of zeroes serves the same purpose.
    let _ = getrandom::fill(&mut key);
    let [high, low] = 1001u16.to_be_bytes();
    let [first, second, third, fourth] = key;
    [0x88, 0x82, first, second, third, fourth, high ^ first, low ^ second]
}
