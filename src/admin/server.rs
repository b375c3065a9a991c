//! The admin socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::UnixListener;

use super::answer::AdminRequest;
use super::connections;
use super::{AdminSettings, Reload};
use crate::gateway::Gateway;
use crate::proxy::unix_socket::{self, SocketFile};
use crate::values::reply::Reply;

/// The answer to an internal error of the program.
const INTERNAL_ERROR: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// The bound socket. Its file is removed when it is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    ready: Arc<AtomicBool>,
    _file: SocketFile,
}

impl AdminSocket {
    /// Binds the socket with mode 0600, or 0660 if a group may connect. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn bind(settings: &AdminSettings) -> io::Result<Self> {
        let mode = if settings.group.is_some() { 0o660 } else { 0o600 };
        let (listener, file) = unix_socket::bind(&settings.path, mode, settings.group)?;
        Ok(Self { listener, ready: Arc::new(AtomicBool::new(true)), _file: file })
    }

    /// Serves forever. After `stopping` has finished, it reports that the gateway is not ready.
    pub async fn serve(self, gateway: Arc<Gateway>, reload: Arc<dyn Reload>, stopping: impl Future<Output = ()>) {
        let notice = async {
            stopping.await;
            self.ready.store(false, Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        tokio::join!(notice, self.accept(gateway, reload));
    }

    async fn accept(&self, gateway: Arc<Gateway>, reload: Arc<dyn Reload>) {
        let ready = Arc::clone(&self.ready);
        let answer = move |request: Request<Incoming>, operator| {
            let (gateway, reload, ready) = (Arc::clone(&gateway), Arc::clone(&reload), ready.load(Ordering::Relaxed));
            let work = async move {
                match AdminRequest::read(request.method(), request.uri()) {
                    Ok(asked) => asked.answer(&gateway, (reload, ready), operator).await,
                    Err(unknown) => unknown.answer(),
                }
            };
            // In its own task, so that it is completed and audited even if the caller disconnects.
            async {
                tokio::spawn(work)
                    .await
                    .unwrap_or_else(|_| Reply::json(INTERNAL_ERROR, &json!({ "error": "internal" })))
            }
        };
        connections::serve(&self.listener, answer).await;
    }
}
