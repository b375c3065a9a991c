//! A network between a gateway and its server that does what a test says.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// They pass.
    Open,
    /// They pass so much later.
    Slow(Duration),
    /// Nothing passes, and neither side notices, until it is open again: a half-open connection.
    Silent,
    /// Connections break, and new ones at once.
    Cut,
}

/// How often it is looked whether the way has changed.
const LOOK: Duration = Duration::from_millis(5);

/// A socket that leads to another one. It works until the test program ends.
#[derive(Clone)]
pub struct Network {
    way: Arc<Mutex<Way>>,
    pub socket: PathBuf,
}

impl Network {
    pub fn to(server: PathBuf, folder: &Path) -> Self {
        let network = Self { way: Arc::new(Mutex::new(Way::Open)), socket: folder.join("network.sock") };
        let (all, listener) = (network.clone(), UnixListener::bind(&network.socket).unwrap());
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // While it is cut, and where there is no server, the connection is closed at once.
                if let (true, Ok(far)) = (*all.way.lock() != Way::Cut, UnixStream::connect(&server)) {
                    all.join(near, far);
                }
            }
        });
        network
    }

    pub fn set(&self, way: Way) {
        *self.way.lock() = way;
    }

    fn join(&self, near: UnixStream, far: UnixStream) {
        let ends = [near.try_clone().unwrap(), far.try_clone().unwrap()];
        for (from, to) in [(near, ends[1].try_clone().unwrap()), (far, ends[0].try_clone().unwrap())] {
            let network = self.clone();
            std::thread::spawn(move || network.pass(from, to));
        }
    }

    /// Passes on what comes, until one side ends.
    fn pass(&self, mut from: UnixStream, mut to: UnixStream) {
        from.set_read_timeout(Some(LOOK)).unwrap();
        let mut bytes = [0; 1 << 16];
        loop {
            let length = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
                Err(_) => break,
            };
            let way = *self.way.lock();
            if let (Way::Slow(late), true) = (way, length > 0) {
                std::thread::sleep(late);
            }
            while *self.way.lock() == Way::Silent {
                std::thread::sleep(LOOK);
            }
            if *self.way.lock() == Way::Cut || length > 0 && to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
    }
}
