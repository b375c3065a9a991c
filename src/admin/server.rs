//! The socket, and the connections to it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::answer::AdminRequest;
use super::{AdminSettings, Reload};
use crate::gateway::Gateway;
use crate::proxy::unix_socket::{self, SocketFile};
use crate::values::reply::Reply;

/// Connections at the same time; further ones wait.
const CONNECTIONS: usize = 16;
/// The longest life of a connection.
const LIFE: Duration = Duration::from_secs(30);
/// A pause after a connection that could not be accepted: there may be no file descriptor left.
const RECOVER: Duration = Duration::from_millis(100);

/// The bound socket. Its file goes with it.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    ready: Arc<AtomicBool>,
    _file: SocketFile,
}

impl AdminSocket {
    /// Binds it: mode 0600, or 0660 where a group may connect. To be called within a tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(settings: &AdminSettings) -> io::Result<Self> {
        let mode = if settings.group.is_some() { 0o660 } else { 0o600 };
        let (listener, file) = unix_socket::bind(&settings.path, mode, settings.group)?;
        Ok(Self { listener, ready: Arc::new(AtomicBool::new(true)), _file: file })
    }

    /// Serves forever. From the end of `stopping` on it reports that the gateway is not ready.
    pub async fn serve(self, gateway: Arc<Gateway>, reload: Arc<dyn Reload>, stopping: impl Future<Output = ()>) {
        let notice = async {
            stopping.await;
            self.ready.store(false, Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        tokio::join!(notice, self.accept(gateway, reload));
    }

    async fn accept(&self, gateway: Arc<Gateway>, reload: Arc<dyn Reload>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(RECOVER).await;
                continue;
            };
            let (gateway, reload, ready) = (Arc::clone(&gateway), Arc::clone(&reload), Arc::clone(&self.ready));
            tokio::spawn(async move {
                let _place = place;
                // A client that disconnects, or stays for too long, is not an error.
                let _ = tokio::time::timeout(LIFE, converse(stream, gateway, reload, ready)).await;
            });
        }
    }
}

async fn converse(
    stream: UnixStream,
    gateway: Arc<Gateway>,
    reload: Arc<dyn Reload>,
    ready: Arc<AtomicBool>,
) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let (gateway, reload, ready) = (Arc::clone(&gateway), Arc::clone(&reload), ready.load(Ordering::Relaxed));
        async move {
            let reply = match AdminRequest::read(request.method(), request.uri()) {
                Ok(asked) => asked.answer(&gateway, reload, ready).await,
                Err(unknown) => unknown.answer(),
            };
            Ok::<_, Infallible>(response(reply))
        }
    });
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    response.headers_mut().extend(reply.headers);
    response
}
