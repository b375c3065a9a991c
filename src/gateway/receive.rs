//! The door: what becomes of a request, one step a line.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use http::request;

use super::Gateway;
use super::answers;
use super::assembled::{Asked, Assembled};
use super::exchange::Exchange;
use super::forward::Forward;
use super::own::{self, Own, OwnRequest};
use crate::admission::facts::RequestFacts;
use crate::admission::permit::{self, Decision, Permit};
use crate::admission::service_worker;
use crate::routes::table::Route;
use crate::session::live::Cut;
use crate::session::record::Session;
use crate::values::client_address::Peer;
use crate::values::cookie::Presented;
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
    Own(Box<OwnRequest>),
}

/// Who sends a request, as far as its cookie tells.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) session: Option<Arc<Session>>,
    /// There is a cookie of ours that cannot be used.
    pub(super) unusable: bool,
    /// When that was looked up.
    pub(super) at: Moment,
}

impl Gateway {
    /// Judges a head. `raw_target` is the target byte for byte, `cut` the way to end this connection.
    pub fn receive(
        &self,
        head: &request::Parts,
        raw_target: &[u8],
        peer: Peer,
        cut: &Arc<Cut>,
    ) -> (Exchange, Received) {
        let assembled = self.assembled.load_full();
        let mut exchange = Exchange::begin(&self.pipeline.log, &self.pipeline.clock, head, raw_target);
        let judged = self.judge(head, raw_target, peer, cut, &assembled, &mut exchange);
        let refuse = |refusal| Received::Answer(answers::refuse(&assembled, &head.headers, &refusal));
        let received = judged.unwrap_or_else(refuse);
        (exchange, received)
    }

    fn judge(
        &self,
        head: &request::Parts,
        raw_target: &[u8],
        peer: Peer,
        cut: &Arc<Cut>,
        assembled: &Arc<Assembled>,
        exchange: &mut Exchange,
    ) -> Result<Received, Refusal> {
        let provenance = assembled.trusted.provenance(peer, &head.headers);
        exchange.comes_from(provenance.client);
        if assembled.heads.went_in_a_circle(&head.headers) {
            return Err(Reason::UpstreamLoop.into());
        }
        let mut facts = RequestFacts::read(head, raw_target, provenance, &assembled.hosts).inspect_err(|refusal| {
            if refusal.reason == Reason::HostNotServed {
                exchange.could_have_asked(&assembled.hosts);
            }
        })?;
        assembled.settle(&mut facts)?;
        exchange.asks_for(facts.target.path());
        let asked = assembled.asked(&facts)?;
        let visitor = self.visitor(&facts, assembled);
        exchange.belongs_to(visitor.session.as_ref());
        match asked {
            Asked::OwnPage(page) => match own::answer(page, &facts, visitor, assembled)? {
                Own::Answer(reply) => Ok(Received::Answer(reply)),
                Own::Perform(request) => Ok(Received::Own(request)),
            },
            Asked::Route(route) => {
                exchange.goes_to(route);
                self.admit(&facts, visitor, route, cut, assembled)
            }
        }
    }

    fn visitor(&self, facts: &RequestFacts<'_>, assembled: &Assembled) -> Visitor {
        let at = self.pipeline.clock.now();
        match assembled.cookie.find(facts.headers) {
            Presented::Nothing => Visitor { session: None, unusable: false, at },
            Presented::Unusable => Visitor { session: None, unusable: true, at },
            Presented::One(key) => Visitor { session: self.sessions.find(&key, at), unusable: false, at },
        }
    }

    /// Registers with the session first, and decides only then: an end that comes in between is seen.
    fn admit(
        &self,
        facts: &RequestFacts<'_>,
        visitor: Visitor,
        route: &Arc<Route>,
        cut: &Arc<Cut>,
        assembled: &Arc<Assembled>,
    ) -> Result<Received, Refusal> {
        service_worker::script(facts, route, &assembled.own_pages)?;
        let Visitor { session, unusable, at } = visitor;
        let hold = session.and_then(|session| session.hold(cut));
        if hold.as_ref().is_some_and(|hold| hold.among() > assembled.requests_per_session) {
            return Err(Reason::SessionBusy.into());
        }
        match permit::decide(facts, &assembled.hosts, route, hold) {
            Decision::Allow(permit) => Ok(self.forward(facts, permit, unusable, at, assembled)),
            Decision::Refuse(reason @ Reason::GroupMissing) => {
                Ok(Received::Answer(answers::refuse_account(assembled, facts, reason)))
            }
            Decision::Refuse(Reason::MethodNotAllowed) => {
                Ok(Received::Answer(answers::method_not_allowed(assembled, facts, route.methods.list())))
            }
            Decision::Refuse(reason) => Err(reason.into()),
            Decision::AskLogin => {
                let mut reply = answers::ask_login(assembled, facts);
                if unusable {
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
        unusable: bool,
        at: Moment,
        assembled: &Arc<Assembled>,
    ) -> Received {
        if let Some(session) = permit.session() {
            session.touch(at);
        }
        Received::Forward(Box::new(Forward {
            asked: assembled.heads.asked(facts, &permit),
            target: facts.target.rewritten(),
            websocket: facts.is_websocket(),
            may_repeat: facts.method.is_idempotent() && facts.method_override == Ok(None),
            affinity: affinity(facts, permit.session()),
            expire_cookies: unusable,
            assembled: Arc::clone(assembled),
            permit,
        }))
    }
}

fn affinity(facts: &RequestFacts<'_>, session: Option<&Arc<Session>>) -> u64 {
    session.map_or_else(
        || {
            let mut hasher = DefaultHasher::new();
            facts.provenance.client.hash(&mut hasher);
            hasher.finish()
        },
        |session| session.affinity(),
    )
}
