//! The addresses that the gateway answers itself.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::answers::{self, Reader};
use super::assembled::Assembled;
use super::landing::{login_target, written};
use super::receive::Visitor;
use crate::admission::cross_site::{self, LogoutByGet};
use crate::admission::facts::RequestFacts;
use crate::logout::farewell::{self, Manner};
use crate::pages::{Language, SignIn, SignedIn};
use crate::session::record::Session;
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::form::{Field, Form, FormType};
use crate::values::known_browser::KnownBrowser;
use crate::values::own_hosts::HostId;
use crate::values::own_path::{OwnPage, is_reserved};
use crate::values::reason::{Reason, Refusal};
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// An answer that changes something: it may need the body, and it takes its time.
#[derive(Debug)]
pub struct OwnRequest {
    pub(super) action: Action,
    pub(super) assembled: Arc<Assembled>,
    pub(super) host: HostId,
    /// Every live session that the request names.
    pub(super) sessions: Vec<Arc<Session>>,
    /// Whether it has a cookie of ours, live or not.
    pub(super) has_cookie: bool,
    pub(super) query: Form,
    /// How the body is written; `None` for a type that is not read.
    pub(super) form: Option<FormType>,
    pub(super) reader: Reader,
    pub(super) wants_json: bool,
    pub(super) client: ClientAddress,
    pub(super) known: Vec<KnownBrowser>,
    pub(super) device: Device,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Check a name and a password.
    SignIn,
    /// End the session, and answer in this manner.
    SignOut(Manner),
}

impl OwnRequest {
    /// The largest body that is read, in bytes; zero where none is needed.
    pub fn body_limit(&self) -> usize {
        match self.action {
            Action::SignIn => self.assembled.login.body_limit,
            Action::SignOut(Manner::Navigation) => 0,
            Action::SignOut(_) => self.assembled.login.body_limit,
        }
    }

    /// The word for the access line.
    pub fn note(&self) -> &'static str {
        match self.action {
            Action::SignIn => "sign_in",
            Action::SignOut(_) => "logout",
        }
    }
}

/// Either is an answer; one is still to be made.
#[derive(Debug)]
pub(super) enum Own {
    Answer(Reply),
    Perform(Box<OwnRequest>),
}

/// Answers a request to an address of ours.
pub(super) fn answer(
    page: OwnPage<'_>,
    facts: &RequestFacts<'_>,
    visitor: Visitor,
    assembled: &Arc<Assembled>,
) -> Result<Own, Refusal> {
    match page {
        OwnPage::Login => login(facts, visitor, assembled),
        OwnPage::Logout => logout(facts, visitor, assembled),
        OwnPage::Further(name) => further(name, facts, &visitor, assembled).map(Own::Answer),
    }
}

fn login(facts: &RequestFacts<'_>, visitor: Visitor, assembled: &Arc<Assembled>) -> Result<Own, Refusal> {
    match *facts.method {
        Method::GET | Method::HEAD => Ok(Own::Answer(login_page(facts, &visitor, assembled))),
        Method::POST => {
            cross_site::change(facts, &assembled.hosts)?;
            Ok(Own::Perform(perform(Action::SignIn, facts, visitor, assembled)))
        }
        _ => {
            Ok(Own::Answer(answers::method_not_allowed(assembled, facts, HeaderValue::from_static("GET, HEAD, POST"))))
        }
    }
}

fn logout(facts: &RequestFacts<'_>, visitor: Visitor, assembled: &Arc<Assembled>) -> Result<Own, Refusal> {
    let manner = match *facts.method {
        Method::POST => match cross_site::logout_post(facts, &assembled.hosts) {
            Ok(()) => post_manner(facts),
            Err(reason) => return Ok(Own::Answer(refuse_logout(reason, facts, &visitor, assembled))),
        },
        Method::GET => match cross_site::logout_get(facts, assembled.logout.get) {
            LogoutByGet::End => Manner::Navigation,
            LogoutByGet::Confirm => {
                return Ok(Own::Answer(confirm_page(None, facts, &visitor, assembled)));
            }
            LogoutByGet::Refuse(reason) => return Err(reason.into()),
        },
        _ => {
            return Ok(Own::Answer(answers::method_not_allowed(
                assembled,
                facts,
                HeaderValue::from_static("GET, POST"),
            )));
        }
    };
    Ok(Own::Perform(perform(Action::SignOut(manner), facts, visitor, assembled)))
}

fn post_manner(facts: &RequestFacts<'_>) -> Manner {
    match (facts.is_browser(), facts.wants_json()) {
        (true, _) => Manner::Page,
        (false, true) => Manner::Json,
        (false, false) => Manner::Program,
    }
}

fn perform(action: Action, facts: &RequestFacts<'_>, visitor: Visitor, assembled: &Arc<Assembled>) -> Box<OwnRequest> {
    Box::new(OwnRequest {
        action,
        assembled: Arc::clone(assembled),
        host: facts.host,
        has_cookie: visitor.presented,
        sessions: visitor.into_sessions(),
        query: query(facts),
        form: FormType::of(facts.header(&CONTENT_TYPE).unwrap_or("")),
        reader: Reader::of(facts.headers, assembled),
        wants_json: facts.wants_json(),
        client: facts.provenance.client,
        known: assembled.cookie.find_known(facts.headers),
        device: facts.device(),
    })
}

/// A query that is no form says nothing.
fn query(facts: &RequestFacts<'_>) -> Form {
    Form::parse(facts.target.query().unwrap_or_default()).unwrap_or_default()
}

/// The host that people sign in to: that of the target, else the one that was asked.
pub(super) fn site<'a>(host: HostId, next: &'a ReturnTo, assembled: &'a Assembled) -> &'a str {
    let target = next.origin().map(|origin| &origin.host);
    target.or_else(|| assembled.hosts.names().get(host.index())).map_or("", |host| host.as_str())
}

fn login_page(facts: &RequestFacts<'_>, visitor: &Visitor, assembled: &Assembled) -> Reply {
    let query = query(facts);
    let target = login_target(query.field(&farewell::NEXT), facts.host, assembled);
    let user = visitor.session.as_ref().map(|session| session.identity().user());
    let language = match Reader::of(facts.headers, assembled) {
        Reader::Person(language) => language,
        Reader::Program => return login_fields(&written(&target, facts.host, assembled), user, assembled),
    };
    match user {
        Some(user) if query.field(&["switch"]) == Field::Absent => {
            signed_in_at_login(language, user, &target, facts, assembled)
        }
        _ => {
            let next = &*written(&target, facts.host, assembled);
            let form = SignIn { site: site(facts.host, &target, assembled), next, user: "", problem: None };
            assembled.pages.login(language, StatusCode::OK, form)
        }
    }
}

/// If the application has a page of its own at this address, Continue ends up here again. A cookie of a few seconds
/// tells.
fn signed_in_at_login(
    language: Language,
    user: &str,
    next: &ReturnTo,
    facts: &RequestFacts<'_>,
    assembled: &Assembled,
) -> Reply {
    let came_back = may_be_meant_for_an_application(facts) && assembled.cookie.has_continued(facts.headers);
    signed_in_page(language, user, (next, facts.host), came_back, assembled)
        .with(SET_COOKIE, assembled.cookie.set_continued(assembled.own_pages.login()))
}

/// Whether the address could be an application's, and nobody typed it or loaded it anew.
fn may_be_meant_for_an_application(facts: &RequestFacts<'_>) -> bool {
    let reloaded = facts.header(&CACHE_CONTROL).is_some_and(|value| matches!(value, "no-cache" | "max-age=0"));
    !is_reserved(facts.target.path().text()) && facts.fetch_site() != Some("none") && !reloaded
}

/// What a program has to send to sign in.
fn login_fields(next: &str, user: Option<&str>, assembled: &Assembled) -> Reply {
    let (action, fields) = (assembled.own_pages.login().as_str(), ["username", "password", "next"]);
    let body = json!({ "action": action, "method": "POST", "fields": fields, "next": next, "user": user });
    Reply::json(StatusCode::OK, &body)
}

/// `next` is where Continue leads, on which host.
fn signed_in_page(
    language: Language,
    user: &str,
    (next, host): (&ReturnTo, HostId),
    came_back: bool,
    assembled: &Assembled,
) -> Reply {
    let fields = [("switch", "1"), ("next", &written(next, host, assembled))];
    let switch = ReturnTo::own_form(assembled.own_pages.login(), &fields).to_string();
    let next = &*next.to_string();
    assembled.pages.signed_in(language, SignedIn { user, next, switch: &switch, came_back })
}

fn confirm_page(problem: Option<Reason>, facts: &RequestFacts<'_>, visitor: &Visitor, assembled: &Assembled) -> Reply {
    let query = query(facts);
    let next = match query.field(&farewell::NEXT) {
        Field::One(next) => Some(next),
        Field::Absent | Field::Several => None,
    };
    let user = visitor.session.as_ref().map(|session| session.identity().user());
    let language = assembled.pages.language(facts.headers);
    assembled.pages.confirm(language, facts.target.path().text(), next, user, problem)
}

/// A refused logout shows browsers the form: a person who did want it has the button.
fn refuse_logout(reason: Reason, facts: &RequestFacts<'_>, visitor: &Visitor, assembled: &Assembled) -> Reply {
    if facts.is_browser() {
        confirm_page(Some(reason), facts, visitor, assembled).refusing(reason)
    } else {
        answers::refuse(assembled, facts.headers, &reason.into())
    }
}

fn further(name: &str, facts: &RequestFacts<'_>, visitor: &Visitor, assembled: &Assembled) -> Result<Reply, Refusal> {
    let reply = match name.to_ascii_lowercase().as_str() {
        "goodbye" => goodbye(facts, visitor, assembled),
        "session" => session(facts, visitor, assembled),
        "style.css" => assembled.pages.style(),
        "logo" => assembled.pages.logo(),
        _ => return Err(Reason::NoRoute.into()),
    };
    let reading = cross_site::is_read(facts.method);
    Ok(if reading {
        reply
    } else {
        answers::method_not_allowed(assembled, facts, HeaderValue::from_static("GET, HEAD"))
    })
}

/// The end of a sign-out by link. Whoever signed in meanwhile is not told to be signed out.
fn goodbye(facts: &RequestFacts<'_>, visitor: &Visitor, assembled: &Assembled) -> Reply {
    let language = assembled.pages.language(facts.headers);
    match &visitor.session {
        Some(session) => {
            let (user, next) = (session.identity().user(), &assembled.login.next);
            signed_in_page(language, user, (next, facts.host), false, assembled)
        }
        None => {
            let receipt = Receipt::from_query(&query(facts), &assembled.keys);
            assembled.pages.goodbye(language, StatusCode::OK, receipt.as_ref())
        }
    }
}

/// Who is signed in. Asking does not prolong the session.
fn session(facts: &RequestFacts<'_>, visitor: &Visitor, assembled: &Assembled) -> Reply {
    let Some(session) = &visitor.session else {
        let refusal = Refusal::from(Reason::SignInRequired);
        return answers::refusal_for(assembled, Reader::Program, &refusal);
    };
    let identity = session.identity();
    let host = assembled.hosts.names().get(facts.host.index()).map(|host| host.as_str());
    let body = json!({
        "user": identity.user(), "email": identity.email(), "name": identity.name(), "groups": identity.groups(),
        "device": session.device().to_string(), "address": session.address().to_string(),
        "connections": session.live_connections(), "host": host,
    });
    Reply::json(StatusCode::OK, &body)
}
