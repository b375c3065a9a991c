//! What a client does, read from the input.

/// Stands for the cookie pair of a signed-in user.
pub const SESSION: &[u8] = b"{session}";

/// Connections that one input may open, and writes in each: more of them show nothing new.
const MOST: usize = 4;

/// Connections, one after the other.
pub struct Script(pub Vec<Connection>);

/// What is written on one connection, each piece by a write of its own.
#[derive(Default)]
pub struct Connection {
    pub writes: Vec<Vec<u8>>,
    /// Whether the client says that it will write no more.
    pub half_closed: bool,
}

impl Script {
    pub fn read(input: &[u8], cookie: Option<&str>) -> Self {
        let input = replaced(input, cookie.unwrap_or_default().as_bytes());
        Self(split(&input, [0xff, 0xfe]).into_iter().take(MOST).map(Connection::read).collect())
    }
}

impl Connection {
    fn read(bytes: &[u8]) -> Self {
        let parts = split(bytes, [0xff, 0xfd]);
        let writes = split(parts.first().copied().unwrap_or_default(), [0xff, 0xff]);
        let writes = writes.into_iter().filter(|piece| !piece.is_empty()).take(MOST).map(<[u8]>::to_vec).collect();
        Self { writes, half_closed: parts.len() > 1 }
    }
}

fn split(mut bytes: &[u8], sign: [u8; 2]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some(at) = bytes.windows(2).position(|pair| pair == sign) {
        pieces.push(&bytes[..at]);
        bytes = &bytes[at + 2..];
    }
    pieces.push(bytes);
    pieces
}

fn replaced(mut input: &[u8], cookie: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(input.len() + cookie.len());
    while let Some(at) = input.windows(SESSION.len()).position(|word| word == SESSION) {
        whole.extend_from_slice(&input[..at]);
        whole.extend_from_slice(cookie);
        input = &input[at + SESSION.len()..];
    }
    whole.extend_from_slice(input);
    whole
}
