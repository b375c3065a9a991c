//! All parts of the gateway that belong to one configuration; a reload replaces them together. Sessions, connections
//! and the pools of upstream connections are kept over a reload.

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
use crate::metrics::Metrics;
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

/// The settings of the gateway.
#[derive(Debug)]
pub struct GatewaySettings {
    /// The host names that are served.
    pub hosts: OwnHosts,
    /// The proxies whose `X-Forwarded-*` is trusted.
    pub trusted: TrustedProxies,
    /// The gateway's own addresses.
    pub own_pages: OwnPages,
    /// The session cookie.
    pub cookie: SessionCookie,
    /// Whether a session of the login host is also open on the other hosts of the gateway.
    pub share: bool,
    /// The identity headers that applications get.
    pub identity: IdentityHeaders,
    /// The applications behind the gateway.
    pub routes: Vec<RouteSettings>,
    /// The users who may sign in.
    pub users: Arc<Users>,
    /// The sign-in settings.
    pub login: login::settings::LoginSettings,
    /// The sign-out settings.
    pub logout: logout::settings::LogoutSettings,
    /// How the gateway's own pages look.
    pub pages: pages::PageSettings,
    /// The maximum number of concurrent exchanges of one session, WebSockets and event streams included.
    pub requests_per_session: usize,
    /// The limits of applications' cookies.
    pub cookies: CookieLimits,
}

/// The parts that belong to the current configuration.
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
    /// The cookie names learned from the applications of each host, or of all hosts.
    pub(super) learned: Vec<(Option<Host>, Arc<LearnedNames>)>,
    /// The hosts, or all, whose applications may have service workers that control the gateway's own addresses.
    pub(super) worker_hosts: Vec<Option<Host>>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    /// The keys that sign what the gateway sends to browsers and reads back, as of the last read of the key file.
    pub(super) keys: Arc<MacKeys>,
}

/// What a request is for.
#[derive(Debug)]
pub(super) enum Requested<'a> {
    /// One of the gateway's own pages.
    OwnPage(OwnPage<'a>),
    /// An application.
    Route(&'a Arc<Route>),
}

impl Assembled {
    /// Makes the parts of a configuration. Upstreams that are already in use keep their connections.
    pub(crate) fn new(
        settings: GatewaySettings,
        keys: Arc<MacKeys>,
        upstreams: &Upstreams,
        (clock, metrics): (&Clock, &Arc<Metrics>),
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
            metrics: Arc::clone(metrics),
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

    /// The terms for ends that no client waits for.
    pub(super) fn terms(&self) -> Terms {
        Terms::without_client(&self.logout, &self.applications)
    }

    /// The parts that the answer to a sign-out needs.
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

    /// Removes empty segments from the path that is forwarded, unless the route passes such paths on literally. For the
    /// gateway's own addresses it makes no difference.
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

    /// What a request is for, in all readings of its path.
    pub(super) fn requested<'a>(&'a self, facts: &'a RequestFacts<'_>) -> Result<Requested<'a>, Refusal> {
        self.at(facts.host, facts.target.path())
    }

    /// The same for any path of a host.
    pub(super) fn at<'a>(&'a self, host: HostId, path: &'a RequestPath<'_>) -> Result<Requested<'a>, Refusal> {
        match self.own_pages.find(path)? {
            Some(page) => Ok(Requested::OwnPage(page)),
            None => Ok(Requested::Route(self.routes.find(host, path)?.ok_or(Reason::NoRoute)?)),
        }
    }
}
