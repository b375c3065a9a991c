//! The applications that a session has used, and how the application's own session is ended.
//!
//! The logout call is the only request that is sent for a session after its end: once, with the application cookies
//! that the session had.

use std::sync::Arc;

use super::browser_request::BrowserRequest;
use super::call::LogoutCall;
use super::passed_on::PassedOn;
use crate::admission::forwarded::Forwarded;
use crate::admission::head_rules::HeadRules;
use crate::routes::app_logout::AppCall;
use crate::routes::table::Route;
use crate::session::record::Session;
use crate::values::end_cause::EndCause;
use crate::values::origin::{Host, Origin, Scheme};
use crate::values::own_hosts::OwnHosts;
use crate::values::time::WallTime;
use crate::vault::jar::CookieContext;
use crate::vault::last_jar::LastJar;
use crate::vault::rules::AppCookies;

/// The routes of a configuration whose logout is configured, with or without a call, and those that manage their
/// cookies themselves (`app_cookies = "pass"`).
#[derive(Debug)]
pub(crate) struct Applications {
    routes: Vec<Arc<Route>>,
    heads: Arc<HeadRules>,
    hosts: OwnHosts,
}

/// What is to be done about one application.
#[derive(Debug)]
pub(crate) enum LogoutAction {
    /// A logout call.
    Call(Box<LogoutCall>),
    /// The browser has requested the application's own logout link: that request is forwarded in place of a call.
    PassOn(Arc<PassedOn>),
    /// Only its cookies are dropped.
    Dropped(Box<str>),
    /// Its cookies are not known, and may remain in the browser.
    Unknown(Box<str>),
}

/// An ended session, as far as its applications are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedSession<'a> {
    /// The session.
    pub(crate) session: &'a Session,
    /// Why it has ended.
    pub(crate) cause: EndCause,
    /// The application cookies that it had.
    pub(crate) jars: &'a [LastJar],
    /// The browser's logout request, if there is one.
    pub(crate) browser: Option<&'a Arc<BrowserRequest>>,
    /// The same request, if it is forwarded to an application.
    pub(crate) passed_on: Option<&'a Arc<PassedOn>>,
    /// The time.
    pub(crate) now: WallTime,
}

impl Applications {
    /// The applications of these routes.
    pub(crate) fn new(routes: &[Arc<Route>], heads: Arc<HeadRules>, hosts: OwnHosts) -> Self {
        let counts = |route: &&Arc<Route>| route.logout.is_known || route.cookies.mode == AppCookies::Pass;
        let routes = routes.iter().filter(counts).cloned().collect();
        Self { routes, heads, hosts }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// What is to be done for each application that the session has used, that is, that has set cookies.
    pub(crate) fn due(&self, leaving: EndedSession<'_>) -> Vec<LogoutAction> {
        let mut jars: Vec<_> = leaving.jars.iter().map(|jar| (jar, self.browser_at(jar.host(), leaving))).collect();
        let browsers_host = leaving.browser.map(|browser| LastJar::empty(&browser.host));
        jars.extend(
            browsers_host
                .iter()
                .filter(|host| leaving.jars.iter().all(|jar| jar.host() != host.host()))
                .map(|host| (host, leaving.browser)),
        );
        let each = self.routes.iter().flat_map(|route| jars.iter().map(move |(jar, browser)| (route, *jar, *browser)));
        let mut due: Vec<_> =
            each.filter_map(|(route, jar, browser)| self.due_at(route, jar, browser, leaving)).collect();
        due.extend(self.unknown(leaving.session));
        due
    }

    /// The applications that manage their cookies themselves, at the hosts that the session was open on.
    fn unknown(&self, session: &Session) -> impl Iterator<Item = LogoutAction> {
        let login = self.hosts.names().first().map_or("", |host| host.as_str());
        let hosts = session.hosts(login);
        let is_there = move |route: &&Arc<Route>| {
            let is_at = |host: &Host| hosts.iter().any(|open| **open == *host.as_str());
            route.cookies.mode == AppCookies::Pass && route.host.as_ref().is_none_or(is_at)
        };
        self.routes.iter().filter(is_there).map(|route| LogoutAction::Unknown(route.name.clone()))
    }

    /// The browser's request, if it came to this host.
    fn browser_at<'a>(&self, host: &str, leaving: EndedSession<'a>) -> Option<&'a Arc<BrowserRequest>> {
        leaving.browser.filter(|browser| *browser.host == *host)
    }

    fn due_at(
        &self,
        route: &Arc<Route>,
        jar: &LastJar,
        browser: Option<&Arc<BrowserRequest>>,
        leaving: EndedSession<'_>,
    ) -> Option<LogoutAction> {
        let is_elsewhere = route.host.as_ref().is_some_and(|host| host.as_str() != jar.host());
        if is_elsewhere {
            return None;
        }
        let passed_on = leaving.passed_on.filter(|request| browser.is_some() && request.is_of(leaving.session, route));
        if let Some(request) = passed_on {
            return Some(LogoutAction::PassOn(Arc::clone(request)));
        }
        let call = route.logout.call.as_ref();
        let path = call.map_or(route.path.as_str(), AppCall::path);
        let path = if path.is_empty() { "/" } else { path };
        let https = self.hosts.scheme() == Scheme::Https;
        let asked = CookieContext { path: path.as_bytes(), https, cross_site: false, now: leaving.now };
        let in_browser = route.cookies.mode != AppCookies::Vault;
        let is_unknown = route.cookies.mode == AppCookies::Pass;
        let browser_has = in_browser && browser.is_some_and(|browser| !browser.cookies.is_empty());
        if !jar.has_for(asked) && !browser_has {
            return None;
        }
        if call.is_none() || !route.logout.call_on.contains(&leaving.cause) {
            return (!is_unknown).then(|| LogoutAction::Dropped(route.name.clone()));
        }
        Some(LogoutAction::Call(Box::new(LogoutCall {
            route: Arc::clone(route),
            heads: Arc::clone(&self.heads),
            identity: leaving.session.identity(),
            affinity: leaving.session.affinity(),
            from: self.from(jar, browser, leaving.session)?,
            browsers: browser.map(|browser| browser.cookies.clone()).unwrap_or_default(),
            jar: jar.clone(),
            https,
            now: leaving.now,
        })))
    }

    /// The `X-Forwarded-*` values of a call.
    fn from(&self, jar: &LastJar, browser: Option<&Arc<BrowserRequest>>, session: &Session) -> Option<Forwarded> {
        Some(match browser {
            Some(browser) => Forwarded::for_own_request(browser.client, browser.scheme, &browser.authority),
            None => {
                let origin = self.origin_of(jar.host())?;
                Forwarded::for_own_request(session.address(), origin.scheme, &authority(&origin))
            }
        })
    }

    /// The public origin of a host; `None` for one that is no longer served.
    fn origin_of(&self, host: &str) -> Option<Origin> {
        self.hosts.public_origin(self.hosts.host_id(&Host::parse(host)?)?)
    }
}

/// A `Host` as browsers write it.
fn authority(origin: &Origin) -> String {
    if origin.has_default_port() { origin.host.to_string() } else { format!("{}:{}", origin.host, origin.port) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admission::identity_headers::IdentityHeaders;
    use crate::logout::browser_request::CookieLine;
    use crate::routes::access::Access;
    use crate::routes::app_logout::CsrfToken;
    use crate::routes::resolver::Upstreams;
    use crate::routes::settings::RouteSettings;
    use crate::routes::settings::tests::route;
    use crate::session::record::tests::session;
    use crate::values::client_address::ClientAddress;
    use crate::values::own_path::{OwnPages, OwnPath};
    use crate::values::time::Clock;
    use http::HeaderName;

    /// A route with this logout call.
    pub(in super::super) fn route_with_call(call: &str) -> RouteSettings {
        let mut settings = route("/", Access::SignedIn);
        settings.logout.call = Some(AppCall::parse(call).unwrap());
        settings.logout.is_known = true;
        settings
    }

    /// The applications of these routes.
    pub(in super::super) fn applications(routes: Vec<RouteSettings>) -> Applications {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let upstreams = Upstreams::new(runtime.handle().clone());
        let hosts = OwnHosts::new(&Origin::parse("https://app.test").unwrap(), Host::parse("shop.test"));
        let path = |text| OwnPath::parse(text).unwrap();
        let own_pages = OwnPages::new(path("/login"), vec![path("/logout")]).unwrap();
        let identity = IdentityHeaders::preset("remote").unwrap();
        let heads = Arc::new(HeadRules::new(identity, hosts.clone(), own_pages));
        let clock = Clock::manual().0;
        let routes: Vec<_> = routes.into_iter().map(|route| Arc::new(route.assemble(&upstreams, &clock))).collect();
        Applications::new(&routes, heads, hosts)
    }

    /// A browser's logout at `app.test`.
    pub(in super::super) fn browser_request() -> BrowserRequest {
        BrowserRequest {
            host: "app.test".into(),
            authority: "app.test:8443".into(),
            scheme: Scheme::Https,
            client: ClientAddress::Ip("192.0.2.7".parse().unwrap()),
            cookies: CookieLine(b"csrftoken=x".to_vec()),
        }
    }

    /// The last jar of a host, with these cookies.
    pub(in super::super) fn last(host: &str, lines: &[&str]) -> LastJar {
        let asked = CookieContext { path: b"/", https: true, cross_site: false, now: WallTime(0) };
        let mut jar = LastJar::empty(host);
        lines.iter().for_each(|line| jar.take(asked, line.as_bytes()));
        jar
    }

    /// What is to be done for these jars, with or without a browser's request.
    fn due(of: &Applications, cause: EndCause, jars: &[LastJar], browser: bool) -> Vec<String> {
        let (session, browser) = (session(), browser.then(|| Arc::new(browser_request())));
        let leaving = EndedSession {
            session: &session,
            cause,
            jars,
            browser: browser.as_ref(),
            passed_on: None,
            now: WallTime(0),
        };
        let shown = |due: LogoutAction| match due {
            LogoutAction::Dropped(name) => format!("dropped {name}"),
            LogoutAction::Unknown(name) => format!("unknown {name}"),
            LogoutAction::Call(call) => format!("{} {:?}", call.application(), call.from),
            LogoutAction::PassOn(request) => format!("passed on {}", request.application()),
        };
        of.due(leaving).into_iter().map(shown).collect()
    }

    #[test]
    fn an_application_is_called_if_the_session_has_its_cookies() {
        let (alike, track) = (
            || route_with_call("POST /logout"),
            || {
                let mut settings = route_with_call("POST /logout");
                settings.cookies.mode = AppCookies::Track;
                settings
            },
        );
        let at_shop = || RouteSettings { host: Host::parse("shop.test"), ..alike() };
        let sid = |host| last(host, &["sid=1; Path=/"]);
        let far = last("app.test", &["sid=1; Path=/elsewhere"]);
        let (app, shop, gone) = (sid("app.test"), sid("shop.test"), sid("gone.test"));
        let cases: [(RouteSettings, Vec<LastJar>, bool, &[&str]); 10] = [
            (alike(), vec![], false, &[]),
            (alike(), vec![], true, &[]),
            (alike(), vec![far], true, &[]),
            (alike(), vec![app.clone()], true, &["192.0.2.7 https app.test:8443"]),
            (alike(), vec![app.clone()], false, &["https app.test"]),
            (alike(), vec![app.clone(), shop.clone()], true, &["192.0.2.7 https app.test:8443", "https shop.test"]),
            (at_shop(), vec![app.clone(), shop], true, &["https shop.test"]),
            (alike(), vec![gone], false, &[]),
            // All cookies are in the browser: only its own logout has them.
            (track(), vec![], false, &[]),
            (track(), vec![], true, &["192.0.2.7 https app.test:8443"]),
        ];
        for (route, jars, browser, want) in cases {
            let name = route.host.as_ref().map_or(String::new(), Host::to_string);
            let told = due(&applications(vec![route]), EndCause::Logout, &jars, browser);
            assert_eq!(told.len(), want.len(), "{told:?} {want:?}");
            for (told, want) in told.iter().zip(want) {
                let parts: Vec<_> = want.split(' ').collect();
                let has = |part: &&str| told.to_ascii_lowercase().contains(&part.to_ascii_lowercase());
                assert!(told.starts_with(&format!("{name}/ ")) && parts.iter().all(has), "{told} {want}");
            }
        }
    }

    /// The receipt does not claim that cookies are gone which the gateway does not manage.
    #[test]
    fn an_application_that_keeps_its_cookies_is_named() {
        let pass = |host: &str| {
            let mut settings = route("/app", Access::SignedIn);
            settings.cookies.mode = AppCookies::Pass;
            settings.host = Host::parse(host);
            settings
        };
        let with_call = || {
            let mut settings = route_with_call("POST /logout");
            settings.cookies.mode = AppCookies::Pass;
            settings
        };
        let jars = [last("app.test", &["sid=1; Path=/"])];
        let anywhere = || RouteSettings { host: None, ..pass("app.test") };
        let cases: [(RouteSettings, EndCause, bool, &[&str]); 6] = [
            (anywhere(), EndCause::Logout, true, &["unknown /app"]),
            (anywhere(), EndCause::Idle, false, &["unknown /app"]),
            (pass("app.test"), EndCause::Logout, true, &["unknown app.test/app"]),
            (pass("shop.test"), EndCause::Logout, true, &[]),
            (with_call(), EndCause::Idle, false, &["unknown /"]),
            (with_call(), EndCause::Logout, true, &["/ ", "unknown /"]),
        ];
        for (route, cause, browser, want) in cases {
            let mut settings = route;
            if settings.logout.call.is_some() && cause != EndCause::Logout {
                settings.logout.call_on = vec![EndCause::Logout];
            }
            let told = due(&applications(vec![settings]), cause, &jars, browser);
            assert_eq!(told.len(), want.len(), "{told:?} {want:?}");
            assert!(told.iter().zip(want).all(|(told, want)| told.starts_with(want)), "{told:?} {want:?}");
        }
    }

    #[test]
    fn after_other_causes_only_its_cookies_are_dropped() {
        let mut route = route_with_call("POST /logout");
        route.logout.call_on = vec![EndCause::Logout];
        let (of, jars) = (applications(vec![route]), [last("app.test", &["sid=1; Path=/"])]);
        for cause in EndCause::ALL {
            let told = due(&of, cause, &jars, false);
            assert_eq!(told == ["dropped /"], cause != EndCause::Logout, "{told:?}");
        }
    }

    /// The header lines and the form of a call with a token in a cookie, a header and a field.
    fn made(browser: bool) -> (String, String) {
        let mut route = route_with_call("POST /logout?next=%2F");
        let (header, field) = (Some(HeaderName::from_static("x-csrftoken")), Some("token".into()));
        route.logout.csrf = Some(CsrfToken { cookie: "csrftoken".into(), header, field });
        let (session, browser) = (session(), browser.then(|| Arc::new(browser_request())));
        let jars = &[last("app.test", &["sid=1; Path=/"])];
        let (cause, browser) = (EndCause::Logout, browser.as_ref());
        let leaving = EndedSession { session: &session, cause, jars, browser, passed_on: None, now: WallTime(0) };
        let Some(LogoutAction::Call(call)) = applications(vec![route]).due(leaving).pop() else { panic!("no call") };
        let request = call.request(call.route.logout.call.as_ref().unwrap(), None).unwrap();
        assert_eq!((request.target.as_str(), &*format!("{request:?}")), ("/logout?next=%2F", "POST /logout"));
        (String::from_utf8(request.lines.to_vec()).unwrap(), String::from_utf8(request.body.to_vec()).unwrap())
    }

    #[test]
    fn a_call_has_the_headers_of_the_browser() {
        let (lines, body) = made(true);
        for line in [
            "Host: app.test:8443",
            "Origin: https://app.test:8443",
            "Referer: https://app.test:8443/logout",
            "X-Forwarded-For: 192.0.2.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: app.test:8443",
            "Remote-User: alice",
            "X-Csrftoken: x",
            "Cookie: csrftoken=x; sid=1",
            "Content-Type: application/x-www-form-urlencoded",
        ] {
            assert!(lines.contains(&format!("{line}\r\n")), "{line}:\n{lines}");
        }
        assert_eq!(body, "token=x");
    }

    /// Without a browser there is no CSRF token to copy. Django accepts any token that is the same in cookie and form.
    #[test]
    fn a_call_without_a_browser_has_a_token_of_its_own() {
        let (lines, body) = made(false);
        let token = body.strip_prefix("token=").unwrap();
        assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
        let cookies = format!("Cookie: sid=1; csrftoken={token}\r\n");
        assert!(lines.contains(&cookies) && lines.contains(&format!("X-Csrftoken: {token}\r\n")), "{lines}");
        assert!(lines.contains("Host: app.test\r\nOrigin: https://app.test\r\n"), "{lines}");
        assert_ne!(made(false).1, body, "every call has a new token");
    }
}
