//! Responses that are not built-in pages: refusals, and the redirect to the sign-in form.

use http::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, LINK, REFERER, RETRY_AFTER, SEC_WEBSOCKET_VERSION, SET_COOKIE, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::assembled::Assembled;
use super::host_redirects;
use crate::admission::cross_site;
use crate::admission::facts::{self, RequestFacts};
use crate::credentials::basic::header::challenge;
use crate::http1::headers::Headers;
use crate::pages::Language;
use crate::routes::methods::Methods;
use crate::routes::table::Route;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// `Retry-After` of a temporary overload, in seconds.
const RETRY_SECONDS: u16 = 2;

/// The kind of client that an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// A browser: pages, in this language.
    Person(Language),
    /// A program such as curl, or a script of a page: JSON.
    Program,
}

impl Audience {
    /// The kind of client that sent these headers.
    pub(super) fn of(headers: &dyn Headers, assembled: &Assembled) -> Self {
        let is_browser = facts::is_browser(headers);
        if is_browser { Self::Person(assembled.pages.language(headers)) } else { Self::Program }
    }

    /// The language of a page for this reader.
    pub(super) fn language(self) -> Language {
        match self {
            Self::Person(language) => language,
            Self::Program => Language::default(),
        }
    }
}

/// A refusal: a page for browsers, JSON for programs, with the same reason.
pub(super) fn refuse(assembled: &Assembled, headers: &dyn Headers, refusal: &Refusal) -> Reply {
    refusal_for(assembled, Audience::of(headers, assembled), refusal)
}

/// The same, for a signed-in user.
pub(super) fn refusal_for(assembled: &Assembled, reader: Audience, refusal: &Refusal) -> Reply {
    refusal_with(assembled, reader, refusal, None)
}

/// The refusal of a page that another account may see. For browsers it links to the sign-in form for another account,
/// which leads back to the page.
pub(super) fn refuse_account(assembled: &Assembled, facts: &RequestFacts<'_>, reason: Reason) -> Reply {
    let back = encoded(assembled, facts, return_target(assembled, facts));
    let switch = login_address(assembled, back.as_deref(), true).to_string();
    let reader = Audience::of(facts.headers, assembled);
    refusal_with(assembled, reader, &reason.into(), Some(&switch))
}

pub(super) fn refusal_with(assembled: &Assembled, reader: Audience, refusal: &Refusal, switch: Option<&str>) -> Reply {
    let status = refusal.reason.status();
    let reply = match reader {
        Audience::Person(language) => assembled.pages.refused(language, refusal, switch),
        Audience::Program => Reply::json(status, &json!({ "error": refusal.reason.id(), "message": refusal.message })),
    };
    let reply = reply.refusing(refusal.reason);
    match status {
        StatusCode::UNAUTHORIZED => reply.with(LINK, link_to(&login_address(assembled, None, false))),
        StatusCode::SERVICE_UNAVAILABLE => reply.with(RETRY_AFTER, RETRY_SECONDS.into()),
        StatusCode::TOO_MANY_REQUESTS => match refusal.retry_after {
            Some(seconds) => reply.with(RETRY_AFTER, seconds.into()),
            None => reply.with(RETRY_AFTER, RETRY_SECONDS.into()),
        },
        _ if refusal.reason == Reason::LogoutByGet => reply.with(ALLOW, HeaderValue::from_static("POST")),
        // RFC 6455 4.2.2, RFC 9110 15.5.22.
        StatusCode::UPGRADE_REQUIRED => reply
            .with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
            .with(UPGRADE, HeaderValue::from_static("websocket")),
        _ => reply,
    }
}

/// Adds the status and headers of a refusal to a page.
pub(super) fn with_headers_of(mut page: Reply, refusal: Reply) -> Reply {
    let carried: Vec<_> = refusal
        .headers
        .into_iter()
        .filter(|(name, _)| name != CONTENT_TYPE && page.headers.iter().all(|(other, _)| other != name))
        .collect();
    page.headers.extend(carried);
    page
}

/// The answer at an address of the gateway that needs a sign-in: the form for browsers, 401 for programs.
pub(super) fn ask_login_again(assembled: &Assembled, facts: &RequestFacts<'_>) -> Reply {
    let reason = Reason::SignInRequired;
    match facts.is_browser() {
        true => Reply::see_other(&login_address(assembled, None, false)).refusing(reason),
        false => refuse(assembled, facts.headers, &reason.into()),
    }
}

/// The answer to `OPTIONS *`: the methods that a route passes on by default.
pub(super) fn whole_server() -> Reply {
    Reply::empty(StatusCode::NO_CONTENT).with(ALLOW, Methods::default().list())
}

/// 405 with the allowed methods.
pub(super) fn method_not_allowed(assembled: &Assembled, facts: &RequestFacts<'_>, allow: HeaderValue) -> Reply {
    refuse(assembled, facts.headers, &Reason::MethodNotAllowed.into()).with(ALLOW, allow)
}

/// The response when a sign-in is required: browsers are redirected to the form and from there back; programs get 401.
pub(super) fn ask_login(assembled: &Assembled, facts: &RequestFacts<'_>, route: &Route) -> Reply {
    let (back, reason) = (return_target(assembled, facts), Reason::SignInRequired);
    if facts.is_browser() && host_redirects::signs_in_elsewhere(assembled, facts.host) {
        let back = back.unwrap_or_else(|| assembled.login.next.clone());
        return match host_redirects::begin(facts, &back, false, assembled) {
            Ok(reply) => reply.refusing(reason),
            Err(problem) => refuse(assembled, facts.headers, &problem.into()),
        };
    }
    let login = login_address(assembled, encoded(assembled, facts, back).as_deref(), false);
    if facts.is_browser() {
        return Reply::see_other(&login).refusing(reason);
    }
    let body = json!({ "error": reason.id(), "message": reason.message(), "login": login.to_string() });
    let reply = Reply::json(reason.status(), &body).with(LINK, link_to(&login)).refusing(reason);
    let reply = challenged(reply, assembled, facts, route);
    if has_sent_bearer(facts) { reply.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")) } else { reply }
}

/// The response to refused credentials: browsers are redirected to the form, as without credentials; programs get the
/// reason, and a challenge if other credentials may help.
pub(super) fn refuse_credentials(
    assembled: &Assembled,
    facts: &RequestFacts<'_>,
    route: &Route,
    refusal: &Refusal,
) -> Reply {
    match refusal.reason {
        Reason::CredentialsWrong if facts.is_browser() => ask_login(assembled, facts, route),
        Reason::CredentialsWrong => challenged(refuse(assembled, facts.headers, refusal), assembled, facts, route),
        _ => refuse(assembled, facts.headers, refusal),
    }
}

/// Adds a Basic challenge for programs if the route allows Basic. Subresources of a page get none: the browser would
/// open its password dialog, and no sign-out can make it forget that password.
fn challenged(reply: Reply, assembled: &Assembled, facts: &RequestFacts<'_>, route: &Route) -> Reply {
    if !route.basic || facts.comes_from_page() {
        return reply;
    }
    let host = assembled.hosts.names().get(facts.host.index()).map_or("", |host| host.as_str());
    reply.with(WWW_AUTHENTICATE, challenge(host))
}

/// The sign-in address, for programs (RFC 8288). A 401 should have a challenge (RFC 9110 15.5.2), but there is no
/// scheme for a form, and an unknown scheme crashes some clients: Mercurial and Python's urllib.
fn link_to(login: &ReturnTo) -> HeaderValue {
    HeaderValue::try_from(format!("<{login}>; rel=\"login\"")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Whether a client presents a bearer token (RFC 6750): it knows the scheme, and is told that the token is not valid.
fn has_sent_bearer(facts: &RequestFacts<'_>) -> bool {
    let scheme = |value: &[u8]| value.split(|&byte| byte == b' ').next().map(<[u8]>::to_ascii_lowercase);
    facts.headers.lines(&AUTHORIZATION).any(|value| scheme(value).as_deref() == Some(b"bearer"))
}

/// Expires cookies of the gateway that are not valid.
pub(super) fn expire_cookies(assembled: &Assembled, reply: &mut Reply) {
    reply.headers.extend(assembled.cookie.expire().into_iter().map(|line| (SET_COOKIE, line)));
}

/// The page to return to: the requested one or, if the request is not a page navigation, the page that sent it.
fn return_target(assembled: &Assembled, facts: &RequestFacts<'_>) -> Option<ReturnTo> {
    if cross_site::is_read(facts.method) {
        return Some(ReturnTo::of_target(&facts.target));
    }
    let referer = ReturnTo::parse(facts.header(&REFERER)?, &assembled.own_origins)?;
    let same = referer.origin().is_some_and(|origin| facts.comes_from_own_address(origin, &assembled.hosts));
    same.then(|| referer.path_only())
}

fn encoded(assembled: &Assembled, facts: &RequestFacts<'_>, back: Option<ReturnTo>) -> Option<String> {
    back.map(|back| assembled.return_targets().encode(&back, facts.host))
}

/// The sign-in form that leads `return_target`; with `switch` also for a signed-in user.
fn login_address(assembled: &Assembled, back: Option<&str>, switch: bool) -> ReturnTo {
    let login = assembled.own_pages.login();
    let address = |back: Option<&str>| {
        let fields = switch.then_some(("switch", "1")).into_iter().chain(back.map(|back| ("next", back)));
        ReturnTo::own_form(login, &fields.collect::<Vec<_>>())
    };
    // Proxies in front may refuse long addresses: then the return target is left out.
    let whole = address(back);
    if whole.path_and_query().len() <= assembled.login.return_size { whole } else { address(None) }
}
