//! `/.exeunt/clear`: clears the data that a browser stores for one host of a session, and redirects to the next host.

use http::header::SET_COOKIE;
use http::{HeaderValue, Method, StatusCode};

use super::Gateway;
use super::answers;
use super::app_cookies::host_name;
use super::assembled::Assembled;
use super::requester::Requester;
use super::sign_in_out::query;
use crate::admission::clear_site_data::CLEAR_SITE_DATA;
use crate::admission::facts::RequestFacts;
use crate::audit::Event;
use crate::logout::clearing::{ClearingChain, unreached};
use crate::values::client_address::ClientAddress;
use crate::values::host_receipt::{HostOutcome, HostReceipt};
use crate::values::own_path::OwnPage;
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// The name of the address below `/.exeunt/`.
pub(super) const NAME: &str = "clear";

/// Whether a page of the gateway is this one.
pub(super) fn is_asked(page: OwnPage<'_>) -> bool {
    matches!(page, OwnPage::Further(name) if name.eq_ignore_ascii_case(NAME))
}

impl Gateway {
    /// Answers a request for the address. Data are cleared only if the browser sends the cookie of the ended session
    /// and no user is signed in; any other browser is only redirected, to the next host or to the goodbye page.
    pub(super) fn clear(&self, facts: &RequestFacts<'_>, requester: &Requester, assembled: &Assembled) -> Reply {
        if *facts.method == Method::HEAD {
            // The script of the first page tests whether the browser can connect to this host.
            return Reply::empty(StatusCode::NO_CONTENT);
        }
        if *facts.method != Method::GET {
            return answers::method_not_allowed(assembled, facts, HeaderValue::from_static("GET, HEAD"));
        }
        let (goodbye, query) = (|| ReturnTo::own("/.exeunt/goodbye"), query(facts));
        let Some(mut chain) = ClearingChain::read(&query, assembled.clock.wall(), &assembled.keys) else {
            return Reply::see_other(&goodbye());
        };
        let here = host_name(assembled, facts.host);
        let cookies = assembled.cookie.read(facts.headers);
        let arrived = chain.arrive(here, cookies.named().map(|named| named.key), &assembled.keys);
        let clears = arrived == Some(true) && requester.is_certainly_anonymous();
        let result = if clears { HostOutcome::Cleared } else { HostOutcome::Kept };
        match (arrived, unreached(&query)) {
            (Some(_), _) => {
                chain.note(here, result, &assembled.keys);
                self.log_host(chain.logout(), here, result, facts.provenance.client);
            }
            (None, Some(hosts)) => {
                for host in chain.leave_out(hosts, &assembled.keys) {
                    self.log_host(chain.logout(), &host, HostOutcome::Unreached, facts.provenance.client);
                }
            }
            (None, None) => {
                if let Some(onward) = chain.without_script(&assembled.keys) {
                    return begin(&chain, &onward, facts, assembled);
                }
            }
        }
        let onward = chain.next_address(&assembled.hosts, &assembled.logout.allowed, &assembled.keys);
        let mut reply = Reply::see_other(&onward.unwrap_or_else(goodbye));
        if clears {
            reply.headers.extend(assembled.cookie.expire().into_iter().map(|line| (SET_COOKIE, line)));
            let data = assembled.logout.clear_site_data.clone();
            reply.headers.extend(data.map(|data| (CLEAR_SITE_DATA.clone(), data)));
        }
        reply
    }

    /// Logs the hosts that the logout's answer does not redirect to.
    pub(super) fn log_skipped_hosts(&self, receipt: &Receipt, client: ClientAddress) {
        for HostReceipt { host, result } in receipt.hosts.iter().filter(|host| host.result.is_failure()) {
            self.log_host(&receipt.logout_id, host, *result, client);
        }
    }

    fn log_host(&self, logout_id: &str, host: &str, result: HostOutcome, client: ClientAddress) {
        let event = Event::SiteData { logout_id, host, result, client };
        self.pipeline.log.event(self.pipeline.clock.wall(), &event);
    }
}

/// The first page of the chain. Its script tests which hosts the browser can connect to, and goes on with these: at any
/// other host the chain would end at an error page of the browser.
fn begin(chain: &ClearingChain, onward: &ReturnTo, facts: &RequestFacts<'_>, assembled: &Assembled) -> Reply {
    let (language, receipt) = (assembled.pages.language(facts.headers), chain.receipt(&assembled.keys));
    assembled.pages.goodbye_on_the_way(language, receipt.as_ref(), onward)
}
