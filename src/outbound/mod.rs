//! Requests that the gateway makes on its own account, to servers that its operator names: webhooks. Redirects are not
//! followed, and a certificate is always checked.

mod connect;
mod endpoint;

use std::fmt;
use std::io;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use rustls::pki_types::CertificateDer;

use self::connect::Connector;
pub(crate) use self::endpoint::Endpoint;

/// The largest body of an answer after which the connection is used again. None is looked at.
const MAX_ANSWER: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No connection, or not to who it should be.
    Unreachable(io::Error),
    /// The connection broke off, or what came is not valid HTTP.
    Broken(hyper::Error),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "no connection: {error}"),
            Self::Broken(error) => write!(f, "no valid answer: {error}"),
        }
    }
}

/// Sends requests to one address, one after the other, over a connection that is kept in between.
#[derive(Debug)]
pub(crate) struct Client {
    connector: Connector,
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// To this address. With `authorities`, a server's certificate has to be of one of these; otherwise of one that the
    /// machine trusts.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub(crate) fn new(endpoint: Endpoint, authorities: Option<&[CertificateDer<'static>]>) -> io::Result<Self> {
        Ok(Self { connector: Connector::new(endpoint, authorities)?, kept: None })
    }

    /// Posts JSON. A kept connection that turns out to be closed is replaced, so the same body may arrive twice. The
    /// caller keeps the time: dropping this closes the connection.
    ///
    /// # Errors
    /// [`NoAnswer`]; any status is an answer.
    pub(crate) async fn post(
        &mut self,
        lines: &[(HeaderName, HeaderValue)],
        body: &Bytes,
    ) -> Result<StatusCode, NoAnswer> {
        if let Some(mut kept) = self.kept.take().filter(|kept| !kept.is_closed())
            && let Ok(status) = self.send(&mut kept, lines, body).await
        {
            return Ok(self.keep(kept, status));
        }
        let mut connection = self.connector.connect().await.map_err(NoAnswer::Unreachable)?;
        let status = self.send(&mut connection, lines, body).await.map_err(NoAnswer::Broken)?;
        Ok(self.keep(connection, status))
    }

    fn keep(&mut self, connection: SendRequest<Full<Bytes>>, (status, is_whole): (StatusCode, bool)) -> StatusCode {
        self.kept = Some(connection).filter(|_| is_whole);
        status
    }

    /// The status, and whether the answer was read to its end.
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
