//! One session's vault: its jars, and what it knows of its browser, for each host.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::browser_cookie::BrowserCookie;
use super::changes::Changes;
use super::jar::{Asked, Change, Jar, LARGEST};
use super::last_jar::LastJar;
use super::saved::{Reader, Writer};
use super::set_cookie::SetCookie;

/// Cookies of one session in the gateway.
const MOST_COOKIES: usize = 50;
/// Their names and values, in bytes.
const MOST_BYTES: usize = 64 * 1024;
/// Cookies of one session that are remembered as the browser's, and withheld ones that are remembered as told to go.
const MOST_REMEMBERED: usize = 32;

/// The application cookies of one session. Gone with the session: see [`Vault::close`].
#[derive(Debug, Default)]
pub(crate) struct Vault {
    pub(super) hosts: Mutex<Hosts>,
    /// Held while newer cookies are read from a store, while they are written to it, and while another session takes
    /// over the vault.
    pub(crate) exchange: tokio::sync::Mutex<()>,
    /// The version that the store has, as far as is known.
    stored: AtomicU32,
}

/// What a vault has for each host name. There are few.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    list: Vec<HostCookies>,
    pub(super) is_closed: bool,
    /// How many cookies there were in the jars when they were closed.
    dropped: usize,
    /// These, for the calls that end the applications' own sessions, until they are taken.
    left: Vec<LastJar>,
    /// The store does not have what it was last given.
    unsaved: bool,
}

/// The cookies of one host.
#[derive(Debug, Default)]
pub(super) struct HostCookies {
    host: Box<str>,
    pub(super) jar: Jar,
    /// What the browser was given, and has to forget at the end.
    remembered: Vec<BrowserCookie>,
    /// Names that the browser has brought into this session: each may do so once.
    carried: Vec<Box<[u8]>>,
    /// Names that the browser was told to forget because they are the gateway's: each once.
    told: Vec<Box<[u8]>>,
    /// Whether the store knows these lists.
    change: Change,
    /// What it does not know of what is remembered.
    changes: Changes<BrowserCookie>,
}

/// Over a limit: the cookie goes to the browser instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The application cookies of a session that has ended.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    /// How many cookies the gateway had, and dropped.
    pub(crate) dropped: usize,
    /// What the browser holds, for each host.
    pub(crate) in_browser: Vec<(Box<str>, Vec<BrowserCookie>)>,
}

impl Vault {
    /// Forgets the jars of a session whose end mark is set. Nothing enters them from now on. Further calls return the
    /// same.
    pub(crate) fn close(&self) -> Closed {
        let mut hosts = self.hosts.lock();
        hosts.is_closed = true;
        let Hosts { list, dropped, left, .. } = &mut *hosts;
        for host in list {
            let jar = std::mem::take(&mut host.jar);
            *dropped += jar.len();
            left.extend((jar.len() > 0).then(|| LastJar::new(&host.host, jar)));
        }
        Closed { dropped: hosts.dropped, in_browser: hosts.in_browser() }
    }

    /// What the browser holds, for each host.
    pub(crate) fn in_browser(&self) -> Vec<(Box<str>, Vec<BrowserCookie>)> {
        self.hosts.lock().in_browser()
    }

    /// Takes out what the jars had when they were closed. From now on only the caller has it.
    pub(crate) fn take_left(&self) -> Vec<LastJar> {
        std::mem::take(&mut self.hosts.lock().left)
    }

    /// What the browser holds of one host, as far as it was given by this session.
    pub(crate) fn remembered(&self, host: &str) -> Vec<BrowserCookie> {
        self.hosts.lock().find(host).map(|host| host.remembered.clone()).unwrap_or_default()
    }

    /// The names of the cookies in the jar of a host.
    pub(crate) fn names(&self, host: &str) -> Vec<String> {
        let names = |host: &mut HostCookies| host.jar.names().map(|name| name.escape_ascii().to_string()).collect();
        self.hosts.lock().find(host).map(names).unwrap_or_default()
    }

    /// Takes over what an earlier session of the same user had in the same browser.
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

    /// What the store does not know yet.
    pub(crate) fn change(&self) -> Change {
        let hosts = self.hosts.lock();
        match hosts.is_closed {
            // Nothing is written of a session that has ended.
            true => Change::Nothing,
            false if hosts.unsaved => Change::Changed,
            false => hosts.list.iter().map(HostCookies::change).max().unwrap_or_default(),
        }
    }

    /// Everything, to be given to a store; `None` if it has that already. To be followed by [`Vault::saved`], or by
    /// [`Vault::note_unsaved`] where the store does not take it.
    pub(crate) fn save(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.change() == Change::Nothing {
            return None;
        }
        let mut hosts = self.hosts.lock();
        hosts.unsaved = false;
        let mut to = Writer::new();
        to.put_number(hosts.list.len() as u64);
        hosts.list.iter_mut().for_each(|host| host.save(&mut to));
        Some(to.into_bytes())
    }

    /// The store has what [`Vault::save`] gave, as this version.
    pub(crate) fn saved(&self, version: u32) {
        let mut hosts = self.hosts.lock();
        hosts.list.iter_mut().for_each(HostCookies::saved);
        self.stored.store(version, Ordering::Release);
    }

    /// The store may not have what [`Vault::save`] gave.
    pub(crate) fn note_unsaved(&self) {
        let mut hosts = self.hosts.lock();
        hosts.unsaved = true;
        hosts.list.iter_mut().for_each(HostCookies::not_saved);
    }

    /// The version that the store has, as far as is known.
    pub(crate) fn stored_version(&self) -> u32 {
        self.stored.load(Ordering::Acquire)
    }

    /// Takes over what the store has. Of what was here only what the store was never given stays, applied to that.
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

    /// It belongs to another session from now on, of which the store has no cookies; or the store has lost what it had
    /// confirmed. What the store has is this version: everything is written again.
    pub(crate) fn note_moved(&self, version: u32) {
        let mut hosts = self.hosts.lock();
        self.stored.store(version, Ordering::Release);
        hosts.list.iter_mut().for_each(HostCookies::note_all_changed);
        hosts.unsaved = !hosts.list.is_empty();
    }

    /// A vault that a store has kept in this version. `None` if it is broken, or of a later form.
    pub(crate) fn read(saved: &[u8], version: u32) -> Option<Self> {
        let mut from = Reader::new(saved)?;
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

    /// What there is of this host; empty at first.
    pub(super) fn at(&mut self, host: &str) -> Option<&mut HostCookies> {
        if self.find(host).is_none() {
            self.list.push(HostCookies { host: host.into(), ..HostCookies::default() });
        }
        self.find(host)
    }

    /// Takes a cookie into the jar of a host.
    pub(super) fn put(&mut self, host: &str, cookie: &SetCookie<'_>, asked: Asked<'_>) -> Result<(), Full> {
        let size = cookie.name.len() + cookie.value.len();
        self.list.iter_mut().for_each(|host| host.jar.sweep(asked.now));
        let count: usize = self.list.iter().map(|host| host.jar.len()).sum();
        let bytes: usize = self.list.iter().map(|host| host.jar.size()).sum();
        let Some(at) = self.at(host) else { return Err(Full) };
        let replaced = at.jar.size_of(cookie.name, cookie.path(asked.path));
        let (count, bytes) = (count - usize::from(replaced.is_some()), bytes - replaced.unwrap_or(0));
        if size > LARGEST || count >= MOST_COOKIES || bytes + size > MOST_BYTES {
            return Err(Full);
        }
        at.jar.put(cookie, asked);
        Ok(())
    }
}

impl HostCookies {
    fn change(&self) -> Change {
        self.change.max(self.jar.change())
    }

    fn save(&mut self, to: &mut Writer) {
        self.change = Change::Nothing;
        self.changes.begin_write();
        to.put_bytes(self.host.as_bytes());
        self.jar.save(to);
        to.put_list(&self.remembered, BrowserCookie::save);
        for names in [&self.carried, &self.told] {
            to.put_list(names, |name, to| to.put_bytes(name));
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let host = std::str::from_utf8(from.bytes()?).ok()?.into();
        let (jar, remembered) = (Jar::read(from)?, from.list(BrowserCookie::read)?);
        let names = |from: &mut Reader<'_>| from.list(|from| from.bytes().map(Box::from));
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

    /// Applies to these cookies, which the store has, what was changed in an older copy of them since that was saved.
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
        older.told.iter().for_each(|name| _ = self.tell(name));
        self.changes = older.changes;
        self.change = older.change;
    }

    /// Whether the browser has brought a cookie of this name into this session before; from now on it has.
    pub(super) fn carry(&mut self, name: &[u8]) -> bool {
        let is_new = !self.carried.iter().any(|carried| **carried == *name) && self.carried.len() < MOST_REMEMBERED;
        if is_new {
            self.carried.push(name.into());
            self.change = Change::Changed;
        }
        !is_new
    }

    /// Whether the browser was given a cookie of this name.
    pub(super) fn is_remembered(&self, name: &[u8]) -> bool {
        self.remembered.iter().any(|cookie| *cookie.name == *name)
    }

    /// Remembers what the browser is given. One too many takes the place of the oldest.
    pub(super) fn remember(&mut self, cookie: BrowserCookie) {
        if self.remembered.contains(&cookie) {
            return;
        }
        if self.remembered.len() == MOST_REMEMBERED {
            tracing::debug!(host = %self.host, "more cookies of an application than are remembered");
            self.remembered.remove(0);
        }
        self.changes.note(cookie.clone());
        self.remembered.push(cookie);
        self.change = Change::Changed;
    }

    /// The browser has deleted this one.
    pub(super) fn forget(&mut self, cookie: &BrowserCookie) {
        self.take_out(|other| other == cookie);
    }

    /// Takes out what the browser was given under a name.
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

    /// Whether the browser is to be told now that it cannot set a cookie of this name: once in a session is enough,
    /// since what it still sends is withheld.
    pub(super) fn tell(&mut self, name: &[u8]) -> bool {
        let is_new = !self.told.iter().any(|told| **told == *name) && self.told.len() < MOST_REMEMBERED;
        if is_new {
            self.told.push(name.into());
            // Telling it twice is harmless, so this may be written with the next change.
            self.change = self.change.max(Change::Prolonged);
        }
        is_new
    }
}
