//! The state folder and the key file in it, which must be the same after a restart and on every replica.
//!
//! The keys are generated at the first start, and read again by every reload. A key is rotated by writing a new one
//! above the others; replicas share keys by a copy of the file.

pub(crate) mod edit;

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::values::mac::{BadKeys, MacKeys};

/// The name of the key file in the state folder.
pub(crate) const KEY_FILE: &str = "exeunt.key";

/// The maximum size of the key file in bytes: far more than the maximum number of keys with comments.
const MAX_SIZE: u64 = 64 * 1024;

/// The comment at the beginning of a new key file.
const HEAD: &str = "\
# Keys of Exeunt, one to a line, made at the first start. The first one signs, all of them are accepted: to rotate,
# exeunt key add --first, and half a year later exeunt key remove. Gateways that share a session store need the same
# file: see exeunt key add --help.
";

/// Why the keys cannot be loaded. The first field is the path of the key file.
#[derive(Debug, Error)]
pub(crate) enum StateProblem {
    /// The key file is there and cannot be used.
    #[error("the key file {} cannot be used: {}", .0.display(), .1)]
    Unusable(PathBuf, KeyFileProblem),
    /// The key file does not exist and cannot be created.
    #[error("the key file {} cannot be made: {}", .0.display(), .1)]
    NotMade(PathBuf, #[source] io::Error),
    /// The key file was removed since the start.
    #[error(
        "the key file {} does not exist any more; restore it from the backup; a restart without it makes a new one, \
         and everybody has to sign in again",
        .0.display()
    )]
    Missing(PathBuf),
}

/// What is wrong with a key file, and what to do.
#[derive(Debug, Error)]
pub(crate) enum KeyFileProblem {
    /// It vanished right after it was made.
    #[error("another program removed it: check what uses this folder")]
    Removed,
    /// A folder, a pipe.
    #[error("it must be a regular file")]
    NotRegular,
    /// Its keys are not secret, or not safe.
    #[error("others can read or write it (mode {mode:04o}); type: chmod 600 {}", .path.display())]
    Exposed {
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not UTF-8.
    #[error("it must be a text")]
    NotText,
    /// Larger than [`MAX_SIZE`].
    #[error("it must not be larger than {MAX_SIZE} bytes")]
    TooLarge,
    /// It does not hold keys.
    #[error("{0}; write one with: openssl rand -hex 32")]
    Keys(#[source] BadKeys),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
}

/// Reads the keys in this state folder. At the first start the keys and the folder are created.
///
/// # Errors
/// [`StateProblem::Unusable`] and [`StateProblem::NotMade`]
pub(crate) fn open(folder: &Path) -> Result<MacKeys, StateProblem> {
    let path = folder.join(KEY_FILE);
    if let Some(keys) = read(&path)? {
        return Ok(keys);
    }
    make(folder, &path).map_err(|error| StateProblem::NotMade(path.clone(), error))?;
    read(&path)?.ok_or(StateProblem::Unusable(path, KeyFileProblem::Removed))
}

/// Reads the keys in a file; `None` if the file does not exist. Nothing is changed.
///
/// # Errors
/// [`StateProblem::Unusable`]
pub(crate) fn read(path: &Path) -> Result<Option<MacKeys>, StateProblem> {
    let keys = text_of(path).and_then(|text| MacKeys::parse(&text).map_err(KeyFileProblem::Keys));
    match keys {
        Ok(keys) => Ok(Some(keys)),
        Err(KeyFileProblem::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(problem) => Err(StateProblem::Unusable(path.to_owned(), problem)),
    }
}

/// The content of a file that may hold keys.
fn text_of(path: &Path) -> Result<Zeroizing<String>, KeyFileProblem> {
    // Checked before it is opened: opening a named pipe would block until it has a writer.
    if !path.metadata()?.is_file() {
        return Err(KeyFileProblem::NotRegular);
    }
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o026 != 0 {
        return Err(KeyFileProblem::Exposed { path: path.to_owned(), mode: mode & 0o7777 });
    }
    let mut text = Zeroizing::new(String::new());
    match file.take(MAX_SIZE + 1).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(KeyFileProblem::NotText),
        Err(error) => Err(error.into()),
        Ok(length) if length as u64 > MAX_SIZE => Err(KeyFileProblem::TooLarge),
        Ok(_) => Ok(text),
    }
}

/// Creates the folder and the key file. If another process creates the file at the same time, that file is used.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let key = MacKeys::generate_text().map_err(|_| io::Error::other("the system gives no random bytes"))?;
    // Written to a temporary file (mode 0600) and then renamed, so that no process reads an incomplete file.
    let mut file = tempfile::Builder::new().prefix(".exeunt.key.").tempfile_in(folder)?;
    file.write_all(HEAD.as_bytes())?;
    writeln!(file, "{}", *key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
        Ok(_) => File::open(folder)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::values::mac::MacPurpose;

    fn same(one: &MacKeys, other: &MacKeys) -> bool {
        other.verify(MacPurpose::Receipt, &[b"a"], &one.sign(MacPurpose::Receipt, &[b"a"]))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_first_start_creates_the_keys_and_later_ones_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        assert!(read(&state.join(KEY_FILE)).unwrap().is_none());
        let keys = open(&state).unwrap();
        assert!(same(&keys, &open(&state).unwrap()) && same(&keys, &read(&state.join(KEY_FILE)).unwrap().unwrap()));
        assert_eq!(names(&state), [KEY_FILE], "nothing else is left");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&state), mode(&state.join(KEY_FILE))), (0o700, 0o600));
        fs::remove_file(state.join(KEY_FILE)).unwrap();
        assert!(!same(&keys, &open(&state).unwrap()), "the keys are new");
    }

    #[test]
    fn concurrent_first_starts_have_the_same_keys() {
        let folder = tempfile::tempdir().unwrap();
        let starts = std::sync::Barrier::new(16);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                starts.wait();
                open(folder.path()).unwrap()
            };
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|other| same(&keys[0], other)));
        assert_eq!(names(folder.path()), [KEY_FILE]);
    }

    #[test]
    fn an_unwritable_folder_and_an_unusable_file_are_different_problems() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        for absent in [path("file"), path("no/such/folder"), PathBuf::from("/proc/exeunt")] {
            let problem = open(&absent).unwrap_err();
            let fits = matches!(problem, StateProblem::NotMade(..) | StateProblem::Unusable(..));
            assert!(fits && problem.to_string().contains(KEY_FILE), "{absent:?}: {problem}");
        }
        assert!(matches!(open(&path("no/such/folder")), Err(StateProblem::NotMade(..))));
        symlink("nowhere", path(KEY_FILE)).unwrap();
        assert!(matches!(open(folder.path()), Err(StateProblem::Unusable(..))), "a dangling symbolic link");
    }

    #[test]
    fn a_refused_key_file_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        let good = "ab".repeat(32);
        let cases = [
            (good.as_bytes(), 0o600, ""),
            (good.as_bytes(), 0o400, ""),
            (good.as_bytes(), 0o640, ""),
            (good.as_bytes(), 0o644, "chmod 600"),
            (good.as_bytes(), 0o660, "chmod 600"),
            (good.as_bytes(), 0o602, "chmod 600"),
            (b"", 0o600, "openssl rand -hex 32"),
            (b"# lost\nsecret-of-ours", 0o600, "line 2"),
            (&[0xff; 64], 0o600, "must be a text"),
            (&[b'\n'; 65 * 1024], 0o600, "must not be larger"),
        ];
        for (content, mode, want) in cases {
            let _ = fs::remove_file(&path);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let message = open(folder.path()).err().map(|problem| problem.to_string()).unwrap_or_default();
            assert!(message.contains(want) && message.is_empty() == want.is_empty(), "{mode:o}: {message}");
            assert!(!message.contains("secret"), "{message}");
            assert_eq!(fs::read(&path).unwrap(), content, "it is not changed");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(open(folder.path()), Err(StateProblem::Unusable(..))), "a folder instead of the file");
    }
}
