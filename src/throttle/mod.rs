//! The rate limit of sign-in attempts.
//!
//! An attempt is counted for the account and for the client address. The first wrong passwords have no consequence,
//! then each one bans for twice as long as the one before, up to `login.ban_max`. During a ban no password is checked,
//! so right and wrong ones get the same response. Failures decay over time. Existing sessions are not affected.
//!
//! A browser that proves that this user signed in with it before ([`KnownBrowser`]) has a separate counter: an attacker
//! who gets the account banned from elsewhere does not lock its owner out.
//!
//! Memory is bounded. Counters are in four tables of a fixed size ([`table`]), and only failures and attempts in
//! progress take an entry. A rate limiter whose map grows with every name that a client sends (such as the keyed one of
//! governor) would let an attacker exhaust the memory.
//!
//! [`KnownBrowser`]: crate::values::known_browser::KnownBrowser

pub(crate) mod fair_queue;
pub(crate) mod name;
mod policy;
mod table;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::fair_queue::Share;
use self::policy::Policy;
use self::table::{CounterKey, CounterTable};
use crate::values::client_address::{ClientAddress, TrustedProxies};
use crate::values::known_browser::BrowserId;
use crate::values::time::Moment;

/// The limits of an account, and of a known browser of that account.
const ACCOUNT: Policy = Policy { free: 5, forget: Duration::from_secs(600) };
/// The limits of an address, which a whole office may share.
const ADDRESS: Policy = Policy { free: 20, forget: Duration::from_secs(60) };
/// The limits of an IPv6 site (/48), which a whole town may share.
const SITE: Policy = Policy { free: 100, forget: Duration::from_secs(12) };

/// The client of a sign-in attempt, before the password is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignInClient<'a> {
    /// The user name as entered.
    pub(crate) user: &'a str,
    /// The client's address.
    pub(crate) client: ClientAddress,
    /// The browser, if it has proved that this user signed in with it before.
    pub(crate) known: Option<BrowserId>,
}

/// A ban: attempts are refused until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Banned {
    /// When the next attempt is accepted.
    pub(crate) until: Moment,
}

/// The counters of all sign-ins. They survive a reload, but not a restart.
#[derive(Debug)]
pub(crate) struct Throttle {
    accounts: CounterTable,
    addresses: CounterTable,
    sites: CounterTable,
    known: CounterTable,
    hasher: RandomState,
    advised: AtomicBool,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            accounts: CounterTable::new(ACCOUNT),
            addresses: CounterTable::new(ADDRESS),
            sites: CounterTable::new(SITE),
            known: CounterTable::new(ACCOUNT),
            // Randomly keyed, so that an attacker cannot know which names share an entry.
            hasher: RandomState::new(),
            advised: AtomicBool::new(false),
        }
    }
}

impl Throttle {
    /// Begins an attempt. It counts as a failure until its result is reported to the ticket, so that concurrent
    /// attempts cannot exceed the limit.
    ///
    /// # Errors
    /// [`Banned`], before any password is checked.
    pub(crate) fn attempt(
        &self,
        requester: &SignInClient<'_>,
        trusted: &TrustedProxies,
        now: Moment,
    ) -> Result<Ticket<'_>, Banned> {
        let account = match requester.known {
            Some(browser) => Counted::begin(&self.known, self.key_of_known(requester.user, browser), now)?,
            None => Counted::begin(&self.accounts, self.key_of_account(requester.user), now)?,
        };
        let networks =
            if requester.known.is_some() { [None, None] } else { self.networks_of(requester.client, trusted) };
        let [address, site] = networks.map(|counter| counter.map(|(table, key)| Counted::begin(table, key, now)));
        let banned = is_banned_by_address(requester.client);
        let [address, site] = [address, site].map(|begun| match begun.transpose() {
            Err(until) if banned => Err(until),
            begun => Ok(begun.unwrap_or_default()),
        });
        let share = self.share_of(requester, account.failures);
        Ok(Ticket { advised: &self.advised, client: requester.client, account, address: address?, site: site?, share })
    }

    /// The share of password checks for which an attempt is counted. Trusted proxies and loopback are treated as any
    /// other address: the accounts behind them share it.
    fn share_of(&self, requester: &SignInClient<'_>, failures: u16) -> Share {
        let address = self.hasher.hash_one(("address", name::network(requester.client)));
        let site = name::site(requester.client).map_or(address, |site| self.hasher.hash_one(("site", site)));
        let account = self.hasher.hash_one(("account", &*name::folded(requester.user)));
        Share { account, address, site, is_known: requester.known.is_some() && failures == 0 }
    }

    /// The counters of the client address. A trusted proxy has none, since it forwards the requests of all clients.
    fn networks_of(&self, client: ClientAddress, trusted: &TrustedProxies) -> [Option<(&CounterTable, CounterKey)>; 2] {
        if trusted.trusts(client) {
            return [None, None];
        }
        let key = |hash| CounterKey::new(hash, owner_of(hash));
        let address = self.hasher.hash_one(("address", name::network(client)));
        let site = name::site(client).map(|site| self.hasher.hash_one(("site", site)));
        [Some((&self.addresses, key(address))), site.map(|site| (&self.sites, key(site)))]
    }

    /// Resets the failures of the account `user`, in all browsers, or of an address given instead of a name. Returns
    /// whether there were any.
    pub(crate) fn unban(&self, user: &str, now: Moment) -> bool {
        let owner = self.owner(user);
        let account = [self.accounts.reset(owner, now), self.known.reset(owner, now)].contains(&true);
        let client = user.trim().parse().ok().map(ClientAddress::Ip);
        let networks = client.map(|client| self.networks_of(client, &TrustedProxies::default()));
        let reset = networks.into_iter().flatten().flatten().map(|(table, key)| table.reset(key.owner, now));
        reset.fold(account, |any, reset| any | reset)
    }

    fn key_of_account(&self, user: &str) -> CounterKey {
        let name = name::folded(user);
        CounterKey::new(self.hasher.hash_one(("account", &*name)), self.owner(user))
    }

    fn key_of_known(&self, user: &str, browser: BrowserId) -> CounterKey {
        let name = name::folded(user);
        CounterKey::new(self.hasher.hash_one(("known", &*name, browser)), self.owner(user))
    }

    fn owner(&self, user: &str) -> u32 {
        owner_of(self.hasher.hash_one(("owner", &*name::folded(user))))
    }
}

/// Half of a hash, which identifies all counters of one name.
const fn owner_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Whether an address can be banned. Loopback and unix sockets are only counted for the hint about a proxy, since all
/// clients of a proxy on this machine share them.
fn is_banned_by_address(client: ClientAddress) -> bool {
    match client {
        ClientAddress::Ip(address) => !address.is_loopback(),
        ClientAddress::Unix => false,
    }
}

/// One counter of an attempt in progress.
#[derive(Debug)]
struct Counted<'a> {
    table: &'a CounterTable,
    key: CounterKey,
    /// The number of failures when the attempt began.
    failures: u16,
    /// Whether the result was reported.
    settled: bool,
}

impl<'a> Counted<'a> {
    fn begin(table: &'a CounterTable, key: CounterKey, now: Moment) -> Result<Self, Banned> {
        let failures = table.begin(key, now)?;
        Ok(Self { table, key, failures, settled: false })
    }

    /// Counts a failure and returns the ban that follows.
    fn failed(mut self, ban_max: Duration, now: Moment) -> Option<Banned> {
        self.settled = true;
        self.table.failed(self.key, ban_max, now)
    }

    fn succeeded(mut self, now: Moment) {
        self.settled = true;
        self.table.succeeded(self.key, now);
    }
}

/// An attempt without a result does not count.
impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.table.abandoned(self.key);
        }
    }
}

/// An attempt in progress. If it is dropped without a result, it does not count.
#[derive(Debug)]
#[must_use]
pub(crate) struct Ticket<'a> {
    advised: &'a AtomicBool,
    client: ClientAddress,
    account: Counted<'a>,
    address: Option<Counted<'a>>,
    site: Option<Counted<'a>>,
    share: Share,
}

impl Ticket<'_> {
    /// The share of password checks for which this attempt is counted.
    pub(crate) fn share(&self) -> Share {
        self.share
    }

    /// Reports a wrong password. Returns the address if it has so many failures that it is most likely a proxy of the
    /// operator, for a hint in the log; at most once in the lifetime of the process.
    pub(crate) fn failed(self, ban_max: Duration, now: Moment) -> Option<ClientAddress> {
        self.account.failed(ban_max, now);
        self.site.and_then(|site| site.failed(ban_max, now));
        let banned = self.address.and_then(|address| address.failed(ban_max, now));
        let proxy = banned.is_some() && name::may_be_a_proxy(self.client);
        let first = proxy && !self.advised.swap(true, Ordering::Relaxed);
        first.then_some(self.client)
    }

    /// Reports a correct password. The counter of the account is reset. That of the address is not, since an attacker
    /// with one valid account could otherwise reset it between guesses at others.
    pub(crate) fn succeeded(self, now: Moment) {
        self.account.succeeded(now);
    }
}

#[cfg(test)]
mod tests;
