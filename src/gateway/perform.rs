//! Signing in and out: what takes its time, and must not stop half-way because somebody closed a tab.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::SET_COOKIE;
use serde_json::json;

use super::answers::{self, Audience};
use super::built_in_pages::{SignInOut, SignInOutRequest, site};
use super::login_target::{encode_target, login_target};
use super::{Gateway, to_the_end};
use crate::credentials::methods::Accepted;
use crate::login::sign_in_form;
use crate::logout::answer::{self, ResponseStyle};
use crate::logout::ending::{Carried, Terms};
use crate::logout::run::Which;
use crate::pages;
use crate::session::record::SignIn;
use crate::session::table::{NotOpened, Opened};
use crate::throttle::name::folded;
use crate::values::end_cause::EndCause;
use crate::values::form::Form;
use crate::values::known_browser::KnownBrowser;
use crate::values::reason::{Reason, Refusal};
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

impl Gateway {
    /// Signs in or out. What it begins to end or to open is finished even if the caller goes away. `body` gives what
    /// arrives of the request's body, or why it does not; a logout waits for it only when everything is over.
    pub(crate) async fn sign_in_or_out(
        self: &Arc<Self>,
        request: Box<SignInOutRequest>,
        body: impl Future<Output = Result<Bytes, Reason>>,
    ) -> Reply {
        let (gateway, request) = (Arc::clone(self), Arc::<SignInOutRequest>::from(request));
        let asked = Arc::clone(&request);
        let done = match request.action.clone() {
            SignInOut::ChangePassword(session) => {
                let body = body.await;
                to_the_end(async move { gateway.change_password(&asked, &session, body).await }).await
            }
            SignInOut::SignIn => {
                let body = body.await;
                to_the_end(async move { gateway.sign_in(&asked, body).await }).await
            }
            SignInOut::SignOut(style) => {
                let receipt = gateway.end_named(&asked).await;
                Some(signed_out(&request, style, receipt, body.await))
            }
        };
        let broken_down = || answers::refusal_for(&request.assembled, request.reader, &Reason::Internal.into());
        done.unwrap_or_else(broken_down)
    }

    async fn sign_in(&self, request: &SignInOutRequest, body: Result<Bytes, Reason>) -> Reply {
        let form = match body.map_err(Refusal::from).and_then(|body| read_form(request, &body)) {
            Ok(form) => form,
            Err(problem) => {
                let next = login_target(answer::requested(None, &request.query), request.host, &request.assembled);
                return form_again(request, "", &next, &problem);
            }
        };
        let next = login_target(answer::requested(Some(&form), &request.query), request.host, &request.assembled);
        let attempts = self.attempts(&request.assembled);
        let presented = match sign_in_form::read(&form) {
            Ok(presented) => presented,
            Err(reason) => {
                return form_again(request, "", &next, &attempts.refused("", request.client, reason.into()));
            }
        };
        drop(form);
        let known = self.known_browser(request, &presented.user);
        match attempts.check(&presented, request.client, known.map(KnownBrowser::id)).await {
            Ok(accepted) => {
                let reply = self.open(request, accepted, &next).await;
                self.make_known(request, &presented.user, known, reply)
            }
            Err(refusal) => form_again(request, &presented.user, &next, &refusal),
        }
    }

    /// What proves that this user signed in with this browser before.
    pub(super) fn known_browser<'a>(&self, request: &'a SignInOutRequest, user: &str) -> Option<&'a KnownBrowser> {
        let (name, keys, now) = (folded(user), &request.assembled.keys, self.pipeline.clock.wall());
        request.known.iter().find(|known| known.vouches_for(&name, keys, now))
    }

    /// Gives the browser what tells it from strangers at its next sign-in. Without random bytes it stays unknown.
    fn make_known(&self, request: &SignInOutRequest, user: &str, known: Option<&KnownBrowser>, reply: Reply) -> Reply {
        let before = known.or(request.known.first());
        let (keys, now) = (&request.assembled.keys, self.pipeline.clock.wall());
        match KnownBrowser::after_sign_in(before, &folded(user), keys, now) {
            Ok(known) => reply.with(SET_COOKIE, request.assembled.cookie.set_known(&known)),
            Err(_) => reply,
        }
    }

    /// Opens the new session first and ends the previous one of this browser after it: a failure in between leaves
    /// nobody without a session.
    async fn open(&self, request: &SignInOutRequest, accepted: Accepted, next: &ReturnTo) -> Reply {
        let Accepted { user, identity, method } = accepted;
        let begun = self.pipeline.clock.now();
        let name = identity.user().to_owned();
        let sign_in = SignIn { user, identity, device: request.device, address: request.client };
        let Opened { id, session, evicted } = match self.sessions().open(sign_in, begun).await {
            Ok(opened) => opened,
            Err(problem) => {
                return form_again(request, &name, next, &not_opened(problem).into());
            }
        };
        let settings = &request.assembled.logout;
        self.pipeline.end(Which::Ended(evicted), Terms::unattended(settings)).await;
        let previous = Which::These(request.sessions.clone(), EndCause::SignedInAgain);
        self.pipeline.end(previous, Terms::answered(settings, Carried { cookies: 1 })).await;
        self.note_sign_in(&session, method);
        let reply = if request.wants_json && request.reader == Audience::Program {
            let body = json!({ "user": session.identity().user(), "next": next.to_string() });
            Reply::json(StatusCode::OK, &body)
        } else {
            Reply::see_other(next)
        };
        reply.with(SET_COOKIE, request.assembled.cookie.set(&id))
    }

    /// Ends every session that the request names. Logout needs nothing: there may be none.
    async fn end_named(&self, request: &SignInOutRequest) -> Receipt {
        let cookies = usize::from(request.has_cookie);
        let terms = Terms::answered(&request.assembled.logout, Carried { cookies });
        let named = Which::Named(request.sessions.clone(), request.unknown.clone());
        self.pipeline.end(named, terms).await.together(cookies)
    }
}

/// Browsers get the form again, with the name in it and what was wrong; programs the reason.
fn form_again(request: &SignInOutRequest, user: &str, next: &ReturnTo, problem: &Refusal) -> Reply {
    let assembled = &request.assembled;
    let refusal = answers::refusal_for(assembled, Audience::Program, problem);
    let Audience::Person(language) = request.reader else { return refusal };
    let (site, next) = (site(request.host, next, assembled), &*encode_target(next, request.host, assembled));
    let form = pages::SignInForm { site, next, user, problem: Some(problem) };
    let page = assembled.pages.login(language, refusal.status, form).refusing(problem.reason);
    answers::with_headers_of(page, refusal)
}

/// Says goodbye, and where to go from here. A body that says nothing usable is none.
fn signed_out(
    request: &SignInOutRequest,
    style: ResponseStyle,
    mut receipt: Receipt,
    body: Result<Bytes, Reason>,
) -> Reply {
    let assembled = &request.assembled;
    let form = body.ok().and_then(|body| read_form(request, &body).ok());
    let field = answer::requested(form.as_ref(), &request.query);
    let next = answer::next(field, &assembled.logout.allowed, &assembled.hosts, &assembled.own_pages);
    let target = answer::target(next, &assembled.logout);
    receipt.target = target.as_ref().map(ReturnTo::to_string);
    let page = |status| assembled.pages.goodbye(request.reader.language(), status, Some(&receipt));
    let goodbye = ReturnTo::own(&format!("/.exeunt/goodbye?{}", receipt.to_query(&assembled.keys)));
    let reply = answer::reply(&receipt, target.as_ref(), style, &goodbye, page);
    answer::with_cleared_cookies(reply, assembled.cookie.expire(), &assembled.logout)
}

pub(super) fn read_form(request: &SignInOutRequest, body: &[u8]) -> Result<Form, Refusal> {
    let malformed = Refusal::from(Reason::FormMalformed);
    match request.form {
        Some(kind) => Form::read(kind, body).map_err(|_| malformed),
        None => Err(Refusal { message: OTHER_TYPE.into(), ..malformed }),
    }
}

/// To a form of another type, `multipart/form-data` for instance, or of none.
const OTHER_TYPE: &str = "Send username, password and next as application/x-www-form-urlencoded (curl -d), or as one \
                          object of application/json: other content types are not read here.";

fn not_opened(problem: NotOpened) -> Reason {
    match problem {
        NotOpened::Full => Reason::SessionsFull,
        NotOpened::StoreUnavailable | NotOpened::NoRandomness => Reason::StoreUnavailable,
    }
}
