//! Socket activation: listening sockets that a service manager hands over (sd_listen_fds(3)). They stay open while the
//! program restarts, so that connections wait and none is refused.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

/// Sockets that have not been taken yet.
#[derive(Debug, Default)]
pub struct Inherited {
    tcp: Vec<(SocketAddr, TcpListener)>,
    unix: Vec<(PathBuf, UnixListener)>,
}

impl Inherited {
    /// The sockets that were handed over to this process, if any. To be called once.
    ///
    /// # Errors
    /// Something other than a listening stream socket was handed over.
    pub(crate) fn from_environment() -> io::Result<Self> {
        let (mut sockets, mut inherited) = (ListenFd::from_env(), Self::default());
        for at in 0..sockets.len() {
            // A socket that is not a TCP socket is tried as a unix socket next.
            if let Ok(Some(listener)) = sockets.take_tcp_listener(at) {
                inherited.tcp.push((listener.local_addr()?, listener));
            } else if let Some(listener) = sockets.take_unix_listener(at)? {
                let path = listener.local_addr()?.as_pathname().map(Path::to_owned).unwrap_or_default();
                inherited.unix.push((path, listener));
            }
        }
        Ok(inherited)
    }

    pub(super) fn take_tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.tcp.iter().position(|(other, _)| *other == address)?;
        Some(self.tcp.swap_remove(at).1)
    }

    pub(super) fn take_unix(&mut self, path: &Path) -> Option<UnixListener> {
        let at = self.unix.iter().position(|(other, _)| other == path)?;
        Some(self.unix.swap_remove(at).1)
    }

    /// The addresses of sockets that were handed over and not taken: no connection is accepted there.
    pub fn left(&self) -> Vec<String> {
        let tcp = self.tcp.iter().map(|(address, _)| address.to_string());
        tcp.chain(self.unix.iter().map(|(path, _)| format!("unix:{}", path.display()))).collect()
    }
}
