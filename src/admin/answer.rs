//! Reads requests to the admin socket, runs them, and makes the answers.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::filter::{BadFilter, SessionFilter};
use super::operator::{self, OperationResult, Operator};
use super::{Reload, ReloadRefused, ReloadReport};
use crate::audit::Act;
use crate::gateway::Gateway;
use crate::session::record::Session;
use crate::session::store::Unavailable;
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;

/// A request to the admin socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AdminRequest<'a> {
    Health,
    Readiness,
    Unban(Cow<'a, str>),
    Reload,
    Sessions(SessionFilter),
    Session(Cow<'a, str>),
    /// Ends the sessions that the filter selects. The text is the query, for the audit log.
    RevokeSelected(SessionFilter, &'a str),
    Revoke(Cow<'a, str>),
    RevokeAllOf(Cow<'a, str>),
}

/// Why a request is not valid.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UnknownRequest {
    /// Unknown path.
    Address,
    /// A known path, with another method. Holds the right one.
    Method(&'static str),
    /// The query or the path is malformed.
    Malformed,
    /// It would end every session, without `all=yes`.
    Everything,
}

impl<'a> AdminRequest<'a> {
    /// Reads method and address of a request.
    pub(super) fn read(method: &Method, uri: &'a Uri) -> Result<Self, UnknownRequest> {
        let parts: Vec<_> = uri.path().split('/').skip(1).collect();
        let text = |part: &'a str| percent_decode_str(part).decode_utf8().map_err(|_| UnknownRequest::Malformed);
        let query = uri.query().unwrap_or_default();
        let filter = || SessionFilter::read(query).map_err(|BadFilter| UnknownRequest::Malformed);
        let (wanted, asked) = match *parts.as_slice() {
            ["healthz"] => ("GET", Self::Health),
            ["readyz"] => ("GET", Self::Readiness),
            ["reload"] => ("POST", Self::Reload),
            ["sessions"] if method == Method::DELETE => ("DELETE", Self::RevokeSelected(selected(filter()?)?, query)),
            ["sessions"] => ("GET", Self::Sessions(filter()?)),
            ["bans", user] => ("DELETE", Self::Unban(text(user)?)),
            ["sessions", handle] if method == Method::GET => ("GET", Self::Session(text(handle)?)),
            ["sessions", handle] => ("DELETE", Self::Revoke(text(handle)?)),
            ["users", user, "sessions"] => ("DELETE", Self::RevokeAllOf(text(user)?)),
            _ => return Err(UnknownRequest::Address),
        };
        if method == wanted { Ok(asked) } else { Err(UnknownRequest::Method(wanted)) }
    }

    /// Runs a request. If it changes something, the operator is noted in the audit log.
    pub(super) async fn answer(
        self,
        gateway: &Arc<Gateway>,
        (reload, ready): (Arc<dyn Reload>, bool),
        operator: Operator,
    ) -> Reply {
        let (act, about, (reply, done)) = match self {
            Self::Health => return status_reply("running"),
            Self::Readiness if ready => return status_reply("ready"),
            Self::Readiness => return Reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stopping" })),
            Self::Sessions(filter) => return sessions(&filter, gateway),
            Self::Session(handle) => return session(&handle, gateway).await,
            Self::RevokeSelected(filter, query) => {
                let selected = matching(&filter, gateway);
                let (ended, confirmed) = gateway.revoke_selected(selected).await;
                let body = json!({ "sessions_ended": ended, "confirmed": confirmed });
                let status = if confirmed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let done = OperationResult { done: ended > 0, sessions_ended: ended };
                (Act::RevokeSelected, Some(query.into()), (Reply::json(status, &body), done))
            }
            Self::Unban(user) => {
                let done = gateway.unban(&user);
                let reply = Reply::json(StatusCode::OK, &json!({ "user": user, "was_banned": done }));
                (Act::Unban, Some(user), (reply, OperationResult { done, sessions_ended: 0 }))
            }
            Self::Reload => (Act::Reload, None, reloaded(reload.reload().await)),
            Self::Revoke(handle) => {
                let receipt = gateway.revoke(&handle).await;
                (Act::RevokeSession, Some(handle), revoked(receipt))
            }
            Self::RevokeAllOf(user) => {
                let receipts = gateway.revoke_all_of(&user).await;
                (Act::RevokeUser, Some(user), all_revoked(receipts))
            }
        };
        operator::log_operation(operator, (act, about.as_deref()), done, gateway).await;
        reply
    }
}

fn sessions(filter: &SessionFilter, gateway: &Gateway) -> Reply {
    let sessions = matching(filter, gateway);
    let list: Vec<_> = sessions.iter().map(|session| session_json(session, gateway)).collect();
    Reply::json(StatusCode::OK, &list)
}

fn matching(filter: &SessionFilter, gateway: &Gateway) -> Vec<Arc<Session>> {
    let mut sessions = gateway.sessions_of(filter.user.as_deref());
    sessions.retain(|session| filter.matches(session, gateway.ages(session)));
    sessions
}

/// Refuses an empty filter without `all=yes`.
fn selected(filter: SessionFilter) -> Result<SessionFilter, UnknownRequest> {
    if filter.is_everything() && !filter.all { Err(UnknownRequest::Everything) } else { Ok(filter) }
}

async fn session(handle: &str, gateway: &Arc<Gateway>) -> Reply {
    let Some(session) = gateway.session_of_handle(handle).await else { return no_session() };
    let mut body = session_json(&session, gateway);
    if let Some(fields) = body.as_object_mut() {
        let hosts = gateway.cookies_of(&session).into_iter();
        let hosts = hosts.map(|(host, cookies)| json!({ "host": host, "cookies": cookies }));
        fields.insert("hosts".to_owned(), hosts.collect());
        fields.insert("groups".to_owned(), json!(session.identity().groups().collect::<Vec<_>>()));
    }
    Reply::json(StatusCode::OK, &body)
}

fn reloaded(result: Result<ReloadReport, ReloadRefused>) -> (Reply, OperationResult) {
    match result {
        Ok(reloaded) => {
            let done = OperationResult { done: true, sessions_ended: reloaded.sessions_ended };
            (Reply::json(StatusCode::OK, &reloaded), done)
        }
        Err(ReloadRefused { report }) => {
            let message = "The configuration was refused, and nothing has changed.";
            let body = json!({ "error": "reload_refused", "message": message, "report": report });
            (Reply::json(StatusCode::UNPROCESSABLE_ENTITY, &body), OperationResult::default())
        }
    }
}

fn revoked(receipt: Option<Receipt>) -> (Reply, OperationResult) {
    match receipt {
        Some(receipt) => (Reply::json(StatusCode::OK, &receipt), OperationResult { done: true, sessions_ended: 1 }),
        None => (no_session(), OperationResult::default()),
    }
}

fn all_revoked(receipts: Result<Vec<Receipt>, Unavailable>) -> (Reply, OperationResult) {
    match receipts {
        Ok(receipts) => {
            let done = OperationResult { done: !receipts.is_empty(), sessions_ended: receipts.len() };
            (Reply::json(StatusCode::OK, &receipts), done)
        }
        Err(Unavailable) => {
            let message = "The session store has not confirmed that all sessions of this user have ended: try again.";
            (refused(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", message), OperationResult::default())
        }
    }
}

fn no_session() -> Reply {
    refused(StatusCode::NOT_FOUND, "no_session", "No session has this handle.")
}

impl UnknownRequest {
    pub(super) fn answer(&self) -> Reply {
        match self {
            Self::Address => refused(StatusCode::NOT_FOUND, "no_route", "Unknown address."),
            Self::Everything => {
                let message = "This would end every session: add a filter, or all=yes.";
                refused(StatusCode::BAD_REQUEST, "too_much", message)
            }
            Self::Malformed => refused(StatusCode::BAD_REQUEST, "malformed", "This address is malformed."),
            Self::Method(method) => {
                let message = "This address requires another method.";
                refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
                    .with(ALLOW, HeaderValue::from_static(method))
            }
        }
    }
}

fn status_reply(status: &str) -> Reply {
    Reply::json(StatusCode::OK, &json!({ "status": status }))
}

fn refused(status: StatusCode, error: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": error, "message": message }))
}

fn session_json(session: &Session, gateway: &Gateway) -> Value {
    let (age, idle) = gateway.ages(session);
    json!({
        "session": session.handle().map(|handle| handle.to_string()),
        "user": session.identity().user(),
        "device": session.device().to_string(),
        "address": session.address().to_string(),
        "age_seconds": age.as_secs(),
        "idle_seconds": idle.as_secs(),
        "connections": gateway.sessions().connections_of(session),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_and_its_method() {
        let of = |user: &str| SessionFilter { user: Some(user.to_owned()), ..SessionFilter::default() };
        let cases = [
            ("POST", "/reload", Ok(AdminRequest::Reload)),
            ("GET", "/reload", Err(UnknownRequest::Method("POST"))),
            ("GET", "/healthz", Ok(AdminRequest::Health)),
            ("GET", "/readyz", Ok(AdminRequest::Readiness)),
            ("GET", "/sessions", Ok(AdminRequest::Sessions(SessionFilter::default()))),
            ("GET", "/sessions?user=j%C3%BCrgen+a", Ok(AdminRequest::Sessions(of("jürgen a")))),
            ("DELETE", "/sessions?user=bob", Ok(AdminRequest::RevokeSelected(of("bob"), "user=bob"))),
            ("DELETE", "/sessions", Err(UnknownRequest::Everything)),
            ("DELETE", "/sessions?usr=bob", Err(UnknownRequest::Malformed)),
            ("DELETE", "/sessions?user=", Ok(AdminRequest::RevokeSelected(of(""), "user="))),
            ("GET", "/sessions/abc", Ok(AdminRequest::Session("abc".into()))),
            ("PUT", "/sessions/abc", Err(UnknownRequest::Method("DELETE"))),
            ("GET", "/sessions?user=a&user=b", Err(UnknownRequest::Malformed)),
            ("DELETE", "/bans/a%2Fb", Ok(AdminRequest::Unban("a/b".into()))),
            ("DELETE", "/bans/%ff", Err(UnknownRequest::Malformed)),
            ("DELETE", "/sessions/abc", Ok(AdminRequest::Revoke("abc".into()))),
            ("DELETE", "/users/alice/sessions", Ok(AdminRequest::RevokeAllOf("alice".into()))),
            ("POST", "/sessions", Err(UnknownRequest::Method("GET"))),
            ("GET", "/bans/alice", Err(UnknownRequest::Method("DELETE"))),
            ("GET", "/users/alice", Err(UnknownRequest::Address)),
            ("GET", "/", Err(UnknownRequest::Address)),
            ("GET", "/sessions/", Ok(AdminRequest::Session("".into()))),
        ];
        for (method, target, want) in cases {
            let uri: Uri = target.parse().unwrap();
            assert_eq!(AdminRequest::read(&method.parse().unwrap(), &uri), want, "{method} {target}");
        }
    }
}
