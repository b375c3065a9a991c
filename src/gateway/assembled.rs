//! Everything made of one configuration, swapped whole. Sessions, live connections and warm pools outlive it.

use std::sync::Arc;
use std::time::Duration;

use crate::admission::facts::RequestFacts;
use crate::admission::head_rules::HeadRules;
use crate::admission::identity_headers::IdentityHeaders;
use crate::credentials::basic::Basic;
use crate::credentials::methods::SignInMethods;
use crate::credentials::user_file::Users;
use crate::credentials::user_file::current::CurrentUsers;
use crate::credentials::user_file::method::UserFile;
use crate::http1::cookie::SessionCookie;
use crate::login::return_target::ReturnTargets;
use crate::logout::application::Applications;
use crate::logout::ending::Terms;
use crate::logout::sign_out::Site;
use crate::pages::{self, Addresses, BrokenPages, Pages};
use crate::routes::resolver::Upstreams;
use crate::routes::settings::RouteSettings;
use crate::routes::table::{Route, RouteTable};
use crate::values::client_address::TrustedProxies;
use crate::values::mac::MacKeys;
use crate::values::origin::Host;
use crate::values::own_hosts::{HostId, OwnHosts};
use crate::values::own_path::{OwnPage, OwnPages};
use crate::values::readings::RequestPath;
use crate::values::reason::{Reason, Refusal};
use crate::values::return_to::{AllowedOrigins, OriginPattern};
use crate::values::target::Target;
use crate::values::time::Clock;
use crate::vault::learned::LearnedNames;
use crate::vault::rules::CookieLimits;
use crate::{login, logout};

/// What the gateway is made of, as configured.
#[derive(Debug)]
pub struct GatewaySettings {
    /// The host names that are served.
    pub hosts: OwnHosts,
    /// The proxies whose `X-Forwarded-*` is trusted.
    pub trusted: TrustedProxies,
    /// The addresses that the gateway answers itself.
    pub own_pages: OwnPages,
    /// The session cookie.
    pub cookie: SessionCookie,
    /// Whether a session of the login host is open on the other own hosts, too.
    pub share: bool,
    /// The identity headers that applications get.
    pub identity: IdentityHeaders,
    /// The applications behind the gateway.
    pub routes: Vec<RouteSettings>,
    /// Who may sign in.
    pub users: Arc<Users>,
    /// The sign-in settings.
    pub login: login::settings::LoginSettings,
    /// The sign-out settings.
    pub logout: logout::settings::LogoutSettings,
    /// How the gateway's own pages look.
    pub pages: pages::PageSettings,
    /// Exchanges that may run in the name of one session at the same time, WebSockets and event streams among them.
    pub requests_per_session: usize,
    /// The limits of applications' cookies.
    pub cookies: CookieLimits,
}

/// A configuration in force.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(super) hosts: OwnHosts,
    pub(super) trusted: TrustedProxies,
    pub(super) own_pages: OwnPages,
    pub(super) cookie: SessionCookie,
    pub(super) share: bool,
    pub(super) heads: Arc<HeadRules>,
    pub(super) routes: RouteTable,
    pub(super) users: Arc<CurrentUsers>,
    pub(super) methods: SignInMethods,
    pub(super) login: login::settings::LoginSettings,
    pub(super) logout: Arc<logout::settings::LogoutSettings>,
    pub(super) applications: Arc<Applications>,
    pub(super) own_origins: AllowedOrigins,
    pub(super) pages: Pages,
    pub(super) requests_per_session: usize,
    pub(super) max_cookie_header: usize,
    pub(super) cookie_debts: Duration,
    /// What is learned of the applications of each host, or of all hosts.
    pub(super) learned: Vec<(Option<Host>, Arc<LearnedNames>)>,
    /// The hosts, or all, whose applications may have service workers that control the gateway's own addresses.
    pub(super) worker_hosts: Vec<Option<Host>>,
    pub(super) clock: Clock,
    /// What the gateway writes and reads back is signed with these: those of the key file when it was read last.
    pub(super) keys: Arc<MacKeys>,
}

/// What a request asks for.
#[derive(Debug)]
pub(super) enum Requested<'a> {
    /// One of the gateway's own pages.
    OwnPage(OwnPage<'a>),
    /// Something of an application.
    Route(&'a Arc<Route>),
}

impl Assembled {
    /// Puts a configuration to work. Upstreams that are known already keep their connections.
    pub(crate) fn new(
        settings: GatewaySettings,
        keys: Arc<MacKeys>,
        upstreams: &Upstreams,
        clock: &Clock,
    ) -> Result<Self, BrokenPages> {
        let addresses = Addresses {
            login: settings.own_pages.login().as_str().to_owned(),
            logout: settings.own_pages.logout().to_owned(),
            home: settings.login.next.to_string(),
        };
        let users = Arc::new(CurrentUsers::new(settings.users));
        let routes: Vec<_> = settings.routes.into_iter().map(|route| route.assemble(upstreams, clock)).collect();
        let with_workers = routes.iter().filter(|route| route.service_workers);
        let worker_hosts = with_workers.map(|route| route.host.clone()).collect();
        let learned = routes.iter().map(|route| (route.host.clone(), Arc::clone(&route.learned))).collect();
        let heads = HeadRules::new(settings.identity, settings.hosts.clone(), settings.own_pages.clone());
        let heads = Arc::new(heads);
        let routes: Vec<_> = routes.into_iter().map(Arc::new).collect();
        let applications = Applications::new(&routes, Arc::clone(&heads), settings.hosts.clone());
        Ok(Self {
            own_origins: AllowedOrigins::new(settings.hosts.origins().map(OriginPattern::from)),
            routes: RouteTable::new(&settings.hosts, &routes),
            heads,
            applications: Arc::new(applications),
            pages: Pages::new(settings.pages, &addresses, &settings.own_pages)?,
            hosts: settings.hosts,
            trusted: settings.trusted,
            own_pages: settings.own_pages,
            cookie: settings.cookie,
            share: settings.share,
            methods: SignInMethods::new(vec![
                Box::new(UserFile::new(Arc::clone(&users))),
                Box::new(Basic::new(Arc::clone(&users))),
            ]),
            users,
            login: settings.login,
            logout: Arc::new(settings.logout),
            requests_per_session: settings.requests_per_session,
            max_cookie_header: settings.cookies.max_header,
            cookie_debts: settings.cookies.debts,
            learned,
            worker_hosts,
            clock: clock.clone(),
            keys,
        })
    }

    /// Where sign-ins may lead.
    pub(super) fn return_targets(&self) -> ReturnTargets<'_> {
        ReturnTargets {
            default: &self.login.next,
            own_origins: &self.own_origins,
            hosts: &self.hosts,
            own_pages: &self.own_pages,
            routes: &self.routes,
            keys: &self.keys,
        }
    }

    /// The terms of ends where no browser waits for the rest of the logout.
    pub(super) fn terms(&self) -> Terms {
        Terms::unattended(&self.logout, &self.applications)
    }

    /// What the answer to a sign-out is made of.
    pub(super) fn site(&self) -> Site<'_> {
        Site {
            settings: &self.logout,
            hosts: &self.hosts,
            own_pages: &self.own_pages,
            pages: &self.pages,
            cookie: &self.cookie,
            keys: &self.keys,
        }
    }

    /// Settles which path is forwarded where one has empty segments: with them where the route passes such paths on
    /// literally, elsewhere without. It makes no difference for the gateway's own addresses.
    pub(super) fn merge_slashes(&self, host: HostId, target: &mut Target<'_>) {
        let Some(merged) = target.path().merged() else { return };
        let merge = match self.at(host, &merged) {
            Ok(Requested::OwnPage(_)) => true,
            Ok(Requested::Route(route)) => !route.opaque,
            Err(_) => false,
        };
        if merge {
            target.set_path(merged);
        }
    }

    /// The meaning of a request's path, in all its readings.
    pub(super) fn requested<'a>(&'a self, facts: &'a RequestFacts<'_>) -> Result<Requested<'a>, Refusal> {
        self.at(facts.host, facts.target.path())
    }

    /// The same for any path of an own host.
    pub(super) fn at<'a>(&'a self, host: HostId, path: &'a RequestPath<'_>) -> Result<Requested<'a>, Refusal> {
        match self.own_pages.find(path)? {
            Some(page) => Ok(Requested::OwnPage(page)),
            None => Ok(Requested::Route(self.routes.find(host, path)?.ok_or(Reason::NoRoute)?)),
        }
    }
}
