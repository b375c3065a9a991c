//! The vault of one session: for each host the jar, and the cookies that the browser was given.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::browser_cookie::BrowserCookie;
use super::changes::ChangedKeys;
use super::codec::{Decoder, Encoder};
use super::jar::{Change, CookieContext, Jar, MAX_COOKIE_SIZE};
use super::last_jar::LastJar;
use super::set_cookie::SetCookie;

/// The maximum number of cookies in the jars of one session.
const MAX_COOKIES: usize = 50;
/// The maximum total size of their names and values in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// For each host the maximum number of remembered cookies of the browser, and of the names in each other list.
const MAX_REMEMBERED: usize = 32;

/// The application cookies of one session. They end with the session: see [`Vault::close`].
#[derive(Debug, Default)]
pub(crate) struct Vault {
    pub(super) hosts: Mutex<Hosts>,
    /// Held while cookies are read from a store or written to it, and while another session takes over the vault.
    pub(crate) exchange: tokio::sync::Mutex<()>,
    /// The last known version in the store.
    stored: AtomicU32,
}

/// The content of a vault by host. There are few hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    list: Vec<HostCookies>,
    pub(super) is_closed: bool,
    /// The number of cookies that were in the jars when the vault was closed.
    dropped: usize,
    /// The closed jars, until they are taken for the logout calls.
    left: Vec<LastJar>,
    /// Whether the store has not confirmed the last write.
    unsaved: bool,
}

/// The cookies of one host.
#[derive(Debug, Default)]
pub(super) struct HostCookies {
    host: Box<str>,
    pub(super) jar: Jar,
    /// The cookies that the browser was given, which are expired at the end of the session.
    remembered: Vec<BrowserCookie>,
    /// The names that were already moved from the browser into the jar: each is moved once.
    carried: Vec<Box<[u8]>>,
    /// The names of withheld cookies that the browser was told to expire: each once.
    told: Vec<Box<[u8]>>,
    /// The kind of changes of these lists that are not in the store.
    change: Change,
    /// The unsaved changes of `remembered`.
    changes: ChangedKeys<BrowserCookie>,
}

/// A limit is exceeded: the cookie is passed to the browser instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VaultFull;

/// The application cookies of a session that has ended.
#[derive(Debug, Default)]
pub(crate) struct ClosedVault {
    /// The number of cookies that were deleted in the gateway.
    pub(crate) dropped: usize,
    /// The cookies in the browser by host.
    pub(crate) in_browser: Vec<(Box<str>, Vec<BrowserCookie>)>,
}

impl Vault {
    /// Closes the vault of a session whose end mark is set: its jars are emptied, and no cookie can be added any more.
    /// Further calls return the same.
    pub(crate) fn close(&self) -> ClosedVault {
        let mut hosts = self.hosts.lock();
        hosts.is_closed = true;
        let Hosts { list, dropped, left, .. } = &mut *hosts;
        for host in list {
            let jar = std::mem::take(&mut host.jar);
            *dropped += jar.len();
            left.extend((jar.len() > 0).then(|| LastJar::new(&host.host, jar)));
        }
        ClosedVault { dropped: hosts.dropped, in_browser: hosts.in_browser() }
    }

    /// The cookies in the browser by host.
    pub(crate) fn in_browser(&self) -> Vec<(Box<str>, Vec<BrowserCookie>)> {
        self.hosts.lock().in_browser()
    }

    /// Takes the closed jars out of the vault.
    pub(crate) fn take_left(&self) -> Vec<LastJar> {
        std::mem::take(&mut self.hosts.lock().left)
    }

    /// The cookies that the browser was given by this session for a host.
    pub(crate) fn remembered(&self, host: &str) -> Vec<BrowserCookie> {
        self.hosts.lock().find(host).map(|host| host.remembered.clone()).unwrap_or_default()
    }

    /// The names of the cookies in the jar of a host.
    pub(crate) fn names(&self, host: &str) -> Vec<String> {
        let names = |host: &mut HostCookies| host.jar.names().map(|name| name.escape_ascii().to_string()).collect();
        self.hosts.lock().find(host).map(names).unwrap_or_default()
    }

    /// Takes over the cookies of an earlier session of the same user in the same browser.
    pub(crate) fn take_over(&self, earlier: &Self) {
        let list = {
            let mut earlier = earlier.hosts.lock();
            if earlier.is_closed {
                return;
            }
            std::mem::take(&mut earlier.list)
        };
        let mut hosts = self.hosts.lock();
        if hosts.list.is_empty() && !hosts.is_closed {
            hosts.list = list;
            hosts.list.iter_mut().for_each(HostCookies::note_all_changed);
            hosts.unsaved = true;
        }
    }

    /// The kind of changes that are not in the store yet.
    pub(crate) fn change(&self) -> Change {
        let hosts = self.hosts.lock();
        match hosts.is_closed {
            // Cookies of an ended session are not written.
            true => Change::Nothing,
            false if hosts.unsaved => Change::Changed,
            false => hosts.list.iter().map(HostCookies::change).max().unwrap_or_default(),
        }
    }

    /// The serialised content for a store; `None` if there are no changes. To be followed by [`Vault::saved`], or by
    /// [`Vault::note_unsaved`] if the store does not confirm the write.
    pub(crate) fn save(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.change() == Change::Nothing {
            return None;
        }
        let mut hosts = self.hosts.lock();
        hosts.unsaved = false;
        let mut to = Encoder::new();
        to.put_number(hosts.list.len() as u64);
        hosts.list.iter_mut().for_each(|host| host.save(&mut to));
        Some(to.into_bytes())
    }

    /// Records that the store has confirmed the output of [`Vault::save`] as this version.
    pub(crate) fn saved(&self, version: u32) {
        let mut hosts = self.hosts.lock();
        hosts.list.iter_mut().for_each(HostCookies::saved);
        self.stored.store(version, Ordering::Release);
    }

    /// Records that the store may not have the output of [`Vault::save`].
    pub(crate) fn note_unsaved(&self) {
        let mut hosts = self.hosts.lock();
        hosts.unsaved = true;
        hosts.list.iter_mut().for_each(HostCookies::not_saved);
    }

    /// The last known version in the store.
    pub(crate) fn stored_version(&self) -> u32 {
        self.stored.load(Ordering::Acquire)
    }

    /// Replaces the content by that of the store, and applies the unsaved changes to it.
    pub(crate) fn renew(&self, newer: Self) {
        let mut hosts = self.hosts.lock();
        if hosts.is_closed {
            return;
        }
        self.stored.store(newer.stored.into_inner(), Ordering::Release);
        let mut list = newer.hosts.into_inner().list;
        for older in hosts.list.drain(..) {
            match list.iter_mut().find(|newer| newer.host == older.host) {
                Some(newer) => newer.apply(older),
                None => list.push(older),
            }
        }
        hosts.list = list;
    }

    /// Marks everything as unsaved, because the vault now belongs to another session, or the store has lost confirmed
    /// writes. `version` is the version that the store has.
    pub(crate) fn note_moved(&self, version: u32) {
        let mut hosts = self.hosts.lock();
        self.stored.store(version, Ordering::Release);
        hosts.list.iter_mut().for_each(HostCookies::note_all_changed);
        hosts.unsaved = !hosts.list.is_empty();
    }

    /// Parses the content from a store. `None` if it is damaged, or its format is of a later version.
    pub(crate) fn read(saved: &[u8], version: u32) -> Option<Self> {
        let mut from = Decoder::new(saved)?;
        let list = from.list(HostCookies::read)?;
        let hosts = Hosts { list, ..Hosts::default() };
        let (hosts, stored) = (Mutex::new(hosts), AtomicU32::new(version));
        from.is_at_end().then(|| Self { hosts, stored, ..Self::default() })
    }
}

impl Hosts {
    fn in_browser(&self) -> Vec<(Box<str>, Vec<BrowserCookie>)> {
        let holding = self.list.iter().filter(|host| !host.remembered.is_empty());
        holding.map(|host| (host.host.clone(), host.remembered.clone())).collect()
    }

    pub(super) fn find(&mut self, host: &str) -> Option<&mut HostCookies> {
        self.list.iter_mut().find(|other| *other.host == *host)
    }

    /// The cookies of a host; empty if there are none yet.
    pub(super) fn at(&mut self, host: &str) -> Option<&mut HostCookies> {
        if self.find(host).is_none() {
            self.list.push(HostCookies { host: host.into(), ..HostCookies::default() });
        }
        self.find(host)
    }

    /// Adds a cookie to the jar of a host.
    ///
    /// # Errors
    /// [`VaultFull`]
    pub(super) fn put(
        &mut self,
        host: &str,
        cookie: &SetCookie<'_>,
        asked: CookieContext<'_>,
    ) -> Result<(), VaultFull> {
        let size = cookie.name.len() + cookie.value.len();
        self.list.iter_mut().for_each(|host| host.jar.sweep(asked.now));
        let count: usize = self.list.iter().map(|host| host.jar.len()).sum();
        let bytes: usize = self.list.iter().map(|host| host.jar.size()).sum();
        let Some(at) = self.at(host) else { return Err(VaultFull) };
        let replaced = at.jar.size_of(cookie.name, cookie.path(asked.path));
        let (count, bytes) = (count - usize::from(replaced.is_some()), bytes - replaced.unwrap_or(0));
        if size > MAX_COOKIE_SIZE || count >= MAX_COOKIES || bytes + size > MAX_BYTES {
            return Err(VaultFull);
        }
        at.jar.put(cookie, asked);
        Ok(())
    }
}

impl HostCookies {
    fn change(&self) -> Change {
        self.change.max(self.jar.change())
    }

    fn save(&mut self, to: &mut Encoder) {
        self.change = Change::Nothing;
        self.changes.begin_write();
        to.put_bytes(self.host.as_bytes());
        self.jar.save(to);
        to.put_list(&self.remembered, BrowserCookie::save);
        for names in [&self.carried, &self.told] {
            to.put_list(names, |name, to| to.put_bytes(name));
        }
    }

    fn read(from: &mut Decoder<'_>) -> Option<Self> {
        let host = std::str::from_utf8(from.bytes()?).ok()?.into();
        let (jar, remembered) = (Jar::read(from)?, from.list(BrowserCookie::read)?);
        let names = |from: &mut Decoder<'_>| from.list(|from| from.bytes().map(Box::from));
        let (carried, told) = (names(from)?, names(from)?);
        Some(Self { host, jar, remembered, carried, told, ..Self::default() })
    }

    fn saved(&mut self) {
        self.jar.saved();
        self.changes.end_write();
    }

    fn not_saved(&mut self) {
        self.jar.not_saved();
        self.changes.take_back();
    }

    fn note_all_changed(&mut self) {
        self.jar.note_all_changed();
        self.remembered.iter().for_each(|cookie| self.changes.note(cookie.clone()));
        self.change = Change::Changed;
    }

    /// Applies the unsaved changes of an older copy to these cookies, which are from the store.
    fn apply(&mut self, older: Self) {
        self.jar.apply(older.jar);
        for changed in older.changes.iter() {
            if older.remembered.contains(changed) {
                self.remember(changed.clone());
            } else {
                self.forget(changed);
            }
        }
        older.carried.iter().for_each(|name| _ = self.carry(name));
        older.told.iter().for_each(|name| _ = self.note_expired(name));
        self.changes = older.changes;
        self.change = older.change;
    }

    /// Records that a name is moved from the browser into the jar. Returns whether it was moved before.
    pub(super) fn carry(&mut self, name: &[u8]) -> bool {
        let is_new = !self.carried.iter().any(|carried| **carried == *name) && self.carried.len() < MAX_REMEMBERED;
        if is_new {
            self.carried.push(name.into());
            self.change = Change::Changed;
        }
        !is_new
    }

    /// Whether the browser was given a cookie with this name.
    pub(super) fn is_remembered(&self, name: &[u8]) -> bool {
        self.remembered.iter().any(|cookie| *cookie.name == *name)
    }

    /// Remembers a cookie that the browser is given. Beyond the maximum the oldest is removed.
    pub(super) fn remember(&mut self, cookie: BrowserCookie) {
        if self.remembered.contains(&cookie) {
            return;
        }
        if self.remembered.len() == MAX_REMEMBERED {
            tracing::debug!(host = %self.host, "too many cookies to remember: the logout leaves the oldest one");
            self.remembered.remove(0);
        }
        self.changes.note(cookie.clone());
        self.remembered.push(cookie);
        self.change = Change::Changed;
    }

    /// Removes a cookie that was deleted in the browser.
    pub(super) fn forget(&mut self, cookie: &BrowserCookie) {
        self.take_out(|other| other == cookie);
    }

    /// Removes and returns the remembered cookies with this name.
    pub(super) fn take_remembered(&mut self, name: &[u8]) -> Vec<BrowserCookie> {
        self.take_out(|cookie| *cookie.name == *name)
    }

    fn take_out(&mut self, mut which: impl FnMut(&BrowserCookie) -> bool) -> Vec<BrowserCookie> {
        let taken: Vec<_> = self.remembered.extract_if(.., |cookie| which(cookie)).collect();
        if !taken.is_empty() {
            self.change = Change::Changed;
            taken.iter().for_each(|cookie| self.changes.note(cookie.clone()));
        }
        taken
    }

    /// Whether the browser has to be told to expire a withheld cookie with this name. `true` once for each name, since
    /// cookies that it still sends are withheld anyway.
    pub(super) fn note_expired(&mut self, name: &[u8]) -> bool {
        let is_new = !self.told.iter().any(|told| **told == *name) && self.told.len() < MAX_REMEMBERED;
        if is_new {
            self.told.push(name.into());
            // Telling the browser twice is harmless, so this is written with the next change.
            self.change = self.change.max(Change::Prolonged);
        }
        is_new
    }
}
