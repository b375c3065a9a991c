//! Credentials that were checked a short while ago, so that a program which sends them with every request costs one
//! hash a minute and not one a request.
//!
//! Of a password, only a MAC under a random key of this process ([`MacKeys`]) is kept: it proves that the same
//! credentials came again. Only right credentials are kept, one entry a user, so that unauthenticated clients cannot
//! fill the table. The MAC leaves the table an hour after it was last verified; within that hour it still distinguishes
//! its program from attackers, who cannot lock it out by wrong passwords.
//!
//! Requests register with a session without a key: no cookie opens it and no list shows it, but the connections of a
//! user who loses access are cut as usual ([`Verified::forget`]).

use std::collections::{HashMap, hash_map};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::credentials::username_password::UsernamePassword;
use crate::session::record::Session;
use crate::values::end_cause::EndCause;
use crate::values::known_browser::BrowserId;
use crate::values::mac::{Mac, MacKeys, Purpose};
use crate::values::reason::Refusal;
use crate::values::time::Moment;

/// How long credentials count without being checked again.
pub(crate) const VALID: Duration = Duration::from_secs(60);
/// How long they still distinguish a program from attackers.
const KNOWN: Duration = Duration::from_secs(60 * 60);
/// Users that are remembered at the same time; of more, the one who was verified first is forgotten.
const CAPACITY: usize = 10_000;

/// The result of a check, shared by all requests that sent the same credentials meanwhile.
pub(crate) type Outcome = Result<Arc<Session>, Refusal>;

/// What is known of the credentials of a request.
#[derive(Debug)]
pub(crate) enum Found {
    /// They were right a short while ago.
    Valid(Arc<Session>),
    /// They were right within the last hour, and have to be checked again.
    Known(BrowserId),
    /// Nothing.
    Unknown,
}

/// The credentials that were checked, and those that are being checked.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Without random bytes for a key every request is checked.
    keys: Option<MacKeys>,
    table: Mutex<VerifiedTable>,
    under_way: Mutex<HashMap<String, watch::Receiver<Option<Outcome>>>>,
}

#[derive(Debug, Default)]
struct VerifiedTable {
    by_user: HashMap<Box<str>, VerifiedEntry>,
    /// All users whose exchanges may still be running.
    sessions: Vec<Weak<Session>>,
    /// How often everything was forgotten: what was checked before does not count after.
    forgotten: u64,
}

#[derive(Debug)]
struct VerifiedEntry {
    code: Mac,
    id: BrowserId,
    verified: Moment,
    session: Arc<Session>,
}

/// Whose turn it is to check credentials.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// The caller's. The outcome has to be told.
    Check(Check<'a>),
    /// The result of another request with the same credentials; `None` if that was cancelled.
    Wait(watch::Receiver<Option<Outcome>>),
}

/// A check in progress. If it is dropped without a result, another request takes over.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    verified: &'a Verified,
    /// What is under way; `None` where it cannot be told from others.
    code: Option<String>,
    /// [`Table::forgotten`] when it began.
    forgotten: u64,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Default for Verified {
    fn default() -> Self {
        Self { keys: MacKeys::generate().ok(), table: Mutex::default(), under_way: Mutex::default() }
    }
}

impl Verified {
    /// Looks credentials up.
    pub(crate) fn find(&self, presented: &UsernamePassword, now: Moment) -> Found {
        let table = self.table.lock();
        let Some(entry) = table.by_user.get(presented.user.as_str()) else { return Found::Unknown };
        let age = now.duration_since(entry.verified);
        let verify = |keys: &MacKeys| keys.verify(Purpose::BasicCredentials, &parts(presented), &entry.code);
        if age >= KNOWN || !self.keys.as_ref().is_some_and(verify) {
            Found::Unknown
        } else if age < VALID && !entry.session.has_ended() {
            Found::Valid(Arc::clone(&entry.session))
        } else {
            Found::Known(entry.id)
        }
    }

    /// Asks for the turn to check credentials: of many requests with the same ones, one checks.
    pub(crate) fn turn(&self, presented: &UsernamePassword) -> Turn<'_> {
        let code = self.code(presented).map(|code| code.encode());
        let (outcome, others) = watch::channel(None);
        if let Some(code) = code.clone() {
            match self.under_way.lock().entry(code) {
                hash_map::Entry::Occupied(taken) => return Turn::Wait(taken.get().clone()),
                hash_map::Entry::Vacant(free) => drop(free.insert(others)),
            }
        }
        Turn::Check(Check { verified: self, code, forgotten: self.table.lock().forgotten, outcome })
    }

    /// Forgets codes that are too old, and ends what has been running in the name of one check for `longest`. Answers
    /// how many connections that were.
    pub(crate) fn sweep(&self, longest: Duration, grace: Duration, now: Moment) -> usize {
        let mut table = self.table.lock();
        table.forget_old(now);
        let is_over = |session: &Session| now.duration_since(session.created()) >= longest;
        table.end(grace, |session| is_over(session).then_some(EndCause::Absolute))
    }

    /// Forgets everything: whoever comes next is checked again. What is under way in the name of somebody for whom
    /// `is_over` says why ends; the rest goes on. Answers how many connections end. For a reload of the
    /// users' file, a change to it, or an operator's word.
    pub(crate) fn forget(&self, grace: Duration, is_over: impl Fn(&Session) -> Option<EndCause>) -> usize {
        let mut table = self.table.lock();
        // The marks come before the entries go: a request that has looked its entry up already is cut as well.
        let connections = table.end(grace, is_over);
        table.by_user.clear();
        table.forgotten += 1;
        connections
    }

    fn code(&self, presented: &UsernamePassword) -> Option<Mac> {
        self.keys.as_ref().map(|keys| keys.sign(Purpose::BasicCredentials, &parts(presented)))
    }
}

impl VerifiedTable {
    fn forget_old(&mut self, now: Moment) {
        self.by_user.retain(|_, entry| now.duration_since(entry.verified) < KNOWN);
        self.sessions.retain(|session| session.strong_count() > 0);
    }

    fn insert(&mut self, user: Box<str>, entry: VerifiedEntry) {
        if self.by_user.len() >= CAPACITY {
            let first = self.by_user.iter().min_by_key(|(_, entry)| entry.verified).map(|(user, _)| user.clone());
            first.and_then(|user| self.by_user.remove(&user));
        }
        self.by_user.insert(user, entry);
    }

    fn end(&self, grace: Duration, is_over: impl Fn(&Session) -> Option<EndCause>) -> usize {
        let all = self.sessions.iter().filter_map(Weak::upgrade);
        all.filter_map(|session| is_over(&session).map(|cause| session.end_without_key(cause, grace))).sum()
    }
}

impl Check<'_> {
    /// Remembers that these credentials are right. `known` is what they were known as before. False if everything was
    /// forgotten meanwhile: they were compared with what does not count any more, and have to be checked again.
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
    pub(crate) fn tell(self, outcome: &Outcome) {
        self.outcome.send_replace(Some(outcome.clone()));
    }
}

/// The next request starts a new check.
impl Drop for Check<'_> {
    fn drop(&mut self) {
        self.code.as_ref().and_then(|code| self.verified.under_way.lock().remove(code));
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
