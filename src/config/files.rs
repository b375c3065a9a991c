//! Files that the configuration names: relative paths start at its folder, and what holds secrets must not be
//! readable by everybody.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::raw::Refusal;

/// The longest path that a unix socket address holds, in bytes (`sockaddr_un`, its final zero not counted).
pub const MAX_SOCKET_PATH: usize = 107;

/// A path as written, from `folder` if it is relative.
pub fn resolve(folder: &Path, text: &str) -> Result<PathBuf, Refusal> {
    if text.is_empty() || text.contains('\0') {
        return Err(Refusal::new("names no file"));
    }
    Ok(folder.join(text))
}

/// What is known of a file that holds secrets. `Ok(None)`: it is not there (yet).
pub fn secret_metadata(path: &Path) -> Result<Option<Metadata>, Refusal> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    if !metadata.is_file() {
        return Err(Refusal::new(format!("{} is no file", path.display())));
    }
    refuse_open_mode(path, metadata.permissions().mode())?;
    Ok(Some(metadata))
}

fn refuse_open_mode(path: &Path, mode: u32) -> Result<(), Refusal> {
    let path = path.display();
    match mode & 0o007 {
        0 => Ok(()),
        open => {
            let verb = if open & 0o004 != 0 { "read" } else { "change" };
            Err(Refusal::new(format!("everybody on this machine may {verb} {path} (mode {:04o})", mode & 0o7777))
                .write(format!("type `chmod 0640 {path}`")))
        }
    }
}

/// The content of a file that must be there.
pub fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    let refusal = Refusal::new(format!("{} cannot be read: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            refusal.write("check as the user that serves: `sudo -u exeunt exeunt check`")
        }
        _ => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_for_owner_and_group() {
        let path = Path::new("users.toml");
        for mode in [0o600, 0o640, 0o660, 0o400, 0o100_640] {
            assert!(refuse_open_mode(path, mode).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o642, 0o666, 0o601] {
            assert!(refuse_open_mode(path, mode).is_err(), "{mode:o}");
        }
    }
}
