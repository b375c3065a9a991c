//! Signing in and out: what takes its time, and must not stop half-way because somebody closed a tab.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::answers::{self, Reader};
use super::landing::{login_target, written};
use super::own::{Action, OwnRequest, site};
use super::{Gateway, to_the_end};
use crate::audit::Event;
use crate::credentials::Verdict;
use crate::login::attempt::Attempt;
use crate::logout::farewell::{self, Manner};
use crate::pages;
use crate::session::record::{Session, SignIn};
use crate::session::table::{NotOpened, Opened};
use crate::throttle::name::folded;
use crate::throttle::{Banned, Ticket, Visitor};
use crate::values::end_cause::EndCause;
use crate::values::form::Form;
use crate::values::identity::{Identity, UserKey};
use crate::values::known_browser::KnownBrowser;
use crate::values::reason::{Reason, Refusal};
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

impl Gateway {
    /// Signs in or out. What it begins to end or to open is finished even if the caller goes away. `body` gives what
    /// arrives of the request's body, or why it does not; a logout waits for it only when everything is over.
    pub async fn perform(
        self: &Arc<Self>,
        request: Box<OwnRequest>,
        body: impl Future<Output = Result<Bytes, Reason>>,
    ) -> Reply {
        let (gateway, request) = (Arc::clone(self), Arc::<OwnRequest>::from(request));
        let asked = Arc::clone(&request);
        let done = match request.action {
            Action::SignIn => {
                let body = body.await;
                to_the_end(async move { gateway.sign_in(&asked, body).await }).await
            }
            Action::SignOut(manner) => match to_the_end(async move { gateway.end_named(&asked).await }).await {
                Some(receipt) => Some(farewell_to(&request, manner, receipt, body.await)),
                None => None,
            },
        };
        let broken_down = || answers::refusal_for(&request.assembled, request.reader, &Reason::Internal.into());
        done.unwrap_or_else(broken_down)
    }

    async fn sign_in(&self, request: &OwnRequest, body: Result<Bytes, Reason>) -> Reply {
        let form = match body.map_err(Refusal::from).and_then(|body| read_form(request, &body)) {
            Ok(form) => form,
            Err(problem) => {
                let next = login_target(farewell::requested(None, &request.query), request.host, &request.assembled);
                return form_again(request, "", &next, &problem);
            }
        };
        let next = login_target(farewell::requested(Some(&form), &request.query), request.host, &request.assembled);
        let attempt = match Attempt::read(&form) {
            Ok(attempt) => attempt,
            Err(reason) => return self.sign_in_refused(request, "", &next, reason),
        };
        drop(form);
        let Attempt { user, password } = attempt;
        let known = self.known_as(request, &user);
        let visitor = Visitor { user: &user, client: request.client, known: known.map(KnownBrowser::id) };
        let ticket = match self.throttle.attempt(&visitor, &request.assembled.trusted, self.pipeline.clock.now()) {
            Ok(ticket) => ticket,
            Err(banned) => return self.banned(request, &user, &next, banned),
        };
        let reason = match self.passwords.verify(&request.assembled.users, &user, password, ticket.share()).await {
            Verdict::Accept(key, identity) => {
                ticket.succeeded(self.pipeline.clock.now());
                let reply = self.open(request, key, identity, &next).await;
                return self.make_known(request, &user, known, reply);
            }
            Verdict::Refuse(reason) => reason,
            Verdict::Absent => Reason::CredentialsWrong,
        };
        self.count(request, ticket, reason);
        self.sign_in_refused(request, &user, &next, reason)
    }

    /// Only a wrong password counts against anybody: a busy gateway is nobody's fault.
    fn count(&self, request: &OwnRequest, ticket: Ticket<'_>, reason: Reason) {
        if reason != Reason::CredentialsWrong {
            return;
        }
        let advice = ticket.failed(request.assembled.login.ban_max, self.pipeline.clock.now());
        if let Some(client) = advice {
            self.pipeline.log.event(self.pipeline.clock.wall(), &Event::LikelyProxy { client });
        }
    }

    /// The one answer while a ban lasts, whatever the password.
    fn banned(&self, request: &OwnRequest, user: &str, next: &ReturnTo, banned: Banned) -> Reply {
        let wait = banned.until.duration_since(self.pipeline.clock.now());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let message = format!("Too many attempts to sign in. Try again in {seconds} seconds.").into();
        let refusal = Refusal { message, retry_after: Some(seconds), ..Refusal::from(Reason::TooManyAttempts) };
        self.sign_in_refused(request, user, next, refusal)
    }

    /// What proves that this user signed in with this browser before.
    fn known_as<'a>(&self, request: &'a OwnRequest, user: &str) -> Option<&'a KnownBrowser> {
        let (name, keys, now) = (folded(user), &request.assembled.keys, self.pipeline.clock.wall());
        request.known.iter().find(|known| known.vouches_for(&name, keys, now))
    }

    /// Gives the browser what tells it from strangers at its next sign-in. Without random bytes it stays unknown.
    fn make_known(&self, request: &OwnRequest, user: &str, known: Option<&KnownBrowser>, reply: Reply) -> Reply {
        let before = known.or(request.known.first());
        let (keys, now) = (&request.assembled.keys, self.pipeline.clock.wall());
        match KnownBrowser::after_sign_in(before, &folded(user), keys, now) {
            Ok(known) => reply.with(SET_COOKIE, request.assembled.cookie.set_known(&known)),
            Err(_) => reply,
        }
    }

    /// Opens the new session first and ends the previous one of this browser after it: a failure in between leaves
    /// nobody without a session.
    async fn open(&self, request: &OwnRequest, user: UserKey, identity: Arc<Identity>, next: &ReturnTo) -> Reply {
        let begun = self.pipeline.clock.now();
        let name = identity.user().to_owned();
        let sign_in = SignIn { user, identity, device: request.device, address: request.client };
        let Opened { id, session, evicted } = match self.sessions.open(sign_in, begun).await {
            Ok(opened) => opened,
            Err(problem) => {
                return form_again(request, &name, next, &not_opened(problem).into());
            }
        };
        let grace = request.assembled.logout.grace;
        for ended in &evicted {
            self.pipeline.run(std::slice::from_ref(ended), begun, grace, 0);
        }
        self.end_together(request.sessions.clone(), EndCause::SignedInAgain, grace, 1).await;
        self.note_sign_in(request, &session);
        let reply = if request.wants_json && request.reader == Reader::Program {
            let body = json!({ "user": session.identity().user(), "next": next.to_string() });
            Reply::json(StatusCode::OK, &body)
        } else {
            Reply::see_other(next)
        };
        reply.with(SET_COOKIE, request.assembled.cookie.set(&id))
    }

    fn note_sign_in(&self, request: &OwnRequest, session: &Session) {
        let event = Event::SignedIn {
            user: session.identity().user(),
            session: session.handle(),
            client: request.client,
            device: request.device,
        };
        self.pipeline.log.event(self.pipeline.clock.wall(), &event);
    }

    fn sign_in_refused(&self, request: &OwnRequest, user: &str, next: &ReturnTo, refusal: impl Into<Refusal>) -> Reply {
        let problem = refusal.into();
        let event = Event::SignInRefused { user, client: request.client, reason: problem.reason };
        self.pipeline.log.event(self.pipeline.clock.wall(), &event);
        form_again(request, user, next, &problem)
    }

    /// Ends every session that the request names. Logout needs nothing: there may be none.
    async fn end_named(&self, request: &OwnRequest) -> Receipt {
        let cookies = usize::from(request.has_cookie);
        self.end_together(request.sessions.clone(), EndCause::Logout, request.assembled.logout.grace, cookies).await
    }
}

/// Browsers get the form again, with the name in it and what was wrong; programs the reason.
fn form_again(request: &OwnRequest, user: &str, next: &ReturnTo, problem: &Refusal) -> Reply {
    let assembled = &request.assembled;
    let refusal = answers::refusal_for(assembled, Reader::Program, problem);
    let Reader::Person(language) = request.reader else { return refusal };
    let (site, next) = (site(request.host, next, assembled), &*written(next, request.host, assembled));
    let form = pages::SignIn { site, next, user, problem: Some(problem) };
    let mut page = assembled.pages.login(language, refusal.status, form).refusing(problem.reason);
    let carried = |(name, _): &(HeaderName, HeaderValue)| name != CONTENT_TYPE && !page_has(&page, name);
    let further: Vec<_> = refusal.headers.into_iter().filter(carried).collect();
    page.headers.extend(further);
    page
}

/// Says goodbye, and where to go from here. A body that says nothing usable is none.
fn farewell_to(request: &OwnRequest, manner: Manner, mut receipt: Receipt, body: Result<Bytes, Reason>) -> Reply {
    let assembled = &request.assembled;
    let form = body.ok().and_then(|body| read_form(request, &body).ok());
    let field = farewell::requested(form.as_ref(), &request.query);
    let next = farewell::next(field, &assembled.logout.allowed, &assembled.hosts, &assembled.own_pages);
    let target = farewell::target(next, &assembled.logout);
    receipt.target = target.as_ref().map(ReturnTo::to_string);
    let page = |status| assembled.pages.goodbye(request.reader.language(), status, Some(&receipt));
    let goodbye = ReturnTo::own(&format!("/.exeunt/goodbye?{}", receipt.to_query(&assembled.keys)));
    let reply = farewell::reply(&receipt, target.as_ref(), manner, &goodbye, page);
    farewell::with_farewell(reply, assembled.cookie.expire(), &assembled.logout)
}

fn page_has(page: &Reply, name: &HeaderName) -> bool {
    page.headers.iter().any(|(other, _)| other == name)
}

fn read_form(request: &OwnRequest, body: &[u8]) -> Result<Form, Refusal> {
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
