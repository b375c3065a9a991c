//! Runs requests that sign in or out or change something else of their user: slow work that must not stop half-way when
//! the client disconnects.

use std::sync::Arc;

use bytes::Bytes;

use super::sign_in_out::{OwnSessions, SignInOut, SignInOutRequest};
use super::sign_out::sign_out;
use super::{Gateway, answers, run_to_completion};
use crate::values::reason::Reason;
use crate::values::reply::Reply;

impl Gateway {
    /// Signs in or out. Ends and sign-ins that have begun are completed even if the caller's future is dropped. `body`
    /// returns the request's body, or why it did not arrive; a logout waits for it only after the sessions have ended.
    pub(crate) async fn sign_in_or_out(
        self: &Arc<Self>,
        mut request: Box<SignInOutRequest>,
        body: impl Future<Output = Result<Bytes, Reason>>,
    ) -> Reply {
        // A request that could not be prepared for the application is not forwarded.
        request.onward = None;
        let request = Arc::<SignInOutRequest>::from(request);
        let done = self.carry_out(&request, body).await;
        let broken_down = || answers::refusal_for(&request.assembled, request.reader, &Reason::Internal.into());
        let mut reply = done.unwrap_or_else(broken_down);
        request.expire_app_cookies(&mut reply, &self.pipeline.debts);
        reply
    }

    async fn carry_out(
        self: &Arc<Self>,
        request: &Arc<SignInOutRequest>,
        body: impl Future<Output = Result<Bytes, Reason>>,
    ) -> Option<Reply> {
        let (gateway, asked) = (Arc::clone(self), Arc::clone(request));
        match request.action.clone() {
            SignInOut::ChangePassword(session) => {
                let body = body.await;
                run_to_completion(async move { gateway.change_password(&asked, &session, body).await }).await
            }
            SignInOut::SignIn => {
                let body = body.await;
                run_to_completion(async move { gateway.sign_in(&asked, body).await }).await
            }
            SignInOut::SignOut(style) => Some(gateway.sign_out(request, &sign_out(request, style), body).await),
            SignInOut::Offer(wanted) => Some(gateway.offer(request, &wanted).await),
            SignInOut::Enter(entering) => {
                run_to_completion(async move { gateway.enter(&asked, &entering).await }).await
            }
            SignInOut::OwnSessions(session, OwnSessions::List) => {
                Some(gateway.list_own_sessions(request, &session).await)
            }
            SignInOut::OwnSessions(session, OwnSessions::End) => {
                let body = body.await;
                run_to_completion(async move { gateway.end_own_sessions(&asked, &session, body).await }).await
            }
        }
    }
}
