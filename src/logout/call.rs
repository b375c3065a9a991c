//! One logout call: the request for a token, if the application needs one, and the call itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use http::Method;
use http::header::{CONTENT_TYPE, COOKIE};
use tokio::time::timeout;

use super::browser_request::CookieLine;
use super::client::{ApplicationClient, OwnAnswer, OwnRequest};
use crate::admission::forwarded::Forwarded;
use crate::admission::head_rules::HeadRules;
use crate::http1::header_edits::put_line;
use crate::routes::app_logout::{AppCall, CsrfToken, TokenSource, path_of};
use crate::routes::table::Route;
use crate::values::application_outcome::{ApplicationOutcome, CallFailure};
use crate::values::identity::Identity;
use crate::values::time::WallTime;
use crate::vault::jar::CookieContext;
use crate::vault::last_jar::LastJar;
use crate::vault::request::value_in;

/// Timeout of a logout call, the request for the token included.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// The logout call to one application on behalf of a user.
#[derive(Debug)]
pub(crate) struct LogoutCall {
    pub(super) route: Arc<Route>,
    pub(super) heads: Arc<HeadRules>,
    pub(super) identity: Arc<Identity>,
    pub(super) affinity: u64,
    pub(super) from: Forwarded,
    /// The application's cookies in the browser.
    pub(super) browsers: CookieLine,
    pub(super) jar: LastJar,
    pub(super) https: bool,
    pub(super) now: WallTime,
}

impl LogoutCall {
    /// The application's name in receipts.
    pub(crate) fn application(&self) -> &str {
        &self.route.name
    }

    /// The route.
    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Makes the call.
    pub(crate) async fn make(mut self, client: &dyn ApplicationClient) -> ApplicationOutcome {
        match timeout(TIMEOUT, self.ask(client)).await {
            Ok(Ok(())) => ApplicationOutcome::EndedByCall,
            Ok(Err(failure)) => ApplicationOutcome::Failed(failure),
            Err(_) => ApplicationOutcome::Failed(CallFailure::TimedOut),
        }
    }

    async fn ask(&mut self, client: &dyn ApplicationClient) -> Result<(), CallFailure> {
        let route = Arc::clone(&self.route);
        let logout = &route.logout;
        let Some(call) = &logout.call else { return Ok(()) };
        let mut token = None;
        if let Some(source) = &logout.token {
            let page = self.send(client, self.token_request(source)).await?;
            page.set_cookies.iter().for_each(|line| self.jar.take(self.asked(path_of(&source.get)), line));
            token = Some(source.find(&page.body, page.is_json).ok_or(CallFailure::NoToken)?);
        }
        self.send(client, self.request(call, token.as_deref())?).await.map(drop)
    }

    async fn send(&self, client: &dyn ApplicationClient, request: OwnRequest) -> Result<OwnAnswer, CallFailure> {
        let answer = client.send(&self.route.pool, self.affinity, request).await?;
        if is_success(answer.status) { Ok(answer) } else { Err(CallFailure::Status(answer.status)) }
    }

    fn token_request(&self, source: &TokenSource) -> OwnRequest {
        let path = path_of(&source.get);
        let mut lines = self.lines(path);
        put_cookies(&mut lines, &self.cookies(path));
        OwnRequest { method: Method::GET, target: source.get.to_string(), lines, body: Bytes::new() }
    }

    /// The call itself.
    pub(super) fn request(&self, call: &AppCall, token: Option<&str>) -> Result<OwnRequest, CallFailure> {
        let logout = &self.route.logout;
        let mut lines = self.lines(call.path());
        let mut cookies = self.cookies(call.path());
        let mut form = form_urlencoded::Serializer::new(String::new());
        if let Some(csrf) = &logout.csrf {
            let value = double_submit(csrf, &mut cookies)?;
            if let Some(name) = &csrf.header {
                put_line(&mut lines, name, value.as_bytes());
            }
            if let Some(name) = &csrf.field {
                form.append_pair(name, &value);
            }
        }
        if let (Some(field), Some(token)) = (logout.token.as_ref().and_then(|source| source.field.as_ref()), token) {
            form.append_pair(field, token);
        }
        put_cookies(&mut lines, &cookies);
        let body = if call.method == Method::POST { form.finish() } else { String::new() };
        if call.method == Method::POST {
            put_line(&mut lines, &CONTENT_TYPE, b"application/x-www-form-urlencoded");
        }
        Ok(OwnRequest { method: call.method.clone(), target: call.with_token(token), lines, body: body.into() })
    }

    fn lines(&self, path: &str) -> BytesMut {
        let mut lines = BytesMut::new();
        self.heads.put_own(&mut lines, &self.route, (&self.identity, &self.from), path);
        lines
    }

    fn cookies(&self, path: &str) -> Vec<u8> {
        self.jar.line(self.asked(path), self.route.known_cookies(), &self.browsers.0)
    }

    fn asked<'a>(&self, path: &'a str) -> CookieContext<'a> {
        CookieContext { path: path.as_bytes(), https: self.https, cross_site: false, now: self.now }
    }
}

/// Whether this status means that the application has signed the user out.
pub(super) fn is_success(status: u16) -> bool {
    (200..400).contains(&status)
}

fn put_cookies(lines: &mut BytesMut, cookies: &[u8]) {
    if !cookies.is_empty() {
        put_line(lines, &COOKIE, cookies);
    }
}

/// The value of the CSRF cookie; a random one is added if the cookie is missing.
fn double_submit(csrf: &CsrfToken, cookies: &mut Vec<u8>) -> Result<String, CallFailure> {
    let name = csrf.cookie.as_bytes();
    if let Some(known) = value_in(cookies, name).and_then(|value| std::str::from_utf8(value).ok()) {
        return Ok(known.to_owned());
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| CallFailure::NoToken)?;
    let value = HEXLOWER.encode(&random);
    if !cookies.is_empty() {
        cookies.extend_from_slice(b"; ");
    }
    cookies.extend_from_slice(&[name, b"=", value.as_bytes()].concat());
    Ok(value)
}
