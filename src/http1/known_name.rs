//! The header names that the parsers of heads recognise.

use super::header_name_bytes::equals_lower_case;

/// The headers on which the framing of a message and the reuse of its connection depend, and a few frequent ones. Rules
/// look up other headers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownName {
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Content-Type`
    ContentType,
    /// `Cookie`
    Cookie,
    /// `Expect`
    Expect,
    /// `Host`
    Host,
    /// `Keep-Alive`
    KeepAlive,
    /// `Proxy-Authenticate`
    ProxyAuthenticate,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `Set-Cookie`
    SetCookie,
    /// `TE`
    Te,
    /// `Trailer`
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Upgrade`
    Upgrade,
    /// Any other name
    Other,
}

impl KnownName {
    /// The known name that equals `name` without case, or [`Self::Other`].
    pub(crate) fn of(name: &[u8]) -> Self {
        // At most one known name has this length and first letter.
        let (known, text): (_, &[u8]) = match (name.len(), name.first().map(u8::to_ascii_lowercase)) {
            (2, Some(b't')) => (Self::Te, b"te"),
            (4, Some(b'h')) => (Self::Host, b"host"),
            (6, Some(b'c')) => (Self::Cookie, b"cookie"),
            (6, Some(b'e')) => (Self::Expect, b"expect"),
            (7, Some(b'u')) => (Self::Upgrade, b"upgrade"),
            (7, Some(b't')) => (Self::Trailer, b"trailer"),
            (10, Some(b'c')) => (Self::Connection, b"connection"),
            (10, Some(b'k')) => (Self::KeepAlive, b"keep-alive"),
            (10, Some(b's')) => (Self::SetCookie, b"set-cookie"),
            (12, Some(b'c')) => (Self::ContentType, b"content-type"),
            (14, Some(b'c')) => (Self::ContentLength, b"content-length"),
            (16, Some(b'p')) => (Self::ProxyConnection, b"proxy-connection"),
            (18, Some(b'p')) => (Self::ProxyAuthenticate, b"proxy-authenticate"),
            (17, Some(b't')) => (Self::TransferEncoding, b"transfer-encoding"),
            _ => return Self::Other,
        };
        if equals_lower_case(text, name) { known } else { Self::Other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_in_any_case() {
        use KnownName::*;
        let cases = [
            ("Connection", Connection),
            ("CONTENT-LENGTH", ContentLength),
            ("content-type", ContentType),
            ("cookie", Cookie),
            ("Expect", Expect),
            ("host", Host),
            ("Keep-Alive", KeepAlive),
            ("Proxy-Connection", ProxyConnection),
            ("Proxy-Authenticate", ProxyAuthenticate),
            ("Set-Cookie", SetCookie),
            ("TE", Te),
            ("trailer", Trailer),
            ("Transfer-Encoding", TransferEncoding),
            ("Upgrade", Upgrade),
            ("", Other),
            ("Hos", Other),
            ("Hosx", Other),
            ("Te-", Other),
            ("transfer_encoding", Other),
        ];
        for (name, want) in cases {
            assert_eq!(KnownName::of(name.as_bytes()), want, "{name}");
        }
    }
}
