//! What becomes of a request, one step a line.

use std::sync::Arc;

use super::answers;
use super::assembled::{Assembled, Requested};
use super::basic::{BasicCredentials, Unchecked};
use super::built_in_pages::{self, BuiltInAnswer, SignInOutRequest};
use super::exchange::Exchange;
use super::forward::Forward;
use super::resources;
use super::{Gateway, to_the_end};
use crate::admission::facts::RequestFacts;
use crate::admission::permit::{self, Decision, Permit, Proof};
use crate::admission::service_worker;
use crate::credentials::basic::verified::Outcome;
use crate::http1::header_edits::HeaderEdits;
use crate::http1::headers::RequestHead;
use crate::http1::own_cookies::ApplicationCookies;
use crate::http1::provenance::Provenance;
use crate::routes::table::Route;
use crate::session::live::Cut;
use crate::session::record::Session;
use crate::values::client_address::Peer;
use crate::values::end_cause::EndCause;
use crate::values::own_path::OwnPage;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::time::Moment;

/// What becomes of a request.
#[derive(Debug)]
pub enum Received {
    /// It goes to an upstream.
    Forward(Box<Forward>),
    /// This is the answer.
    Answer(Reply),
    /// It signs in or out: read the body, then [`Gateway::perform`].
    BuiltIn(Box<SignInOutRequest>),
}

/// Who sends a request, as far as its cookies tell.
#[derive(Debug)]
pub(super) struct Requester {
    /// The one live session under the name that opens sessions.
    pub(super) session: Option<Arc<Session>>,
    /// Two and more of them: none counts.
    rivals: Vec<Arc<Session>>,
    /// Live sessions under other spellings of our name: they only end.
    others: Vec<Arc<Session>>,
    /// There is a cookie under a name of ours.
    pub(super) presented: bool,
    /// There is one that should go from the browser.
    strays: bool,
    /// What is left for the application.
    cookies: ApplicationCookies,
    /// When that was looked up.
    at: Moment,
}

/// Why a request is not decided yet, or refused.
enum Stop {
    /// It shows the cookies of several live sessions.
    Conflict(Vec<Arc<Session>>),
    /// It shows credentials that have to be checked.
    Unchecked(Box<Unchecked>),
    Refused(Refusal),
}

impl<R: Into<Refusal>> From<R> for Stop {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal.into())
    }
}

impl Requester {
    /// Every live session that the request names.
    pub(super) fn into_sessions(self) -> Vec<Arc<Session>> {
        self.session.into_iter().chain(self.rivals).chain(self.others).collect()
    }
}

impl Gateway {
    /// Judges a head. `cut` is the way to end this connection. It waits for
    /// nothing, unless the head shows the cookies of two live sessions: both of them end first.
    pub async fn receive(self: &Arc<Self>, head: RequestHead<'_>, peer: Peer, cut: &Arc<Cut>) -> (Exchange, Received) {
        let assembled = self.assembled.load_full();
        let mut exchange = Exchange::begin(&self.pipeline.log, &self.pipeline.clock, head);
        let mut checked = None;
        loop {
            match self.judge(head, peer, cut, &assembled, &mut exchange, checked.as_ref()) {
                Ok(received) => return (exchange, received),
                Err(Stop::Refused(refusal)) => {
                    exchange.note_refusal(&refusal);
                    return (exchange, Received::Answer(answers::refuse(&assembled, head.headers, &refusal)));
                }
                // None of them is live the next time.
                Err(Stop::Conflict(rivals)) => Box::pin(self.end_rivals(rivals)).await,
                Err(Stop::Unchecked(unchecked)) => checked = Some(Box::pin(self.check(&unchecked)).await),
            }
        }
    }

    fn judge(
        &self,
        head: RequestHead<'_>,
        peer: Peer,
        cut: &Arc<Cut>,
        assembled: &Arc<Assembled>,
        exchange: &mut Exchange,
        checked: Option<&Outcome>,
    ) -> Result<Received, Stop> {
        let provenance = Provenance::of(peer, head.headers, &assembled.trusted);
        exchange.note_client(provenance.client);
        if assembled.heads.is_loop(head.headers) {
            return Err(Reason::UpstreamLoop.into());
        }
        let mut facts = RequestFacts::read(head, provenance, &assembled.hosts).inspect_err(|refusal| {
            if refusal.reason == Reason::HostNotServed {
                exchange.note_served_hosts(&assembled.hosts);
            }
        })?;
        if facts.asks_server {
            return Ok(Received::Answer(answers::whole_server()));
        }
        assembled.merge_slashes(facts.host, &mut facts.target)?;
        exchange.note_path(facts.target.path().text());
        let asked = assembled.requested(&facts)?;
        let mut requester = self.requester(&facts, assembled);
        // A logout ends them anyway, and one that is refused ends nothing.
        if !requester.rivals.is_empty() && !matches!(asked, Requested::OwnPage(OwnPage::Logout)) {
            return Err(Stop::Conflict(std::mem::take(&mut requester.rivals)));
        }
        exchange.note_session(requester.session.as_ref());
        let route = match asked {
            Requested::OwnPage(page) => {
                return Ok(match built_in_pages::answer(page, &facts, requester, assembled)? {
                    BuiltInAnswer::Answer(reply) => Received::Answer(reply),
                    BuiltInAnswer::Perform(request) => Received::BuiltIn(request),
                });
            }
            Requested::Route(route) => route,
        };
        exchange.note_route(route);
        let mut proof = Proof::Cookie;
        if route.basic && requester.session.is_none() {
            match self.credentials(&facts, route, checked, requester.at) {
                BasicCredentials::Absent => {}
                BasicCredentials::Unchecked(unchecked) => return Err(Stop::Unchecked(unchecked)),
                BasicCredentials::Refused(refusal) => {
                    return Ok(Received::Answer(answers::refuse_credentials(assembled, &facts, route, &refusal)));
                }
                BasicCredentials::Right(session) => {
                    exchange.note_session(Some(&session));
                    (requester.session, proof) = (Some(session), Proof::Basic);
                }
            }
        }
        self.admit(&facts, requester, route, cut, assembled, proof).map_err(Stop::Refused)
    }

    fn requester(&self, facts: &RequestFacts<'_>, assembled: &Assembled) -> Requester {
        let at = self.pipeline.clock.now();
        let found = assembled.cookie.read(facts.headers);
        let (mut session, mut rivals, mut others) = (None, Vec::new(), Vec::new());
        for named in found.named() {
            match self.sessions.find(&named.key, at) {
                Some(live) if !named.opens => others.push(live),
                // A session has several keys, and may be named by more than one of them.
                Some(live) if session.as_ref().is_none_or(|first| Arc::ptr_eq(first, &live)) => session = Some(live),
                Some(live) => rivals.push(live),
                None => {}
            }
        }
        if !rivals.is_empty() {
            rivals.extend(session.take());
        }
        let (presented, strays) = (found.has_session_cookie(), found.has_unusable());
        Requester { session, rivals, others, presented, strays, cookies: found.into_application_cookies(), at }
    }

    /// Of two live sessions in one browser one was planted there, and nobody can tell which.
    async fn end_rivals(self: &Arc<Self>, rivals: Vec<Arc<Session>>) {
        let gateway = Arc::clone(self);
        let grace = self.assembled.load().logout.grace;
        to_the_end(async move { gateway.end_together(rivals, EndCause::CookieConflict, grace, 0).await }).await;
    }

    /// Registers with the session first, and decides only then: an end that comes in between is seen.
    fn admit(
        &self,
        facts: &RequestFacts<'_>,
        requester: Requester,
        route: &Arc<Route>,
        cut: &Arc<Cut>,
        assembled: &Arc<Assembled>,
        proof: Proof,
    ) -> Result<Received, Refusal> {
        service_worker::script(facts, route, &assembled.own_pages)?;
        let Requester { session, cookies, strays, at, .. } = requester;
        let hold = session.and_then(|session| session.hold(cut));
        if hold.as_ref().is_some_and(|hold| hold.among() > assembled.requests_per_session) {
            return Err(Reason::SessionBusy.into());
        }
        match permit::decide(facts, &assembled.hosts, route, hold, proof) {
            Decision::Allow(permit) => {
                let resources = resources::edits(facts, route, assembled)?;
                Ok(self.forward(facts, permit, resources, cookies, at, assembled))
            }
            Decision::Refuse(reason @ Reason::GroupMissing) => {
                Ok(Received::Answer(answers::refuse_account(assembled, facts, reason)))
            }
            Decision::Refuse(Reason::MethodNotAllowed) => {
                Ok(Received::Answer(answers::method_not_allowed(assembled, facts, route.methods.list())))
            }
            Decision::Refuse(reason) => Err(reason.into()),
            Decision::AskLogin => {
                let mut reply = answers::ask_login(assembled, facts, route);
                if strays {
                    answers::expire_cookies(assembled, &mut reply);
                }
                Ok(Received::Answer(reply))
            }
        }
    }

    fn forward(
        &self,
        facts: &RequestFacts<'_>,
        permit: Permit,
        resources: HeaderEdits,
        cookies: ApplicationCookies,
        at: Moment,
        assembled: &Arc<Assembled>,
    ) -> Received {
        let is_idle = permit.route().idle_paths.iter().any(|path| path.covers(facts.target.path().literal()));
        if let Some(session) = permit.session().filter(|_| !is_idle) {
            session.touch(at);
        }
        Received::Forward(Box::new(Forward {
            context: assembled.heads.context(facts, &permit),
            target: facts.target.rewritten(),
            websocket: facts.is_websocket(),
            may_repeat: facts.method.is_idempotent() && facts.method_override == Ok(None),
            affinity: affinity(facts, permit.session()),
            resources,
            cookies,
            is_idle,
            assembled: Arc::clone(assembled),
            permit,
        }))
    }
}

fn affinity(facts: &RequestFacts<'_>, session: Option<&Arc<Session>>) -> u64 {
    session.map_or_else(|| facts.provenance.client.affinity(), |session| session.affinity())
}
