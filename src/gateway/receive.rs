//! The decision about a request, step by step.

use std::sync::Arc;

use super::answers;
use super::app_cookies::{self, ForwardedCookies, PendingDeletions};
use super::assembled::{Assembled, Requested};
use super::basic::{BasicCredentials, Unchecked};
use super::built_in_pages;
use super::clear;
use super::exchange::Exchange;
use super::forward::Forward;
use super::own_link;
use super::requester::Requester;
use super::resources;
use super::sign_in_out::{BuiltInAnswer, SignInOutRequest};
use super::{Gateway, run_to_completion};
use crate::admission::facts::RequestFacts;
use crate::admission::permit::{self, Decision, Permit, Proof};
use crate::admission::service_worker;
use crate::credentials::basic::verified::Outcome;
use crate::http1::header_edits::HeaderEdits;
use crate::http1::headers::RequestHead;
use crate::http1::provenance::Provenance;
use crate::logout::run::SessionsToEnd;
use crate::routes::table::Route;
use crate::session::live::Cut;
use crate::session::record::Session;
use crate::values::client_address::{ClientAddress, Peer};
use crate::values::end_cause::EndCause;
use crate::values::own_path::OwnPage;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The decision about a request.
#[derive(Debug)]
pub(crate) enum Received {
    /// Forward it to an upstream.
    Forward(Box<Forward>),
    /// Send this answer.
    Answer(Reply),
    /// It signs in or out: read the body, then call [`Gateway::sign_in_or_out`].
    BuiltIn(Box<SignInOutRequest>),
    /// Not decided yet: call [`Gateway::resume`].
    Wait(Wait),
}

impl From<BuiltInAnswer> for Received {
    fn from(answer: BuiltInAnswer) -> Self {
        match answer {
            BuiltInAnswer::Answer(reply) => Self::Answer(reply),
            BuiltInAnswer::Pending(request) => Self::BuiltIn(request),
        }
    }
}

/// What has to be waited for before a request can be judged.
#[derive(Debug)]
pub(crate) enum Wait {
    /// Its session keys are not in the table: the store has to be asked.
    Load(Vec<SessionKey>),
    /// It has the cookies of several live sessions, which have to end first.
    Conflict(Vec<Arc<Session>>),
    /// Its credentials have to be checked.
    Check(Box<Unchecked>),
}

/// What has been looked up for a request's keys and credentials.
#[derive(Debug)]
enum Known {
    /// Only what is in memory.
    AtHand,
    /// Also the store's answer, if it was asked, and the result for the credentials, if they were checked.
    Settled(Option<Outcome>),
    /// The store was asked, and did not answer completely.
    Doubtful,
}

impl Known {
    fn checked(&self) -> Option<&Outcome> {
        match self {
            Self::Settled(checked) => checked.as_ref(),
            Self::AtHand | Self::Doubtful => None,
        }
    }

    /// Whether changes by other gateways have been read since the request came.
    fn is_fresh(&self) -> bool {
        matches!(self, Self::Settled(_))
    }
}

/// A request that is being judged.
#[derive(Debug)]
struct Judged<'a> {
    known: &'a Known,
    /// The cookies that its browser has to delete.
    deletions: PendingDeletions,
}

/// The maximum number of keys of one request that the store is asked about; a browser sends one or two.
const MAX_REQUEST_KEYS: usize = 16;

impl Gateway {
    /// Judges a head, without waiting: what has to be waited for is returned. `cut` ends this connection.
    pub(crate) fn receive(&self, head: RequestHead<'_>, peer: Peer, cut: &Arc<Cut>) -> (Exchange, Received) {
        let mut exchange = Exchange::begin(&self.pipeline.log, &self.pipeline.clock, head);
        let received = self.judge(head, peer, cut, &Known::AtHand, &mut exchange);
        (exchange, received)
    }

    /// Waits for what [`Gateway::receive`] has returned, and judges the head again.
    pub(crate) async fn resume(
        &self,
        wait: Wait,
        head: RequestHead<'_>,
        peer: Peer,
        cut: &Arc<Cut>,
        exchange: &mut Exchange,
    ) -> Received {
        let mut known = Known::Settled(None);
        match wait {
            Wait::Load(keys) => {
                let from = Provenance::of(peer, head.headers, &self.assembled.load().trusted).client;
                if !self.load(keys, from).await {
                    known = Known::Doubtful;
                }
            }
            // One of them may have been planted (session fixation), and it is unknown which: all of them end.
            Wait::Conflict(rivals) => {
                let rivals = SessionsToEnd::These(rivals, EndCause::CookieConflict);
                self.pipeline.end(rivals, self.without_client()).await;
            }
            Wait::Check(unchecked) => known = Known::Settled(Some(self.check(&unchecked).await)),
        }
        self.judge(head, peer, cut, &known, exchange)
    }

    /// Loads the sessions of these keys from the store. Returns whether the store answered for all of them.
    pub(super) async fn load(&self, keys: Vec<SessionKey>, from: ClientAddress) -> bool {
        let (pipeline, terms) = (self.pipeline.clone(), self.without_client());
        // Sessions that turn out to be expired end, and are audited, even if the client disconnects.
        let work = async move {
            let (now, mut ended, mut told) = (pipeline.clock.now(), Vec::new(), keys.len() <= MAX_REQUEST_KEYS);
            for key in keys.iter().take(MAX_REQUEST_KEYS) {
                told &= pipeline.sessions.load(key, from, now, &mut ended).await.is_ok();
            }
            if !ended.is_empty() {
                pipeline.end(SessionsToEnd::Ended(ended), terms).await;
            }
            told
        };
        run_to_completion(work).await.unwrap_or(false)
    }

    fn judge(
        &self,
        head: RequestHead<'_>,
        peer: Peer,
        cut: &Arc<Cut>,
        known: &Known,
        exchange: &mut Exchange,
    ) -> Received {
        // Read before anything that a reload changes: a request that was judged by older rules is judged again.
        let generation = self.generation();
        let assembled = self.assembled.load_full();
        let mut judged = Judged { known, deletions: PendingDeletions::default() };
        let received = self.decide(head, peer, cut, &mut judged, &assembled, exchange);
        let mut received = received.unwrap_or_else(|refusal| {
            exchange.note_refusal(&refusal);
            Received::Answer(answers::refuse(&assembled, head.headers, &refusal))
        });
        match &mut received {
            Received::Forward(forward) => forward.generation = generation,
            Received::Answer(reply) => judged.deletions.put_deletions(&assembled, reply),
            Received::BuiltIn(request) => request.deletions = std::mem::take(&mut judged.deletions),
            // The request will be judged again, and then finds the same cookies to delete.
            Received::Wait(_) => return received,
        }
        judged.deletions.remove_debts(&self.pipeline.debts);
        received
    }

    fn decide(
        &self,
        head: RequestHead<'_>,
        peer: Peer,
        cut: &Arc<Cut>,
        judged: &mut Judged<'_>,
        assembled: &Arc<Assembled>,
        exchange: &mut Exchange,
    ) -> Result<Received, Refusal> {
        let known = judged.known;
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
        assembled.merge_slashes(facts.host, &mut facts.target);
        exchange.note_path(facts.target.path().text());
        let asked = assembled.requested(&facts)?;
        let mut requester = self.requester(&facts, assembled, &mut judged.deletions, known.is_fresh());
        if matches!(known, Known::AtHand) && !requester.unknown.is_empty() {
            return Ok(Received::Wait(Wait::Load(requester.unknown)));
        }
        // A logout ends them anyway, and a refused logout must not end anything.
        if !requester.rivals.is_empty() && !matches!(asked, Requested::OwnPage(OwnPage::Logout)) {
            return Ok(Received::Wait(Wait::Conflict(requester.rivals)));
        }
        exchange.note_session(requester.session.as_ref());
        let route = match asked {
            Requested::OwnPage(page) if clear::is_asked(page) => {
                return Ok(Received::Answer(self.clear(&facts, &requester, assembled)));
            }
            Requested::OwnPage(page) => {
                return Ok(built_in_pages::answer(page, &facts, requester, assembled, self.sessions())?.into());
            }
            Requested::Route(route) => route,
        };
        exchange.note_route(route);
        if own_link::is_asked(&facts, &requester, route) {
            return Ok(self.sign_out_by_link(&facts, requester, route, cut, assembled, &judged.deletions)?.into());
        }
        let mut proof = Proof::Cookie;
        if route.basic && requester.session.is_none() {
            let credentials = self.credentials(&facts, route, known.checked(), requester.at);
            if !matches!(credentials, BasicCredentials::Absent) {
                requester.is_known()?;
            }
            match credentials {
                BasicCredentials::Absent => {}
                BasicCredentials::Unchecked(unchecked) => return Ok(Received::Wait(Wait::Check(unchecked))),
                BasicCredentials::Refused(refusal) => {
                    return Ok(Received::Answer(answers::refuse_credentials(assembled, &facts, route, &refusal)));
                }
                BasicCredentials::Right(session) => {
                    exchange.note_session(Some(&session));
                    (requester.session, proof) = (Some(session), Proof::Basic);
                }
            }
        }
        self.admit(&facts, requester, route, cut, assembled, (proof, &mut judged.deletions))
    }

    /// Registers with the session before the decision, so that an end in between is noticed.
    fn admit(
        &self,
        facts: &RequestFacts<'_>,
        requester: Requester,
        route: &Arc<Route>,
        cut: &Arc<Cut>,
        assembled: &Arc<Assembled>,
        (proof, deletions): (Proof, &mut PendingDeletions),
    ) -> Result<Received, Refusal> {
        service_worker::script(facts, route, &assembled.own_pages)?;
        let known = requester.is_known();
        let Requester { session, cookies, strays, at, .. } = requester;
        let hold = session.and_then(|session| session.hold(cut));
        if hold.as_ref().is_some_and(|hold| hold.concurrent() > assembled.requests_per_session) {
            return Err(Reason::SessionBusy.into());
        }
        match permit::decide(facts, &assembled.hosts, route, hold, proof) {
            Decision::Allow(permit) => {
                let resources = resources::edits(facts, route, assembled)?;
                let passed = app_cookies::pass(facts, &permit, cookies, deletions, assembled)?;
                Ok(Received::Forward(self.forward(facts, permit, resources, passed, at, assembled)))
            }
            Decision::Refuse(reason @ Reason::GroupMissing) => {
                Ok(Received::Answer(answers::refuse_account(assembled, facts, reason)))
            }
            Decision::Refuse(Reason::MethodNotAllowed) => {
                Ok(Received::Answer(answers::method_not_allowed(assembled, facts, route.methods.list())))
            }
            Decision::Refuse(reason) => Err(reason.into()),
            Decision::AskLogin => {
                known?;
                let mut reply = answers::ask_login(assembled, facts, route);
                if strays {
                    answers::expire_cookies(assembled, &mut reply);
                }
                Ok(Received::Answer(reply))
            }
        }
    }

    pub(super) fn forward(
        &self,
        facts: &RequestFacts<'_>,
        permit: Permit,
        resources: HeaderEdits,
        passed: ForwardedCookies,
        at: Moment,
        assembled: &Arc<Assembled>,
    ) -> Box<Forward> {
        let is_idle = permit.route().idle_paths.iter().any(|path| path.covers(facts.target.path().literal()));
        if let Some(session) = permit.session().filter(|_| !is_idle) {
            session.touch(at);
        }
        Box::new(Forward {
            context: assembled.heads.context(facts, &permit),
            target: facts.target.rewritten().map(Vec::into_boxed_slice),
            websocket: facts.is_websocket(),
            may_repeat: facts.method.is_idempotent() && facts.method_override == Ok(None),
            affinity: affinity(facts, permit.session()),
            resources,
            cookies: passed.cookies,
            expire: passed.expire.into(),
            host: facts.host,
            is_idle,
            generation: 0,
            assembled: Arc::clone(assembled),
            permit,
        })
    }
}

fn affinity(facts: &RequestFacts<'_>, session: Option<&Arc<Session>>) -> u64 {
    session.map_or_else(|| facts.provenance.client.affinity(), |session| session.affinity())
}
