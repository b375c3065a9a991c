//! What an exchange with an upstream can fail of, and what the client is told.

use pingora::{Error, ErrorSource, ErrorType};

/// Why there is no answer of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// No connection: refused, no route, no address, no TLS, or not within `connect_timeout`.
    Unreachable,
    /// The connection broke, or what came was no HTTP.
    BadAnswer,
    /// Silent for `response_timeout`, or it did not take the request for as long.
    TooSlow,
    /// The client went away, or stopped sending: there is nobody to answer.
    ClientGone,
    /// The engine found the request unfit to be forwarded.
    BadRequest,
    /// A fault of our own.
    Internal,
}

impl UpstreamFailure {
    /// The status of our answer; `None` where there is nobody to answer.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Unreachable | Self::BadAnswer => Some(502),
            Self::TooSlow => Some(504),
            Self::BadRequest => Some(400),
            Self::Internal => Some(500),
            Self::ClientGone => None,
        }
    }

    /// What an error of the engine means.
    pub fn of(error: &Error) -> Self {
        match error.esource() {
            ErrorSource::Upstream => Self::of_upstream(error.etype()),
            ErrorSource::Downstream => Self::of_client(error.etype()),
            ErrorSource::Internal | ErrorSource::Unset => Self::Internal,
        }
    }

    fn of_upstream(kind: &ErrorType) -> Self {
        use ErrorType::{
            BindError, ConnectError, ConnectNoRoute, ConnectProxyFailure, ConnectRefused, ConnectTimedout,
            HandshakeError, InternalError, InvalidCert, ReadTimedout, SocketError, TLSHandshakeFailure,
            TLSHandshakeTimedout, TLSWantX509Lookup, WriteTimedout,
        };
        match kind {
            ReadTimedout | WriteTimedout => Self::TooSlow,
            // A socket that cannot be made is an internal error of the upstream side.
            BindError | ConnectError | ConnectNoRoute | ConnectProxyFailure | ConnectRefused | ConnectTimedout
            | HandshakeError | InternalError | InvalidCert | SocketError | TLSHandshakeFailure
            | TLSHandshakeTimedout | TLSWantX509Lookup => Self::Unreachable,
            _ => Self::BadAnswer,
        }
    }

    fn of_client(kind: &ErrorType) -> Self {
        use ErrorType::{ConnectionClosed, ReadError, ReadTimedout, WriteError, WriteTimedout};
        match kind {
            ConnectionClosed | ReadError | ReadTimedout | WriteError | WriteTimedout => Self::ClientGone,
            _ => Self::BadRequest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_answer() {
        use ErrorSource::{Downstream, Internal, Unset, Upstream};
        let cases = [
            (Upstream, ErrorType::ConnectRefused, Some(502)),
            (Upstream, ErrorType::ConnectTimedout, Some(502)),
            (Upstream, ErrorType::ConnectNoRoute, Some(502)),
            (Upstream, ErrorType::TLSHandshakeFailure, Some(502)),
            (Upstream, ErrorType::InvalidCert, Some(502)),
            (Upstream, ErrorType::InternalError, Some(502)),
            (Upstream, ErrorType::ConnectionClosed, Some(502)),
            (Upstream, ErrorType::ReadError, Some(502)),
            (Upstream, ErrorType::InvalidHTTPHeader, Some(502)),
            (Upstream, ErrorType::ReadTimedout, Some(504)),
            (Upstream, ErrorType::WriteTimedout, Some(504)),
            (Downstream, ErrorType::ConnectionClosed, None),
            (Downstream, ErrorType::WriteError, None),
            (Downstream, ErrorType::ReadTimedout, None),
            (Downstream, ErrorType::InvalidHTTPHeader, Some(400)),
            (Internal, ErrorType::InternalError, Some(500)),
            (Unset, ErrorType::UnknownError, Some(500)),
        ];
        for (source, kind, want) in cases {
            let error = Error::create(kind.clone(), source.clone(), None, None);
            assert_eq!(UpstreamFailure::of(&error).status(), want, "{source:?} {kind:?}");
        }
    }
}
