//! A sign-out: the sessions that it ends, the logout calls to applications, and the cookies that the browser deletes.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::SET_COOKIE;

use super::Gateway;
use super::app_cookies::{self, host_name};
use super::sign_in_out::{SignInOutRequest, read_form};
use crate::logout::answer::{self, ResponseStyle};
use crate::logout::browser_request::{BrowserRequest, CookieLine};
use crate::logout::ending::RequestParts;
use crate::logout::receipts::is_confirmed;
use crate::logout::sign_out::SignOut;
use crate::values::own_hosts::HostId;
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::values::session_id::SessionKey;
use crate::vault::debts::Debts;
use crate::vault::request::withhold;

impl Gateway {
    /// Ends the sessions that the request names, or all of the user if it asks for that, and then answers.
    pub(super) async fn sign_out(
        &self,
        request: &SignInOutRequest,
        sign_out: &SignOut,
        body: impl Future<Output = Result<Bytes, Reason>>,
    ) -> Reply {
        let terms = request.assembled.terms();
        let end = sign_out.end(&self.pipeline, terms.clone());
        let (mut receipt, body) = match &request.last {
            None => (end.await, body.await),
            // Only the request to the application waits for the body; the end does not.
            Some(last) => tokio::join!(end, body.inspect(|body| last.give_body(body))),
        };
        // An unusable body counts as none.
        let form = body.ok().and_then(|body| read_form(request, &body).ok());
        if form.iter().chain([&request.query]).any(answer::wants_everywhere)
            && let Some(user) = request.live_user.clone()
        {
            receipt = sign_out.end_elsewhere(user, receipt, &self.pipeline, terms).await;
        }
        let site = request.assembled.site();
        let last = request.last.as_ref().filter(|_| is_confirmed(&receipt));
        let passed_on = last.and_then(|last| last.answer(&request.assembled));
        sign_out.note_hosts(&mut receipt, passed_on.is_none(), &site);
        self.log_skipped_hosts(&receipt, request.client);
        if let Some(reply) = passed_on {
            return answer::with_cleared_cookies(reply, site.cookie.expire(), site.settings);
        }
        let next = answer::requested(form.as_ref(), &request.query);
        sign_out.answer(receipt, next, &site, self.pipeline.clock.wall())
    }
}

impl SignInOutRequest {
    /// Adds deletions of the ended sessions' application cookies to the answer. What does not fit is noted as a debt of
    /// the new session's key, or else of the ended one's. In the second case the browser keeps the ended session's
    /// cookie until all debts are settled; that cookie opens no session.
    pub(super) fn expire_app_cookies(&self, reply: &mut Reply, debts: &Debts) {
        let host = host_name(&self.assembled, self.host);
        let (mut all, mut over_keys) = (self.deletions.cookies.clone(), self.deletions.keys.clone());
        for over in self.sessions.iter().filter(|session| session.has_ended()) {
            all.extend(over.vault().map(|vault| vault.remembered(host)).unwrap_or_default());
            over_keys.extend(over.keys());
        }
        all.extend(self.held.iter().cloned());
        let left = app_cookies::put_deletions(&all, &self.assembled, reply);
        let opened = self.opened.get().map(|session| session.keys()).unwrap_or_default();
        let left_to_over = if opened.is_empty() { left.as_slice() } else { &[] };
        over_keys.iter().for_each(|key| debts.keep_only(key, host, left_to_over));
        opened.iter().for_each(|key| debts.keep_only(key, host, &left));
        if !left_to_over.is_empty() && !over_keys.is_empty() {
            let expired = self.assembled.cookie.expire();
            reply.headers.retain(|(name, line)| name != SET_COOKIE || !expired.contains(line));
        }
    }

    /// The parts of the request for logout calls, if there is any to make.
    fn for_applications(&self) -> Option<Arc<BrowserRequest>> {
        let mut request = self.leaving.clone()?;
        if let Some(left) = withhold(&self.deletions.cookies, &request.cookies.0) {
            request.cookies = CookieLine(left);
        }
        Some(Arc::new(request))
    }
}

/// The sessions that the request ends, and the style of its answer.
pub(super) fn sign_out(request: &SignInOutRequest, style: ResponseStyle) -> SignOut {
    SignOut {
        sessions: request.sessions.clone(),
        unknown: request.unknown.clone(),
        carried: RequestParts {
            cookies: usize::from(request.has_cookie),
            browser: request.for_applications(),
            passed_on: request.last.as_ref().map(|last| Arc::clone(last.request())),
        },
        style,
        language: request.reader.language(),
        host: request.host,
        elsewhere: elsewhere_open(request),
    }
}

/// The keys and names of other hosts that the sessions of a request are open on, if their data is to be cleared as
/// well.
fn elsewhere_open(request: &SignInOutRequest) -> Vec<(SessionKey, Box<str>)> {
    let assembled = &request.assembled;
    if assembled.logout.clear_site_data.is_none() {
        return Vec::new();
    }
    let (here, login) = (host_name(assembled, request.host), host_name(assembled, HostId::LOGIN));
    let keys = request.sessions.iter().flat_map(|session| session.host_keys(login));
    keys.filter(|(_, host)| **host != *here).collect()
}
