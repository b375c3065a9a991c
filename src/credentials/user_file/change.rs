//! Changes a password in the users' file, at the request of its user.

use std::path::PathBuf;

use thiserror::Error;

use crate::credentials::password::{self, HashingFailed, Password};
use crate::credentials::stored_hash::{MAX_BCRYPT, StoredHash};
use crate::credentials::user_file::edit::{self, UserChange};
use crate::credentials::user_file::htpasswd::{self, WeakHashes};
use crate::credentials::user_file::lock::{self, LockedFile, WriteProblem};
use crate::credentials::user_file::{UserEntry, Users};

/// A users' file in which users can change their passwords while the gateway runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersFile {
    /// The path of the file.
    pub path: PathBuf,
    /// Whether weak hashes are accepted.
    pub weak: WeakHashes,
}

/// Why a password could not be changed. The message is for the operator.
#[derive(Debug, Error)]
pub(crate) enum PasswordNotChanged {
    /// The file cannot be read or written.
    #[error("{problem}; {help}", problem = .0, help = .0.help())]
    File(WriteProblem),
    /// The user was changed, disabled or removed in the file since the gateway read it.
    #[error("the users' file has changed since it was read: restart the gateway")]
    Outdated,
    /// bcrypt, the hash of htpasswd files, would truncate the new password.
    #[error("htpasswd files take passwords of at most {MAX_BCRYPT} bytes")]
    TooLong,
    /// The new password could not be hashed.
    #[error("the new password could not be hashed: free some memory")]
    Hashing,
}

impl UsersFile {
    /// Whether this process could replace the file. Nothing is written.
    pub(crate) fn is_writable(&self) -> bool {
        lock::may_replace(&self.path)
    }

    /// Sets a user's new password. `known` has the users that the old password was checked against: if the file's entry
    /// of this user has changed since, nothing is written. Returns the users of the new file. Blocks while another
    /// program changes the file (at most ten seconds), and while a hash is computed.
    ///
    /// # Errors
    /// The password was not changed.
    pub(crate) fn change_password(
        &self,
        known: &Users,
        user: &str,
        new: &Password,
    ) -> Result<Users, PasswordNotChanged> {
        let file = LockedFile::lock(&self.path).map_err(PasswordNotChanged::File)?;
        let before = file.read().map_err(PasswordNotChanged::File)?;
        let read = |text: &str| Users::parse_any(&self.path, text, self.weak).map_err(|_| PasswordNotChanged::Outdated);
        let (there, expected) = (read(&before)?, known.find(user));
        let same = |(there, expected): (&UserEntry, &UserEntry)| {
            there.enabled && expected.enabled && there.hash == expected.hash
        };
        if !there.find(user).zip(expected).is_some_and(same) {
            return Err(PasswordNotChanged::Outdated);
        }
        let after = self.with_password(&before, user, new)?;
        let users = read(&after)?;
        file.replace(&after).map_err(PasswordNotChanged::File)?;
        Ok(users)
    }

    fn with_password(&self, text: &str, user: &str, new: &Password) -> Result<String, PasswordNotChanged> {
        let failed = |HashingFailed| PasswordNotChanged::Hashing;
        if htpasswd::is_htpasswd(&self.path, text) {
            if new.length() > MAX_BCRYPT {
                return Err(PasswordNotChanged::TooLong);
            }
            let hash = StoredHash::new_field(new).map_err(failed)?;
            return htpasswd::with_hash(text, user, &hash).ok_or(PasswordNotChanged::Outdated);
        }
        let change = UserChange { password: Some(password::hash(new).map_err(failed)?), ..UserChange::default() };
        let changed = edit::set(text, user, &change);
        changed.map(|(text, _)| text).map_err(|_| PasswordNotChanged::Outdated)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    fn file(folder: &Path, name: &str, text: &str) -> (UsersFile, Users) {
        let file = UsersFile { path: folder.join(name), weak: WeakHashes::Refuse };
        fs::write(&file.path, text).unwrap();
        let users = Users::parse_any(&file.path, text, file.weak).unwrap();
        (file, users)
    }

    fn text(file: &UsersFile) -> String {
        fs::read_to_string(&file.path).unwrap()
    }

    /// Whether the file accepts this password of this user.
    fn opens(file: &UsersFile, user: &str, typed: &str) -> bool {
        let users = Users::parse_any(&file.path, &text(file), file.weak).unwrap();
        users.find(user).is_some_and(|user| user.hash.matches(&password(typed)) == Ok(true))
    }

    #[test]
    fn only_one_hash_of_a_toml_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let old = password::hash(&password("open sesame")).unwrap();
        let before = format!("# people\n[users.alice] # since 2019\npassword = '{old}' # May\ngroups = ['a']\n");
        let (file, users) = file(folder.path(), "users.toml", &before);
        let users = file.change_password(&users, "alice", &password("Gru\u{308}\u{df}e an alle")).unwrap();
        assert!(opens(&file, "alice", "Gr\u{fc}\u{df}e an alle") && !opens(&file, "alice", "open sesame"));
        let (start, end) = (text(&file).find("$argon2id").unwrap(), "' # May\ngroups = ['a']\n");
        assert!(
            text(&file).starts_with("# people\n[users.alice] # since 2019\npassword = ") && start > 0,
            "{}",
            text(&file)
        );
        assert!(text(&file).ends_with(&end[1..]), "{}", text(&file));
        let there = Users::parse_any(&file.path, &text(&file), file.weak).unwrap();
        assert!(users.find("alice").unwrap() == there.find("alice").unwrap(), "the answer is what the file says");
    }

    #[test]
    fn only_one_hash_of_an_htpasswd_file_changes_to_a_common_kind() {
        let folder = tempfile::tempdir().unwrap();
        let alice = StoredHash::new_field(&password("open sesame")).unwrap();
        let before = format!("# people\nbob:{alice}\nalice:{alice}:a comment\r\nalice:x\n");
        let (file, users) = file(folder.path(), ".htpasswd", &before);
        file.change_password(&users, "alice", &password("something new")).unwrap();
        assert!(opens(&file, "alice", "something new") && opens(&file, "bob", "open sesame"));
        let lines: Vec<_> = text(&file).split_inclusive('\n').map(str::to_owned).collect();
        let [comment, bob, changed, second] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(
            (comment.as_str(), bob.as_str(), second.as_str()),
            ("# people\n", &*format!("bob:{alice}\n"), "alice:x\n")
        );
        assert!(changed.starts_with("alice:$2y$10$") && changed.ends_with(":a comment\r\n"), "{changed}");
        let long = password(&"a".repeat(72));
        let users = Users::parse_any(&file.path, &text(&file), file.weak).unwrap();
        assert!(matches!(file.change_password(&users, "alice", &long), Err(PasswordNotChanged::TooLong)));
        file.change_password(&users, "alice", &password(&"a".repeat(71))).unwrap();
        assert!(!opens(&file, "alice", &"a".repeat(70)) && opens(&file, "alice", &"a".repeat(71)));
    }

    /// If an operator changes the password or disables the user meanwhile, the operator's change stays.
    #[test]
    fn a_meanwhile_changed_file_takes_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let [old, other] = ["open sesame", "another one"].map(|text| password::hash(&password(text)).unwrap());
        let entry = |hash: &str, more: &str| format!("[users.alice]\npassword = '{hash}'\n{more}");
        let (file, users) = file(folder.path(), "users.toml", &entry(&old, ""));
        for changed in [entry(&other, ""), entry(&old, "enabled = false\n"), String::new(), "[users".to_owned()] {
            fs::write(&file.path, &changed).unwrap();
            let changing = file.change_password(&users, "alice", &password("something new"));
            assert!(matches!(changing, Err(PasswordNotChanged::Outdated)), "{changed}: {changing:?}");
            assert_eq!(text(&file), changed);
        }
        fs::write(&file.path, entry(&old, "groups = ['new']\n")).unwrap();
        let users = file.change_password(&users, "alice", &password("something new")).unwrap();
        assert!(users.find("alice").unwrap().identity.is_in("new"), "changes of other fields are kept");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (file, users) = file(folder.path(), "users.toml", "");
        assert!(file.is_writable());
        let gone = UsersFile { path: folder.path().join("none/users.toml"), ..file };
        assert!(!gone.is_writable());
        let problem = gone.change_password(&users, "alice", &password("x")).unwrap_err();
        assert!(problem.to_string().contains("create the folder first"), "{problem}");
    }
}
