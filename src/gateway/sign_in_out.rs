//! Requests that sign in or out or change something else of their user, with all data that the work needs.

use std::sync::{Arc, OnceLock};

use http::header::CONTENT_TYPE;

use super::answers::Audience;
use super::app_cookies::{self, PendingDeletions};
use super::assembled::Assembled;
use super::forward::Forward;
use super::host_redirects::{EnterRequest, HandOverRequest};
use super::last_request::LastRequest;
use super::requester::Requester;
use crate::admission::facts::RequestFacts;
use crate::http1::head_lines::HeadFields;
use crate::http1::headers::RequestHead;
use crate::logout::answer::ResponseStyle;
use crate::logout::browser_request::BrowserRequest;
use crate::session::record::Session;
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::form::{Form, FormType};
use crate::values::identity::UserKey;
use crate::values::known_browser::KnownBrowser;
use crate::values::own_hosts::HostId;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::session_id::SessionKey;
use crate::vault::browser_cookie::BrowserCookie;

/// A request whose answer changes something: it may need the body, and may be slow.
#[derive(Debug)]
pub(crate) struct SignInOutRequest {
    pub(super) action: SignInOut,
    pub(super) assembled: Arc<Assembled>,
    pub(super) host: HostId,
    /// Every session that the request names and that is in the table.
    pub(super) sessions: Vec<Arc<Session>>,
    /// The user of the one live session of the request. An ended session does not count, even if it is still in the
    /// table: its cookie must not end other sessions. Two live ones do not count either, since one of them may be
    /// planted.
    pub(super) live_user: Option<UserKey>,
    /// Keys of the request that the store could not look up.
    pub(super) unknown: Vec<SessionKey>,
    /// Whether it has a cookie of the gateway, valid or not.
    pub(super) has_cookie: bool,
    pub(super) query: Form,
    /// The format of the body; `None` for an unsupported content type.
    pub(super) form: Option<FormType>,
    pub(super) reader: Audience,
    pub(super) wants_json: bool,
    pub(super) client: ClientAddress,
    pub(super) known: Vec<KnownBrowser>,
    pub(super) device: Device,
    /// The cookies of ended sessions that the browser has to delete, whatever the answer is.
    pub(super) deletions: PendingDeletions,
    /// The session that the request has opened, if any.
    pub(super) opened: OnceLock<Arc<Session>>,
    /// The learned HttpOnly cookies of applications that this browser may have: a logout expires them.
    pub(super) held: Vec<BrowserCookie>,
    /// The parts of a logout request for logout calls, if there is any to make.
    pub(super) leaving: Option<BrowserRequest>,
    /// The permit of a request to an application's own logout link that is to be forwarded.
    pub(super) onward: Option<Box<Forward>>,
    /// The same request, ready to be sent.
    pub(super) last: Option<LastRequest>,
}

/// The action.
#[derive(Clone, Debug)]
pub(super) enum SignInOut {
    /// Check a name and a password.
    SignIn,
    /// End the sessions, and answer in this style.
    SignOut(ResponseStyle),
    /// Change the password of the session's user.
    ChangePassword(Arc<Session>),
    /// Show the sessions of a session's user, or end some of them.
    OwnSessions(Arc<Session>, OwnSessions),
    /// Redirect a browser back to the host that requested its session.
    Offer(HandOverRequest),
    /// Open the session of a code at this host.
    Enter(EnterRequest),
}

impl SignInOutRequest {
    /// Writes the request for the application while the session is alive; `fields` are the lines of `head`.
    pub(crate) fn keep_last_request(&mut self, head: RequestHead<'_>, fields: &HeadFields) {
        self.last = self.onward.take().and_then(|forward| LastRequest::written(&forward, head, fields));
    }

    /// The maximum size of the body, in bytes; zero if none is needed.
    pub(crate) fn body_limit(&self) -> usize {
        match self.action {
            SignInOut::SignOut(ResponseStyle::Navigation)
            | SignInOut::OwnSessions(_, OwnSessions::List)
            | SignInOut::Offer(_)
            | SignInOut::Enter(_) => 0,
            SignInOut::SignIn
            | SignInOut::SignOut(_)
            | SignInOut::ChangePassword(_)
            | SignInOut::OwnSessions(_, OwnSessions::End) => self.assembled.login.body_limit,
        }
    }

    /// Notes the session whose cookie the answer sets.
    pub(super) fn note_opened(&self, session: &Arc<Session>) {
        // A request opens at most one.
        let _ = self.opened.set(Arc::clone(session));
    }

    /// The action, as the access line names it.
    pub(crate) fn note(&self) -> &'static str {
        match self.action {
            SignInOut::SignIn => "sign_in",
            SignInOut::SignOut(_) => "logout",
            SignInOut::ChangePassword(_) => "password",
            SignInOut::OwnSessions(..) => "sessions",
            SignInOut::Offer(_) | SignInOut::Enter(_) => "hand_over",
        }
    }
}

/// An answer, or a request whose answer is still to be made.
#[derive(Debug)]
pub(super) enum BuiltInAnswer {
    Answer(Reply),
    Pending(Box<SignInOutRequest>),
}

/// The action of the sessions page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnSessions {
    /// Show the sessions.
    List,
    /// End one, or all others.
    End,
}

pub(super) fn sign_in_out_request(
    action: SignInOut,
    facts: &RequestFacts<'_>,
    mut requester: Requester,
    assembled: &Arc<Assembled>,
) -> Box<SignInOutRequest> {
    let (held, leaving) = match action {
        SignInOut::SignOut(_) => (
            app_cookies::learned_cookies(facts, assembled),
            app_cookies::logout_call_request(facts, &requester.cookies, assembled),
        ),
        SignInOut::SignIn
        | SignInOut::ChangePassword(_)
        | SignInOut::OwnSessions(..)
        | SignInOut::Offer(_)
        | SignInOut::Enter(_) => (Vec::new(), None),
    };
    Box::new(SignInOutRequest {
        action,
        held,
        leaving,
        onward: None,
        last: None,
        deletions: PendingDeletions::default(),
        opened: OnceLock::new(),
        assembled: Arc::clone(assembled),
        host: facts.host,
        has_cookie: requester.presented,
        unknown: std::mem::take(&mut requester.unknown),
        live_user: requester.session.as_ref().map(|session| session.user().clone()),
        sessions: requester.into_sessions(),
        query: query(facts),
        form: FormType::of(facts.header(&CONTENT_TYPE).unwrap_or("")),
        reader: Audience::of(facts.headers, assembled),
        wants_json: facts.wants_json(),
        client: facts.provenance.client,
        known: assembled.cookie.find_known(facts.headers),
        device: facts.device(),
    })
}

/// The query as a form. One that is not valid counts as empty.
pub(super) fn query(facts: &RequestFacts<'_>) -> Form {
    Form::parse(facts.target.query().unwrap_or_default()).unwrap_or_default()
}

pub(super) fn read_form(request: &SignInOutRequest, body: &[u8]) -> Result<Form, Refusal> {
    let malformed = Refusal::from(Reason::FormMalformed);
    match request.form {
        Some(kind) => Form::read(kind, body).map_err(|_| malformed),
        None => Err(Refusal { message: OTHER_TYPE.into(), ..malformed }),
    }
}

/// The message for a body of another content type, such as `multipart/form-data`, or of none.
const OTHER_TYPE: &str = "Send username, password and next as application/x-www-form-urlencoded (curl -d), or as one \
                          object of application/json: other content types are not supported.";
