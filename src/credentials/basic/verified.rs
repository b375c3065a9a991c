//! A cache of verified credentials, so that a program which sends them with every request costs one password hash a
//! minute, not one a request.
//!
//! An entry has a MAC of the credentials under a random key of this process ([`MacKeys`]), never the password. Only
//! correct credentials are kept, one entry for each user, so that unauthenticated clients cannot fill the table. An
//! entry is dropped an hour after it was last verified; until then it distinguishes its program from attackers, whose
//! wrong passwords cannot lock it out.
//!
//! Requests register with a session without a key: no cookie names it and no list shows it, but when the user loses
//! access, the connections are cut as usual ([`Verified::forget`]).

use std::collections::{HashMap, hash_map};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::credentials::username_password::UsernamePassword;
use crate::session::record::Session;
use crate::values::end_cause::EndCause;
use crate::values::known_browser::BrowserId;
use crate::values::mac::{Mac, MacKeys, MacPurpose};
use crate::values::reason::Refusal;
use crate::values::time::Moment;

/// How long credentials are accepted without being checked again.
pub(crate) const VALID: Duration = Duration::from_secs(60);
/// How long they distinguish a program from attackers.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// The maximum number of entries; beyond that the one that was verified first is dropped.
const CAPACITY: usize = 10_000;

/// The result of a check, shared by all requests that sent the same credentials while it ran.
pub(crate) type Outcome = Result<Arc<Session>, Refusal>;

/// Whether the credentials of a request were checked before.
#[derive(Debug)]
pub(crate) enum EarlierCheck {
    /// They were verified less than [`VALID`] ago and are accepted.
    Valid(Arc<Session>),
    /// They were verified within the last hour, and have to be checked again.
    Known(BrowserId),
    /// They were not verified within the last hour.
    Unknown,
}

/// The credentials that were verified, and those that are being checked.
#[derive(Debug)]
pub(crate) struct Verified {
    /// `None` if the system has no random bytes for a key: then every request is checked.
    keys: Option<MacKeys>,
    table: Mutex<VerifiedTable>,
    under_way: Mutex<HashMap<String, watch::Receiver<Option<Outcome>>>>,
}

#[derive(Debug, Default)]
struct VerifiedTable {
    by_user: HashMap<Box<str>, VerifiedEntry>,
    /// All users with requests that may still be running.
    sessions: Vec<Weak<Session>>,
    /// Counts how often the table was cleared: the result of a check that began before is not entered afterwards.
    forgotten: u64,
}

#[derive(Debug)]
struct VerifiedEntry {
    code: Mac,
    id: BrowserId,
    verified: Moment,
    session: Arc<Session>,
}

/// Who checks the credentials.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// The caller, who has to report the result.
    Check(CheckInProgress<'a>),
    /// The result of another request with the same credentials; `None` if that was cancelled.
    Wait(watch::Receiver<Option<Outcome>>),
}

/// A check in progress. If it is dropped without a result, another request takes over.
#[derive(Debug)]
pub(crate) struct CheckInProgress<'a> {
    verified: &'a Verified,
    /// The MAC of the credentials; `None` without a key to compute it with.
    code: Option<String>,
    /// [`VerifiedTable::forgotten`] when it began.
    forgotten: u64,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Default for Verified {
    fn default() -> Self {
        Self { keys: MacKeys::generate().ok(), table: Mutex::default(), under_way: Mutex::default() }
    }
}

impl Verified {
    /// Looks up credentials.
    pub(crate) fn find(&self, presented: &UsernamePassword, now: Moment) -> EarlierCheck {
        let table = self.table.lock();
        let Some(entry) = table.by_user.get(presented.user.as_str()) else { return EarlierCheck::Unknown };
        let age = now.duration_since(entry.verified);
        let verify = |keys: &MacKeys| keys.verify(MacPurpose::BasicCredentials, &parts(presented), &entry.code);
        if age >= REMEMBERED || !self.keys.as_ref().is_some_and(verify) {
            EarlierCheck::Unknown
        } else if age < VALID && !entry.session.has_ended() {
            EarlierCheck::Valid(Arc::clone(&entry.session))
        } else {
            EarlierCheck::Known(entry.id)
        }
    }

    /// Decides who checks: of many concurrent requests with the same credentials, one does.
    pub(crate) fn turn(&self, presented: &UsernamePassword) -> Turn<'_> {
        let code = self.code(presented).map(|code| code.encode());
        let (outcome, others) = watch::channel(None);
        if let Some(code) = code.clone() {
            match self.under_way.lock().entry(code) {
                hash_map::Entry::Occupied(taken) => return Turn::Wait(taken.get().clone()),
                hash_map::Entry::Vacant(free) => drop(free.insert(others)),
            }
        }
        Turn::Check(CheckInProgress { verified: self, code, forgotten: self.table.lock().forgotten, outcome })
    }

    /// Drops entries that are too old, and cuts connections that have lasted for `longest` since their check. Returns
    /// how many were cut.
    pub(crate) fn sweep(&self, longest: Duration, grace: Duration, now: Moment) -> usize {
        let mut table = self.table.lock();
        table.forget_old(now);
        let is_over = |session: &Session| now.duration_since(session.created()) >= longest;
        table.end(grace, |session| is_over(session).then_some(EndCause::Absolute))
    }

    /// Clears the table, so that all credentials are checked again. Connections of users for whom `is_over` returns a
    /// cause are cut; the others go on. Returns how many were cut. For a reload, a change of the users' file, or an
    /// operator.
    pub(crate) fn forget(&self, grace: Duration, is_over: impl Fn(&Session) -> Option<EndCause>) -> usize {
        let mut table = self.table.lock();
        // The end marks are set before the entries are removed: a request that has looked up its entry already is cut
        // as well.
        let connections = table.end(grace, is_over);
        table.by_user.clear();
        table.forgotten += 1;
        connections
    }

    fn code(&self, presented: &UsernamePassword) -> Option<Mac> {
        self.keys.as_ref().map(|keys| keys.sign(MacPurpose::BasicCredentials, &parts(presented)))
    }
}

impl VerifiedTable {
    fn forget_old(&mut self, now: Moment) {
        self.by_user.retain(|_, entry| now.duration_since(entry.verified) < REMEMBERED);
        self.sessions.retain(|session| session.strong_count() > 0);
    }

    fn insert(&mut self, user: Box<str>, entry: VerifiedEntry) {
        if self.by_user.len() >= CAPACITY {
            let first = self.by_user.iter().min_by_key(|(_, entry)| entry.verified).map(|(user, _)| user.clone());
            if let Some(first) = first {
                self.by_user.remove(&first);
            }
        }
        self.by_user.insert(user, entry);
    }

    fn end(&self, grace: Duration, is_over: impl Fn(&Session) -> Option<EndCause>) -> usize {
        let all = self.sessions.iter().filter_map(Weak::upgrade);
        all.filter_map(|session| is_over(&session).map(|cause| session.end_without_key(cause, grace))).sum()
    }
}

impl CheckInProgress<'_> {
    /// Adds verified credentials. `known` is the result of the lookup. False if the table was cleared meanwhile: the
    /// credentials were compared with outdated users and have to be checked again.
    pub(crate) fn enter(
        &self,
        presented: &UsernamePassword,
        known: Option<BrowserId>,
        session: &Arc<Session>,
        now: Moment,
    ) -> bool {
        let mut table = self.verified.table.lock();
        if table.forgotten != self.forgotten {
            return false;
        }
        table.forget_old(now);
        table.sessions.push(Arc::downgrade(session));
        let id = known.or_else(|| BrowserId::generate().ok());
        if let (Some(code), Some(id)) = (self.verified.code(presented), id) {
            let entry = VerifiedEntry { code, id, verified: now, session: Arc::clone(session) };
            table.insert(presented.user.as_str().into(), entry);
        }
        true
    }

    /// Sends the result to all waiting requests.
    pub(crate) fn finish(self, outcome: &Outcome) {
        self.outcome.send_replace(Some(outcome.clone()));
    }
}

/// The next request starts a new check.
impl Drop for CheckInProgress<'_> {
    fn drop(&mut self) {
        if let Some(code) = &self.code {
            self.verified.under_way.lock().remove(code);
        }
    }
}

/// The result of another request's check; `None` if it was cancelled.
pub(crate) async fn outcome(mut others: watch::Receiver<Option<Outcome>>) -> Option<Outcome> {
    others.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
}

fn parts(presented: &UsernamePassword) -> [&[u8]; 2] {
    [presented.user.as_bytes(), presented.password.as_bytes()]
}

#[cfg(test)]
mod tests;
