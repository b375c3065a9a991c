//! Connections of operators and of monitoring: few and short, each in its own task.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::operator::Operator;
use crate::values::reply::Reply;

/// The maximum number of concurrent connections; further ones wait.
const CONNECTIONS: usize = 16;
/// The maximum duration of a connection.
const MAX_LIFETIME: Duration = Duration::from_secs(30);
/// The pause after a failed accept, for instance without free file descriptors.
const RECOVER: Duration = Duration::from_millis(100);

/// A listener.
pub(super) trait Listen: Sync {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The user at the other end, if the kernel knows it.
    fn operator(stream: &Self::Stream) -> Operator;
}

impl Listen for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn operator(stream: &UnixStream) -> Operator {
        stream.peer_cred().ok().map(|peer| peer.uid())
    }
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn operator(_: &TcpStream) -> Operator {
        None
    }
}

/// Serves HTTP/1.1 on every connection, forever.
pub(super) async fn serve<L: Listen, F>(
    listener: &L,
    answer: impl Fn(Request<Incoming>, Operator) -> F + Clone + Send + 'static,
) where
    F: Future<Output = Reply> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok(stream) = listener.next().await else {
            tokio::time::sleep(RECOVER).await;
            continue;
        };
        let (answer, operator) = (answer.clone(), L::operator(&stream));
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let reply = answer(request, operator);
                async move { Ok::<_, Infallible>(response(reply.await)) }
            });
            let conversation =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            // A client that disconnects or exceeds the time is not an error.
            let _ = tokio::time::timeout(MAX_LIFETIME, conversation).await;
        });
    }
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    response.headers_mut().extend(reply.headers);
    response
}
