//! Connections that tell when the kernel received what came: between two programs on one machine this orders events
//! that no program could order, since a thread may be late to look.

use std::io::{IoSliceMut, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;

/// Nanoseconds since 1970, by the clock that the kernel stamps with.
pub type Nanos = u64;

pub fn now() -> Nanos {
    nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

fn nanos(since: Duration) -> Nanos {
    since.as_nanos().try_into().unwrap()
}

/// A blocking connection.
pub struct Timed {
    stream: TcpStream,
    unread: Vec<u8>,
    at: Nanos,
}

/// What is read from now on, on this socket and those that it accepts, has its time.
pub fn stamp(socket: &impl std::os::fd::AsFd) {
    setsockopt(socket, ReceiveTimestampns, &true).unwrap();
}

impl Timed {
    /// Over a socket that is stamped.
    pub fn over(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new(), at: 0 }
    }

    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stamp(&stream);
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self::over(stream)
    }

    /// False if the other side takes nothing any more.
    pub fn say(&mut self, text: &str) -> bool {
        self.stream.write_all(text.as_bytes()).is_ok()
    }

    /// One head, its empty line included, and when its last piece was received; `None` at the end of the connection.
    pub fn head(&mut self) -> Option<(String, Nanos)> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.unread.drain(..end + 4).collect();
                return Some((String::from_utf8(head).unwrap(), self.at));
            }
            self.read_more()?;
        }
    }

    /// The same for the head of a request; without a time if the other side has closed the connection by now: the
    /// kernel adds the end of a connection to the last piece that was not read yet, which then has the time of the end.
    pub fn request(&mut self) -> Option<(String, Option<Nanos>)> {
        let (head, at) = self.head()?;
        let peeked = recv(self.stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
        Some((head, (peeked != Ok(0)).then_some(at)))
    }

    /// This number of bytes.
    pub fn body(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            self.read_more()?;
        }
        Some(self.unread.drain(..length).collect())
    }

    fn read_more(&mut self) -> Option<()> {
        let (mut buffer, mut room) = ([0; 16_384], nix::cmsg_space!(TimeSpec));
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let received = recvmsg::<()>(self.stream.as_raw_fd(), &mut slices, Some(&mut room), MsgFlags::empty());
        let message = match received {
            Ok(message) => message,
            Err(nix::errno::Errno::EAGAIN) => panic!("it hangs"),
            Err(_) => return None,
        };
        let at = message.cmsgs().unwrap().find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(at) => Some(nanos(at.into())),
            _ => None,
        });
        let count = Some(message.bytes).filter(|&count| count > 0)?;
        self.at = at.expect("the kernel tells when it received them");
        self.unread.extend_from_slice(&buffer[..count]);
        Some(())
    }
}
