//! Redirects that bring a session from the login host to another host of the gateway.
//!
//! The requesting host gives the browser a cookie, the hop, and redirects it to the login host with the hash of the
//! hop. There the user signs in, or is signed in already, and the browser is redirected back with a code. The code is
//! valid once, for half a minute, at the requesting host, and only together with the hop: no user can give their own
//! session to another browser, and a code alone is of no use to an attacker.

use std::sync::Arc;

use http::header::SET_COOKIE;

use super::assembled::Assembled;
use crate::admission::facts::RequestFacts;
use crate::session::record::Session;
use crate::values::form::{Form, FormValue};
use crate::values::hop::{EnterKey, Hop, HopHash};
use crate::values::own_hosts::HostId;
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// The address to which browsers return.
const ADDRESS: &str = "/.exeunt/enter";
/// The parameter with the hash of a hop, at the login host.
const HOP: &str = "hop";
/// The parameter with the code.
pub(super) const CODE: &str = "code";

/// A request at the login host for a session at another host.
#[derive(Clone, Debug)]
pub(super) struct HandOverRequest {
    pub(super) session: Arc<Session>,
    /// The requesting host.
    pub(super) host: HostId,
    pub(super) hop: HopHash,
    pub(super) next: ReturnTo,
}

/// A browser that returns to the requesting host.
#[derive(Clone, Debug)]
pub(super) struct EnterRequest {
    pub(super) code: Option<EnterKey>,
    pub(super) hops: Vec<HopHash>,
    pub(super) next: ReturnTo,
    /// The session that is already open at this host.
    pub(super) live: Option<Arc<Session>>,
}

/// Whether users of this host sign in at the login host.
pub(super) fn signs_in_elsewhere(assembled: &Assembled, host: HostId) -> bool {
    assembled.share && host != HostId::LOGIN
}

/// Redirects a browser to the login host, from where it returns to `next`; with `switch`, to sign in as another user.
///
/// # Errors
/// [`Reason::StoreUnavailable`], as at a sign-in: the operating system returned no random bytes.
pub(super) fn begin(
    facts: &RequestFacts<'_>,
    next: &ReturnTo,
    switch: bool,
    assembled: &Assembled,
) -> Result<Reply, Reason> {
    // All tabs of a browser share one hop: a new one would make the codes of the other tabs invalid.
    let known = assembled.cookie.find_hops(facts.headers).into_iter().next();
    let hop = known.map_or_else(|| Hop::generate().map_err(|_| Reason::StoreUnavailable), Ok)?;
    let login = login_address(facts.host, next, hop.hash(), switch, assembled);
    Ok(Reply::see_other(&login).with(SET_COOKIE, assembled.cookie.set_hop(&hop)))
}

fn login_address(host: HostId, next: &ReturnTo, hop: HopHash, switch: bool, assembled: &Assembled) -> ReturnTo {
    let (login, hop) = (assembled.own_pages.login(), hop.encode());
    let address = |next: &ReturnTo| {
        let next = assembled.return_targets().encode(&at(next.clone(), host, assembled), HostId::LOGIN);
        let fields = switch.then_some(("switch", "1")).into_iter().chain([("next", &*next), (HOP, &*hop)]);
        at(ReturnTo::own_form(login, &fields.collect::<Vec<_>>()), HostId::LOGIN, assembled)
    };
    // Proxies in front may refuse long addresses: then the return target is left out.
    let whole = address(next);
    let fits = whole.path_and_query().len() <= assembled.login.return_size;
    if fits { whole } else { address(&ReturnTo::own("/")) }
}

/// The target; a path becomes an address of this host.
fn at(target: ReturnTo, host: HostId, assembled: &Assembled) -> ReturnTo {
    assembled.hosts.public_origin(host).iter().fold(target, |target, origin| target.on(origin))
}

/// Reads the request for a session at another host from a request for the sign-in page.
pub(super) fn asked(
    facts: &RequestFacts<'_>,
    query: &Form,
    next: &ReturnTo,
    session: Option<&Arc<Session>>,
    assembled: &Assembled,
) -> Option<HandOverRequest> {
    let FormValue::One(hop) = query.field(&[HOP]) else { return None };
    let (hop, host) = (HopHash::parse(hop)?, further_host(next, assembled)?);
    let session = session.filter(|_| assembled.share && facts.host == HostId::LOGIN)?;
    Some(HandOverRequest { session: Arc::clone(session), host, hop, next: next.clone() })
}

/// The host of a target, if it is one of the gateway's other than the login host.
fn further_host(target: &ReturnTo, assembled: &Assembled) -> Option<HostId> {
    let origin = target.origin().filter(|origin| assembled.own_origins.contains(origin))?;
    assembled.hosts.host_id(&origin.host).filter(|host| *host != HostId::LOGIN)
}

/// The address to which a user who is signed in at this host is redirected to reach `next`. Pages of the gateway's
/// other hosts are reached through [`ADDRESS`] on their host.
pub(super) fn landing(next: &ReturnTo, host: HostId, assembled: &Assembled) -> ReturnTo {
    match further_host(next, assembled) {
        Some(other) if assembled.share && host == HostId::LOGIN => {
            let next = assembled.return_targets().encode(&next.path_only(), other);
            at(ReturnTo::own_query(ADDRESS, &[("next", &next)]), other, assembled)
        }
        _ => next.clone(),
    }
}

/// The address, on the requesting host, at which the code is redeemed.
pub(super) fn address_with(code: &str, asked: &HandOverRequest, assembled: &Assembled) -> ReturnTo {
    let next = assembled.return_targets().encode(&asked.next.path_only(), asked.host);
    at(ReturnTo::own_query(ADDRESS, &[(CODE, code), ("next", &next)]), asked.host, assembled)
}

/// The address of this host at which another code can be requested.
pub(super) fn address_again(next: &ReturnTo, host: HostId, assembled: &Assembled) -> ReturnTo {
    ReturnTo::own_query(ADDRESS, &[("next", &assembled.return_targets().encode(next, host))])
}
