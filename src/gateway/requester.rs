//! The sender of a request: the sessions that its cookies name.

use std::sync::Arc;

use super::Gateway;
use super::app_cookies::{PendingDeletions, host_name};
use super::assembled::Assembled;
use crate::admission::facts::RequestFacts;
use crate::http1::own_cookies::ApplicationCookies;
use crate::session::record::Session;
use crate::session::table::Lookup;
use crate::values::reason::Reason;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The sender of a request, according to its cookies.
#[derive(Debug)]
pub(super) struct Requester {
    /// The one live session under the session cookie's exact name.
    pub(super) session: Option<Arc<Session>>,
    /// Two or more such sessions: none of them counts.
    pub(super) rivals: Vec<Arc<Session>>,
    /// Live sessions under other spellings of the cookie's name, and ended sessions: a logout ends them, and they do
    /// not sign anybody in.
    others: Vec<Arc<Session>>,
    /// Keys that are not in the table: the store may know them.
    pub(super) unknown: Vec<SessionKey>,
    /// Whether there is a cookie with one of the gateway's names.
    pub(super) presented: bool,
    /// Whether there is one that the browser should delete.
    pub(super) strays: bool,
    /// The cookies that are passed to the application.
    pub(super) cookies: ApplicationCookies,
    /// The time of the lookup.
    pub(super) at: Moment,
}

impl Requester {
    /// Fails if the store could not be asked for one of the request's keys.
    pub(super) fn is_known(&self) -> Result<(), Reason> {
        if self.unknown.is_empty() { Ok(()) } else { Err(Reason::StoreUnavailable) }
    }

    /// Whether it is certain that no user is signed in.
    pub(super) fn is_certainly_anonymous(&self) -> bool {
        self.session.is_none() && self.rivals.is_empty() && self.unknown.is_empty()
    }

    /// Every session that the request names.
    pub(super) fn into_sessions(self) -> Vec<Arc<Session>> {
        self.session.into_iter().chain(self.rivals).chain(self.others).collect()
    }
}

impl Gateway {
    /// Looks up the sender of a request, and the cookies of ended sessions that its browser still has. `is_fresh` says
    /// that changes by other gateways have been read since the request came.
    pub(super) fn requester(
        &self,
        facts: &RequestFacts<'_>,
        assembled: &Assembled,
        deletions: &mut PendingDeletions,
        is_fresh: bool,
    ) -> Requester {
        let (at, debts) = (self.pipeline.clock.now(), &self.pipeline.debts);
        let host = host_name(assembled, facts.host);
        let found = assembled.cookie.read_with(facts.headers, facts.last_key);
        let (mut session, mut rivals, mut others, mut unknown) = (None, Vec::new(), Vec::new(), Vec::new());
        for named in found.named() {
            let state = match self.sessions().look_up(&named.key, at) {
                Lookup::Outdated(live) if is_fresh => Lookup::Live(live),
                state => state,
            };
            match state {
                Lookup::Live(live) if !named.opens => others.push(live),
                // A request may have several keys of one session.
                Lookup::Live(live) if session.as_ref().is_none_or(|first| Arc::ptr_eq(first, &live)) => {
                    deletions.look_up_live(&named.key, &live, host, debts);
                    session = Some(live);
                }
                Lookup::Live(live) => rivals.push(live),
                Lookup::Over(over) => {
                    deletions.look_into(&over, host);
                    others.push(over);
                }
                Lookup::Outdated(_) | Lookup::Unknown => unknown.push(named.key),
                Lookup::Absent => deletions.look_up(&named.key, host, debts),
            }
        }
        if !rivals.is_empty() {
            rivals.extend(session.take());
        }
        let (presented, strays) = (found.has_session_cookie(), found.has_unusable());
        Requester { session, rivals, others, unknown, presented, strays, cookies: found.into_application_cookies(), at }
    }
}
