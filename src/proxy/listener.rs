//! Binds the addresses at which clients connect.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use super::inherited::Inherited;
use super::keepalive;
use super::transport::Transport;
use super::unix_socket::{self, SocketFile};
use crate::values::client_address::Peer;
use crate::values::listen_address::ListenAddress;

/// A bound socket to which clients can already connect; connections wait until they are accepted.
#[derive(Debug)]
pub struct Listener {
    address: ListenAddress,
    socket: Accepting,
}

#[derive(Debug)]
enum Accepting {
    Tcp(TcpListener),
    // The file is removed after the socket is closed, since fields are dropped in the order of their declaration.
    Unix(UnixListener, #[expect(dead_code, reason = "it removes the file when dropped")] Option<SocketFile>),
}

/// Why the gateway cannot listen on an address.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct BindError {
    /// The address.
    pub(crate) address: ListenAddress,
    /// The error of the operating system.
    pub(crate) cause: io::Error,
}

/// The mode of a unix socket: owner and group may connect.
const SOCKET_MODE: u32 = 0o660;
/// Binds all addresses, or none. To be called within a tokio runtime.
///
/// # Errors
/// The first address that cannot be bound. Those that were bound before are released.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<Listener>, BindError> {
    bind_or_take(addresses, &mut Inherited::default())
}

/// Like [`bind`], but takes a handed-over socket for an address if there is one.
///
/// # Errors
/// Like [`bind`].
pub(crate) fn bind_or_take(addresses: &[ListenAddress], inherited: &mut Inherited) -> Result<Vec<Listener>, BindError> {
    let mut bind_one = |address: &ListenAddress| {
        let listener = match address {
            ListenAddress::Tcp(socket) => match inherited.take_tcp(*socket) {
                Some(listener) => taken_tcp(listener),
                None => bind_tcp(*socket, takes_ipv4(*socket, addresses)),
            },
            ListenAddress::Unix(path) => match inherited.take_unix(path) {
                Some(listener) => taken_unix(path, listener),
                None => bind_unix(path),
            },
        };
        listener.map_err(|cause| BindError { address: address.clone(), cause })
    };
    addresses.iter().map(&mut bind_one).collect()
}

/// Checks whether `address`, one of `all`, could be bound now. It binds without listening, and releases the address.
///
/// # Errors
/// The error of the operating system.
pub(crate) fn probe(address: &ListenAddress, all: &[ListenAddress]) -> io::Result<()> {
    match address {
        ListenAddress::Tcp(socket) => bound(*socket, takes_ipv4(*socket, all)).map(drop),
        ListenAddress::Unix(path) => unix_socket::probe(path),
    }
}

/// An IPv6 socket accepts IPv4 as well, unless an IPv4 address with the same port is listened on.
fn takes_ipv4(address: SocketAddr, all: &[ListenAddress]) -> bool {
    let same_port_ipv4 = |other: &ListenAddress| match other {
        ListenAddress::Tcp(other) => other.is_ipv4() && other.port() == address.port(),
        ListenAddress::Unix(_) => false,
    };
    !all.iter().any(same_port_ipv4)
}

fn bind_tcp(address: SocketAddr, takes_ipv4: bool) -> io::Result<Listener> {
    let socket = bound(address, takes_ipv4)?;
    socket.listen(unix_socket::BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = ListenAddress::Tcp(listener.local_addr()?);
    Ok(Listener { address, socket: Accepting::Tcp(listener) })
}

/// A bound socket that clients cannot connect to yet.
fn bound(address: SocketAddr, takes_ipv4: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!takes_ipv4)?;
    }
    socket.set_reuse_address(true)?;
    set_options(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn set_options(socket: &Socket) -> io::Result<()> {
    // Accepted sockets inherit these two on Linux.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive::FOR_SOCKETS)?;
    socket.set_nonblocking(true)
}

fn taken_tcp(listener: std::net::TcpListener) -> io::Result<Listener> {
    set_options(&SockRef::from(&listener))?;
    let listener = TcpListener::from_std(listener)?;
    Ok(Listener { address: ListenAddress::Tcp(listener.local_addr()?), socket: Accepting::Tcp(listener) })
}

/// Its file belongs to the service manager and is not removed.
fn taken_unix(path: &Path, listener: std::os::unix::net::UnixListener) -> io::Result<Listener> {
    listener.set_nonblocking(true)?;
    let socket = Accepting::Unix(UnixListener::from_std(listener)?, None);
    Ok(Listener { address: ListenAddress::Unix(path.to_owned()), socket })
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    let (listener, file) = unix_socket::bind(path, SOCKET_MODE, None)?;
    Ok(Listener { address: ListenAddress::Unix(path.to_owned()), socket: Accepting::Unix(listener, Some(file)) })
}

impl Listener {
    /// The address at which it listens. Port 0 is replaced by the port that the system has chosen.
    pub(crate) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Accepts the next connection. Cancel-safe.
    pub(super) async fn accept(&self) -> io::Result<(Transport, Peer)> {
        match &self.socket {
            Accepting::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                Ok((Transport::Tcp(stream), Peer::Tcp(address)))
            }
            Accepting::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Transport::Unix(stream), Peer::Unix))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn unix(path: &Path) -> Vec<ListenAddress> {
        vec![ListenAddress::Unix(path.to_owned())]
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_is_removed_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let listeners = bind(&unix(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the temporary name is gone");
        drop(listeners);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let leftover = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let refused = bind(&unix(&path)).unwrap_err();
        assert_eq!(refused.cause.kind(), io::ErrorKind::AddrInUse);
        assert!(refused.to_string().contains("another process answers"), "{refused}");
        drop(leftover);
        let listeners = bind(&unix(&path)).unwrap();
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        drop(listeners);
    }

    #[tokio::test]
    async fn a_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "data").unwrap();
        assert_eq!(bind(&unix(&path)).unwrap_err().cause.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }

    #[tokio::test]
    async fn the_socket_of_another_process_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let listeners = bind(&unix(&path)).unwrap();
        fs::remove_file(&path).unwrap();
        let successor = bind(&unix(&path)).unwrap();
        drop(listeners);
        assert!(path.exists());
        drop(successor);
    }

    #[tokio::test]
    async fn accepted_sockets_send_at_once_and_ipv4_is_ipv4() {
        let listeners = bind(&["[::]:0".parse().unwrap()]).unwrap();
        let ListenAddress::Tcp(address) = *listeners[0].address() else { panic!("a TCP address") };
        let client = std::net::TcpStream::connect(("127.0.0.1", address.port())).unwrap();
        let (transport, peer) = listeners[0].accept().await.unwrap();
        let Transport::Tcp(stream) = transport else { panic!("a TCP stream") };
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
        assert_eq!(peer, Peer::Tcp(client.local_addr().unwrap()));
    }

    #[tokio::test]
    async fn both_families_at_one_port() {
        let first = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let ListenAddress::Tcp(address) = *first[0].address() else { panic!("a TCP address") };
        drop(first);
        let both = [address, SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port()))];
        assert_eq!(bind(&both.map(ListenAddress::Tcp)).unwrap().len(), 2);
        assert!(takes_ipv4(both[1], &[]));
    }
}
