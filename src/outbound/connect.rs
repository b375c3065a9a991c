//! Opens connections to a server, with TLS for https.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoint::OutboundEndpoint;

/// Connects to one address.
pub(super) struct OutboundConnector {
    endpoint: OutboundEndpoint,
    /// `None` for plain http.
    tls: Option<TlsConnector>,
}

impl OutboundConnector {
    pub(super) fn new(endpoint: OutboundEndpoint, authorities: Option<&[CertificateDer<'static>]>) -> io::Result<Self> {
        let tls = endpoint.server_name.as_ref().map(|_| tls(authorities)).transpose()?;
        Ok(Self { endpoint, tls })
    }

    pub(super) fn endpoint(&self) -> &OutboundEndpoint {
        &self.endpoint
    }

    /// Opens a connection for HTTP/1.1.
    ///
    /// # Errors
    /// The server cannot be reached, or the TLS handshake failed.
    pub(super) async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let OutboundEndpoint { host, port, .. } = &self.endpoint;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        // Each request is written in one piece, so Nagle's algorithm would only delay it.
        stream.set_nodelay(true)?;
        match (&self.tls, &self.endpoint.server_name) {
            (Some(tls), Some(name)) => handshake(tls.connect(name.clone(), stream).await?).await,
            (Some(_), None) | (None, _) => handshake(stream).await,
        }
    }
}

impl fmt::Debug for OutboundConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // The task ends when the sender is dropped. Its errors are also reported by the sender.
    tokio::spawn(async { _ = connection.await });
    Ok(sender)
}

fn tls(authorities: Option<&[CertificateDer<'static>]>) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(own) => own.iter().try_for_each(|one| roots.add(one.clone())).map_err(io::Error::other)?,
        // Certificates that cannot be parsed are ignored: that never trusts more.
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs()?),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
