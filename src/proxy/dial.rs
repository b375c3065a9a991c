//! Connections to upstreams that the gateway makes itself: those that become tunnels.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::routes::endpoint::{Endpoint, Place};
use crate::routes::pool::UpstreamSettings;

/// What a connection to an upstream can do, over TCP, TLS or a unix socket.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection to an upstream.
pub type Connection = Box<dyn Duplex>;

/// A dead machine or a forgotten connection is noticed after two minutes, however quiet the tunnel is.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4);

/// Connects to an endpoint within `connect_timeout`, over TLS where it has a server name: certificate and name are
/// checked as for all upstreams.
///
/// # Errors
/// No connection, no trust, or [`io::ErrorKind::TimedOut`].
pub async fn dial(endpoint: &Endpoint, settings: &UpstreamSettings) -> io::Result<Connection> {
    timeout(settings.connect_timeout, connect(endpoint, settings)).await?
}

async fn connect(endpoint: &Endpoint, settings: &UpstreamSettings) -> io::Result<Connection> {
    let stream = match endpoint.place() {
        Place::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Place::Tcp(address) => TcpStream::connect(address).await?,
    };
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
    let Some(name) = endpoint.server_name() else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::clone(settings.trust.client_config()));
    Ok(Box::new(connector.connect(name, stream).await?))
}
