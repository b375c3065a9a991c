//! Binding a unix socket: with a chosen mode, replacing one that was left over, and removed with its listener.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// Connections that the system queues until they are accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// Binds a socket at a path, for its owner and, with this mode, a group. To be called within a tokio runtime.
///
/// Clients cannot connect before `listen`, and the name appears with the right mode by the rename: at no moment does
/// the umask of the process matter, and at none does a restart leave the path without a socket.
///
/// # Errors
/// What the system says, or that something is at that path which must stay.
pub(crate) fn bind(path: &Path, mode: u32, group: Option<u32>) -> io::Result<(UnixListener, SocketFile)> {
    refuse_what_is_in_use(path)?;
    let staging = staging_path(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&staging)?)?;
    let listening = fs::set_permissions(&staging, fs::Permissions::from_mode(mode))
        .and_then(|()| group.map_or(Ok(()), |group| chown(&staging, None, Some(group))))
        .and_then(|()| socket.listen(BACKLOG))
        .and_then(|()| fs::rename(&staging, path));
    if let Err(error) = listening {
        // The staged name is useless now; the first error is the one to report.
        let _ = fs::remove_file(&staging);
        return Err(error);
    }
    let file = SocketFile::at(path)?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

/// Whether a socket could be bound at a path, as far as can be told without making one.
///
/// # Errors
/// What the system says, or that something is at that path which must stay.
pub(crate) fn probe(path: &Path) -> io::Result<()> {
    refuse_what_is_in_use(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from)
}

/// A socket without a listener is a leftover and may be replaced; anything else at that path must not.
fn refuse_what_is_in_use(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let message = "the file at that path is not a socket: move it away, or choose another path";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            let message = "another process answers on that socket: stop it, or choose another path";
            Err(io::Error::new(io::ErrorKind::AddrInUse, message))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

fn staging_path(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(path.with_file_name(format!(".{:08x}", u32::from_ne_bytes(random))))
}

/// The file of a unix socket, removed when dropped if it is still the one that was made here.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: file_identity(path)? })
    }
}

fn file_identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if file_identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // It may have gone a moment ago: then there is nothing to remove.
            let _ = fs::remove_file(&self.path);
        }
    }
}
