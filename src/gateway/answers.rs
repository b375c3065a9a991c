//! Answers that are no page of their own: refusals, and the way to the sign-in form.

use http::header::{
    ALLOW, REFERER, RETRY_AFTER, SEC_WEBSOCKET_VERSION, SET_COOKIE, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::assembled::Assembled;
use crate::admission::cross_site;
use crate::admission::facts::{self, RequestFacts};
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// Seconds after which something that is too much at this moment may be tried again.
const RETRY_SECONDS: u16 = 2;

/// A refusal: a page for browsers, JSON for programs, with the same reason.
pub(super) fn refuse(assembled: &Assembled, headers: &HeaderMap, refusal: &Refusal) -> Reply {
    refusal_for(assembled, facts::is_browser(headers), refusal)
}

pub(super) fn refusal_for(assembled: &Assembled, browser: bool, refusal: &Refusal) -> Reply {
    let status = refusal.reason.status();
    let reply = if browser {
        assembled.pages.refused(refusal)
    } else {
        Reply::json(status, &json!({ "error": refusal.reason.id(), "message": refusal.message }))
    };
    match status {
        StatusCode::UNAUTHORIZED => reply.with(WWW_AUTHENTICATE, challenge(assembled)),
        StatusCode::SERVICE_UNAVAILABLE => reply.with(RETRY_AFTER, RETRY_SECONDS.into()),
        _ if refusal.reason == Reason::LogoutByGet => reply.with(ALLOW, HeaderValue::from_static("POST")),
        // RFC 6455 4.2.2, RFC 9110 15.5.22.
        StatusCode::UPGRADE_REQUIRED => reply
            .with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
            .with(UPGRADE, HeaderValue::from_static("websocket")),
        _ => reply,
    }
}

/// 405 for an address of our own.
pub(super) fn method_not_allowed(assembled: &Assembled, facts: &RequestFacts<'_>, allow: &'static str) -> Reply {
    refuse(assembled, facts.headers, &Reason::MethodNotAllowed.into()).with(ALLOW, HeaderValue::from_static(allow))
}

/// What somebody gets who has to sign in: browsers the form, and from there back; programs 401.
pub(super) fn ask_login(assembled: &Assembled, facts: &RequestFacts<'_>) -> Reply {
    let login = login_address(assembled, back(assembled, facts).as_deref());
    if facts.is_browser() {
        return Reply::see_other(&login);
    }
    let reason = Reason::SignInRequired;
    let body = json!({ "error": reason.id(), "message": reason.message(), "login": login.to_string() });
    Reply::json(reason.status(), &body).with(WWW_AUTHENTICATE, challenge(assembled))
}

/// Makes a browser forget cookies of ours that cannot be used.
pub(super) fn expire_cookies(assembled: &Assembled, reply: &mut Reply) {
    reply.headers.extend(assembled.cookie.expire().into_iter().map(|line| (SET_COOKIE, line)));
}

/// The page to come back to: the one that was asked for or, where that was no page, the one it was asked from.
fn back(assembled: &Assembled, facts: &RequestFacts<'_>) -> Option<String> {
    if cross_site::is_read(facts.method) {
        return Some(facts.target.to_string());
    }
    let referer = ReturnTo::parse(facts.header(&REFERER)?, &assembled.own_origins)?;
    let same = referer.origin() == facts.own_origin(&assembled.hosts).as_ref();
    same.then(|| referer.path_and_query().to_owned())
}

fn login_address(assembled: &Assembled, back: Option<&str>) -> ReturnTo {
    let login = assembled.own_pages.login().as_str();
    let with_next = back.map(|back| {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", back).finish();
        format!("{login}?{query}")
    });
    // A page to come back to that is too long for an address is left out.
    let address = with_next.and_then(|address| ReturnTo::parse(&address, &assembled.own_origins));
    address.unwrap_or_else(|| ReturnTo::own(login))
}

fn challenge(assembled: &Assembled) -> HeaderValue {
    let realm = assembled.hosts.names().first().map_or("", |host| host.as_str());
    let challenge = format!("Exeunt realm=\"{realm}\", login=\"{}\"", assembled.own_pages.login());
    HeaderValue::try_from(challenge).unwrap_or_else(|_| HeaderValue::from_static("Exeunt"))
}
