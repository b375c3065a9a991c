//! The addresses on which the gateway listens: TCP socket addresses and paths of unix sockets.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// An address to listen on, in the notation of the configuration: `127.0.0.1:8080`, `[::]:80`,
/// `unix:/run/exeunt/http.sock`.
///
/// Port 0 lets the system choose a free port. A relative unix path is kept as it is; the configuration resolves it
/// against the folder of its file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An IP address and a port. `[::]` also accepts IPv4, unless another entry has an IPv4 address with the same port.
    Tcp(SocketAddr),
    /// The path of a unix stream socket.
    Unix(PathBuf),
}

/// The maximum length of the path of a unix socket on Linux in bytes, without the terminating NUL.
const UNIX_PATH_MAX: usize = 107;

/// Why a text is not a valid listen address. The message says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListenAddressError {
    /// `:8080` or `8080`: the address is missing.
    #[error(
        "the address before the port is missing: write \"127.0.0.1:{port}\" for this machine only, \"[::]:{port}\" for \
         everybody"
    )]
    NoAddress {
        /// The port that was written.
        port: u16,
    },
    /// `127.0.0.1`: the port is missing.
    #[error("the port is missing: write \"{address}:8080\"")]
    NoPort {
        /// The address with the brackets that IPv6 needs.
        address: String,
    },
    /// `localhost:8080`: names are not resolved.
    #[error("names are not looked up here: write \"127.0.0.1:{port}\" for this machine only, or another IP address")]
    Name {
        /// The port that was written.
        port: u16,
    },
    /// `unix:` without a path.
    #[error("the path is missing: write \"unix:/run/exeunt/http.sock\"")]
    NoPath,
    /// The path is too long for a unix socket.
    #[error(
        "the path has {length} bytes, a unix socket takes {UNIX_PATH_MAX}: write \"unix:/run/exeunt/http.sock\", or \
         another short path"
    )]
    LongPath {
        /// The length of the path in bytes.
        length: usize,
    },
    /// Any other mistake.
    #[error("write \"127.0.0.1:8080\", \"[::]:8080\" or \"unix:/run/exeunt/http.sock\"")]
    Unreadable,
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) => unix_path(path).map(Self::Unix),
            None => text.parse().map(Self::Tcp).map_err(|_| missing_part(text)),
        }
    }
}

fn unix_path(path: &str) -> Result<PathBuf, ListenAddressError> {
    match path.len() {
        0 => Err(ListenAddressError::NoPath),
        1..=UNIX_PATH_MAX if path.contains('\0') => Err(ListenAddressError::Unreadable),
        1..=UNIX_PATH_MAX => Ok(PathBuf::from(path)),
        length => Err(ListenAddressError::LongPath { length }),
    }
}

fn missing_part(text: &str) -> ListenAddressError {
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        let address = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        return ListenAddressError::NoPort { address };
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    match (host, port.parse()) {
        ("", Ok(port)) => ListenAddressError::NoAddress { port },
        (host, Ok(port)) if is_name(host) => ListenAddressError::Name { port },
        _ => ListenAddressError::Unreadable,
    }
}

fn is_name(host: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    host.bytes().all(is_name_byte) && host.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        for text in ["127.0.0.1:8080", "[::]:80", "[::1]:0", "unix:/run/exeunt/http.sock", "unix:a.sock"] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn errors_say_what_to_write() {
        let cases = [
            (":81", "\"127.0.0.1:81\" for this machine only"),
            ("8080", "\"127.0.0.1:8080\""),
            ("127.0.0.1", "\"127.0.0.1:8080\""),
            ("::1", "\"[::1]:8080\""),
            ("[::1]", "\"[::1]:8080\""),
            ("localhost:81", "names are not looked up here: write \"127.0.0.1:81\""),
            ("unix:", "\"unix:/run/exeunt/http.sock\""),
            ("unix:a\0b", "write \"127.0.0.1:8080\", \"[::]:8080\""),
            ("", "write \"127.0.0.1:8080\", \"[::]:8080\""),
            ("127.0.0.1:99999", "write \"127.0.0.1:8080\", \"[::]:8080\""),
            ("127.0.0.1:80 ", "write \"127.0.0.1:8080\", \"[::]:8080\""),
            ("http://localhost:80", "write \"127.0.0.1:8080\", \"[::]:8080\""),
        ];
        for (text, message) in cases {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn paths_are_limited_in_length() {
        let path = |length: usize| format!("unix:/{}", "a".repeat(length - 1)).parse::<ListenAddress>();
        assert!(path(107).is_ok());
        assert_eq!(path(108), Err(ListenAddressError::LongPath { length: 108 }));
    }
}
