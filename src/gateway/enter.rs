//! `/.exeunt/enter`: the address to which a browser returns from the login host.

use std::sync::Arc;

use http::{HeaderValue, Method};

use super::answers;
use super::assembled::Assembled;
use super::host_redirects::{self, CODE, EnterRequest};
use super::requester::Requester;
use super::sign_in_out::{BuiltInAnswer, SignInOut, query, sign_in_out_request};
use crate::admission::facts::RequestFacts;
use crate::logout::answer::NEXT;
use crate::values::form::FormValue;
use crate::values::hop::{EnterKey, Hop};
use crate::values::reason::{Reason, Refusal};

/// The name of the address below `/.exeunt/`.
pub(super) const NAME: &str = "enter";

/// Answers a request for the address: with a code it opens the code's session; without one it requests a code.
pub(super) fn answer(
    facts: &RequestFacts<'_>,
    requester: Requester,
    assembled: &Arc<Assembled>,
) -> Result<BuiltInAnswer, Refusal> {
    if !host_redirects::signs_in_elsewhere(assembled, facts.host) {
        return Err(Reason::NoRoute.into());
    }
    if *facts.method != Method::GET {
        let allow = HeaderValue::from_static("GET");
        return Ok(BuiltInAnswer::Answer(answers::method_not_allowed(assembled, facts, allow)));
    }
    requester.is_known()?;
    let query = query(facts);
    let next = assembled.return_targets().of(query.field(&NEXT), facts.host);
    let code = match query.field(&[CODE]) {
        FormValue::Absent => return Ok(BuiltInAnswer::Answer(host_redirects::begin(facts, &next, false, assembled)?)),
        FormValue::One(code) => EnterKey::of_code(code),
        FormValue::Several => None,
    };
    let hops = assembled.cookie.find_hops(facts.headers).iter().map(Hop::hash).collect();
    let entering = EnterRequest { code, hops, next, live: requester.session.clone() };
    Ok(BuiltInAnswer::Pending(sign_in_out_request(SignInOut::Enter(entering), facts, requester, assembled)))
}
