//! Binds a unix socket with a given mode, replaces a stale one, and removes the file with its listener.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// The length of the system's queue of connections that are not accepted yet.
pub(crate) const BACKLOG: i32 = 4096;

/// Binds a socket at a path with this mode and group. To be called within a tokio runtime.
///
/// The socket is bound under a temporary name and renamed after its mode is set. So it never has the mode of the umask,
/// and the path has a socket at any time during a restart. Clients cannot connect before `listen`.
///
/// # Errors
/// The error of the operating system, or that a file at this path must not be replaced.
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
        // Removing the temporary file may fail as well; the first error is reported.
        let _ = fs::remove_file(&staging);
        return Err(error);
    }
    let file = SocketFile::at(path)?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

/// Checks whether a socket could be bound at a path, without creating one.
///
/// # Errors
/// The error of the operating system, or that a file at this path must not be replaced.
pub(crate) fn probe(path: &Path) -> io::Result<()> {
    refuse_what_is_in_use(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from)
}

/// A socket without a listener is stale and may be replaced; any other file must not.
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
            // It may already have been removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}
