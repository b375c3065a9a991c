//! The permit, without which no request reaches an upstream. It is made only here, from a public route or from a
//! session that the exchange has registered with and that had not ended afterwards.

use std::sync::Arc;

use super::cross_site;
use super::facts::RequestFacts;
use crate::http1::method_override::NoSingleMethod;
use crate::routes::access::Access;
use crate::routes::table::Route;
use crate::session::WriteGuard;
use crate::session::hold::Hold;
use crate::session::record::Session;
use crate::values::identity::Identity;
use crate::values::own_hosts::OwnHosts;
use crate::values::reason::Reason;

/// The permission to forward a request to this route's upstream, with this session. The exchange is registered with the
/// session for the lifetime of the permit.
#[derive(Debug)]
pub(crate) struct Permit {
    route: Arc<Route>,
    hold: Option<Hold>,
    proof: Proof,
}

impl Permit {
    /// The route that covers the request.
    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The session of the request.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.hold.as_ref().map(Hold::session)
    }

    /// The kind of credentials that the request presented.
    pub(crate) fn proof(&self) -> Proof {
        self.proof
    }

    /// The identity at the time of the decision.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.hold.as_ref().map(Hold::identity)
    }

    /// Announces a write of a head, or of bytes of a tunnel; to be called again right before each write. `None` if the
    /// session has ended: then nothing may be written.
    pub(crate) fn begin_write(&self) -> Option<WriteGuard<'_>> {
        self.hold.as_ref().map_or_else(|| Some(WriteGuard::without_session()), Hold::begin_write)
    }
}

/// The decision about a request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// It is forwarded.
    Allow(Permit),
    /// The client must sign in first.
    AskLogin,
    /// It is refused.
    Refuse(Reason),
}

/// The kind of credentials that a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A session cookie, or none.
    Cookie,
    /// A name and a password in the request (HTTP Basic).
    Basic,
}

/// Decides about a request to a route, with the session that its credentials name.
pub(crate) fn decide(
    facts: &RequestFacts<'_>,
    hosts: &OwnHosts,
    route: &Arc<Route>,
    hold: Option<Hold>,
    proof: Proof,
) -> Decision {
    match judge(facts, hosts, route, hold.as_ref().map(Hold::identity), proof) {
        Judgement::Allow => Decision::Allow(Permit { route: Arc::clone(route), hold, proof }),
        Judgement::AskLogin => Decision::AskLogin,
        Judgement::Refuse(reason) => Decision::Refuse(reason),
    }
}

/// Whether a user may send a request to a route.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It may be forwarded.
    Allow,
    /// The user has to sign in first.
    AskLogin,
    /// It is refused.
    Refuse(Reason),
}

/// Judges a request to a route by an identity and the kind of its credentials. After a reload, running exchanges are
/// judged again by it.
pub(crate) fn judge(
    facts: &RequestFacts<'_>,
    hosts: &OwnHosts,
    route: &Route,
    who: Option<&Identity>,
    proof: Proof,
) -> Judgement {
    if let Err(reason) = passes(facts, hosts, route, proof) {
        return Judgement::Refuse(reason);
    }
    if proof == Proof::Basic && !route.basic {
        return Judgement::AskLogin;
    }
    match access(&route.access, who) {
        Judgement::Allow => {}
        refused @ (Judgement::AskLogin | Judgement::Refuse(_)) => return refused,
    }
    if who.is_some()
        && facts.is_websocket()
        && let Err(reason) = cross_site::socket(facts, hosts, &route.origins)
    {
        return Judgement::Refuse(reason);
    }
    Judgement::Allow
}

/// What a route requires of every request, with or without a session.
fn passes(facts: &RequestFacts<'_>, hosts: &OwnHosts, route: &Route, proof: Proof) -> Result<(), Reason> {
    let other = facts.method_override.as_ref().map_err(|NoSingleMethod| Reason::HeadMalformed)?;
    // The application may obey either of both, so both have to be allowed.
    let mut methods = [Some(facts.method), other.as_ref()].into_iter().flatten();
    if !methods.clone().all(|method| route.methods.allow(method)) {
        return Err(Reason::MethodNotAllowed);
    }
    // Browsers send remembered Basic credentials with requests of any page; nothing like `SameSite` prevents it.
    if (route.refuse_cross_site || proof == Proof::Basic) && !methods.all(cross_site::is_safe) {
        return cross_site::change(facts, hosts);
    }
    Ok(())
}

fn access(access: &Access, who: Option<&Identity>) -> Judgement {
    match (access, who) {
        (Access::Public, _) | (Access::SignedIn, Some(_)) => Judgement::Allow,
        (Access::SignedIn | Access::Groups(_), None) => Judgement::AskLogin,
        (Access::Groups(groups), Some(who)) if groups.iter().any(|group| who.is_in(group)) => Judgement::Allow,
        (Access::Groups(_), Some(_)) => Judgement::Refuse(Reason::GroupMissing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_depends_on_route_and_user() {
        let staff = Identity::new("alice", None, None, &["staff".into()]).unwrap();
        let nobody = Identity::new("bob", None, None, &["Staff".into(), "staffing".into()]).unwrap();
        let groups = || Access::Groups(vec!["admins".into(), "staff".into()]);
        let cases = [
            (Access::Public, None, Judgement::Allow),
            (Access::Public, Some(&nobody), Judgement::Allow),
            (Access::SignedIn, None, Judgement::AskLogin),
            (Access::SignedIn, Some(&nobody), Judgement::Allow),
            (groups(), None, Judgement::AskLogin),
            (groups(), Some(&staff), Judgement::Allow),
            (groups(), Some(&nobody), Judgement::Refuse(Reason::GroupMissing)),
        ];
        for (access, who, want) in cases {
            assert_eq!(super::access(&access, who), want, "{access:?} {who:?}");
        }
    }
}
