//! Replaces a users' file atomically: readers see the old text or the new one, concurrent writers do not overwrite each
//! other, and the file keeps its owner, group and mode. (Access control lists and extended attributes are not kept.)

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::unistd::{Group, Uid};
use rustix::fs::Access;
use tempfile::Builder;
use thiserror::Error;

use crate::credentials::user_file::read::{ReadError, read_any};

/// The number of attempts to take the lock, and the pause after each: ten seconds in total.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// The mode of a new file, and the group it gets where that group exists.
const NEW_MODE: u32 = 0o640;
const NEW_GROUP: &str = "exeunt";

/// A users' file that is locked against other writers for the lifetime of this value.
#[derive(Debug)]
pub(crate) struct LockedFile {
    path: PathBuf,
    /// The folder is locked, not the file: the file is replaced, and a lock file would have to be removed.
    folder: File,
    folder_path: PathBuf,
}

/// Why a file cannot be changed.
#[derive(Debug, Error)]
pub(crate) enum WriteProblem {
    /// It cannot be read.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, ReadError),
    /// It is a link to a file that does not exist.
    #[error("{} is a broken symbolic link", .0.display())]
    BrokenLink(PathBuf),
    /// Another program holds the lock of its folder.
    #[error("another command is changing users in {}", .0.display())]
    Locked(PathBuf),
    /// A step on a path has failed.
    #[error("cannot {step} {path}: {error}", step = .0, path = .1.display(), error = .2)]
    Failed(&'static str, PathBuf, io::Error),
}

impl WriteProblem {
    /// What to do.
    pub(crate) fn help(&self) -> String {
        let help = match self {
            Self::Unreadable(_, error) => return error.help(),
            Self::BrokenLink(_) => "remove the link, or create the file that it points to",
            Self::Locked(_) => "try again when it is done; see who it is with: lsof +d FOLDER",
            Self::Failed(_, _, error) => match error.kind() {
                io::ErrorKind::PermissionDenied => "run as the owner of this file and its folder, or with sudo",
                io::ErrorKind::NotFound => "create the folder first, or name another file: --file FILE",
                io::ErrorKind::StorageFull => "free some space: nothing was changed",
                _ => "nothing was changed",
            },
        };
        help.to_owned()
    }

    /// For the errors of a step on a path.
    fn failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |error| Self::Failed(step, path.to_owned(), error)
    }
}

impl LockedFile {
    /// Locks a file, which need not exist, while its folder must. Symbolic links are followed. Waits at most ten
    /// seconds for another writer.
    pub(crate) fn lock(path: &Path) -> Result<Self, WriteProblem> {
        Self::lock_within(path, TRIES)
    }

    fn lock_within(path: &Path, tries: u32) -> Result<Self, WriteProblem> {
        let path = real_path(path)?;
        let folder_path = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let folder = File::open(&folder_path).map_err(WriteProblem::failed("open the folder", &folder_path))?;
        wait_for(&folder, &folder_path, tries)?;
        Ok(Self { path, folder, folder_path })
    }

    /// The text, empty where there is no file yet.
    pub(crate) fn read(&self) -> Result<String, WriteProblem> {
        match read_any(&self.path) {
            Ok((text, _)) => Ok(text),
            Err(ReadError::Absent) => Ok(String::new()),
            Err(error) => Err(WriteProblem::Unreadable(self.path.clone(), error)),
        }
    }

    /// Replaces the file's content by `text`, durably.
    pub(crate) fn replace(&self, text: &str) -> Result<(), WriteProblem> {
        let write = WriteProblem::failed("write", &self.path);
        let mut new = Builder::new().prefix(".users-").tempfile_in(&self.folder_path).map_err(write)?;
        self.copy_ownership(new.as_file())?;
        new.write_all(text.as_bytes()).map_err(write)?;
        new.as_file().sync_all().map_err(write)?;
        new.persist(&self.path).map_err(|error| write(error.error))?;
        self.folder.sync_all().map_err(write)
    }

    /// Gives the new file the owner, group and mode of the old one. The mode is set last: changing the owner may clear
    /// mode bits, and until then no other user can open the file.
    fn copy_ownership(&self, new: &File) -> Result<(), WriteProblem> {
        let keep = WriteProblem::failed("keep owner, group and mode of", &self.path);
        let mode = match fs::metadata(&self.path) {
            Ok(old) => {
                let own = new.metadata().map_err(keep)?;
                if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                    fchown(new, Some(old.uid()), Some(old.gid())).map_err(keep)?;
                }
                old.permissions().mode() & 0o7777
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                give_to_group(new);
                NEW_MODE
            }
            Err(error) => return Err(keep(error)),
        };
        new.set_permissions(Permissions::from_mode(mode)).map_err(keep)
    }
}

/// Gives a new file to the gateway's group, which may read it. If this user may not do that, the file keeps its group:
/// most likely the gateway runs as this user.
fn give_to_group(new: &File) {
    if let Ok(Some(group)) = Group::from_name(NEW_GROUP) {
        let _ = fchown(new, None, Some(group.gid.as_raw()));
    }
}

/// Whether this process may replace a file and keep its owner, judged by folder and owner. Nothing is written.
pub(crate) fn may_replace(path: &Path) -> bool {
    let Ok(path) = real_path(path) else { return false };
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let is_own =
        fs::metadata(&path).map_or(true, |file| Uid::effective().is_root() || file.uid() == Uid::effective().as_raw());
    is_own && rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// The path with links resolved; unchanged if the file does not exist yet.
fn real_path(path: &Path) -> Result<PathBuf, WriteProblem> {
    match fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(WriteProblem::failed("find", path)(error)),
        Err(_) if path.is_symlink() => Err(WriteProblem::BrokenLink(path.to_owned())),
        Err(_) => Ok(path.to_owned()),
    }
}

fn wait_for(folder: &File, path: &Path, tries: u32) -> Result<(), WriteProblem> {
    for _ in 0..tries {
        match folder.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(WriteProblem::failed("lock the folder", path)(error)),
        }
    }
    Err(WriteProblem::Locked(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn replace(path: &Path, text: &str) -> Result<(), String> {
        let message = |problem: WriteProblem| format!("{problem}: {}", problem.help());
        LockedFile::lock(path).and_then(|file| file.replace(text)).map_err(message)
    }

    #[test]
    fn a_new_file_is_not_readable_by_others() {
        let folder = folder();
        let path = folder.path().join("users.toml");
        assert_eq!(LockedFile::lock(&path).unwrap().read().unwrap(), "");
        replace(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn mode_and_owner_are_kept() {
        let folder = folder();
        let path = folder.path().join("users.toml");
        fs::write(&path, "old").unwrap();
        // Only root can change a file's owner.
        let given = chown(&path, Some(12), Some(34)).is_ok();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let before = fs::metadata(&path).unwrap();
        replace(&path, "new").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_ne!(before.ino(), after.ino(), "another file under the same name");
        assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
        assert!(!given || (after.uid(), after.gid()) == (12, 34));
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = folder();
        let (link, real) = (folder.path().join("link"), folder.path().join("real.toml"));
        symlink("real.toml", &link).unwrap();
        let nowhere = replace(&link, "x").unwrap_err();
        assert!(nowhere.contains("broken symbolic link"), "{nowhere}");
        fs::write(&real, "old").unwrap();
        replace(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    }

    #[test]
    fn one_writer_at_a_time() {
        let folder = folder();
        let path = folder.path().join("users.toml");
        let first = LockedFile::lock(&path).unwrap();
        let second = LockedFile::lock_within(&path, 1).unwrap_err();
        assert!(matches!(second, WriteProblem::Locked(_)), "{second}");
        drop(first);
        assert!(LockedFile::lock_within(&path, 1).is_ok());
    }

    #[test]
    fn a_missing_folder_is_reported() {
        let folder = folder();
        let problem = replace(&folder.path().join("none/users.toml"), "x").unwrap_err();
        assert!(problem.contains("create the folder first"), "{problem}");
    }
}
