//! `/.exeunt/clear`: a stop on the way that makes a browser forget what it stores for every host of a session.

use http::header::SET_COOKIE;
use http::{HeaderValue, Method};

use super::answers;
use super::app_cookies::host_name;
use super::assembled::Assembled;
use super::requester::Requester;
use super::sign_in_out::query;
use crate::admission::clear_site_data::CLEAR_SITE_DATA;
use crate::admission::facts::RequestFacts;
use crate::logout::clearing::Way;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// The name of the address below `/.exeunt/`.
pub(super) const NAME: &str = "clear";

/// Answers a request for the address. It clears only for a browser that shows the cookie of the session that ended, and
/// in which nobody is signed in: whoever else gets here is led on, or to the goodbye page.
pub(super) fn answer(facts: &RequestFacts<'_>, requester: &Requester, assembled: &Assembled) -> Reply {
    if *facts.method != Method::GET {
        return answers::method_not_allowed(assembled, facts, HeaderValue::from_static("GET"));
    }
    let goodbye = || ReturnTo::own("/.exeunt/goodbye");
    let Some(mut way) = Way::read(&query(facts), assembled.clock.wall(), &assembled.keys) else {
        return Reply::see_other(&goodbye());
    };
    let cookies = assembled.cookie.read(facts.headers);
    let shown = cookies.named().map(|named| named.key);
    let is_meant = way.arrive(host_name(assembled, facts.host), shown, &assembled.keys);
    let onward = way.onward(&assembled.hosts, &assembled.logout.allowed, &assembled.keys);
    let mut reply = Reply::see_other(&onward.unwrap_or_else(goodbye));
    if is_meant && requester.is_nobody() {
        reply.headers.extend(assembled.cookie.expire().into_iter().map(|line| (SET_COOKIE, line)));
        let data = assembled.logout.clear_site_data.clone();
        reply.headers.extend(data.map(|data| (CLEAR_SITE_DATA.clone(), data)));
    }
    reply
}
