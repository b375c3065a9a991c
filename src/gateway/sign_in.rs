//! A sign-in: reads the form, checks the password, opens the session, and redirects the browser.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::SET_COOKIE;
use serde_json::json;

use super::Gateway;
use super::answers::{self, Audience};
use super::app_cookies::host_name;
use super::assembled::Assembled;
use super::built_in_pages::site;
use super::host_redirects;
use super::sign_in_out::{SignInOutRequest, read_form};
use crate::login::sign_in::{Browser, SignInFlow, SignedIn};
use crate::login::sign_in_form;
use crate::logout::answer;
use crate::logout::ending::Terms;
use crate::logout::run::SessionsToEnd;
use crate::pages;
use crate::session::record::Session;
use crate::values::own_hosts::HostId;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

impl Gateway {
    /// Checks the name and the password of a form, and opens a session.
    pub(super) async fn sign_in(self: &Arc<Self>, request: &SignInOutRequest, body: Result<Bytes, Reason>) -> Reply {
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
            Ok(signed_in) => match self.end_if_outdated(assembled, &signed_in.session).await {
                None => {
                    request.note_opened(&signed_in.session);
                    let next = host_redirects::landing(&next, request.host, assembled);
                    self::signed_in(request, &signed_in, &next)
                }
                Some(refusal) => form_again(request, &presented.user, &next, &refusal),
            },
            Err(refusal) => form_again(request, &presented.user, &next, &refusal),
        }
    }

    /// Ends the new session if a reload has replaced the users meanwhile and the new ones do not allow it. The sign-in
    /// opens the session and then compares the configuration; a reload replaces the configuration and then reviews the
    /// sessions: so at least one of both notices the other.
    async fn end_if_outdated(self: &Arc<Self>, checked_by: &Arc<Assembled>, session: &Arc<Session>) -> Option<Refusal> {
        let current = self.assembled.load_full();
        if Arc::ptr_eq(&current, checked_by) {
            return None;
        }
        let cause = current.review(session, Some(&checked_by.keys))?;
        self.pipeline.end(SessionsToEnd::These(vec![Arc::clone(session)], cause), self.without_client()).await;
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

/// The redirect to the target, or JSON for programs that accept it explicitly.
fn signed_in(request: &SignInOutRequest, signed_in: &SignedIn, next: &ReturnTo) -> Reply {
    let reply = if request.wants_json && request.reader == Audience::Program {
        let body = json!({ "user": signed_in.session.identity().user(), "next": next.to_string() });
        Reply::json(StatusCode::OK, &body)
    } else {
        Reply::see_other(next)
    };
    signed_in.cookies.iter().fold(reply, |reply, cookie| reply.with(SET_COOKIE, cookie.clone()))
}

/// Browsers get the form again with the name and the problem; programs get the reason.
fn form_again(request: &SignInOutRequest, user: &str, next: &ReturnTo, problem: &Refusal) -> Reply {
    let assembled = &request.assembled;
    let refusal = answers::refusal_for(assembled, Audience::Program, problem);
    let Audience::Person(language) = request.reader else { return refusal };
    let (site, next) = (site(request.host, next, assembled), &*assembled.return_targets().encode(next, request.host));
    let form = pages::SignInForm { site, next, user, problem: Some(problem) };
    let page = assembled.pages.login(language, refusal.status, form).refusing(problem.reason);
    answers::with_headers_of(page, refusal)
}
