//! Debts: the application cookies that browsers still hold of sessions which ended without a request of theirs, such as
//! by an idle timeout or a revocation. When a browser presents the key of such a session, the answer expires these
//! cookies, before another user signs in there. A store keeps debts over a restart.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::browser_cookie::BrowserCookie;
use super::codec::{Decoder, Encoder};
use crate::values::session_id::SessionKey;
use crate::values::time::{Clock, Moment};

/// The maximum number of keys. Beyond it the oldest is removed. The table takes some 20 MiB at most.
pub(crate) const MAX_DEBTS: usize = 10_000;
/// The maximum number of cookies for a key and host.
const MAX_COOKIES: usize = 256;
/// The maximum average number of cookies for a key. Beyond it the oldest keys are removed.
const MAX_AVERAGE: usize = 32;
/// The maximum number of keys with changes that are not in the store. Beyond it the store keeps some debts too long, so
/// a browser may be told twice to expire cookies.
const MAX_UNSAVED: usize = 2 * MAX_DEBTS;

/// The table of debts.
#[derive(Debug)]
pub(crate) struct Debts {
    clock: Clock,
    /// The number of keys. If it is zero, as on most gateways, the table is not locked.
    count: AtomicUsize,
    /// The lifetime of a debt in seconds.
    lifetime: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<SessionKey, Debt>,
    /// The total number of cookies.
    cookies: usize,
    /// The keys with the moments at which their sessions ended, the oldest first.
    order: VecDeque<(Moment, SessionKey)>,
    /// The keys with changes that are not in the store.
    unsaved: HashSet<SessionKey>,
    /// Whether there is a store.
    is_kept: bool,
}

/// The cookies of one session in a browser.
#[derive(Debug)]
struct Debt {
    /// The moment at which the session ended.
    at: Moment,
    /// The cookies by host.
    hosts: InBrowser,
}

impl Debt {
    fn len(&self) -> usize {
        self.hosts.iter().map(|(_, cookies)| cookies.len()).sum()
    }
}

type InBrowser = Vec<(Box<str>, Vec<BrowserCookie>)>;

/// The debt for one key in its stored form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SavedDebt {
    /// The key of the ended session.
    pub(crate) key: SessionKey,
    /// The moment at which the session ended.
    pub(crate) at: Moment,
    /// The serialised cookies; empty if there are none left to expire.
    pub(crate) content: Vec<u8>,
}

impl Debts {
    /// An empty table with a lifetime of zero.
    pub(crate) fn new(clock: Clock) -> Self {
        let (count, lifetime, table) = Default::default();
        Self { clock, count, lifetime, table }
    }

    /// Sets the lifetime of debts.
    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        self.lifetime.store(lifetime.as_secs(), Ordering::Relaxed);
    }

    /// Begins to track changes for a store.
    pub(crate) fn keep(&self) {
        self.table.lock().is_kept = true;
    }

    /// Adds the cookies of an ended session under each of its keys.
    pub(crate) fn add(&self, keys: &[SessionKey], cookies: &[(Box<str>, Vec<BrowserCookie>)]) {
        if cookies.is_empty() {
            return;
        }
        let now = self.clock.now();
        self.change(|table| keys.iter().for_each(|key| table.add(*key, now, cookies)));
    }

    /// Whether there are no debts.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// The cookies to be expired on a host in a browser that presents this key.
    pub(crate) fn of(&self, key: &SessionKey, host: &str) -> Vec<BrowserCookie> {
        if self.is_empty() {
            return Vec::new();
        }
        self.change(|table| {
            let hosts = table.by_key.get(key).map(|debt| &debt.hosts);
            let debt = hosts.and_then(|hosts| hosts.iter().find(|(other, _)| **other == *host));
            debt.map(|(_, cookies)| cookies.clone()).unwrap_or_default()
        })
    }

    /// Records that the browser with this key was told to expire its cookies on a host, except those in `left`. The key
    /// may also be that of the next session in the browser.
    pub(crate) fn keep_only(&self, key: &SessionKey, host: &str, left: &[BrowserCookie]) {
        let (now, left) = (self.clock.now(), left.get(..MAX_COOKIES).unwrap_or(left));
        self.change(|table| table.keep_only(key, host, now, left));
    }

    /// The unsaved debts for these keys. They count as saved from now on, unless [`Debts::note_unsaved`] is called.
    pub(crate) fn take_unsaved_of(&self, keys: &[SessionKey]) -> Vec<SavedDebt> {
        self.change(|table| keys.iter().filter_map(|key| table.take_unsaved(key)).collect())
    }

    /// Unsaved debts for any keys, at most `most`.
    pub(crate) fn take_unsaved(&self, most: usize) -> Vec<SavedDebt> {
        self.change(|table| {
            let keys: Vec<_> = table.unsaved.iter().take(most).copied().collect();
            keys.iter().filter_map(|key| table.take_unsaved(key)).collect()
        })
    }

    /// Records that the store has not confirmed these debts.
    pub(crate) fn note_unsaved(&self, debts: &[SavedDebt]) {
        self.change(|table| debts.iter().for_each(|debt| table.note_change(debt.key)));
    }

    /// Adds debts from a store, given with the newest first. Debts that have expired or cannot be parsed are left out.
    pub(crate) fn restore(&self, saved: Vec<SavedDebt>) {
        let oldest = self.oldest();
        self.change(|table| {
            for SavedDebt { key, at, content } in saved.into_iter().rev().filter(|saved| saved.at >= oldest) {
                if let Some(hosts) = read(&content) {
                    table.add(key, at, &hosts);
                    table.unsaved.remove(&key);
                }
            }
        });
    }

    fn oldest(&self) -> Moment {
        self.clock.now().before(Duration::from_secs(self.lifetime.load(Ordering::Relaxed)))
    }

    /// Changes the table. Expired debts are removed before the change, and those over the limits after it.
    fn change<T>(&self, what: impl FnOnce(&mut Table) -> T) -> T {
        let oldest = self.oldest();
        let mut table = self.table.lock();
        table.forget_before(oldest);
        let done = what(&mut table);
        while (table.by_key.len() > MAX_DEBTS || table.cookies > MAX_DEBTS * MAX_AVERAGE) && table.forget_oldest() {}
        self.count.store(table.by_key.len(), Ordering::Release);
        done
    }
}

impl Table {
    /// Adds cookies for a key. Those that are already recorded, from before the end or from another session, are kept.
    fn add(&mut self, key: SessionKey, at: Moment, more: &[(Box<str>, Vec<BrowserCookie>)]) {
        let mut hosts = self.by_key.get(&key).map(|debt| debt.hosts.clone()).unwrap_or_default();
        for (host, cookies) in more {
            match hosts.iter_mut().find(|(other, _)| other == host) {
                Some((_, known)) => {
                    let missing: Vec<_> = cookies.iter().filter(|cookie| !known.contains(cookie)).cloned().collect();
                    known.extend(missing);
                    known.truncate(MAX_COOKIES);
                }
                None => hosts.push((host.clone(), cookies.clone())),
            }
        }
        self.put(key, Debt { at, hosts });
    }

    fn keep_only(&mut self, key: &SessionKey, host: &str, at: Moment, left: &[BrowserCookie]) {
        let (mut hosts, at) = self.by_key.get(key).map_or((Vec::new(), at), |debt| (debt.hosts.clone(), debt.at));
        hosts.retain(|(other, _)| **other != *host);
        if !left.is_empty() {
            hosts.push((host.into(), left.to_vec()));
        }
        self.put(*key, Debt { at, hosts });
    }

    fn put(&mut self, key: SessionKey, debt: Debt) {
        let before = self.by_key.get(&key);
        if before.map(|before| &before.hosts).unwrap_or(&Vec::new()) == &debt.hosts {
            return;
        }
        if before.is_some() {
            self.order.retain(|(_, other)| *other != key);
        }
        self.take(&key);
        if !debt.hosts.is_empty() {
            self.order.push_back((debt.at, key));
            self.cookies += debt.len();
            self.by_key.insert(key, debt);
        }
        self.note_change(key);
    }

    fn take(&mut self, key: &SessionKey) {
        let gone = self.by_key.remove(key);
        self.cookies -= gone.map_or(0, |debt| debt.len());
    }

    fn forget_before(&mut self, moment: Moment) {
        while self.order.front().is_some_and(|(at, _)| *at < moment) && self.forget_oldest() {}
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, key)) = self.order.pop_front() else { return false };
        self.take(&key);
        self.note_change(key);
        true
    }

    fn note_change(&mut self, key: SessionKey) {
        if self.is_kept && self.unsaved.len() < MAX_UNSAVED {
            self.unsaved.insert(key);
        }
    }

    fn take_unsaved(&mut self, key: &SessionKey) -> Option<SavedDebt> {
        self.unsaved.remove(key).then(|| match self.by_key.get(key) {
            Some(Debt { at, hosts }) => SavedDebt { key: *key, at: *at, content: write(hosts) },
            None => SavedDebt { key: *key, at: Moment::default(), content: Vec::new() },
        })
    }
}

fn write(hosts: &InBrowser) -> Vec<u8> {
    let mut to = Encoder::new();
    to.put_list(hosts, |(host, cookies), to| {
        to.put_bytes(host.as_bytes());
        to.put_list(cookies, BrowserCookie::save);
    });
    to.into_bytes().to_vec()
}

fn read(content: &[u8]) -> Option<InBrowser> {
    let mut from = Decoder::new(content)?;
    let hosts = from.list(|from| {
        let host = std::str::from_utf8(from.bytes()?).ok()?.into();
        Some((host, from.list(BrowserCookie::read)?))
    })?;
    (from.is_at_end() && !hosts.is_empty()).then_some(hosts)
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
    fn a_debt_is_removed_once_it_was_settled_on_each_host() {
        let ((clock, hands), one, other) = (Clock::manual(), key(), key());
        let debts = Debts::new(clock);
        debts.set_lifetime(Duration::from_secs(60));
        debts.add(&[one, other], &owed("a"));
        debts.add(&[key()], &[]);
        assert!(debts.of(&key(), "app.test").is_empty() && debts.of(&one, "x.test").is_empty());
        assert_eq!(debts.of(&one, "app.test"), owed("a")[0].1);
        assert_eq!(debts.of(&one, "app.test").len(), 1, "reading does not settle it");
        debts.keep_only(&one, "app.test", &[]);
        assert!(debts.of(&one, "app.test").is_empty());
        assert_eq!(debts.of(&one, "shop.test").len(), 1);
        debts.keep_only(&one, "shop.test", &[]);
        hands.advance(Duration::from_secs(60));
        assert_eq!(debts.of(&other, "app.test").len(), 1);
        hands.advance(Duration::from_secs(1));
        assert!(debts.of(&other, "shop.test").is_empty(), "it has expired");
        assert!(debts.is_empty());
    }

    #[test]
    fn the_table_is_bounded() {
        let (debts, first) = (Debts::new(Clock::manual().0), key());
        debts.set_lifetime(Duration::from_secs(60));
        debts.add(&[first], &owed("a"));
        (0..MAX_DEBTS).for_each(|_| debts.add(&[key()], &owed("a")));
        let table = debts.table.lock();
        assert_eq!((table.by_key.len(), table.order.len()), (MAX_DEBTS, MAX_DEBTS));
        assert!(!table.by_key.contains_key(&first));
    }

    #[test]
    fn every_change_is_saved_once() {
        let ((clock, hands), one, other) = (Clock::manual(), key(), key());
        let debts = Debts::new(clock.clone());
        debts.set_lifetime(Duration::from_secs(60));
        debts.add(&[one], &owed("a"));
        assert!(debts.take_unsaved(10).is_empty(), "without a store changes are not tracked");
        debts.keep();
        debts.add(&[one, other], &owed("b"));
        let saved = debts.take_unsaved_of(&[one]);
        assert!(saved.len() == 1 && debts.take_unsaved_of(&[one]).is_empty());
        debts.note_unsaved(&saved);
        debts.add(&[one], &owed("b"));
        let mut both = debts.take_unsaved(10);
        both.sort_by_key(|debt| debt.key != one);
        assert!(both.len() == 2 && both[0] == saved[0] && debts.take_unsaved(10).is_empty());
        hands.advance(Duration::from_secs(30));
        let restarted = Debts::new(clock);
        restarted.keep();
        restarted.set_lifetime(Duration::from_secs(60));
        both.push(SavedDebt { content: b"?".to_vec(), key: key(), at: both[0].at });
        restarted.restore(both);
        assert_eq!(restarted.of(&other, "shop.test"), owed("b")[1].1);
        assert!(restarted.take_unsaved(10).is_empty(), "the store has them");
        restarted.keep_only(&one, "app.test", &[]);
        assert_eq!(restarted.take_unsaved(10).len(), 1);
        restarted.keep_only(&one, "shop.test", &[]);
        let settled = restarted.take_unsaved(10);
        assert!(settled.len() == 1 && settled[0].key == one && settled[0].content.is_empty());
        hands.advance(Duration::from_secs(31));
        assert!(restarted.of(&other, "app.test").is_empty(), "the lifetime begins at the end of the session");
        assert!(restarted.take_unsaved(10).iter().all(|debt| debt.key == other && debt.content.is_empty()));
    }
}
