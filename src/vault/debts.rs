//! What browsers still hold of sessions that ended without them: an idle expiry, a revocation. When a browser shows the
//! key of such a session, the answer expires these cookies, before anybody else signs in there.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::browser_cookie::BrowserCookie;
use crate::values::session_id::SessionKey;
use crate::values::time::{Clock, Moment};

/// Keys of ended sessions. One more takes the place of the oldest: some 20 MiB at most.
const MOST: usize = 10_000;

/// The table.
#[derive(Debug)]
pub(crate) struct Debts {
    clock: Clock,
    /// Most gateways have none: then nothing is locked.
    count: AtomicUsize,
    /// How long a debt stands, in seconds.
    lifetime: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<SessionKey, Debt>,
    /// Keys with the moments of their ends, the oldest first.
    order: VecDeque<(Moment, SessionKey)>,
}

/// The cookies of each host.
type Debt = Vec<(Box<str>, Vec<BrowserCookie>)>;

impl Debts {
    /// Nothing is owed, and debts stand for no time.
    pub(crate) fn new(clock: Clock) -> Self {
        let (count, lifetime, table) = Default::default();
        Self { clock, count, lifetime, table }
    }

    /// From now on debts stand this long.
    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        self.lifetime.store(lifetime.as_secs(), Ordering::Relaxed);
    }

    /// Notes the cookies of an ended session, under each of its keys.
    pub(crate) fn owe(&self, keys: &[SessionKey], cookies: &[(Box<str>, Vec<BrowserCookie>)]) {
        if cookies.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut table = self.table.lock();
        table.forget_before(self.oldest(now));
        for key in keys {
            if table.by_key.insert(*key, cookies.to_vec()).is_none() {
                table.order.push_back((now, *key));
            }
        }
        while table.by_key.len() > MOST && table.forget_oldest() {}
        self.count.store(table.by_key.len(), Ordering::Release);
    }

    /// Whether nothing is owed.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// What a browser holds of one host, if it shows a key of an ended session.
    pub(crate) fn of(&self, key: &SessionKey, host: &str) -> Vec<BrowserCookie> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut table = self.table.lock();
        table.forget_before(self.oldest(self.clock.now()));
        self.count.store(table.by_key.len(), Ordering::Release);
        let debt = table.by_key.get(key).and_then(|debt| debt.iter().find(|(other, _)| **other == *host));
        debt.map(|(_, cookies)| cookies.clone()).unwrap_or_default()
    }

    /// The browser that shows this key has been told to forget the cookies of this host.
    pub(crate) fn settle(&self, key: &SessionKey, host: &str) {
        let mut table = self.table.lock();
        table.settle(key, host);
        self.count.store(table.by_key.len(), Ordering::Release);
    }

    /// What ended before this moment is owed no more.
    fn oldest(&self, now: Moment) -> Moment {
        now.before(Duration::from_secs(self.lifetime.load(Ordering::Relaxed)))
    }
}

impl Table {
    fn settle(&mut self, key: &SessionKey, host: &str) {
        let Some(debt) = self.by_key.get_mut(key) else { return };
        debt.retain(|(other, _)| **other != *host);
        if debt.is_empty() {
            self.by_key.remove(key);
            self.order.retain(|(_, other)| other != key);
        }
    }

    fn forget_before(&mut self, moment: Moment) {
        while self.order.front().is_some_and(|(at, _)| *at < moment) && self.forget_oldest() {}
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.order.pop_front();
        oldest.map(|(_, key)| self.by_key.remove(&key)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::session_id::SessionId;

    fn key() -> SessionKey {
        SessionId::generate().unwrap().key()
    }

    fn owed(name: &str) -> Vec<(Box<str>, Vec<BrowserCookie>)> {
        ["app.test", "shop.test"].map(|host| (host.into(), vec![BrowserCookie::of_host(name.as_bytes(), b"/")])).into()
    }

    #[test]
    fn a_debt_is_settled_once_on_each_host() {
        let ((clock, hands), one, other) = (Clock::manual(), key(), key());
        let debts = Debts::new(clock);
        debts.set_lifetime(Duration::from_secs(60));
        debts.owe(&[one, other], &owed("a"));
        debts.owe(&[key()], &[]);
        assert!(debts.of(&key(), "app.test").is_empty() && debts.of(&one, "x.test").is_empty());
        assert_eq!(debts.of(&one, "app.test"), owed("a")[0].1);
        assert_eq!(debts.of(&one, "app.test").len(), 1, "asking settles nothing");
        debts.settle(&one, "app.test");
        assert!(debts.of(&one, "app.test").is_empty());
        assert_eq!(debts.of(&one, "shop.test").len(), 1);
        debts.settle(&one, "shop.test");
        hands.advance(Duration::from_secs(60));
        assert_eq!(debts.of(&other, "app.test").len(), 1);
        hands.advance(Duration::from_secs(1));
        assert!(debts.of(&other, "shop.test").is_empty(), "it stands no longer");
        assert!(debts.is_empty());
    }

    #[test]
    fn the_table_is_bounded() {
        let (debts, first) = (Debts::new(Clock::manual().0), key());
        debts.set_lifetime(Duration::from_secs(60));
        debts.owe(&[first], &owed("a"));
        (0..MOST).for_each(|_| debts.owe(&[key()], &owed("a")));
        let table = debts.table.lock();
        assert_eq!((table.by_key.len(), table.order.len()), (MOST, MOST));
        assert!(!table.by_key.contains_key(&first));
    }
}
