//! The client's stream as the engine sees it.
//!
//! Writes are gathered until the engine flushes, so that a head and a small body leave in one packet. It follows the
//! request's body to its end, and tells the connection when the client sends or takes nothing. When the engine drops
//! it, the raw stream goes back to the connection: only the loop closes a client's socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, l4::socket::SocketAddr,
};
use std::os::fd::AsRawFd;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::connection::Connection;
use super::stage::Stage;
use super::transport::Transport;
use crate::values::body::BodyReader;
use crate::values::client_address::Peer;

/// One exchange's view of a client's stream.
#[derive(Debug)]
pub(super) struct ClientIo {
    /// `None` once it was taken back.
    transport: Option<Transport>,
    connection: Arc<Connection>,
    body: BodyReader,
    out: BytesMut,
    stalled: bool,
}

/// Bytes that are gathered at most before something is sent without a flush.
const GATHER_LIMIT: usize = 16 * 1024;

impl ClientIo {
    /// The stream of an exchange whose head was read; of its body `body` is still to come.
    pub(super) fn new(transport: Transport, connection: Arc<Connection>, body: BodyReader) -> Self {
        Self { transport: Some(transport), connection, body, out: BytesMut::new(), stalled: false }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Takes the raw stream out.
    pub(super) fn into_transport(mut self) -> Option<Transport> {
        self.transport.take()
    }

    /// A body whose framing is broken goes no further.
    fn note_read(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.count_in(bytes.len());
        if self.body.is_over() {
            return Ok(());
        }
        self.connection.body_came();
        self.body.feed(bytes).map_err(|_| {
            self.connection.spoil_body();
            io::ErrorKind::InvalidData.into()
        })
    }

    /// The engine waits for the application and for the client at once. An error here is how it learns that one of
    /// them takes too long; the client can still be told.
    fn note_waiting(&self) -> io::Result<()> {
        if self.connection.answer_is_overdue() || self.connection.body_fault().is_some() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !self.body.is_over() {
            self.connection.await_body();
        }
        Ok(())
    }

    /// Keeps the time that a client takes nothing; progress begins it anew.
    fn note_write<T>(&mut self, sent: &Poll<io::Result<T>>) {
        if sent.is_pending() != self.stalled {
            self.stalled = sent.is_pending();
            if self.stalled {
                self.connection.enter(Stage::Stalled);
            } else {
                self.connection.flows_again();
            }
        }
    }

    /// Sends what is gathered and, with it, as much as goes of `bytes`; answers how much of these went.
    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let Some(transport) = self.transport.as_mut().map(Pin::new) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            let gathered = self.out.len();
            let sent = match (gathered, bytes.len()) {
                (0, 0) => return Poll::Ready(Ok(0)),
                (0, _) => transport.poll_write(context, bytes),
                (_, 0) => transport.poll_write(context, &self.out),
                _ => transport.poll_write_vectored(context, &[IoSlice::new(&self.out), IoSlice::new(bytes)]),
            };
            self.note_write(&sent);
            let sent = ready!(sent)?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(sent.min(gathered));
            if sent > gathered {
                return Poll::Ready(Ok(sent - gathered));
            }
        }
    }
}

impl Drop for ClientIo {
    fn drop(&mut self) {
        if let Some(transport) = self.transport.take() {
            self.connection.left_behind().transport = Some(transport);
        }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(transport) = self.transport.as_mut().map(Pin::new) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let before = buffer.filled().len();
        let read = transport.poll_read(context, buffer);
        if read.is_pending() {
            return self.note_waiting().map_or_else(|late| Poll::Ready(Err(late)), |()| Poll::Pending);
        }
        ready!(read)?;
        Poll::Ready(self.note_read(buffer.filled().get(before..).unwrap_or_default()))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = if self.out.len() + bytes.len() <= GATHER_LIMIT {
            self.out.extend_from_slice(bytes);
            bytes.len()
        } else {
            ready!(self.poll_send(context, bytes))?
        };
        self.connection.count_out(taken);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(context, &[]).map_ok(|_| ())
    }

    /// Says to the client that nothing more comes, unless the stream is about to be handed over: then it goes on.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        let handed_over = self.connection.left_behind().handover.is_some();
        match self.transport.as_mut() {
            Some(transport) if !handed_over => Pin::new(transport).poll_shutdown(context),
            _ => Poll::Ready(Ok(())),
        }
    }
}

#[async_trait]
impl Shutdown for ClientIo {
    async fn shutdown(&mut self) {
        // A client that is gone needs no farewell.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for ClientIo {
    fn id(&self) -> UniqueIDType {
        self.transport.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl GetSocketDigest for ClientIo {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        let digest = SocketDigest::from_raw_fd(self.id());
        let peer = match self.connection.peer() {
            Peer::Tcp(address) => Some(SocketAddr::Inet(address)),
            Peer::Unix => None,
        };
        // The cell is new, so it takes the value; set here, the engine asks the system for nothing.
        let _ = digest.peer_addr.set(peer);
        Some(Arc::new(digest))
    }
}

impl GetTimingDigest for ClientIo {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientIo {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl Ssl for ClientIo {}

impl Peek for ClientIo {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::request_head::Framing;
    use crate::values::time::Clock;
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    fn pair() -> (ClientIo, UnixStream, Arc<Connection>) {
        let (ours, clients) = UnixStream::pair().unwrap();
        let connection = Connection::new(Peer::Unix, Clock::manual().0, Arc::default());
        connection.begin_head();
        connection.enter(Stage::Exchange);
        (
            ClientIo::new(Transport::Unix(ours), Arc::clone(&connection), BodyReader::new(Framing::Empty)),
            clients,
            connection,
        )
    }

    #[tokio::test]
    async fn a_head_and_a_small_body_leave_together_at_the_flush() {
        let (mut io, clients, connection) = pair();
        io.write_all(b"head").await.unwrap();
        io.write_all(b"body").await.unwrap();
        let mut buffer = [0; 64];
        let nothing = clients.try_read(&mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        io.flush().await.unwrap();
        clients.readable().await.unwrap();
        assert_eq!(clients.try_read(&mut buffer).unwrap(), 8);
        assert_eq!(connection.bytes_out(), 8);
    }

    #[tokio::test]
    async fn a_large_body_arrives_whole_and_in_order() {
        let (mut io, mut clients, _) = pair();
        let body: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
        let sending = async {
            for piece in [&body[..10], &body[10..16_390], &body[16_390..17_000], &body[17_000..]] {
                io.write_all(piece).await.unwrap();
            }
            io.flush().await.unwrap();
            drop(io.into_transport());
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(sending, clients.read_to_end(&mut received));
        read.unwrap();
        assert_eq!(received, body);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_stalls_the_exchange_and_progress_ends_that() {
        let (mut io, mut clients, connection) = pair();
        assert_eq!(connection.stage(), Stage::Exchange);
        let body = vec![0; 4_000_000];
        let mut sending = std::pin::pin!(io.write_all(&body));
        assert!(futures_util::poll!(sending.as_mut()).is_pending());
        assert_eq!(connection.stage(), Stage::Stalled);
        let mut received = vec![0; body.len() - GATHER_LIMIT];
        let (sent, _) = tokio::join!(sending, clients.read_exact(&mut received));
        sent.unwrap();
        assert_eq!(connection.stage(), Stage::Exchange);
    }

    #[tokio::test]
    async fn the_raw_stream_comes_back_when_the_engine_drops_it() {
        let (mut io, mut clients, connection) = pair();
        connection.left_behind().handover = Some(super::super::connection::Handover {
            early: bytes::Bytes::new(),
            take_over: Box::new(|_, _, _| Box::pin(async {})),
        });
        Shutdown::shutdown(&mut io).await;
        drop(io);
        let mut transport = connection.left_behind().transport.take().unwrap();
        transport.write_all(b"still open").await.unwrap();
        let mut received = [0; 10];
        clients.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"still open");
    }
}
