//! After a logout, clears the data that a browser stores for every host on which the session was open.
//!
//! `Clear-Site-Data` clears only the host that sends it. So the browser is redirected to the other hosts, one after the
//! other, and then to the target of the logout. The gateway signs the list of hosts. Each stop has a code for the
//! session cookie that this browser has at that host: a link that an attacker copies from their own logout clears
//! nothing in another user's browser.

use std::time::Duration;

use super::answer::NEXT;
use crate::values::form::{Form, FormValue};
use crate::values::host_receipt::HostOutcome;
use crate::values::mac::{Mac, MacKeys, MacPurpose};
use crate::values::origin::{Host, Origin};
use crate::values::own_hosts::OwnHosts;
use crate::values::receipt::Receipt;
use crate::values::return_to::{AllowedOrigins, ReturnTo};
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// The path of every stop.
const ADDRESS: &str = "/.exeunt/clear";
/// The maximum number of stops. If the session was open on more hosts, the others are not cleared.
pub(super) const MAX_STOPS: usize = 8;
/// How long the signed list is valid.
const VALID_FOR: Duration = Duration::from_secs(120);
/// Separates the parts of the list; no part contains it.
const SEPARATOR: char = '~';
/// The field with the hosts that the browser cannot connect to. It is not signed: it can only remove stops.
const UNREACHED: &str = "unreached";

/// A host, and the code for the session cookie that the browser has there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ClearingStep {
    host: Box<str>,
    code: Box<str>,
}

/// The hosts that a browser still has to visit, and the target after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClearingChain {
    until: WallTime,
    logout: Box<str>,
    stops: Vec<ClearingStep>,
    next: Box<str>,
}

impl ClearingChain {
    /// The stops at the hosts of these keys, and then `next`, an absolute URL, for the logout with this id.
    pub(crate) fn new(
        logout: &str,
        keys: &[(SessionKey, Box<str>)],
        next: &ReturnTo,
        now: WallTime,
        by: &MacKeys,
    ) -> Self {
        let until = WallTime(now.0.saturating_add(VALID_FOR.as_secs()));
        let stop = |(key, host): &(SessionKey, Box<str>)| {
            let code = by.sign(MacPurpose::ClearedHost, &stop_parts(key, host, &until.0.to_be_bytes())).encode().into();
            ClearingStep { host: host.clone(), code }
        };
        let stops = keys.iter().take(MAX_STOPS).map(stop).collect();
        Self { until, logout: logout.into(), stops, next: next.to_string().into() }
    }

    /// Reads what [`ClearingChain::next_address`] has written. `None` if the signature is not valid, or too old.
    pub(crate) fn read(query: &Form, now: WallTime, by: &MacKeys) -> Option<Self> {
        let field = |names: &[&str]| match query.field(names) {
            FormValue::One(text) => Some(text),
            FormValue::Absent | FormValue::Several => None,
        };
        let until = WallTime(field(&["until"])?.parse().ok()?);
        let mut parts = field(&["stops"])?.split(SEPARATOR);
        let mut stops = Vec::new();
        while let (Some(host), Some(code)) = (parts.next(), parts.next()) {
            stops.push(ClearingStep { host: host.into(), code: code.into() });
        }
        let chain = Self { until, logout: field(&["logout"])?.into(), stops, next: field(&NEXT)?.into() };
        let mac = Mac::parse(field(&["mac"])?.as_bytes())?;
        (chain.until > now && chain.is_signed(&mac, by)).then_some(chain)
    }

    /// The id of its logout.
    pub(crate) fn logout(&self) -> &str {
        &self.logout
    }

    /// Removes the stops at this host. Returns whether one of them is for a cookie that the browser sent; `None` if
    /// there is no stop at this host.
    pub(crate) fn arrive(&mut self, host: &str, shown: impl Iterator<Item = SessionKey>, by: &MacKeys) -> Option<bool> {
        let (here, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.stops).into_iter().partition(|stop| *stop.host == *host);
        self.stops = left;
        let until = self.until.0.to_be_bytes();
        let codes: Vec<_> = here.iter().filter_map(|stop| Mac::parse(stop.code.as_bytes())).collect();
        let is_meant = |key: SessionKey| {
            codes.iter().any(|code| by.verify(MacPurpose::ClearedHost, &stop_parts(&key, host, &until), code))
        };
        (!here.is_empty()).then(|| shown.take(MAX_STOPS).any(is_meant))
    }

    /// The receipt in the target, if the target has one.
    pub(crate) fn receipt(&self, by: &MacKeys) -> Option<Receipt> {
        let (_, query) = self.next.split_once('?')?;
        Form::parse(query.as_bytes()).ok().and_then(|query| Receipt::from_query(&query, by))
    }

    /// Writes the outcome for a host into that receipt.
    pub(crate) fn note(&mut self, host: &str, result: HostOutcome, by: &MacKeys) {
        let receipt = self.receipt(by);
        if let Some((mut receipt, (page, _))) = receipt.zip(self.next.split_once('?')) {
            receipt.note_host(host, result);
            self.next = format!("{page}?{}", receipt.to_query(by)).into();
        }
    }

    /// Removes the stops at the hosts of this list, which the browser cannot connect to. Returns these hosts.
    pub(crate) fn leave_out(&mut self, unreached: &str, by: &MacKeys) -> Vec<Box<str>> {
        let hosts = unreached.split(SEPARATOR);
        let left_out: Vec<Box<str>> = self
            .stops
            .extract_if(.., |stop| hosts.clone().any(|host| *host == *stop.host))
            .map(|stop| stop.host)
            .collect();
        left_out.iter().for_each(|host| self.note(host, HostOutcome::Unreached, by));
        left_out
    }

    /// The first address of the chain: a page on the host of the logout, whose script tests which of the other hosts
    /// the browser can connect to. The target, if no other host is served.
    pub(crate) fn begin(
        mut self,
        at: &Origin,
        hosts: &OwnHosts,
        allowed: &AllowedOrigins,
        by: &MacKeys,
    ) -> Option<ReturnTo> {
        self.skip_unserved(hosts, by);
        if self.stops.is_empty() { self.target(allowed) } else { Some(self.address(by).on(at)) }
    }

    /// The address of the next stop or, after the last one, the target, if it is an allowed one. Hosts that are no
    /// longer served are skipped.
    pub(crate) fn next_address(mut self, hosts: &OwnHosts, allowed: &AllowedOrigins, by: &MacKeys) -> Option<ReturnTo> {
        self.skip_unserved(hosts, by);
        match self.stops.first().and_then(|stop| origin_of(stop, hosts)) {
            Some(origin) => Some(self.address(by).on(&origin)),
            None => self.target(allowed),
        }
    }

    /// The next address for a browser that does not run the script: no host is skipped.
    pub(crate) fn without_script(&self, by: &MacKeys) -> Option<ReturnTo> {
        (!self.stops.is_empty()).then(|| self.address_with(&[(UNREACHED, "")], by))
    }

    /// Skips hosts that are no longer served.
    fn skip_unserved(&mut self, hosts: &OwnHosts, by: &MacKeys) {
        let gone: Vec<ClearingStep> = self.stops.extract_if(.., |stop| origin_of(stop, hosts).is_none()).collect();
        gone.iter().for_each(|stop| self.note(&stop.host, HostOutcome::NotVisited, by));
    }

    fn target(&self, allowed: &AllowedOrigins) -> Option<ReturnTo> {
        ReturnTo::parse(&self.next, allowed)
    }

    fn address(&self, by: &MacKeys) -> ReturnTo {
        self.address_with(&[], by)
    }

    fn address_with(&self, further: &[(&str, &str)], by: &MacKeys) -> ReturnTo {
        let (until, stops, mac) = (self.until.0.to_string(), self.stops(), self.sign(by).encode());
        let fields =
            [("until", &*until), ("logout", &*self.logout), ("stops", &*stops), ("next", &*self.next), ("mac", &*mac)];
        ReturnTo::own_query(ADDRESS, &[&fields, further].concat())
    }

    fn stops(&self) -> String {
        let parts: Vec<&str> = self.stops.iter().flat_map(|stop| [&*stop.host, &*stop.code]).collect();
        parts.join(&SEPARATOR.to_string())
    }

    fn sign(&self, by: &MacKeys) -> Mac {
        let (until, stops) = (self.until.0.to_be_bytes(), self.stops());
        by.sign(MacPurpose::ClearingWay, &[&until, self.logout.as_bytes(), stops.as_bytes(), self.next.as_bytes()])
    }

    fn is_signed(&self, mac: &Mac, by: &MacKeys) -> bool {
        let (until, stops) = (self.until.0.to_be_bytes(), self.stops());
        let parts: [&[u8]; 4] = [&until, self.logout.as_bytes(), stops.as_bytes(), self.next.as_bytes()];
        by.verify(MacPurpose::ClearingWay, &parts, mac)
    }
}

/// The hosts that the browser cannot connect to, as the script reports them; `None` before the script has run.
pub(crate) fn unreached(query: &Form) -> Option<&str> {
    match query.field(&[UNREACHED]) {
        FormValue::One(hosts) => Some(hosts),
        FormValue::Absent | FormValue::Several => None,
    }
}

/// The origin of a stop; `None` if its host is no longer served.
fn origin_of(stop: &ClearingStep, hosts: &OwnHosts) -> Option<Origin> {
    hosts.public_origin(hosts.host_id(&Host::parse(&stop.host)?)?)
}

/// The parts that the code of a stop authenticates.
fn stop_parts<'a>(key: &'a SessionKey, host: &'a str, until: &'a [u8; 8]) -> [&'a [u8]; 3] {
    [key.as_bytes(), host.as_bytes(), until]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::origin::Origin;
    use crate::values::return_to::OriginPattern;
    use crate::values::session_id::SessionId;

    const NOW: WallTime = WallTime(1000);

    struct Fixture {
        hosts: OwnHosts,
        allowed: AllowedOrigins,
        by: MacKeys,
        shop: SessionKey,
        blog: SessionKey,
    }

    fn fixture() -> Fixture {
        let further = ["shop.test", "blog.test"].map(|host| Host::parse(host).unwrap());
        let hosts = OwnHosts::new(&Origin::parse("https://app.test").unwrap(), further);
        let allowed = AllowedOrigins::new(hosts.origins().map(OriginPattern::from));
        let [shop, blog] = [(), ()].map(|()| SessionId::generate().unwrap().key());
        Fixture { hosts, allowed, by: MacKeys::generate().unwrap(), shop, blog }
    }

    impl Fixture {
        fn chain(&self) -> ClearingChain {
            let next = ReturnTo::parse("https://app.test/bye?x=1", &self.allowed).unwrap();
            ClearingChain::new(
                "id",
                &[(self.shop, "shop.test".into()), (self.blog, "blog.test".into())],
                &next,
                NOW,
                &self.by,
            )
        }

        fn next_address(&self, chain: &ClearingChain) -> String {
            chain.clone().next_address(&self.hosts, &self.allowed, &self.by).unwrap().to_string()
        }

        fn begin(&self, chain: &ClearingChain) -> String {
            let at = Origin::parse("https://app.test").unwrap();
            chain.clone().begin(&at, &self.hosts, &self.allowed, &self.by).unwrap().to_string()
        }

        fn read(&self, address: &str, now: WallTime) -> Option<ClearingChain> {
            let query = address.split_once('?').map_or("", |(_, query)| query);
            ClearingChain::read(&Form::parse(query.as_bytes()).unwrap(), now, &self.by)
        }
    }

    #[test]
    fn a_chain_leads_over_every_host_to_the_target() {
        let fixture = fixture();
        let mut address = fixture.next_address(&fixture.chain());
        for (host, key) in [("shop.test", fixture.shop), ("blog.test", fixture.blog)] {
            assert!(address.starts_with(&format!("https://{host}/.exeunt/clear?")), "{address}");
            let mut chain = fixture.read(&address, NOW).unwrap();
            assert_eq!(chain.arrive(host, [key].into_iter(), &fixture.by), Some(true), "{host}");
            address = fixture.next_address(&chain);
        }
        assert_eq!(address, "https://app.test/bye?x=1");
    }

    /// Each row fails without its guard.
    #[test]
    fn a_copied_link_clears_nothing() {
        let fixture = fixture();
        let stranger = SessionId::generate().unwrap().key();
        let address = fixture.next_address(&fixture.chain());
        let cases = [
            ("the browser of the logout", "shop.test", fixture.shop, Some(true)),
            ("another browser", "shop.test", stranger, Some(false)),
            ("the cookie of another host", "shop.test", fixture.blog, Some(false)),
            ("another host", "blog.test", fixture.shop, Some(false)),
            ("a host without a stop", "app.test", fixture.shop, None),
        ];
        for (what, host, key, clears) in cases {
            let mut chain = fixture.read(&address, NOW).unwrap();
            assert_eq!(chain.arrive(host, [key].into_iter(), &fixture.by), clears, "{what}");
        }
        assert_eq!(fixture.chain().arrive("shop.test", std::iter::empty(), &fixture.by), Some(false), "no cookie");
    }

    #[test]
    fn only_a_recent_chain_of_the_gateway_is_accepted() {
        let fixture = fixture();
        let address = fixture.next_address(&fixture.chain());
        for (later, counts) in [(0, true), (119, true), (120, false), (10_000, false)] {
            assert_eq!(fixture.read(&address, WallTime(NOW.0 + later)).is_some(), counts, "{later}");
        }
        let changes = [
            ("app.test%2Fbye", "evil.test%2Fbye"),
            ("shop.test%7E", "blog.test%7E"),
            ("until=1120", "until=9999"),
            ("logout=id", "logout=ie"),
            ("mac=", "mac=A"),
            ("&next=", "&rd=x&next="),
            ("&mac", "&amac"),
        ];
        for (from, to) in changes {
            let other = address.replacen(from, to, 1);
            assert_ne!(other, address, "{from}");
            assert!(fixture.read(&other, NOW).is_none(), "{other}");
        }
        assert!(fixture.read("", NOW).is_none());
        let foreign = Fixture { by: MacKeys::generate().unwrap(), ..fixture };
        assert!(foreign.read(&address, NOW).is_none(), "the keys of another gateway");
    }

    #[test]
    fn only_hosts_that_the_browser_cannot_reach_are_skipped() {
        let fixture = fixture();
        let begin = fixture.begin(&fixture.chain());
        assert!(begin.starts_with("https://app.test/.exeunt/clear?"), "{begin}");
        let cases = [
            ("", "https://shop.test/"),
            ("shop.test", "https://blog.test/"),
            ("blog.test", "https://shop.test/"),
            ("shop.test~blog.test", "https://app.test/bye?x=1"),
            ("evil.test~SHOP.TEST", "https://shop.test/"),
        ];
        for (unreached, want) in cases {
            let mut chain = fixture.read(&begin, NOW).unwrap();
            chain.leave_out(unreached, &fixture.by);
            assert!(fixture.next_address(&chain).starts_with(want), "{unreached}");
        }
    }

    #[test]
    fn a_chain_is_limited_and_skips_hosts_that_are_not_served() {
        let fixture = fixture();
        let next = ReturnTo::own("/");
        let keys: Vec<_> = (0..99).map(|number| (fixture.shop, format!("h{number}.test").into())).collect();
        let chain = ClearingChain::new("id", &keys, &next, NOW, &fixture.by);
        assert_eq!((chain.stops.len(), fixture.next_address(&chain).as_str()), (MAX_STOPS, "/"));
        assert_eq!(fixture.begin(&chain), "/", "no other host is served");
    }
}
