//! Reads a users' file, or another file of an operator, as text.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{TOO_MANY, htpasswd};

/// The largest file, in bytes.
pub(crate) const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Why a file could not be read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    /// The file does not exist.
    #[error("file not found")]
    Absent,
    /// This user may not read it.
    #[error("permission denied")]
    PermissionDenied,
    /// It is a folder, a pipe or the like.
    #[error("not a regular file")]
    NotAFile,
    /// It has more than [`MAX_FILE`] bytes.
    #[error("this file is larger than {} MiB", MAX_FILE / 1024 / 1024)]
    TooLarge,
    /// It is not UTF-8.
    #[error("this file is not UTF-8")]
    NotUtf8,
    /// Read access to the hashes allows guessing offline, and write access to the file allows signing in as any user.
    #[error("{who} (mode {mode:04o})")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// What they allow, in words.
        who: &'static str,
    },
    /// Another error of the operating system.
    #[error("this file cannot be read: {0}")]
    Other(io::Error),
}

impl ReadError {
    /// What to do.
    pub(crate) fn help(&self) -> String {
        let help = match self {
            Self::Absent => "name another file, or create this one",
            Self::PermissionDenied => {
                "run as a user who may read this file, or give it to that user's group: chgrp GROUP FILE"
            }
            Self::NotAFile => "write \"users.toml\", or the name of another file",
            Self::TooLarge => TOO_MANY,
            Self::NotUtf8 => "save it as UTF-8",
            Self::Mode { path, .. } => return format!("run: chmod 640 {}", path.display()),
            Self::Other(_) => "see what is at this path: ls -l",
        };
        help.to_owned()
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            _ => Self::Other(error),
        }
    }
}

/// Reads a file that others may neither read nor write. In an htpasswd file a line that is not UTF-8 is a bad line.
pub(super) fn read_private(path: &Path) -> Result<String, ReadError> {
    let (bytes, metadata) = read_bytes(path)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if let Some(who) = too_open(mode) {
        return Err(ReadError::Mode { path: path.to_owned(), mode, who });
    }
    String::from_utf8(bytes).or_else(|error| {
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        if htpasswd::is_htpasswd(path, &text) { Ok(text) } else { Err(ReadError::NotUtf8) }
    })
}

/// Reads a regular file of at most [`MAX_FILE`] bytes of UTF-8, whatever its permissions.
pub(crate) fn read_any(path: &Path) -> Result<(String, Metadata), ReadError> {
    let (bytes, metadata) = read_bytes(path)?;
    Ok((String::from_utf8(bytes).map_err(|_| ReadError::NotUtf8)?, metadata))
}

fn read_bytes(path: &Path) -> Result<(Vec<u8>, Metadata), ReadError> {
    // Checked before it is opened: opening a named pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadError::TooLarge);
    }
    Ok((bytes, metadata))
}

/// Who may do more with a file of this mode than is safe.
fn too_open(mode: u32) -> Option<&'static str> {
    match (mode & 0o022 != 0, mode & 0o004 != 0) {
        (true, true) => Some("others may read this file, and more than its owner may write it"),
        (true, false) => Some("more than its owner may write this file"),
        (false, true) => Some("others may read this file"),
        (false, false) => None,
    }
}
