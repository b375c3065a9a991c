//! A request to the application's own logout link: it ends the gateway's session first, and is then forwarded to the
//! application.
//!
//! Like a logout call, it is sent for a session that has ended: only for the one that it has ended itself, and only
//! once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::call::{TIMEOUT, is_success};
use super::client::{ApplicationClient, OwnAnswer, OwnRequest};
use crate::routes::table::Route;
use crate::session::record::Session;
use crate::values::application_outcome::{ApplicationOutcome, CallFailure};

/// The request, and its outcome.
pub(crate) struct PassedOn {
    route: Arc<Route>,
    session: Arc<Session>,
    affinity: u64,
    /// Taken by the task that sends it.
    request: Mutex<Option<(OwnRequest, oneshot::Receiver<Bytes>)>>,
    body: Mutex<Option<oneshot::Sender<Bytes>>>,
    answer: OnceLock<OwnAnswer>,
}

/// Does not show request and answer, which have the cookies of a user.
impl fmt::Debug for PassedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedOn").field("route", &self.route.name).finish_non_exhaustive()
    }
}

impl PassedOn {
    /// A request that was allowed before this session ended, without its body.
    pub(crate) fn new(route: &Arc<Route>, session: &Arc<Session>, affinity: u64, request: OwnRequest) -> Self {
        let (sender, receiver) = oneshot::channel();
        Self {
            route: Arc::clone(route),
            session: Arc::clone(session),
            affinity,
            request: Mutex::new(Some((request, receiver))),
            body: Mutex::new(Some(sender)),
            answer: OnceLock::new(),
        }
    }

    /// The application's name in receipts.
    pub(crate) fn application(&self) -> &str {
        &self.route.name
    }

    /// Whether it is for the application of this route, and of this session.
    pub(super) fn is_of(&self, session: &Session, route: &Arc<Route>) -> bool {
        std::ptr::eq(&*self.session, session) && Arc::ptr_eq(&self.route, route)
    }

    /// Provides the body that the browser has sent; without one the request is not forwarded.
    pub(crate) fn give_body(&self, body: Option<Bytes>) {
        let sender = self.body.lock().take();
        if let (Some(sender), Some(body)) = (sender, body) {
            // The receiver is gone if the body came too late.
            let _ = sender.send(body);
        }
    }

    /// Sends the request as soon as its body has arrived. It is sent at most once.
    pub(super) async fn send(&self, client: &dyn ApplicationClient) -> ApplicationOutcome {
        let Some((mut request, body)) = self.request.lock().take() else { return ApplicationOutcome::NotAttempted };
        let sent = async {
            let Ok(body) = body.await else { return Ok(None) };
            request.body = body;
            client.send(&self.route.pool, self.affinity, request).await.map(Some)
        };
        match timeout(TIMEOUT, sent).await {
            Ok(Ok(Some(answer))) if is_success(answer.status) => {
                let _ = self.answer.set(answer);
                ApplicationOutcome::EndedByCall
            }
            Ok(Ok(Some(answer))) => ApplicationOutcome::Failed(CallFailure::Status(answer.status)),
            Ok(Ok(None)) => ApplicationOutcome::NotAttempted,
            Ok(Err(failure)) => ApplicationOutcome::Failed(failure),
            Err(_) => ApplicationOutcome::Failed(CallFailure::TimedOut),
        }
    }

    /// The application's complete answer, if the application has signed the user out.
    pub(crate) fn answer(&self) -> Option<&OwnAnswer> {
        self.answer.get().filter(|answer| answer.is_whole)
    }
}
