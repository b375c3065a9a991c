//! Signing out: every session that a request names ends first, then the answer is made.

use std::sync::Arc;

use super::answer::{self, ResponseStyle};
use super::clearing::{MOST_STOPS, Way};
use super::ending::{Carried, Terms};
use super::receipts::is_confirmed;
use super::run::{Pipeline, Which};
use super::settings::LogoutSettings;
use crate::http1::cookie::SessionCookie;
use crate::pages::{Language, Pages};
use crate::session::record::Session;
use crate::values::end_cause::EndCause;
use crate::values::form::FormValue;
use crate::values::host_receipt::HostOutcome;
use crate::values::identity::UserKey;
use crate::values::mac::{Mac, MacKeys, Purpose};
use crate::values::origin::Host;
use crate::values::own_hosts::{HostId, OwnHosts};
use crate::values::own_path::OwnPages;
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// A sign-out that may be done.
#[derive(Clone, Debug)]
pub(crate) struct SignOut {
    /// Every session that the request names. There may be none: logout needs nothing.
    pub(crate) sessions: Vec<Arc<Session>>,
    /// The keys that it shows and that the store could not be asked about.
    pub(crate) unknown: Vec<SessionKey>,
    /// What the answer has to take back.
    pub(crate) carried: Carried,
    /// How the answer looks.
    pub(crate) style: ResponseStyle,
    /// In which language.
    pub(crate) language: Language,
    /// The own host that was asked.
    pub(crate) host: HostId,
    /// The cookies of the other hosts that the sessions were open on, whose data this browser is to forget.
    pub(crate) elsewhere: Vec<(SessionKey, Box<str>)>,
}

/// The parts of a configuration that the answer is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// What `[logout]` says.
    pub(crate) settings: &'a LogoutSettings,
    /// The host names that are served.
    pub(crate) hosts: &'a OwnHosts,
    /// The addresses that the gateway answers itself.
    pub(crate) own_pages: &'a OwnPages,
    /// How they look.
    pub(crate) pages: &'a Pages,
    /// The session cookie.
    pub(crate) cookie: &'a SessionCookie,
    /// What the goodbye page's receipt is signed with.
    pub(crate) keys: &'a MacKeys,
}

impl SignOut {
    /// Ends what the request names. It ends, and is audited, even if the client goes away.
    pub(crate) async fn end(&self, pipeline: &Pipeline, terms: Terms) -> Receipt {
        let named = Which::Named(self.sessions.clone(), self.unknown.clone());
        pipeline.end(named, terms.answered(self.carried.clone())).await.together(self.carried.cookies)
    }

    /// Ends all other sessions of this user, after [`Self::end`], whose receipt this adds to.
    pub(crate) async fn end_elsewhere(
        &self,
        user: UserKey,
        receipt: Receipt,
        pipeline: &Pipeline,
        terms: Terms,
    ) -> Receipt {
        let (id, all) = (receipt.logout_id.clone(), Which::AllOf(user, EndCause::Everywhere));
        pipeline.end_as(id, all, terms).await.added_to(receipt)
    }

    /// Notes on which other hosts the browser is to forget what it stores, and whether the answer leads it there.
    pub(crate) fn note_hosts(&self, receipt: &mut Receipt, may_lead: bool, site: &Site<'_>) {
        let leads = may_lead && is_confirmed(receipt) && self.is_led();
        for (index, (_, host)) in self.elsewhere.iter().enumerate() {
            let is_served = Host::parse(host).and_then(|host| site.hosts.host_id(&host)).is_some();
            let is_next = leads && is_served && index < MOST_STOPS;
            if receipt.hosts.iter().all(|known| known.host != *host) {
                receipt.note_host(host, if is_next { HostOutcome::Next } else { HostOutcome::NotVisited });
            }
        }
    }

    /// Whether the answer is one that a browser follows.
    fn is_led(&self) -> bool {
        matches!(self.style, ResponseStyle::Navigation | ResponseStyle::Page)
    }

    /// Says goodbye, and where to go from here: `next`, if that is a target that people may be sent to.
    pub(crate) fn answer(&self, mut receipt: Receipt, next: FormValue<'_>, site: &Site<'_>, now: WallTime) -> Reply {
        let next = answer::next(next, &site.settings.allowed, site.hosts, site.own_pages);
        let target = answer::target(next, site.settings);
        receipt.target = target.as_ref().map(ReturnTo::to_string);
        let page = |status| site.pages.goodbye(self.language, status, Some(&receipt));
        let goodbye = ReturnTo::own(&format!("/.exeunt/goodbye?{}", receipt.to_query(site.keys)));
        let last = target.as_ref().unwrap_or(&goodbye);
        let way = self.way(&receipt, last, site, now);
        // A browser that returns by way of other hosts seems to come from another site: the cookie identifies it.
        let comes_back = way.is_some() && target.is_none() && site.settings.close_tabs;
        let left = comes_back.then(|| site.cookie.set_left(&left_code(&receipt, site.keys)));
        let (target, goodbye) = match (way, self.style) {
            (Some(way), ResponseStyle::Navigation) => (Some(way), goodbye),
            // A page leads on: the policy of a page with a form may not let its answer redirect to another origin.
            (Some(way), ResponseStyle::Page) => (None, way),
            _ => (target, goodbye),
        };
        let reply = answer::reply(&receipt, target.as_ref(), self.style, &goodbye, page);
        let cookies = site.cookie.expire().into_iter().chain(left).collect();
        answer::with_cleared_cookies(reply, cookies, site.settings)
    }

    /// Over the other hosts, before this last address.
    fn way(&self, receipt: &Receipt, last: &ReturnTo, site: &Site<'_>, now: WallTime) -> Option<ReturnTo> {
        if self.elsewhere.is_empty() || !is_confirmed(receipt) || !self.is_led() {
            return None;
        }
        let last = last.clone().on(&site.hosts.public_origin(self.host)?);
        Way::new(&receipt.logout_id, &self.elsewhere, &last, now, site.keys)
            .onward(site.hosts, &site.settings.allowed, site.keys)
    }
}

/// Whether one of these codes is of the browser whose logout this receipt is about.
pub(crate) fn is_of_browser(receipt: &Receipt, codes: &[Mac], keys: &MacKeys) -> bool {
    codes.iter().any(|code| keys.verify(Purpose::LeftBrowser, &[receipt.logout_id.as_bytes()], code))
}

fn left_code(receipt: &Receipt, keys: &MacKeys) -> Mac {
    keys.sign(Purpose::LeftBrowser, &[receipt.logout_id.as_bytes()])
}
