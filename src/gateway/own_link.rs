//! The application's own logout link (`[route.logout] paths`): a request to it signs out of the gateway, under the
//! rules of the gateway's own logout paths, and is then forwarded to the application if so configured.

use std::sync::Arc;

use super::Gateway;
use super::app_cookies::{self, PendingDeletions};
use super::assembled::Assembled;
use super::built_in_pages;
use super::forward::Forward;
use super::requester::Requester;
use super::resources;
use super::sign_in_out::BuiltInAnswer;
use crate::admission::facts::RequestFacts;
use crate::admission::permit::{self, Decision, Proof};
use crate::logout::request::LogoutRequest;
use crate::routes::access::Access;
use crate::routes::table::Route;
use crate::session::live::Cut;
use crate::values::reason::Refusal;

/// Whether a request is for such a link, and may have a session to end here. Without one it is handled like any other
/// request: the route may be public, or its application may have a sign-in of its own.
pub(super) fn is_asked(facts: &RequestFacts<'_>, requester: &Requester, route: &Route) -> bool {
    let needs_session = route.access != Access::Public && !route.basic;
    route.logout.is_link(&facts.target) && (requester.session.is_some() || needs_session)
}

impl Gateway {
    /// Signs out, as on a logout path of the gateway.
    pub(super) fn sign_out_by_link(
        &self,
        facts: &RequestFacts<'_>,
        requester: Requester,
        route: &Arc<Route>,
        cut: &Arc<Cut>,
        assembled: &Arc<Assembled>,
        deletions: &PendingDeletions,
    ) -> Result<BuiltInAnswer, Refusal> {
        let ends = matches!(LogoutRequest::read(facts, &assembled.hosts, assembled.logout.get), LogoutRequest::End(_));
        let goes_on = ends && route.logout.passes_on;
        let onward =
            if goes_on { self.permit_for_link(facts, &requester, route, cut, assembled, deletions) } else { None };
        let mut answer = built_in_pages::logout(facts, requester, assembled)?;
        if let BuiltInAnswer::Pending(request) = &mut answer {
            request.onward = onward;
        }
        Ok(answer)
    }

    /// The permit to forward it, as for any other request of this session. Without a permit the session ends
    /// nevertheless.
    fn permit_for_link(
        &self,
        facts: &RequestFacts<'_>,
        requester: &Requester,
        route: &Arc<Route>,
        cut: &Arc<Cut>,
        assembled: &Arc<Assembled>,
        deletions: &PendingDeletions,
    ) -> Option<Box<Forward>> {
        let hold = requester.session.clone()?.hold(cut)?;
        let Decision::Allow(permit) = permit::decide(facts, &assembled.hosts, route, Some(hold), Proof::Cookie) else {
            return None;
        };
        let resources = resources::edits(facts, route, assembled).ok()?;
        let passed =
            app_cookies::pass(facts, &permit, requester.cookies.clone(), &mut deletions.clone(), assembled).ok()?;
        Some(self.forward(facts, permit, resources, passed, requester.at, assembled))
    }
}
