//! `users.toml`: the local users and their password hashes.
//!
//! ```toml
//! [users.alice]
//! password = "$argon2id$v=19$m=19456,t=2,p=1$…"   # written by: exeunt user set alice
//! groups   = ["staff"]                            # all but the password may be left out
//! email    = "alice@example.com"
//! name     = "Alice Liddell"
//! enabled  = true
//!
//! [users."bob@example.com"]                       # other names in quotes
//! password = "…"
//! ```
//! Names are matched exactly, case-sensitively.

pub mod change;
pub(crate) mod current;
pub(crate) mod edit;
pub(crate) mod fields;
pub mod htpasswd;
pub(crate) mod lock;
pub(crate) mod method;
pub(crate) mod read;
pub(crate) mod reader;
mod status;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::htpasswd::{HtpasswdLines, WeakHashes};
use self::read::{ReadError, read_private};
use crate::audit::UserChangeKind;
use crate::credentials::problem::FileProblems;
use crate::credentials::stored_hash::{StoredHash, WorkFactor, most_common_work};
use crate::values::file_problem::FileProblem;
use crate::values::identity::{Identity, UserKey};

/// The maximum number of users in one file.
pub(crate) const MAX_USERS: usize = 100_000;
/// What to do about a file above these limits.
pub(crate) const TOO_MANY: &str = "remove users: larger files are not supported";
/// The [`UserKey::source`] of these users.
pub(crate) const SOURCE: &str = "file";

/// One user of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// The stored hash of the password.
    pub(crate) hash: StoredHash,
    /// The identity, as it is shown and sent to applications.
    pub identity: Arc<Identity>,
    /// Whether this user may sign in.
    pub(crate) enabled: bool,
}

impl UserEntry {
    /// The key of this user in indexes and limits.
    pub(crate) fn key(&self) -> UserKey {
        UserKey { source: SOURCE.into(), subject: self.identity.user().into() }
    }
}

/// The number of users that were added, changed and removed between two versions of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChanges {
    /// Users who are new.
    pub added: usize,
    /// Users with another password, other groups, or any other change.
    pub changed: usize,
    /// Users who were removed.
    pub removed: usize,
}

/// All users of a file, as of the time it was read.
#[derive(Clone, Debug)]
pub struct Users {
    by_name: HashMap<Box<str>, UserEntry>,
    common_work: WorkFactor,
    bad_lines: Option<FileProblems>,
    doubled: Option<FileProblems>,
}

impl Users {
    /// A file without users.
    pub(crate) fn none() -> Self {
        Self::of(Vec::new())
    }

    /// Reads a file. A missing file counts as one without users: [`no_users_message`] says what to type then.
    ///
    /// The errors are all problems of the file: it is neither such a TOML file nor an htpasswd file, others than its
    /// owner and group may read it, others than its owner may write it, it has more than [`MAX_USERS`] users or more
    /// than [`read::MAX_FILE`] bytes. Invalid lines of an htpasswd file are not errors: see [`Users::bad_lines`].
    pub(crate) fn load(path: &Path, weak: WeakHashes) -> Result<Self, FileProblems> {
        match read_private(path) {
            Ok(text) => Self::parse_any(path, &text, weak),
            Err(ReadError::Absent) => Ok(Self::none()),
            Err(error) => Err(FileProblems::whole_file(path, error.to_string(), error.help())),
        }
    }

    /// Reads the text of a file of either form.
    pub fn parse_any(path: &Path, text: &str, weak: WeakHashes) -> Result<Self, FileProblems> {
        if !htpasswd::is_htpasswd(path, text) {
            return Self::parse(path, text);
        }
        let HtpasswdLines { entries, mut bad, doubled, masked } = htpasswd::read(path, text, weak);
        if entries.len() > MAX_USERS {
            let message = format!("{} users: this file holds at most {MAX_USERS}", entries.len());
            bad.push(FileProblem { span: Some(0..0), message, help: TOO_MANY.to_owned() });
        }
        let problems = |problems: Vec<FileProblem>| {
            (!problems.is_empty()).then(|| FileProblems::new(path, masked.clone(), problems))
        };
        let bad_lines = problems(bad);
        // If all lines are invalid, the file is refused.
        match bad_lines {
            Some(problems) if entries.is_empty() || entries.len() > MAX_USERS => Err(problems),
            bad_lines => {
                let doubled = problems(doubled).map(FileProblems::into_warnings);
                Ok(Self { bad_lines, doubled, ..Self::of(entries) })
            }
        }
    }

    /// Reads the text of a `users.toml`; `path` is what the problems name.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileProblems> {
        let faults = |faults: reader::UserFileProblems| FileProblems::new(path, faults.masked, faults.problems);
        reader::read(text).map(Self::of).map_err(faults)
    }

    fn of(entries: Vec<UserEntry>) -> Self {
        Self {
            common_work: most_common_work(entries.iter().map(|entry| &entry.hash)),
            by_name: entries.into_iter().map(|entry| (entry.identity.user().into(), entry)).collect(),
            bad_lines: None,
            doubled: None,
        }
    }

    /// The problems of invalid lines of an htpasswd file: their users cannot sign in, all others can.
    pub fn bad_lines(&self) -> Option<&FileProblems> {
        self.bad_lines.as_ref()
    }

    /// The problems of users with several lines in an htpasswd file, of which the first one counts.
    pub fn duplicates(&self) -> Option<&FileProblems> {
        self.doubled.as_ref()
    }

    /// The user of exactly this name, enabled or not.
    pub fn find(&self, name: &str) -> Option<&UserEntry> {
        self.by_name.get(name)
    }

    /// The changes from this version of the file to another.
    pub fn changes(&self, after: &Self) -> UserChanges {
        let mut changes = UserChanges::default();
        for (_, change) in self.changed_users(after) {
            match change {
                UserChangeKind::Added => changes.added += 1,
                UserChangeKind::Changed => changes.changed += 1,
                UserChangeKind::Removed => changes.removed += 1,
            }
        }
        changes
    }

    /// The changes of each user from this version of the file to another.
    pub(crate) fn changed_users<'a>(&'a self, after: &'a Self) -> impl Iterator<Item = (&'a str, UserChangeKind)> {
        let in_both = after.by_name.iter().filter_map(|(name, entry)| match self.find(name) {
            None => Some((&**name, UserChangeKind::Added)),
            Some(before) if before != entry => Some((&**name, UserChangeKind::Changed)),
            Some(_) => None,
        });
        let gone = self.by_name.keys().filter(|name| after.find(name).is_none());
        in_both.chain(gone.map(|name| (&**name, UserChangeKind::Removed)))
    }

    /// The number of users, the disabled ones included.
    pub fn count(&self) -> usize {
        self.by_name.len()
    }

    /// The number of users with a weak hash.
    pub fn weak(&self) -> usize {
        self.by_name.values().filter(|entry| entry.hash.is_weak()).count()
    }

    /// All users, by name.
    pub fn sorted(&self) -> Vec<&UserEntry> {
        let mut entries: Vec<_> = self.by_name.values().collect();
        entries.sort_by_key(|entry| entry.identity.user());
        entries
    }

    /// The hash to compute for an unknown name: of the most common cost in the file.
    pub(crate) fn decoy(&self) -> StoredHash {
        StoredHash::decoy(self.common_work)
    }
}

/// What to tell an operator whose file has no users.
pub(crate) fn no_users_message(path: &Path) -> String {
    let is_htpasswd = htpasswd::has_htpasswd_name(path);
    let path = path.display();
    if is_htpasswd {
        return format!("no users yet in {path}: nobody can sign in. Type: htpasswd -B -c {path} NAME");
    }
    format!("no users yet in {path}: nobody can sign in. Type: exeunt user set NAME --file {path}")
}

#[cfg(test)]
mod tests;
