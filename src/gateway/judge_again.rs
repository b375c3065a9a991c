//! Running exchanges are judged again when the configuration changes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::assembled::Requested;
use super::forward::Forward;
use super::{Gateway, resources};
use crate::admission::facts::RequestFacts;
use crate::admission::permit::{self, Judgement};
use crate::admission::service_worker;
use crate::http1::headers::RequestHead;
use crate::http1::provenance::Provenance;
use crate::values::client_address::Peer;
use crate::values::reason::{Reason, Refusal};

impl Gateway {
    /// Counts how often the configuration has changed. It is read before a request is judged, and incremented after all
    /// else of a reload has taken effect: a request that was judged under a lower number may have been judged by an
    /// outdated configuration.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Judges a running exchange as if its head came now, by the current rules and identity.
    ///
    /// # Errors
    /// Why it would be refused.
    pub(crate) fn judge_again(&self, head: RequestHead<'_>, peer: Peer, forward: &Forward) -> Result<(), Reason> {
        self.still_allows(head, peer, forward).map_err(|refusal| {
            self.refused_again.fetch_add(1, Ordering::Relaxed);
            refusal.reason
        })
    }

    /// The number of running exchanges that were refused after reloads, since the start.
    pub(crate) fn refused_again(&self) -> usize {
        self.refused_again.load(Ordering::Relaxed)
    }

    /// How long a running exchange may continue after it was refused: as long as after the end of its session.
    pub fn grace(&self) -> Duration {
        self.assembled.load().logout.grace
    }

    fn still_allows(&self, head: RequestHead<'_>, peer: Peer, forward: &Forward) -> Result<(), Refusal> {
        let assembled = self.assembled.load_full();
        let provenance = Provenance::of(peer, head.headers, &assembled.trusted);
        let mut facts = RequestFacts::read(head, provenance, &assembled.hosts)?;
        assembled.merge_slashes(facts.host, &mut facts.target);
        let Requested::Route(route) = assembled.requested(&facts)? else { return Err(Reason::NoRoute.into()) };
        service_worker::script(&facts, route, &assembled.own_pages)?;
        let identity = forward.session().map(|session| session.identity());
        match permit::judge(&facts, &assembled.hosts, route, identity.as_deref(), forward.permit.proof()) {
            Judgement::Allow => resources::edits(&facts, route, &assembled).map(drop),
            Judgement::AskLogin => Err(Reason::SignInRequired.into()),
            Judgement::Refuse(reason) => Err(reason.into()),
        }
    }
}
