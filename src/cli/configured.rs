//! The configuration for commands that need a single key of it. They ignore other problems of the file, which `serve`
//! and `check` report.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use nix::unistd::{Uid, User};
use toml::de::DeTable;

use super::failure::CommandError;
use crate::config::DEFAULT_FILES;
use crate::credentials::user_file::read::{ReadError, read_any};

/// Selects a configuration.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigFile {
    /// The gateway's configuration file [default: ./config.toml, then /etc/exeunt/config.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// A configuration that exists.
pub(super) struct FoundConfig {
    path: PathBuf,
    text: String,
}

impl ConfigFile {
    /// Reads the given file, else the first existing default one. For the latter, root gets a warning if another user
    /// owns it.
    pub(super) fn read(&self) -> Result<Option<FoundConfig>, CommandError> {
        if let Some(path) = &self.config {
            let absent =
                || CommandError::new(format!("{}: file not found", path.display()), "name the file: --config FILE");
            return read(path)?.map(|(found, _)| Some(found)).ok_or_else(absent);
        }
        let Some((found, metadata)) = first_of(DEFAULT_FILES.map(Path::new))? else { return Ok(None) };
        eprint!("{}", ownership_notice(&found.path, &metadata, Uid::effective()).unwrap_or_default());
        Ok(Some(found))
    }
}

impl FoundConfig {
    /// The string under a key of a table.
    pub(super) fn text_at(&self, table: &str, key: &str) -> Option<String> {
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let table = root.get_ref().get(table)?.get_ref().as_table()?;
        Some(table.get(key)?.get_ref().as_str()?.to_owned())
    }

    /// Resolves a path of this configuration: relative ones start at its folder.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.path.with_file_name(path)
    }
}

fn first_of<const N: usize>(paths: [&Path; N]) -> Result<Option<(FoundConfig, Metadata)>, CommandError> {
    for path in paths {
        if let Some(found) = read(path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// `None` if the file does not exist.
fn read(path: &Path) -> Result<Option<(FoundConfig, Metadata)>, CommandError> {
    match read_any(path) {
        Ok((text, metadata)) => Ok(Some((FoundConfig { path: path.to_owned(), text }, metadata))),
        Err(ReadError::Absent) => Ok(None),
        // Without this file the command could reach another gateway than the intended one.
        Err(error) => Err(CommandError::new(
            format!("{}: {error}", path.display()),
            format!("{}; or name another file: --config FILE", error.help()),
        )),
    }
}

/// The warning for root about a configuration that another user can change: the file decides which files are written
/// and which socket is used.
pub(super) fn ownership_notice(path: &Path, metadata: &Metadata, who: Uid) -> Option<String> {
    let link = path.symlink_metadata().map(|link| link.uid());
    let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let folder = folder.and_then(|folder| folder.metadata().ok()).map(|folder| folder.uid());
    let owners = [Some(metadata.uid()), link.ok(), folder];
    let other = owners.into_iter().flatten().find(|&owner| owner != 0).filter(|_| who.is_root())?;
    let name = User::from_uid(Uid::from_raw(other)).ok().flatten();
    let name = name.map_or_else(|| format!("user {other}"), |user| user.name);
    let path = path.display();
    Some(format!(
        "warning: {path} is not owned by root: {name} can change it, and this command uses it as root\n\
         help: name the file (--config FILE), or run this as {name}\n"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    #[test]
    fn the_first_existing_file_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first.toml", "second.toml"].map(|name| folder.path().join(name));
        let found = || first_of([&first, &second]).unwrap().map(|(found, _)| found);
        let users = |found: FoundConfig| found.text_at("login", "users").map(|path| found.beside(&path));
        assert!(found().is_none());
        fs::write(&second, "[login]\nusers = '/srv/people.toml'\n").unwrap();
        assert_eq!(found().and_then(users).unwrap(), Path::new("/srv/people.toml"));
        fs::write(&first, "[login]\nusers = 'in/people.toml'\n[[broken\n").unwrap();
        assert_eq!(found().and_then(users).unwrap(), folder.path().join("in/people.toml"), "relative to it");
        fs::write(&first, "listen = []\nlogin = 3\n").unwrap();
        assert_eq!(found().and_then(users), None);
    }

    #[test]
    fn an_unreadable_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let CommandError(reason) = first_of([folder.path(), Path::new("/dev/null")]).err().unwrap();
        assert!(reason.contains("not a regular file") && reason.contains("--config FILE"), "{reason}");
        let named = ConfigFile { config: Some(folder.path().join("absent.toml")) };
        let CommandError(reason) = named.read().err().unwrap();
        assert!(reason.contains("absent.toml: file not found"), "{reason}");
    }

    #[test]
    fn root_is_warned_of_another_users_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["config.toml", "link.toml"].map(|name| folder.path().join(name));
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        let told = |path: &Path, who: u32| ownership_notice(path, &path.metadata().unwrap(), Uid::from_raw(who));
        let owner = file.metadata().unwrap().uid();
        assert!(told(&file, owner.max(1)).is_none(), "other users get no warning");
        assert_eq!(told(&file, 0).is_some(), owner != 0);
        if !Uid::effective().is_root() {
            return;
        }
        chown(&file, Some(65_534), None).unwrap();
        assert!([&file, &link].iter().all(|path| told(path, 0).unwrap().contains("nobody")));
        chown(&file, Some(0), None).unwrap();
        chown(folder.path(), Some(65_533), None).unwrap();
        assert!(told(&file, 0).unwrap().contains("user 65533"), "the owner of the folder can replace it");
    }
}
