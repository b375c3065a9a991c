//! Signing out: ends every session that a request names, then makes the answer.

use std::sync::Arc;

use super::answer::{self, ResponseStyle};
use super::clearing::{ClearingChain, MAX_STOPS};
use super::ending::{RequestParts, Terms};
use super::receipts::is_confirmed;
use super::run::{Pipeline, SessionsToEnd};
use super::settings::LogoutSettings;
use crate::http1::cookie::SessionCookie;
use crate::pages::{Language, Pages};
use crate::session::record::Session;
use crate::values::end_cause::EndCause;
use crate::values::form::FormValue;
use crate::values::host_receipt::HostOutcome;
use crate::values::identity::UserKey;
use crate::values::mac::{Mac, MacKeys, MacPurpose};
use crate::values::origin::Host;
use crate::values::own_hosts::{HostId, OwnHosts};
use crate::values::own_path::OwnPages;
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// A sign-out that is allowed.
#[derive(Clone, Debug)]
pub(crate) struct SignOut {
    /// Every session that the request names; it may be empty.
    pub(crate) sessions: Vec<Arc<Session>>,
    /// Keys of the request that the store could not look up.
    pub(crate) unknown: Vec<SessionKey>,
    /// The parts of the request that the answer depends on.
    pub(crate) carried: RequestParts,
    /// The style of the answer.
    pub(crate) style: ResponseStyle,
    /// The language of its page.
    pub(crate) language: Language,
    /// The host of the request.
    pub(crate) host: HostId,
    /// The keys and names of the other hosts that the sessions were open on, whose data the browser is to clear.
    pub(crate) elsewhere: Vec<(SessionKey, Box<str>)>,
}

/// The parts of a configuration that the answer needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// The settings of `[logout]`.
    pub(crate) settings: &'a LogoutSettings,
    /// The host names that are served.
    pub(crate) hosts: &'a OwnHosts,
    /// The gateway's own addresses.
    pub(crate) own_pages: &'a OwnPages,
    /// Renders the pages.
    pub(crate) pages: &'a Pages,
    /// The session cookie.
    pub(crate) cookie: &'a SessionCookie,
    /// The keys of the signature of the goodbye page's receipt.
    pub(crate) keys: &'a MacKeys,
}

impl SignOut {
    /// Ends the sessions that the request names. This is completed and audited even if the client disconnects.
    pub(crate) async fn end(&self, pipeline: &Pipeline, terms: Terms) -> Receipt {
        let named = SessionsToEnd::Named(self.sessions.clone(), self.unknown.clone());
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
        let (id, all) = (receipt.logout_id.clone(), SessionsToEnd::AllOf(user, EndCause::Everywhere));
        pipeline.end_as(id, all, terms).await.added_to(receipt)
    }

    /// Notes in the receipt on which other hosts the browser's data is to be cleared, and whether the answer redirects
    /// there.
    pub(crate) fn note_hosts(&self, receipt: &mut Receipt, may_lead: bool, site: &Site<'_>) {
        let leads = may_lead && is_confirmed(receipt) && self.is_browser_redirect();
        for (index, (_, host)) in self.elsewhere.iter().enumerate() {
            let is_served = Host::parse(host).and_then(|host| site.hosts.host_id(&host)).is_some();
            let is_next = leads && is_served && index < MAX_STOPS;
            if receipt.hosts.iter().all(|known| known.host != *host) {
                receipt.note_host(host, if is_next { HostOutcome::Next } else { HostOutcome::NotVisited });
            }
        }
    }

    /// Whether the answer is a redirect for a browser.
    fn is_browser_redirect(&self) -> bool {
        matches!(self.style, ResponseStyle::Navigation | ResponseStyle::Page)
    }

    /// Makes the answer. `next` is the requested redirect target, which is used only if it is allowed.
    pub(crate) fn answer(&self, mut receipt: Receipt, next: FormValue<'_>, site: &Site<'_>, now: WallTime) -> Reply {
        let next = answer::next(next, &site.settings.allowed, site.hosts, site.own_pages);
        let target = answer::target(next, site.settings);
        receipt.target = target.as_ref().map(ReturnTo::to_string);
        let page = |status| site.pages.goodbye(self.language, status, Some(&receipt));
        let goodbye = ReturnTo::own(&format!("/.exeunt/goodbye?{}", receipt.to_query(site.keys)));
        let last = target.as_ref().unwrap_or(&goodbye);
        let chain = self.chain(&receipt, last, site, now);
        // After redirects over other hosts the browser's request looks cross-site, so a cookie identifies the browser.
        let comes_back = chain.is_some() && target.is_none() && site.settings.close_tabs;
        let left = comes_back.then(|| site.cookie.set_left(&left_code(&receipt, site.keys)));
        let (target, goodbye) = match (chain, self.style) {
            (Some(chain), ResponseStyle::Navigation) => (Some(chain), goodbye),
            // A page leads to the next host: `form-action` of the submitting page could forbid a redirect to another
            // origin.
            (Some(chain), ResponseStyle::Page) => (None, chain),
            _ => (target, goodbye),
        };
        let reply = answer::reply(&receipt, target.as_ref(), self.style, &goodbye, page);
        let cookies = site.cookie.expire().into_iter().chain(left).collect();
        answer::with_cleared_cookies(reply, cookies, site.settings)
    }

    /// The redirects over the other hosts before the last address; `None` if there are none.
    fn chain(&self, receipt: &Receipt, last: &ReturnTo, site: &Site<'_>, now: WallTime) -> Option<ReturnTo> {
        if self.elsewhere.is_empty() || !is_confirmed(receipt) || !self.is_browser_redirect() {
            return None;
        }
        let here = site.hosts.public_origin(self.host)?;
        let last = last.clone().on(&here);
        let chain = ClearingChain::new(&receipt.logout_id, &self.elsewhere, &last, now, site.keys);
        chain.begin(&here, site.hosts, &site.settings.allowed, site.keys)
    }
}

/// Whether one of these codes belongs to the browser of this receipt's logout.
pub(crate) fn is_of_browser(receipt: &Receipt, codes: &[Mac], keys: &MacKeys) -> bool {
    codes.iter().any(|code| keys.verify(MacPurpose::LeftBrowser, &[receipt.logout_id.as_bytes()], code))
}

fn left_code(receipt: &Receipt, keys: &MacKeys) -> Mac {
    keys.sign(MacPurpose::LeftBrowser, &[receipt.logout_id.as_bytes()])
}
