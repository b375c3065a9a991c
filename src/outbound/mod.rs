//! The HTTP client for requests that the gateway itself makes to servers in its configuration: webhooks. Redirects are
//! not followed, and certificates are always verified.

mod connect;
mod endpoint;

use std::io;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use rustls::pki_types::CertificateDer;
use thiserror::Error;

use self::connect::OutboundConnector;
pub(crate) use self::endpoint::OutboundEndpoint;

/// The maximum size of an answer's body, in bytes, after which the connection is reused. Bodies are discarded.
const MAX_ANSWER: usize = 64 * 1024;

/// Why a request was not answered.
#[derive(Debug, Error)]
pub(crate) enum OutboundError {
    /// The server cannot be reached, or its certificate is not accepted.
    #[error("no connection: {0}")]
    Unreachable(io::Error),
    /// The connection was closed early, or the answer is not valid HTTP.
    #[error("no valid answer: {0}")]
    Broken(hyper::Error),
}

/// A client for one URL. It sends requests one after another over a kept connection.
#[derive(Debug)]
pub(crate) struct OutboundClient {
    connector: OutboundConnector,
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl OutboundClient {
    /// A client for `endpoint`. The server's certificate must be issued by one of `authorities`, or, without them, by
    /// one that the operating system trusts.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub(crate) fn new(endpoint: OutboundEndpoint, authorities: Option<&[CertificateDer<'static>]>) -> io::Result<Self> {
        Ok(Self { connector: OutboundConnector::new(endpoint, authorities)?, kept: None })
    }

    /// Sends a POST request with a body of JSON, and returns the status of the answer. If a kept connection fails, the
    /// request is repeated on a new one, so the server may receive it twice. There is no timeout: the caller sets one,
    /// and dropping the future closes the connection.
    ///
    /// # Errors
    /// [`OutboundError`]. Every status is a success.
    pub(crate) async fn post(
        &mut self,
        lines: &[(HeaderName, HeaderValue)],
        body: &Bytes,
    ) -> Result<StatusCode, OutboundError> {
        if let Some(mut kept) = self.kept.take().filter(|kept| !kept.is_closed())
            && let Ok(status) = self.send(&mut kept, lines, body).await
        {
            return Ok(self.keep(kept, status));
        }
        let mut connection = self.connector.connect().await.map_err(OutboundError::Unreachable)?;
        let status = self.send(&mut connection, lines, body).await.map_err(OutboundError::Broken)?;
        Ok(self.keep(connection, status))
    }

    fn keep(&mut self, connection: SendRequest<Full<Bytes>>, (status, is_whole): (StatusCode, bool)) -> StatusCode {
        self.kept = Some(connection).filter(|_| is_whole);
        status
    }

    /// Returns the status, and whether the body was read to its end.
    async fn send(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
        lines: &[(HeaderName, HeaderValue)],
        body: &Bytes,
    ) -> Result<(StatusCode, bool), hyper::Error> {
        let endpoint = self.connector.endpoint();
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = endpoint.target.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, endpoint.authority.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("exeunt/", env!("CARGO_PKG_VERSION"))));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.extend(lines.iter().cloned());
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        let is_whole = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.is_ok();
        Ok((status, is_whole))
    }
}
