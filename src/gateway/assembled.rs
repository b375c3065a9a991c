//! Everything made of one configuration, swapped whole. Sessions, live connections and warm pools outlive it.

use std::sync::Arc;

use crate::admission::facts::RequestFacts;
use crate::admission::identity_headers::IdentityHeaders;
use crate::admission::upstream_head::HeadRules;
use crate::credentials::user_file::Users;
use crate::pages::{self, Addresses, BrokenPages, Pages};
use crate::routes::resolver::Upstreams;
use crate::routes::settings::RouteSettings;
use crate::routes::table::{Route, RouteTable};
use crate::values::client_address::TrustedProxies;
use crate::values::cookie::SessionCookie;
use crate::values::mac::MacKeys;
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::{OwnPage, OwnPages};
use crate::values::reason::Reason;
use crate::values::return_to::{AllowedOrigins, OriginPattern};
use crate::values::time::Clock;
use crate::{login, logout};

/// What the gateway is made of, as configured.
#[derive(Debug)]
pub struct Settings {
    /// The host names that are served.
    pub hosts: OwnHosts,
    /// Whose `X-Forwarded-*` is believed.
    pub trusted: TrustedProxies,
    /// The addresses that the gateway answers itself.
    pub own_pages: OwnPages,
    /// The session cookie.
    pub cookie: SessionCookie,
    /// How applications are told who is signed in.
    pub identity: IdentityHeaders,
    /// What is behind the gateway.
    pub routes: Vec<RouteSettings>,
    /// Who may sign in.
    pub users: Arc<Users>,
    /// How people sign in.
    pub login: login::settings::Settings,
    /// How people sign out.
    pub logout: logout::settings::Settings,
    /// How our own pages look.
    pub pages: pages::Settings,
    /// Exchanges that may run in the name of one session at the same time, WebSockets and event streams among them.
    pub requests_per_session: usize,
}

/// A configuration at work.
#[derive(Debug)]
pub struct Assembled {
    pub(super) hosts: OwnHosts,
    pub(super) trusted: TrustedProxies,
    pub(super) own_pages: OwnPages,
    pub(super) cookie: SessionCookie,
    pub(super) heads: HeadRules,
    pub(super) routes: RouteTable,
    pub(super) users: Arc<Users>,
    pub(super) login: login::settings::Settings,
    pub(super) logout: logout::settings::Settings,
    pub(super) own_origins: AllowedOrigins,
    pub(super) pages: Pages,
    pub(super) requests_per_session: usize,
    /// What the gateway writes and reads back is signed with these. They outlive the configuration.
    pub(super) keys: Arc<MacKeys>,
}

/// What a request asks for.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    /// A page of our own.
    OwnPage(OwnPage<'a>),
    /// Something of an application.
    Route(&'a Arc<Route>),
}

impl Asked<'_> {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(route), Self::Route(other)) => Arc::ptr_eq(route, other),
            _ => false,
        }
    }
}

impl Assembled {
    /// Puts a configuration to work. Upstreams that are known already keep their connections.
    pub fn new(
        settings: Settings,
        keys: Arc<MacKeys>,
        upstreams: &Upstreams,
        clock: &Clock,
    ) -> Result<Self, BrokenPages> {
        let addresses = Addresses {
            login: settings.own_pages.login().as_str().to_owned(),
            logout: settings.own_pages.logout().to_owned(),
            home: settings.login.next.to_string(),
        };
        let routes = settings.routes.into_iter().map(|route| route.assemble(upstreams, clock)).collect();
        Ok(Self {
            own_origins: AllowedOrigins::new(settings.hosts.origins().map(OriginPattern::from)),
            routes: RouteTable::new(&settings.hosts, routes),
            heads: HeadRules::new(
                settings.identity,
                settings.cookie.clone(),
                settings.hosts.clone(),
                settings.own_pages.clone(),
            ),
            pages: Pages::new(settings.pages, &addresses)?,
            hosts: settings.hosts,
            trusted: settings.trusted,
            own_pages: settings.own_pages,
            cookie: settings.cookie,
            users: settings.users,
            login: settings.login,
            logout: settings.logout,
            requests_per_session: settings.requests_per_session,
            keys,
        })
    }

    /// Settles a target that some programs read literally and others do not. Where any reading of it leads to a route
    /// that wants it literally, all of them have to lead to that one; elsewhere it is merged, or refused.
    pub(super) fn settle(&self, facts: &mut RequestFacts<'_>) -> Result<(), Reason> {
        if facts.target.is_settled() || !self.routes.wants_literal(facts.host) {
            return facts.target.merge().map_err(|_| Reason::TargetAmbiguous);
        }
        let readings = facts.target.readings().map_err(|_| Reason::TargetAmbiguous)?;
        let routes: Vec<_> = readings.iter().map(|path| self.literal_route(facts, path)).collect();
        let same = routes.windows(2).all(|pair| matches!(pair, [Some(one), Some(other)] if Arc::ptr_eq(one, other)));
        let settled = match routes.first() {
            Some(Some(_)) if same => facts.target.keep(),
            _ if routes.iter().all(Option::is_none) => facts.target.merge(),
            _ => return Err(Reason::TargetAmbiguous),
        };
        settled.map_err(|_| Reason::TargetAmbiguous)
    }

    /// The route that covers a path, if it wants paths literally.
    fn literal_route(&self, facts: &RequestFacts<'_>, path: &str) -> Option<&Arc<Route>> {
        let route = self.routes.find(facts.host, path).filter(|route| route.opaque);
        route.filter(|_| self.own_pages.find(path).is_none())
    }

    /// What a request asks for. A path that means something else to a program which reads loosely (`/logout;x`,
    /// `/logout%20`) has no single reading.
    pub(super) fn asked<'a>(&'a self, facts: &'a RequestFacts<'_>) -> Result<Asked<'a>, Reason> {
        let asked = self.at(facts, facts.target.path())?;
        match facts.target.loose_path() {
            Some(plain) if !self.at(facts, &plain).is_ok_and(|other| asked.is(&other)) => Err(Reason::TargetAmbiguous),
            _ => Ok(asked),
        }
    }

    fn at<'a>(&'a self, facts: &RequestFacts<'_>, path: &'a str) -> Result<Asked<'a>, Reason> {
        match self.own_pages.find(path) {
            Some(page) => Ok(Asked::OwnPage(page)),
            None => self.routes.find(facts.host, path).map(Asked::Route).ok_or(Reason::NoRoute),
        }
    }
}
