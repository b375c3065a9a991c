//! `/.exeunt/sessions`: users see their own sessions, and can end them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::Gateway;
use super::answers::{self, Audience};
use super::app_cookies::host_name;
use super::assembled::Assembled;
use super::requester::Requester;
use super::sign_in_out::{BuiltInAnswer, OwnSessions, SignInOut, SignInOutRequest, read_form, sign_in_out_request};
use crate::admission::cross_site;
use crate::admission::facts::RequestFacts;
use crate::logout::answer::with_cleared_cookies;
use crate::logout::receipts::is_confirmed;
use crate::logout::run::SessionsToEnd;
use crate::pages::{SessionLine, SessionsPage};
use crate::session::record::Session;
use crate::session::store::Unavailable;
use crate::values::end_cause::EndCause;
use crate::values::form::{Form, FormValue};
use crate::values::own_hosts::HostId;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// The name of the page below `/.exeunt/`.
pub(super) const NAME: &str = "sessions";
/// Its address.
pub(super) const ADDRESS: &str = "/.exeunt/sessions";
/// The maximum number of sessions that are shown; the others can only be ended all together.
const MAX_SHOWN: usize = 100;
/// The value of `end` for all sessions except the current one.
const OTHERS: &str = "others";
/// The value of `end` for all sessions.
const ALL: &str = "all";

/// Answers a request for the page, or a submission of its form.
pub(super) fn answer(
    facts: &RequestFacts<'_>,
    requester: Requester,
    assembled: &Arc<Assembled>,
) -> Result<BuiltInAnswer, Refusal> {
    let asked = match *facts.method {
        Method::GET | Method::HEAD => OwnSessions::List,
        Method::POST => {
            cross_site::change(facts, &assembled.hosts)?;
            OwnSessions::End
        }
        _ => {
            let allow = HeaderValue::from_static("GET, HEAD, POST");
            return Ok(BuiltInAnswer::Answer(answers::method_not_allowed(assembled, facts, allow)));
        }
    };
    requester.is_known()?;
    let Some(session) = requester.session.clone() else {
        return Ok(BuiltInAnswer::Answer(answers::ask_login_again(assembled, facts)));
    };
    let action = SignInOut::OwnSessions(session, asked);
    Ok(BuiltInAnswer::Pending(sign_in_out_request(action, facts, requester, assembled)))
}

impl Gateway {
    /// Shows the sessions of a session's user. This does not count as activity.
    pub(super) async fn list_own_sessions(&self, request: &SignInOutRequest, session: &Arc<Session>) -> Reply {
        if let Err(Unavailable) = self.sessions().load_all_of(session.user(), 0).await {
            return answers::refusal_for(&request.assembled, request.reader, &Reason::StoreUnavailable.into());
        }
        self.own_sessions_page(request, session, true)
    }

    /// Ends sessions of the same user only.
    pub(super) async fn end_own_sessions(
        &self,
        request: &SignInOutRequest,
        session: &Arc<Session>,
        body: Result<Bytes, Reason>,
    ) -> Reply {
        let form = body.map_err(Refusal::from).and_then(|body| read_form(request, &body));
        // Sessions that cannot be loaded are not ended, and the answer says so.
        let all_known = self.sessions().load_all_of(session.user(), 0).await.is_ok();
        let chosen = match form.and_then(|form| self.chosen(&form, session)) {
            Ok(chosen) => chosen,
            Err(refusal) => return answers::refusal_for(&request.assembled, request.reader, &refusal),
        };
        let own = chosen.iter().any(|other| Arc::ptr_eq(other, session));
        let receipts =
            self.pipeline.end(SessionsToEnd::These(chosen, EndCause::Everywhere), self.without_client()).await;
        let (ended, receipt) = (receipts.each.len(), receipts.together(0));
        let confirmed = is_confirmed(&receipt) && all_known;
        let reply = match request.reader {
            Audience::Person(_) if confirmed => Reply::see_other(&ReturnTo::own(ADDRESS)),
            Audience::Person(_) => self.own_sessions_page(request, session, false),
            Audience::Program => {
                let status = if confirmed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let body =
                    json!({ "user": session.identity().user(), "sessions_ended": ended, "confirmed": confirmed });
                Reply::json(status, &body)
            }
        };
        let assembled = &request.assembled;
        if own { with_cleared_cookies(reply, assembled.cookie.expire(), &assembled.logout) } else { reply }
    }

    /// The sessions that a form names. One that has ended meanwhile is left out.
    fn chosen(&self, form: &Form, session: &Arc<Session>) -> Result<Vec<Arc<Session>>, Refusal> {
        let FormValue::One(end) = form.field(&["end"]) else {
            return Err(Refusal { message: NOTHING_NAMED.into(), ..Refusal::from(Reason::FormMalformed) });
        };
        let is_named = |other: &Arc<Session>| match end {
            OTHERS => !Arc::ptr_eq(other, session),
            ALL => true,
            handle => other.handle().is_some_and(|own| own.as_str() == handle),
        };
        let mut sessions = self.sessions().list_to_end(session.user());
        sessions.retain(is_named);
        Ok(sessions)
    }

    /// The page, or its data as JSON for a program. `confirmed` says whether the store has confirmed the ends.
    fn own_sessions_page(&self, request: &SignInOutRequest, session: &Arc<Session>, confirmed: bool) -> Reply {
        let mut sessions = self.sessions().list(session.user());
        sessions.retain(|other| !other.has_ended());
        // The current one comes first, then the most recently used.
        sessions.sort_by_key(|other| (!Arc::ptr_eq(other, session), Reverse(other.last_seen())));
        let hidden = sessions.len().saturating_sub(MAX_SHOWN);
        let login = host_name(&request.assembled, HostId::LOGIN);
        let several_hosts = request.assembled.hosts.count() > 1;
        let lines: Vec<_> = sessions.iter().take(MAX_SHOWN).map(|other| self.line(other, session, login)).collect();
        let identity = session.identity();
        let user = identity.user();
        match request.reader {
            Audience::Person(language) => request
                .assembled
                .pages
                .sessions(language, SessionsPage { user, lines: &lines, hidden, confirmed, several_hosts }),
            Audience::Program => {
                let sessions: Vec<_> = lines.iter().map(line_json).collect();
                let body = json!({ "user": user, "sessions": sessions, "not_shown": hidden,
                    "action": ADDRESS, "method": "POST", "fields": ["end"] });
                Reply::json(StatusCode::OK, &body)
            }
        }
    }

    fn line(&self, other: &Arc<Session>, session: &Arc<Session>, login: &str) -> SessionLine {
        let ((age, idle), hosts) = (self.ages(other), other.hosts(login));
        SessionLine {
            handle: other.handle().map(|handle| handle.to_string()).unwrap_or_default(),
            current: Arc::ptr_eq(other, session),
            device: other.device(),
            address: other.address().to_string(),
            age,
            idle,
            connections: self.sessions().connections_of(other),
            cookies: kept(other, &hosts),
            hosts,
        }
    }
}

/// The names of the application cookies that the gateway keeps for a session, for all hosts together. Developer tools
/// do not show them.
fn kept(session: &Session, hosts: &[Box<str>]) -> Vec<String> {
    let names = |host: &str| session.vault().map(|vault| vault.names(host)).unwrap_or_default();
    let names: BTreeSet<_> = hosts.iter().flat_map(|host| names(host)).collect();
    names.into_iter().collect()
}

fn line_json(line: &SessionLine) -> Value {
    json!({
        "session": line.handle, "current": line.current, "device": line.device.to_string(), "address": line.address,
        "age_seconds": line.age.as_secs(), "idle_seconds": line.idle.as_secs(), "connections": line.connections,
        "hosts": line.hosts, "cookies": line.cookies,
    })
}

/// The message for a form that does not have exactly one `end`.
const NOTHING_NAMED: &str = "Send end=SESSION, with a name from GET /.exeunt/sessions, or end=others for all sessions \
                             but this one, or end=all.";
