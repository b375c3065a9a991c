//! The cookies of applications in forwarded requests and answers: which of them the application gets, which the browser
//! gets, and which the browser has to delete.

use http::header::{CACHE_CONTROL, COOKIE, ORIGIN, REFERER, SET_COOKIE};
use http::{HeaderName, HeaderValue};

use super::assembled::Assembled;
use super::forward::Forward;
use crate::admission::facts::RequestFacts;
use crate::admission::permit::Permit;
use crate::admission::upstream_response::CookieEdits;
use crate::http1::header_edits::{HeaderEdit, HeaderEdits};
use crate::http1::headers::{Headers, RequestHead};
use crate::http1::own_cookies::ApplicationCookies;
use crate::logout::browser_request::{BrowserRequest, CookieLine};
use crate::session::record::Session;
use crate::values::origin::{Origin, Scheme};
use crate::values::own_hosts::HostId;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::session_id::SessionKey;
use crate::vault::answer::{self, AnswerCookies};
use crate::vault::browser_cookie::{BrowserCookie, expire};
use crate::vault::debts::Debts;
use crate::vault::jar::CookieContext;
use crate::vault::request::{RequestCookies, shows, withhold};
use crate::vault::rules::AppCookies;
use crate::vault::store::Vault;

/// The cookies that the application gets, and those that the browser has to delete with its answer.
#[derive(Debug)]
pub(super) struct ForwardedCookies {
    pub(super) cookies: ApplicationCookies,
    pub(super) expire: Vec<BrowserCookie>,
}

/// Cookies of ended sessions that the browser has still to delete: of the sessions whose keys it sends, and of those
/// before its live one.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingDeletions {
    pub(super) cookies: Vec<BrowserCookie>,
    pub(super) keys: Vec<SessionKey>,
    host: Box<str>,
}

impl PendingDeletions {
    /// Looks up the cookies that the browser with this key has still to be told to delete.
    pub(super) fn look_up(&mut self, key: &SessionKey, host: &str, debts: &Debts) {
        let cookies = debts.of(key, host);
        if !cookies.is_empty() {
            self.host = host.into();
            self.keys.push(*key);
            self.cookies.extend(cookies);
        }
    }

    /// The same for the key of a live session: cookies that did not fit into earlier answers, and that this session has
    /// not set again.
    pub(super) fn look_up_live(&mut self, key: &SessionKey, session: &Session, host: &str, debts: &Debts) {
        if debts.is_empty() {
            return;
        }
        self.look_up(key, host, debts);
        let given = session.vault().map(|vault| vault.remembered(host)).unwrap_or_default();
        self.cookies.retain(|cookie| !given.contains(cookie));
    }

    /// The same for a session that has ended and is still in the table.
    pub(super) fn look_into(&mut self, over: &Session, host: &str) {
        self.cookies.extend(over.vault().map(|vault| vault.remembered(host)).unwrap_or_default());
    }

    /// Adds the deletions to an answer, unless caches may store it.
    pub(super) fn put_deletions(&mut self, assembled: &Assembled, reply: &mut Reply) {
        let no_store = reply.headers.iter().any(|(name, value)| name == CACHE_CONTROL && value == "no-store");
        if no_store {
            self.cookies = put_deletions(&self.cookies, assembled, reply);
        }
    }

    /// Takes the deletions that fit into an application's answer.
    fn take_first(&mut self, assembled: &Assembled) -> Vec<BrowserCookie> {
        let (_, told) = expire(&self.cookies, assembled.hosts.scheme() == Scheme::Https);
        self.cookies.drain(..told).collect()
    }

    /// Removes the debts whose deletions have been added, unless the request is to be judged again. The rest follows in
    /// later answers.
    pub(super) fn remove_debts(&self, debts: &Debts) {
        self.keys.iter().for_each(|key| debts.keep_only(key, &self.host, &self.cookies));
    }
}

/// Adds deletions of these cookies to an answer. The gateway's own cookies come after them: of several cookies that
/// one answer deletes, curl 7.88 (Debian 12) deletes only the last one. Returns those that did not fit.
pub(super) fn put_deletions(cookies: &[BrowserCookie], assembled: &Assembled, reply: &mut Reply) -> Vec<BrowserCookie> {
    let (lines, told) = expire(cookies, assembled.hosts.scheme() == Scheme::Https);
    let first = reply.headers.iter().position(|(name, _)| name == SET_COOKIE).unwrap_or(reply.headers.len());
    reply.headers.splice(first..first, lines.into_iter().map(|line| (SET_COOKIE, line)));
    cookies.get(told..).unwrap_or_default().to_vec()
}

/// Makes the application's `Cookie` line. `deletions` are the browser's cookies of ended sessions.
pub(super) fn pass(
    facts: &RequestFacts<'_>,
    permit: &Permit,
    cookies: ApplicationCookies,
    deletions: &mut PendingDeletions,
    assembled: &Assembled,
) -> Result<ForwardedCookies, Refusal> {
    let route = permit.route();
    let vault = permit.session().filter(|_| route.cookies.mode != AppCookies::Pass).and_then(|session| {
        let known = !route.learned.is_empty() || route.cookies.has_script_cookies();
        let touched = session.vault().is_some() || known;
        if touched { session.open_vault() } else { None }
    });
    if vault.is_none() && deletions.cookies.is_empty() {
        return Ok(ForwardedCookies { cookies, expire: Vec::new() });
    }
    let line = browsers_line(facts, &cookies);
    let withheld = withhold(&deletions.cookies, line);
    let browsers = withheld.as_deref().unwrap_or(line);
    let made = vault.map_or_else(RequestCookies::default, |vault| {
        let path = facts.target.path().text().as_bytes();
        let host = host_name(assembled, facts.host);
        let cross_site = || is_cross_site(facts, assembled);
        vault.request(host, asked_at(path, assembled), route.known_cookies(), browsers, cross_site)
    });
    let line = made.line.or(withheld);
    if line.as_ref().is_some_and(|line| line.len() > assembled.max_cookie_header) {
        return Err(Reason::CookiesTooLong.into());
    }
    let cookies = match line {
        None => cookies,
        Some(line) if line.is_empty() => ApplicationCookies::Nothing,
        Some(line) => ApplicationCookies::Line(line),
    };
    let mut expire = made.expire;
    if !deletions.cookies.is_empty() {
        expire.splice(..0, deletions.take_first(assembled));
    }
    Ok(ForwardedCookies { cookies, expire })
}

/// The learned HttpOnly cookies of a host's applications that this browser may have.
pub(super) fn learned_cookies(facts: &RequestFacts<'_>, assembled: &Assembled) -> Vec<BrowserCookie> {
    let name = host_name(assembled, facts.host);
    let of_host = assembled.learned.iter().filter(|(host, _)| host.as_ref().is_none_or(|host| host.as_str() == name));
    let shown = |name: &[u8]| facts.headers.lines(&COOKIE).any(|line| shows(line, name));
    let mut held: Vec<BrowserCookie> = Vec::new();
    for cookie in of_host.flat_map(|(_, learned)| learned.held_by(shown)) {
        if !held.contains(&cookie) {
            held.push(cookie);
        }
    }
    held
}

/// The parts of a logout request for logout calls; `None` if no application has one.
pub(super) fn logout_call_request(
    facts: &RequestFacts<'_>,
    cookies: &ApplicationCookies,
    assembled: &Assembled,
) -> Option<BrowserRequest> {
    (!assembled.applications.is_empty()).then(|| BrowserRequest {
        host: host_name(assembled, facts.host).into(),
        authority: facts.authority.into(),
        scheme: facts.provenance.scheme.unwrap_or(assembled.hosts.scheme()),
        client: facts.provenance.client,
        cookies: CookieLine(browsers_line(facts, cookies).to_vec()),
    })
}

/// The browser's `Cookie` line without the gateway's own.
fn browsers_line<'a>(facts: &'a RequestFacts<'_>, cookies: &'a ApplicationCookies) -> &'a [u8] {
    match cookies {
        ApplicationCookies::Untouched => facts.headers.first(&COOKIE).unwrap_or_default(),
        ApplicationCookies::Line(line) => line,
        ApplicationCookies::Nothing => b"",
    }
}

/// The name of a host, which is its key in vaults: its number changes with the configuration.
pub(super) fn host_name(assembled: &Assembled, host: HostId) -> &str {
    assembled.hosts.names().get(host.index()).map_or("", |host| host.as_str())
}

fn asked_at<'a>(path: &'a [u8], assembled: &Assembled) -> CookieContext<'a> {
    let https = assembled.hosts.scheme() == Scheme::Https;
    CookieContext { path, https, cross_site: false, now: assembled.clock.wall() }
}

/// Whether a page of another site made a request: by `Sec-Fetch-Site`, else by `Origin` or `Referer`.
fn is_cross_site(facts: &RequestFacts<'_>, assembled: &Assembled) -> bool {
    let foreign = |name: &HeaderName| {
        let origin = facts.header(name).map(|text| Origin::of_header(origin_of(text)))?;
        Some(origin.is_none_or(|origin| {
            !facts.comes_from_own_address(&origin, &assembled.hosts) && !assembled.hosts.owns(&origin)
        }))
    };
    match facts.fetch_site() {
        Some(site) => site == "cross-site",
        None => foreign(&ORIGIN).or_else(|| foreign(&REFERER)).unwrap_or(false),
    }
}

/// The origin at the beginning of an address.
fn origin_of(address: &str) -> &str {
    let begin = address.find("://").map_or(0, |scheme| scheme + 3);
    let end = address.get(begin..).and_then(|rest| rest.find('/')).map_or(address.len(), |end| begin + end);
    address.get(..end).unwrap_or(address)
}

impl Forward {
    /// The edits of an answer's cookies. `request` is the head that was forwarded.
    pub(super) fn answer_cookies(&self, headers: &dyn Headers, request: RequestHead<'_>) -> CookieEdits {
        // The session has ended: its answer sets no cookie.
        if self.has_ended() {
            return CookieEdits { lines: vec![HeaderEdit::Remove(SET_COOKIE)], expires: false };
        }
        if !headers.has(&SET_COOKIE) && self.expire.is_empty() {
            return CookieEdits::default();
        }
        let lines: Vec<&[u8]> = headers.lines(&SET_COOKIE).collect();
        let theirs: Vec<&[u8]> = lines.iter().copied().filter(|line| !self.assembled.cookie.is_set_by(line)).collect();
        let Some(AnswerCookies { passes, expire: further, overflowed }) = self.judge_cookies(&theirs, request) else {
            return CookieEdits { lines: vec![HeaderEdit::Remove(SET_COOKIE)], expires: false };
        };
        self.assembled.metrics.vault_overflowed(overflowed);
        // Cookies that do not fit are deleted later; the application does not get them in any case.
        let expired = [&*self.expire, &*further].concat();
        let (expired, _) = expire(&expired, self.assembled.hosts.scheme() == Scheme::Https);
        let passed = theirs.iter().zip(&passes).filter(|(_, passes)| **passes).map(|(line, _)| *line);
        if expired.is_empty() && passed.clone().count() == lines.len() {
            return CookieEdits::default();
        }
        let add = |line: HeaderValue| HeaderEdit::Add(SET_COOKIE, line);
        let expires = !expired.is_empty();
        // Deletions first, so that they do not remove what the application sets.
        let mut edits = HeaderEdits::from([HeaderEdit::Remove(SET_COOKIE)]);
        edits.extend(expired.into_iter().map(add));
        edits.extend(passed.filter_map(|line| HeaderValue::from_bytes(line).ok()).map(add));
        CookieEdits { lines: edits, expires }
    }

    /// `None`: the session has ended.
    fn judge_cookies(&self, lines: &[&[u8]], request: RequestHead<'_>) -> Option<AnswerCookies> {
        let all_pass = || AnswerCookies { passes: vec![true; lines.len()], ..AnswerCookies::default() };
        let route = self.permit.route();
        if route.cookies.mode == AppCookies::Pass {
            return Some(all_pass());
        }
        let target = self.target().unwrap_or(request.target);
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let asked = asked_at(path, &self.assembled);
        let lines = lines.iter().copied();
        let vault: Option<&Vault> = self.session().and_then(|session| session.open_vault());
        let Some(vault) = vault else {
            answer::learn(asked, route.known_cookies(), lines);
            return Some(all_pass());
        };
        let browser_has = |name: &[u8]| request.headers.lines(&COOKIE).any(|line| shows(line, name));
        vault.answer(host_name(&self.assembled, self.host), asked, route.known_cookies(), lines, browser_has)
    }
}
