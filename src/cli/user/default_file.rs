//! Which file `exeunt user` means when none is named: the one `exeunt serve` would read.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::Failure;
use crate::config::DEFAULT_FILES;
use crate::credentials::user_file::{ReadError, read_any};

/// The name of the users' file where the configuration does not say one.
const DEFAULT: &str = "users.toml";

/// The users' file of the configuration that is there, else `users.toml` in this folder. Only this one key is
/// read: whatever else may be wrong with the configuration is no matter of this command.
pub(super) fn users_file() -> Result<PathBuf, Failure> {
    users_file_of(DEFAULT_FILES.map(Path::new))
}

fn users_file_of<const N: usize>(configurations: [&Path; N]) -> Result<PathBuf, Failure> {
    for path in configurations {
        match read_any(path) {
            Ok((text, _)) => return Ok(path.with_file_name(named_in(&text))),
            Err(ReadError::Absent) => {}
            // Going on would write to another file than the one that is served.
            Err(ReadError::Unfit { message, help }) => {
                let help = format!("{help}; or name the users' file: --file FILE");
                return Err(Failure::new(format!("{}: {message}", path.display()), help));
            }
        }
    }
    Ok(PathBuf::from(DEFAULT))
}

fn named_in(configuration: &str) -> String {
    let (root, _) = DeTable::parse_recoverable(configuration);
    let login = root.get_ref().get("login").and_then(|login| login.get_ref().as_table());
    let users = login.and_then(|login| login.get("users")).and_then(|users| users.get_ref().as_str());
    users.unwrap_or(DEFAULT).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_configuration_says_which_file() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first.toml", "second.toml"].map(|name| folder.path().join(name));
        let found = || users_file_of([&first, &second]).unwrap();
        assert_eq!(found(), Path::new("users.toml"));
        fs::write(&second, "[login]\nusers = '/srv/people.toml'\n").unwrap();
        assert_eq!(found(), Path::new("/srv/people.toml"));
        fs::write(&first, "[login]\nusers = 'in/people.toml'\n[[broken\n").unwrap();
        assert_eq!(found(), folder.path().join("in/people.toml"), "relative to the configuration");
        fs::write(&first, "listen = []\n").unwrap();
        assert_eq!(found(), folder.path().join("users.toml"));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let Failure(reason) = users_file_of([folder.path()]).unwrap_err();
        assert!(reason.contains("no regular file") && reason.contains("--file FILE"), "{reason}");
    }
}
