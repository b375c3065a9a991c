//! The gateway's own addresses.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::answers::{self, Audience};
use super::app_cookies;
use super::assembled::Assembled;
use super::enter;
use super::host_redirects;
use super::own_sessions;
use super::password;
use super::requester::Requester;
use super::sign_in_out::{BuiltInAnswer, SignInOut, query, sign_in_out_request};
use crate::admission::cross_site;
use crate::admission::facts::RequestFacts;
use crate::admission::service_worker;
use crate::logout::answer;
use crate::logout::request::LogoutRequest;
use crate::logout::sign_out::is_of_browser;
use crate::pages::{Language, SignInForm, SignedInPage, tabs};
use crate::session::record::Session;
use crate::session::table::SessionTable;
use crate::values::form::FormValue;
use crate::values::origin::Host;
use crate::values::own_hosts::HostId;
use crate::values::own_path::{OwnPage, is_reserved};
use crate::values::reason::{Reason, Refusal};
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// Answers a request to an address of the gateway.
pub(super) fn answer(
    page: OwnPage<'_>,
    facts: &RequestFacts<'_>,
    requester: Requester,
    assembled: &Arc<Assembled>,
    sessions: &SessionTable,
) -> Result<BuiltInAnswer, Refusal> {
    match page {
        OwnPage::Login => login(facts, requester, assembled),
        OwnPage::Logout => logout(facts, requester, assembled),
        OwnPage::Further(name) if name.eq_ignore_ascii_case(password::NAME) => {
            password::answer(facts, requester, assembled)
        }
        OwnPage::Further(name) if name.eq_ignore_ascii_case(own_sessions::NAME) => {
            own_sessions::answer(facts, requester, assembled)
        }
        OwnPage::Further(name) if name.eq_ignore_ascii_case(enter::NAME) => enter::answer(facts, requester, assembled),
        OwnPage::Further(name) => further(name, facts, &requester, assembled, sessions).map(BuiltInAnswer::Answer),
    }
}

fn login(facts: &RequestFacts<'_>, requester: Requester, assembled: &Arc<Assembled>) -> Result<BuiltInAnswer, Refusal> {
    match *facts.method {
        Method::GET | Method::HEAD => Ok(login_or_elsewhere(facts, requester, assembled)?),
        Method::POST => {
            cross_site::change(facts, &assembled.hosts)?;
            // A sign-in ends the browser's earlier session, so that has to be known.
            requester.is_known()?;
            Ok(BuiltInAnswer::Pending(sign_in_out_request(SignInOut::SignIn, facts, requester, assembled)))
        }
        _ => Ok(BuiltInAnswer::Answer(answers::method_not_allowed(
            assembled,
            facts,
            HeaderValue::from_static("GET, HEAD, POST"),
        ))),
    }
}

/// The sign-in page, or the hand-over of a session between hosts.
fn login_or_elsewhere(
    facts: &RequestFacts<'_>,
    requester: Requester,
    assembled: &Arc<Assembled>,
) -> Result<BuiltInAnswer, Reason> {
    let query = query(facts);
    let next = assembled.return_targets().of(query.field(&answer::NEXT), facts.host);
    let switch = query.field(&["switch"]) != FormValue::Absent;
    if facts.is_browser()
        && host_redirects::signs_in_elsewhere(assembled, facts.host)
        && (switch || requester.session.is_none())
    {
        return host_redirects::begin(facts, &next, switch, assembled).map(BuiltInAnswer::Answer);
    }
    let asked = host_redirects::asked(facts, &query, &next, requester.session.as_ref(), assembled);
    Ok(match asked.filter(|_| !switch) {
        Some(asked) => {
            BuiltInAnswer::Pending(sign_in_out_request(SignInOut::Offer(asked), facts, requester, assembled))
        }
        None => BuiltInAnswer::Answer(login_page(facts, &requester, assembled)),
    })
}

/// Signs out, or asks for confirmation.
pub(super) fn logout(
    facts: &RequestFacts<'_>,
    requester: Requester,
    assembled: &Arc<Assembled>,
) -> Result<BuiltInAnswer, Refusal> {
    Ok(match LogoutRequest::read(facts, &assembled.hosts, assembled.logout.get) {
        LogoutRequest::End(style) => {
            BuiltInAnswer::Pending(sign_in_out_request(SignInOut::SignOut(style), facts, requester, assembled))
        }
        LogoutRequest::Confirm(None) => BuiltInAnswer::Answer(confirm_page(None, facts, &requester, assembled)),
        LogoutRequest::Confirm(Some(reason)) => {
            BuiltInAnswer::Answer(confirm_page(Some(reason), facts, &requester, assembled).refusing(reason))
        }
        LogoutRequest::Refuse(reason) => return Err(reason.into()),
        LogoutRequest::MethodNotAllowed => {
            BuiltInAnswer::Answer(answers::method_not_allowed(assembled, facts, HeaderValue::from_static("GET, POST")))
        }
    })
}

/// The host to sign in to: that of the target, else the requested one.
pub(super) fn site<'a>(host: HostId, next: &'a ReturnTo, assembled: &'a Assembled) -> &'a str {
    let target = next.origin().map(|origin| &origin.host);
    target.or_else(|| assembled.hosts.names().get(host.index())).map_or("", |host| host.as_str())
}

fn login_page(facts: &RequestFacts<'_>, requester: &Requester, assembled: &Assembled) -> Reply {
    let query = query(facts);
    let target = assembled.return_targets().of(query.field(&answer::NEXT), facts.host);
    let language = match Audience::of(facts.headers, assembled) {
        Audience::Person(language) => language,
        Audience::Program => {
            let identity = requester.session.as_ref().map(|session| session.identity());
            let user = identity.as_ref().map(|identity| identity.user());
            return login_fields(&assembled.return_targets().encode(&target, facts.host), user, assembled);
        }
    };
    match &requester.session {
        Some(session) if query.field(&["switch"]) == FormValue::Absent => {
            signed_in_at_login(language, session, &target, facts, assembled)
        }
        _ => {
            let next = &*assembled.return_targets().encode(&target, facts.host);
            let form = SignInForm { site: site(facts.host, &target, assembled), next, user: "", problem: None };
            assembled.pages.login(language, StatusCode::OK, form)
        }
    }
}

/// If the application has a page of its own at this address, "Continue" leads back here. A cookie of a few seconds
/// detects that.
fn signed_in_at_login(
    language: Language,
    session: &Session,
    next: &ReturnTo,
    facts: &RequestFacts<'_>,
    assembled: &Assembled,
) -> Reply {
    let came_back = may_be_meant_for_an_application(facts) && assembled.cookie.has_continued(facts.headers);
    signed_in_page(language, session, (next, facts.host), came_back, assembled)
        .with(SET_COOKIE, assembled.cookie.set_continued(assembled.own_pages.login()))
}

/// Whether the address could be meant for an application, and was neither typed nor reloaded.
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

/// `next` is the target of "Continue".
pub(super) fn signed_in_page(
    language: Language,
    session: &Session,
    (next, host): (&ReturnTo, HostId),
    came_back: bool,
    assembled: &Assembled,
) -> Reply {
    let fields = [("switch", "1"), ("next", &assembled.return_targets().encode(next, host))];
    let switch = ReturnTo::own_form(assembled.own_pages.login(), &fields).to_string();
    let identity = session.identity();
    let (user, next) = (identity.user(), &*host_redirects::landing(next, host, assembled).to_string());
    let password = password::address(session, assembled);
    let sessions = own_sessions::ADDRESS;
    assembled.pages.signed_in(language, SignedInPage { user, next, switch: &switch, came_back, sessions, password })
}

fn confirm_page(
    problem: Option<Reason>,
    facts: &RequestFacts<'_>,
    requester: &Requester,
    assembled: &Assembled,
) -> Reply {
    let query = query(facts);
    let next = match query.field(&answer::NEXT) {
        FormValue::One(next) => Some(next),
        FormValue::Absent | FormValue::Several => None,
    };
    let identity = requester.session.as_ref().map(|session| session.identity());
    let user = identity.as_ref().map(|identity| identity.user());
    let language = assembled.pages.language(facts.headers);
    // On an application's own logout link, the form is sent to the gateway's own logout address.
    let path = facts.target.path();
    let is_ours = matches!(assembled.own_pages.find(path), Ok(Some(_)));
    let action = if is_ours { path.text() } else { assembled.own_pages.logout() };
    assembled.pages.confirm(language, action, next, user, problem)
}

fn further(
    name: &str,
    facts: &RequestFacts<'_>,
    requester: &Requester,
    assembled: &Assembled,
    sessions: &SessionTable,
) -> Result<Reply, Refusal> {
    let reply = match name.to_ascii_lowercase().as_str() {
        "goodbye" => goodbye(facts, requester, assembled),
        "session" => {
            requester.is_known()?;
            session(facts, requester, assembled, sessions)
        }
        tabs::NAME if gives_worker(facts, assembled) => assembled.pages.tabs_worker(),
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

/// The goodbye page, where a sign-out by link ends. If a user has signed in meanwhile, the page says so.
fn goodbye(facts: &RequestFacts<'_>, requester: &Requester, assembled: &Assembled) -> Reply {
    let language = assembled.pages.language(facts.headers);
    match &requester.session {
        Some(session) => signed_in_page(language, session, (&assembled.login.next, facts.host), false, assembled),
        None => match Receipt::from_query(&query(facts), &assembled.keys) {
            Some(receipt) if closes_tabs(&receipt, facts, requester, assembled) => {
                let page = assembled.pages.goodbye_to_all_tabs(language, &receipt);
                page.with(SET_COOKIE, assembled.cookie.expire_left())
            }
            receipt => assembled.pages.goodbye(language, StatusCode::OK, receipt.as_ref()),
        },
    }
}

/// Only to a browser that registers it, where it is wanted.
fn gives_worker(facts: &RequestFacts<'_>, assembled: &Assembled) -> bool {
    assembled.logout.close_tabs && service_worker::is_script(facts)
}

/// Whether this browser's other tabs are sent to the sign-in page. The request has to come from a page of this host, or
/// from this logout's redirects over other hosts, not from a link of another site; it has to be certain that no user is
/// signed in; and no application's service worker may have replaced the gateway's.
fn closes_tabs(receipt: &Receipt, facts: &RequestFacts<'_>, requester: &Requester, assembled: &Assembled) -> bool {
    let has_worker = |host: &Option<Host>| {
        host.as_ref().is_none_or(|host| assembled.hosts.names().get(facts.host.index()) == Some(host))
    };
    let led_back = || is_of_browser(receipt, &assembled.cookie.find_left(facts.headers), &assembled.keys);
    assembled.logout.close_tabs
        && (facts.fetch_site() == Some("same-origin") || led_back())
        && requester.is_known().is_ok()
        && !assembled.worker_hosts.iter().any(has_worker)
}

/// The current user and session. A request for it does not count as activity.
/// A person sees it on the page of all sessions.
fn session(facts: &RequestFacts<'_>, requester: &Requester, assembled: &Assembled, sessions: &SessionTable) -> Reply {
    if let Audience::Person(_) = Audience::of(facts.headers, assembled) {
        return Reply::see_other(&ReturnTo::own(own_sessions::ADDRESS));
    }
    let Some(session) = &requester.session else {
        let refusal = Refusal::from(Reason::SignInRequired);
        return answers::refusal_for(assembled, Audience::Program, &refusal);
    };
    let identity = session.identity();
    let host = assembled.hosts.names().get(facts.host.index()).map(|host| host.as_str());
    let hosts = session.hosts(app_cookies::host_name(assembled, HostId::LOGIN));
    // Developer tools do not show the cookies that the gateway keeps.
    let cookies = session.vault().zip(host).map(|(vault, host)| vault.names(host)).unwrap_or_default();
    let body = json!({
        "user": identity.user(), "email": identity.email(), "name": identity.name(),
        "groups": identity.groups().collect::<Vec<_>>(),
        "device": session.device().to_string(), "address": session.address().to_string(),
        "age_seconds": requester.at.duration_since(session.created()).as_secs(),
        "idle_seconds": requester.at.duration_since(session.last_seen()).as_secs(),
        "connections": sessions.connections_of(session), "host": host, "hosts": hosts, "cookies": cookies,
    });
    Reply::json(StatusCode::OK, &body)
}
