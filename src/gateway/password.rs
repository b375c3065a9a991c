//! `/.exeunt/password`: users of the users' file change their passwords.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::Gateway;
use super::answers::{self, Audience};
use super::assembled::Assembled;
use super::requester::Requester;
use super::sign_in_out::{BuiltInAnswer, SignInOut, SignInOutRequest, read_form, sign_in_out_request};
use crate::admission::cross_site;
use crate::admission::facts::RequestFacts;
use crate::audit::Event;
use crate::credentials::user_file::change::PasswordNotChanged;
use crate::credentials::user_file::{SOURCE, Users};
use crate::login::password::{self, MIN_LENGTH, PasswordChange};
use crate::login::sign_in::known_as;
use crate::logout::run::SessionsToEnd;
use crate::pages::{PasswordPage, PasswordState};
use crate::session::record::Session;
use crate::values::client_address::ClientAddress;
use crate::values::end_cause::EndCause;
use crate::values::identity::Identity;
use crate::values::known_browser::KnownBrowser;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;

/// The name of the page below `/.exeunt/`.
pub(super) const NAME: &str = "password";
/// Its address.
const ADDRESS: &str = "/.exeunt/password";

/// The page on which this user can change the password; `None` if that is not possible.
pub(super) fn address(session: &Session, assembled: &Assembled) -> Option<&'static str> {
    let file = assembled.login.change_password.as_ref();
    file.is_some_and(|file| is_of_file(session) && file.is_writable()).then_some(ADDRESS)
}

fn is_of_file(session: &Session) -> bool {
    *session.user().source == *SOURCE
}

/// Answers a request for the page, or a submission of its form.
pub(super) fn answer(
    facts: &RequestFacts<'_>,
    requester: Requester,
    assembled: &Arc<Assembled>,
) -> Result<BuiltInAnswer, Refusal> {
    let Some(file) = &assembled.login.change_password else { return Err(Reason::NoRoute.into()) };
    if !matches!(*facts.method, Method::GET | Method::HEAD | Method::POST) {
        let allow = HeaderValue::from_static("GET, HEAD, POST");
        return Ok(BuiltInAnswer::Answer(answers::method_not_allowed(assembled, facts, allow)));
    }
    let Some(session) = requester.session.clone() else {
        return Ok(BuiltInAnswer::Answer(answers::ask_login_again(assembled, facts)));
    };
    let possible = is_of_file(&session) && file.is_writable();
    if *facts.method == Method::POST {
        cross_site::change(facts, &assembled.hosts)?;
        return match possible {
            true => Ok(BuiltInAnswer::Pending(sign_in_out_request(
                SignInOut::ChangePassword(session),
                facts,
                requester,
                assembled,
            ))),
            false => Err(Reason::PasswordNotChanged.into()),
        };
    }
    let state = if possible { PasswordState::Asked(None) } else { PasswordState::Fixed };
    Ok(BuiltInAnswer::Answer(match Audience::of(facts.headers, assembled) {
        Audience::Person(language) => assembled.pages.password(language, page(&session.identity(), state)),
        Audience::Program => fields(&session, possible),
    }))
}

/// The fields of the form, for programs.
fn fields(session: &Session, possible: bool) -> Reply {
    let fields = ["old", "password", "again"];
    let identity = session.identity();
    let user = identity.user();
    let body = json!({ "action": ADDRESS, "method": "POST", "fields": fields, "user": user, "possible": possible });
    Reply::json(StatusCode::OK, &body)
}

fn page<'a>(identity: &'a Identity, state: PasswordState<'a>) -> PasswordPage<'a> {
    PasswordPage { user: identity.user(), shortest: MIN_LENGTH, state }
}

impl Gateway {
    /// Changes the password of a session's user: in the file, then in the gateway; then ends everything that was opened
    /// with the old one, except this session.
    pub(super) async fn change_password(
        &self,
        request: &SignInOutRequest,
        session: &Arc<Session>,
        body: Result<Bytes, Reason>,
    ) -> Reply {
        match self.try_to_change(request, session, body).await {
            Ok(ended) => changed(request, session, ended),
            Err(refusal) => form_again(request, session, &refusal),
        }
    }

    async fn try_to_change(
        &self,
        request: &SignInOutRequest,
        session: &Arc<Session>,
        body: Result<Bytes, Reason>,
    ) -> Result<usize, Refusal> {
        let assembled = &request.assembled;
        // Loaded before the old password is checked: if the users change after that, the change is refused.
        let known_users = assembled.users.get();
        let form = body.map_err(Refusal::from).and_then(|body| read_form(request, &body))?;
        let change = password::read(&form, session.identity().user())?;
        let (user, now) = (&change.presented.user, self.pipeline.clock.wall());
        let known = known_as(user, &request.known, &assembled.keys, now).map(KnownBrowser::id);
        let accepted = self.attempts(assembled).check(&change.presented, request.client, known).await?;
        if session.has_ended() || accepted.user != *session.user() {
            return Err(Reason::SignInRequired.into());
        }
        self.store(change, known_users).await?;
        // This session gets the stamp of the new password, or the next reload would end it.
        let assembled = self.assembled.load();
        if let Some(stamp) = assembled.methods.stamp_of(session.user(), &assembled.keys) {
            self.sessions().set_stamp(session, stamp).await;
        }
        Ok(self.end_others(request.client, session).await)
    }

    /// Writes the new password to the users' file. A lock keeps reloads and other changes of the users out meanwhile.
    async fn store(&self, change: PasswordChange, known: Arc<Users>) -> Result<(), Refusal> {
        let _changing = self.changing_users.lock().await;
        let assembled = self.assembled.load_full();
        let file = assembled.login.change_password.clone().ok_or(Reason::NoRoute)?;
        let PasswordChange { presented, new } = change;
        let work = move || file.change_password(&known, &presented.user, &new);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(users)) => {
                assembled.users.replace(users);
                Ok(())
            }
            Ok(Err(PasswordNotChanged::TooLong)) => Err(Reason::NewPasswordUnfit.into()),
            Ok(Err(problem)) => {
                tracing::warn!(%problem, "a password could not be changed");
                Err(Reason::PasswordNotChanged.into())
            }
            Err(_) => Err(Reason::Internal.into()),
        }
    }

    /// Ends all other sessions of this user, and returns how many.
    async fn end_others(&self, client: ClientAddress, session: &Arc<Session>) -> usize {
        let user = session.user();
        self.forget_credentials(|other| (other.user() == user).then_some(EndCause::PasswordChanged));
        if self.sessions().load_all_of(user, 0).await.is_err() {
            tracing::warn!("the session store does not answer: sessions that other gateways opened were not ended");
        }
        let mut others = self.sessions().list(user);
        others.retain(|other| !Arc::ptr_eq(other, session));
        let ended =
            self.pipeline.end(SessionsToEnd::These(others, EndCause::PasswordChanged), self.without_client()).await;
        let (ended, identity, session) = (ended.each.len(), session.identity(), session.handle());
        let event = Event::PasswordChanged { user: identity.user(), session, client, ended };
        self.pipeline.log.event(self.pipeline.clock.wall(), &event);
        ended
    }
}

fn changed(request: &SignInOutRequest, session: &Session, ended: usize) -> Reply {
    match request.reader {
        Audience::Person(language) => {
            request.assembled.pages.password(language, page(&session.identity(), PasswordState::Done(ended)))
        }
        Audience::Program => {
            let body = json!({ "user": session.identity().user(), "sessions_ended": ended });
            Reply::json(StatusCode::OK, &body)
        }
    }
}

/// Browsers get the form again with the problem; programs get the reason.
fn form_again(request: &SignInOutRequest, session: &Session, problem: &Refusal) -> Reply {
    let refusal = answers::refusal_for(&request.assembled, Audience::Program, problem);
    match request.reader {
        Audience::Program => refusal,
        Audience::Person(language) => {
            let state = PasswordState::Asked(Some(problem));
            let page = request.assembled.pages.password(language, page(&session.identity(), state));
            answers::with_headers_of(page.refusing(problem.reason), refusal)
        }
    }
}
