//! Hop-by-hop headers (RFC 9110 7.6.1). They are not forwarded, and neither are the framing headers: every message is
//! framed again.

use super::head_lines::{HeadFields, HeadLine, items};
use super::known_name::KnownName;

/// The hop-by-hop headers of one head.
#[derive(Debug)]
pub(crate) struct HopByHop<'a> {
    nominated: Vec<&'a [u8]>,
}

impl<'a> HopByHop<'a> {
    /// Reads the `Connection` headers of a head.
    pub(crate) fn of(head: &'a HeadFields) -> Self {
        let mut nominated = Vec::new();
        for value in head.lines().known(head.bytes(), KnownName::Connection).filter(|value| !is_usual(value)) {
            nominated.extend(items(value).filter(|name| !is_usual(name)));
        }
        Self { nominated }
    }

    /// Whether the field, whose name is `name`, is a hop-by-hop header.
    pub(crate) fn is_one(&self, line: &HeadLine, name: &[u8]) -> bool {
        let fixed = match line.known {
            KnownName::Connection
            | KnownName::ContentLength
            | KnownName::KeepAlive
            | KnownName::ProxyAuthenticate
            | KnownName::ProxyConnection
            | KnownName::Te
            | KnownName::Trailer
            | KnownName::TransferEncoding
            | KnownName::Upgrade => true,
            KnownName::ContentType
            | KnownName::Cookie
            | KnownName::Expect
            | KnownName::Host
            | KnownName::SetCookie
            | KnownName::Other => false,
        };
        fixed || self.nominated.iter().any(|nominated| nominated.eq_ignore_ascii_case(name))
    }
}

/// Whether a connection option is one of the common ones, which name no further header.
fn is_usual(name: &[u8]) -> bool {
    let is = |usual: &&[u8]| name.eq_ignore_ascii_case(usual);
    name == b"keep-alive" || [b"keep-alive".as_slice(), b"close", b"upgrade", b"te"].iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::request_head::{HeadLimits, HeadReader};
    use bytes::Bytes;

    #[test]
    fn fixed_and_nominated_headers_are_hop_by_hop() {
        let head = "GET / HTTP/1.1\r\nConnection: keep-alive, X-Debug\r\nconnection: x-second,,TE\r\nKeep-Alive: a\r\n\
                    Transfer-Encoding: chunked\r\nTrailer: x\r\nTE: b\r\nUpgrade: c\r\nProxy-Connection: d\r\n\
                    Proxy-Authenticate: e\r\nX-DEBUG: f\r\nX-Second: g\r\nX-Third: h\r\n\
                    Content-Type: i\r\nHost: j\r\n\r\n";
        let bytes = Bytes::from_static(head.as_bytes());
        let read = HeadReader::default().feed(&bytes, &HeadLimits { size: 4096, fields: 50 }).unwrap().unwrap();
        let head = HeadFields::new(bytes, read.lines);
        let hop = HopByHop::of(&head);
        let others = head.lines().iter().filter(|line| !hop.is_one(line, line.name.of(head.bytes())));
        let others: Vec<_> = others.map(|line| line.name.of(head.bytes())).collect();
        assert_eq!(others, [b"X-Third".as_slice(), b"Content-Type", b"Host"]);
    }
}
