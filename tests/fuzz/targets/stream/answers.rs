//! How the application answers: as it should, or as a request's `X-Mood` asks it to.

/// What a cookie holds that the application sets in the gateway's name.
pub const STOLEN: &[u8] = b"stolen";

/// What goes back for a request, and whether the connection ends behind it.
pub struct Answer {
    pub bytes: Vec<u8>,
    pub closes: bool,
}

impl Answer {
    fn last(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), closes: true }
    }

    /// The head that was read, each of its characters one byte again.
    fn echo(head: &str, to_head: bool) -> Self {
        let length = head.chars().count();
        let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        bytes.extend(head.chars().filter(|_| !to_head).map(|at| u8::try_from(u32::from(at)).unwrap()));
        Self { bytes, closes: false }
    }

    pub fn to(answers: Option<&str>, head: &str, to_head: bool) -> Self {
        match answers {
            Some("gone") => Self::last(b""),
            Some("half") => Self::last(b"HTTP/1.1 200 OK\r\nContent-"),
            Some("short") => Self::last(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nno more"),
            Some("long") => Self::last(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nmore than two"),
            Some("chunks") => Self::last(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            Some("odd") => Self::last(b"HTTP/1.1 2000 OK\r\n\r\n"),
            Some("switch") => {
                Self::last(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\nb")
            }
            Some("interim") => Self::last("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100).as_bytes()),
            Some("thief") => Self::last(
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: exeunt=stolen\r\nSet-Cookie: a=b\r\n\
                  set-cookie: Exeunt-Known=stolen; Path=/\r\nClear-Site-Data: \"cookies\"\r\n\r\n",
            ),
            _ => Self::echo(head, to_head),
        }
    }
}
