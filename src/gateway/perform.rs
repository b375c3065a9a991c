//! Sign-in and sign-out: slow work that must not stop half-way because the client disconnects.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::StatusCode;
use http::header::SET_COOKIE;
use serde_json::json;

use super::answers::{self, Audience};
use super::app_cookies::{self, host_name};
use super::assembled::Assembled;
use super::built_in_pages::site;
use super::elsewhere;
use super::sign_in_out::{OwnSessions, SignInOut, SignInOutRequest, read_form};
use super::{Gateway, to_the_end};
use crate::login::sign_in::{Browser, SignInFlow, SignedIn};
use crate::login::sign_in_form;
use crate::logout::answer::{self, ResponseStyle};
use crate::logout::browser_request::{BrowserRequest, CookieLine};
use crate::logout::ending::{Carried, Terms};
use crate::logout::receipts::is_confirmed;
use crate::logout::run::Which;
use crate::logout::sign_out::SignOut;
use crate::pages;
use crate::session::record::Session;
use crate::values::own_hosts::HostId;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;
use crate::values::session_id::SessionKey;
use crate::vault::browser_cookie::BrowserCookie;
use crate::vault::debts::Debts;
use crate::vault::request::withhold;

impl Gateway {
    /// Signs in or out. What it begins to end or to open is finished even if the caller goes away. `body` gives what
    /// arrives of the request's body, or why it does not; a logout waits for it only when everything is over.
    pub(crate) async fn sign_in_or_out(
        self: &Arc<Self>,
        mut request: Box<SignInOutRequest>,
        body: impl Future<Output = Result<Bytes, Reason>>,
    ) -> Reply {
        // What was not written down does not go on.
        request.onward = None;
        let request = Arc::<SignInOutRequest>::from(request);
        let done = self.perform(&request, body).await;
        let broken_down = || answers::refusal_for(&request.assembled, request.reader, &Reason::Internal.into());
        let mut reply = done.unwrap_or_else(broken_down);
        app_cookies::tell(&request.forgotten(&self.pipeline.debts), &request.assembled, &mut reply);
        reply
    }

    async fn perform(
        self: &Arc<Self>,
        request: &Arc<SignInOutRequest>,
        body: impl Future<Output = Result<Bytes, Reason>>,
    ) -> Option<Reply> {
        let (gateway, asked) = (Arc::clone(self), Arc::clone(request));
        match request.action.clone() {
            SignInOut::ChangePassword(session) => {
                let body = body.await;
                to_the_end(async move { gateway.change_password(&asked, &session, body).await }).await
            }
            SignInOut::SignIn => {
                let body = body.await;
                to_the_end(async move { gateway.sign_in(&asked, body).await }).await
            }
            SignInOut::SignOut(style) => Some(gateway.sign_out(request, &sign_out(request, style), body).await),
            SignInOut::Offer(wanted) => Some(gateway.offer(request, &wanted)),
            SignInOut::Enter(entering) => to_the_end(async move { gateway.enter(&asked, &entering).await }).await,
            SignInOut::OwnSessions(session, OwnSessions::List) => Some(gateway.list_own_sessions(request, &session)),
            SignInOut::OwnSessions(session, OwnSessions::End) => {
                let body = body.await;
                to_the_end(async move { gateway.end_own_sessions(&asked, &session, body).await }).await
            }
        }
    }

    async fn sign_out(
        &self,
        request: &SignInOutRequest,
        sign_out: &SignOut,
        body: impl Future<Output = Result<Bytes, Reason>>,
    ) -> Reply {
        let terms = request.assembled.terms();
        let end = sign_out.end(&self.pipeline, terms.clone());
        let (mut receipt, body) = match &request.last {
            None => (end.await, body.await),
            // The application waits for the body. The end does not.
            Some(last) => tokio::join!(end, body.inspect(|body| last.give_body(body))),
        };
        // A body that says nothing usable is none.
        let form = body.ok().and_then(|body| read_form(request, &body).ok());
        if form.iter().chain([&request.query]).any(answer::wants_everywhere)
            && let Some(user) = request.live_user.clone()
        {
            receipt = sign_out.end_elsewhere(user, receipt, &self.pipeline, terms).await;
        }
        let site = request.assembled.site();
        let last = request.last.as_ref().filter(|_| is_confirmed(&receipt));
        if let Some(reply) = last.and_then(|last| last.answer(&request.assembled)) {
            return answer::with_cleared_cookies(reply, site.cookie.expire(), site.settings);
        }
        let next = answer::requested(form.as_ref(), &request.query);
        sign_out.answer(receipt, next, &site, self.pipeline.clock.wall())
    }

    async fn sign_in(self: &Arc<Self>, request: &SignInOutRequest, body: Result<Bytes, Reason>) -> Reply {
        let (assembled, targets) = (&request.assembled, request.assembled.return_targets());
        let form = match body.map_err(Refusal::from).and_then(|body| read_form(request, &body)) {
            Ok(form) => form,
            Err(problem) => {
                let next = targets.of(answer::requested(None, &request.query), request.host);
                return form_again(request, "", &next, &problem);
            }
        };
        let next = targets.of(answer::requested(Some(&form), &request.query), request.host);
        let presented = match sign_in_form::read(&form) {
            Ok(presented) => presented,
            Err(reason) => {
                let refusal = self.attempts(assembled).refused("", request.client, reason.into());
                return form_again(request, "", &next, &refusal);
            }
        };
        drop(form);
        let (client, device) = (request.client, request.device);
        let host = (request.host != HostId::LOGIN).then(|| host_name(assembled, request.host));
        let browser = Browser { client, device, host, known: &request.known, sessions: &request.sessions };
        match self.sign_in_flow(assembled, &assembled.terms()).sign_in(&presented, browser).await {
            Ok(signed_in) => match self.signed_in_too_late(assembled, &signed_in.session).await {
                None => {
                    let next = elsewhere::landing(&next, request.host, assembled);
                    self::signed_in(request, &signed_in, &next)
                }
                Some(refusal) => form_again(request, &presented.user, &next, &refusal),
            },
            Err(refusal) => form_again(request, &presented.user, &next, &refusal),
        }
    }

    /// Ends a session whose password was checked by a configuration that was replaced meanwhile and that the new one
    /// refuses. The sign-in opens the session first and looks after, a reload replaces the configuration first and
    /// looks at the sessions after: one of both sees the other.
    async fn signed_in_too_late(
        self: &Arc<Self>,
        checked_by: &Arc<Assembled>,
        session: &Arc<Session>,
    ) -> Option<Refusal> {
        let current = self.assembled.load_full();
        if Arc::ptr_eq(&current, checked_by) {
            return None;
        }
        let cause = current.review(session)?;
        self.pipeline.end(Which::These(vec![Arc::clone(session)], cause), self.unattended()).await;
        Some(Reason::CredentialsWrong.into())
    }

    fn sign_in_flow<'a>(&'a self, assembled: &'a Assembled, terms: &'a Terms) -> SignInFlow<'a> {
        SignInFlow {
            attempts: self.attempts(assembled),
            pipeline: &self.pipeline,
            terms,
            cookie: &assembled.cookie,
            keys: &assembled.keys,
        }
    }
}

impl SignInOutRequest {
    /// Cookies of applications that the browser has to forget: those of the sessions that are over now. The answer
    /// tells it, so nothing of this host is owed to it any more.
    fn forgotten(&self, debts: &Debts) -> Vec<BrowserCookie> {
        let host = host_name(&self.assembled, self.host);
        let mut all = self.owed.clone();
        for over in self.sessions.iter().filter(|session| session.has_ended()) {
            all.extend(over.vault().map(|vault| vault.remembered(host)).unwrap_or_default());
            over.keys().iter().for_each(|key| debts.settle(key, host));
        }
        all.extend(self.held.iter().cloned());
        all
    }
}

impl SignInOutRequest {
    /// What applications hear of a logout, where there are any that are asked to sign out.
    fn for_applications(&self) -> Option<Arc<BrowserRequest>> {
        let mut request = self.leaving.clone()?;
        if let Some(left) = withhold(&self.owed, &request.cookies.0) {
            request.cookies = CookieLine(left);
        }
        Some(Arc::new(request))
    }
}

fn sign_out(request: &SignInOutRequest, style: ResponseStyle) -> SignOut {
    SignOut {
        sessions: request.sessions.clone(),
        unknown: request.unknown.clone(),
        carried: Carried {
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

/// The cookies of other hosts that the sessions of a request are open on, where their data is to be cleared as well.
fn elsewhere_open(request: &SignInOutRequest) -> Vec<(SessionKey, Box<str>)> {
    let assembled = &request.assembled;
    if assembled.logout.clear_site_data.is_none() {
        return Vec::new();
    }
    let (here, login) = (host_name(assembled, request.host), host_name(assembled, HostId::LOGIN));
    let keys = request.sessions.iter().flat_map(|session| session.host_keys(login));
    keys.filter(|(_, host)| **host != *here).collect()
}

/// On to the target; programs that ask for it get JSON.
fn signed_in(request: &SignInOutRequest, signed_in: &SignedIn, next: &ReturnTo) -> Reply {
    let reply = if request.wants_json && request.reader == Audience::Program {
        let body = json!({ "user": signed_in.session.identity().user(), "next": next.to_string() });
        Reply::json(StatusCode::OK, &body)
    } else {
        Reply::see_other(next)
    };
    signed_in.cookies.iter().fold(reply, |reply, cookie| reply.with(SET_COOKIE, cookie.clone()))
}

/// Browsers get the form again, with the name in it and what was wrong; programs the reason.
fn form_again(request: &SignInOutRequest, user: &str, next: &ReturnTo, problem: &Refusal) -> Reply {
    let assembled = &request.assembled;
    let refusal = answers::refusal_for(assembled, Audience::Program, problem);
    let Audience::Person(language) = request.reader else { return refusal };
    let (site, next) = (site(request.host, next, assembled), &*assembled.return_targets().encode(next, request.host));
    let form = pages::SignInForm { site, next, user, problem: Some(problem) };
    let page = assembled.pages.login(language, refusal.status, form).refusing(problem.reason);
    answers::with_headers_of(page, refusal)
}
