//! A request to the application's own logout link: it ends the gateway's session first, and goes on to the application
//! after.
//!
//! As a logout call it leaves in the name of a session that has ended: of the one that it ended itself, and once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::call::{PATIENCE, is_success};
use super::client::{ApplicationClient, OwnAnswer, OwnRequest};
use crate::routes::table::Route;
use crate::session::record::Session;
use crate::values::application_outcome::{ApplicationOutcome, CallFailure};

/// The request, and what became of it.
pub(crate) struct PassedOn {
    route: Arc<Route>,
    session: Arc<Session>,
    affinity: u64,
    /// Taken by the task that sends it.
    request: Mutex<Option<(OwnRequest, oneshot::Receiver<Bytes>)>>,
    body: Mutex<Option<oneshot::Sender<Bytes>>>,
    answer: OnceLock<OwnAnswer>,
}

/// Its request and its answer have the cookies of a user.
impl fmt::Debug for PassedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedOn").field("route", &self.route.name).finish_non_exhaustive()
    }
}

impl PassedOn {
    /// A request that was judged while this session was alive, without its body.
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

    /// What receipts call the application.
    pub(crate) fn application(&self) -> &str {
        &self.route.name
    }

    /// Whether it is for the application of this route, in the name of this session.
    pub(super) fn is_of(&self, session: &Session, route: &Arc<Route>) -> bool {
        std::ptr::eq(&*self.session, session) && Arc::ptr_eq(&self.route, route)
    }

    /// Gives it the body that the browser has sent, or takes it back where there is none.
    pub(crate) fn give_body(&self, body: Option<Bytes>) {
        let sender = self.body.lock().take();
        if let (Some(sender), Some(body)) = (sender, body) {
            // The receiver is gone if the body came too late: it is not needed any more.
            let _ = sender.send(body);
        }
    }

    /// Sends it, when its body is here. The second time nothing is sent.
    pub(super) async fn send(&self, client: &dyn ApplicationClient) -> ApplicationOutcome {
        let Some((mut request, body)) = self.request.lock().take() else { return ApplicationOutcome::NotAttempted };
        let sent = async {
            let Ok(body) = body.await else { return Ok(None) };
            request.body = body;
            client.send(&self.route.pool, self.affinity, request).await.map(Some)
        };
        match timeout(PATIENCE, sent).await {
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

    /// The application's answer, if it has signed out and all of its answer has come.
    pub(crate) fn answer(&self) -> Option<&OwnAnswer> {
        self.answer.get().filter(|answer| answer.is_whole)
    }
}
