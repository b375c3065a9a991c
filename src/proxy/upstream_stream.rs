//! The stream of a connection to an upstream: in plain text the socket itself, over TLS pingora's stream.

use std::error::Error;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use pingora::protocols::Stream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::keepalive;
use super::transport::Transport;
use crate::routes::endpoint::EndpointAddress;

/// Why a connection could not be opened.
pub(super) type ConnectError = Box<dyn Error + Send + Sync>;

/// A connection to an upstream.
#[derive(Debug)]
pub(super) enum UpstreamStream {
    /// In plain text.
    Plain(Transport),
    /// Over TLS.
    Tls(Stream),
}

impl UpstreamStream {
    /// Connects in plain text.
    ///
    /// # Errors
    /// The connection was refused, or not established within `patience`.
    pub(super) async fn connect(address: &EndpointAddress, patience: Duration) -> Result<Self, ConnectError> {
        let transport = match address {
            EndpointAddress::Tcp(address) => {
                let stream = timeout(patience, TcpStream::connect(address)).await??;
                stream.set_nodelay(true)?;
                SockRef::from(&stream).set_tcp_keepalive(&keepalive::FOR_SOCKETS)?;
                Transport::Tcp(stream)
            }
            EndpointAddress::Unix(path) => Transport::Unix(timeout(patience, UnixStream::connect(path)).await??),
        };
        Ok(Self::Plain(transport))
    }

    /// Whether the connection is open and has received nothing: bytes without a request make it unusable.
    pub(super) fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        match self {
            Self::Plain(transport) => transport
                .try_read(&mut byte.as_mut_slice())
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
            Self::Tls(stream) => {
                let mut room = ReadBuf::new(&mut byte);
                Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut room).is_pending()
            }
        }
    }

    /// Whether the other side has not closed. It asks the system, since the runtime's information may be outdated.
    pub(super) fn is_open(&self) -> bool {
        let (socket, over_tls) = match self {
            Self::Plain(transport) => (transport.as_raw_fd(), false),
            Self::Tls(stream) => (stream.id(), true),
        };
        match recv(socket, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            // Over TLS the bytes may be other records than data, such as a session ticket.
            Ok(count) => count > 0 && over_tls,
            Err(error) => error == Errno::EAGAIN,
        }
    }
}

impl AsyncRead for UpstreamStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
