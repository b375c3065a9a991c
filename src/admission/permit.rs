//! The proof that a request may reach an upstream. Made here, and only from a route that asks for nothing or a
//! session that was registered with and had not ended.

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

/// A request may go to this route's upstream, in this session's name. As long as it lives, the exchange is
/// registered with the session.
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

    /// The session in whose name it goes.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.hold.as_ref().map(Hold::session)
    }

    /// How that was proved.
    pub(crate) fn proof(&self) -> Proof {
        self.proof
    }

    /// Who is signed in, as it was judged.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.hold.as_ref().map(Hold::identity)
    }

    /// Asks for leave to write a head, or bytes of a tunnel: to be asked for anew right before each write. `None`: the
    /// session has ended, and nothing may leave in its name.
    pub(crate) fn begin_write(&self) -> Option<WriteGuard<'_>> {
        self.hold.as_ref().map_or_else(|| Some(WriteGuard::nobody()), Hold::begin_write)
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// It is forwarded.
    Allow(Permit),
    /// The client must sign in first.
    AskLogin,
    /// It is refused.
    Refuse(Reason),
}

/// How a request proves whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// By the session cookie, if at all.
    Cookie,
    /// By a name and a password of its own (HTTP Basic).
    Basic,
}

/// Decides a request to a route, with the session that its cookie proved.
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

/// Whether somebody may send a request to a route.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It may be forwarded.
    Allow,
    /// Somebody has to sign in first.
    AskLogin,
    /// It is refused.
    Refuse(Reason),
}

/// Judges a request to a route, for whoever is signed in and has proved it so. What runs when the rules change is
/// judged again by this.
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
    // Which of both an application obeys is its own affair, so that both have to be allowed.
    let mut methods = [Some(facts.method), other.as_ref()].into_iter().flatten();
    if !methods.clone().all(|method| route.methods.allow(method)) {
        return Err(Reason::MethodNotAllowed);
    }
    // Browsers send a password that they know from any page, and no `SameSite` holds it back as it does a cookie.
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
    fn who_may_use_what() {
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
