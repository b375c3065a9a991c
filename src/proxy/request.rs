//! A received request, without its body.

use bytes::BytesMut;
use http::{Method, Version};

use super::connection::Connection;
use super::wire::SentFraming;
use crate::http1::body::BodyReader;
use crate::http1::head_lines::{HeadFields, Span};
use crate::http1::headers::RequestHead;
use crate::http1::known_name::KnownName;
use crate::http1::request_head::{self, Head};

/// One request, without its body.
#[derive(Clone, Debug)]
pub struct Request {
    fields: HeadFields,
    method: Method,
    target: Span,
    framing: SentFraming,
    is_old: bool,
    keeps_alive: bool,
}

impl Request {
    /// Takes a head from the received bytes; what follows it stays.
    pub(super) fn take(bytes: &mut BytesMut, head: Head) -> Self {
        let text = bytes.split_to(head.end).freeze();
        // The reader accepts only tokens as methods, so this does not fail.
        let method = Method::from_bytes(head.method.of(&text)).unwrap_or_default();
        let says_length = head.lines.known(&text, KnownName::ContentLength).next().is_some();
        let framing = match head.framing {
            request_head::BodyFraming::Empty if says_length => SentFraming::Length(0),
            request_head::BodyFraming::Empty => SentFraming::Nothing,
            request_head::BodyFraming::Length(length) => SentFraming::Length(length),
            request_head::BodyFraming::Chunked => SentFraming::Chunked,
        };
        let Head { target, is_old, keeps_alive, lines, .. } = head;
        Self { method, target, framing, is_old, keeps_alive, fields: HeadFields::new(text, lines) }
    }

    /// The target, byte for byte.
    pub fn target(&self) -> &[u8] {
        self.target.of(self.fields.bytes())
    }

    /// The method.
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Its header lines.
    pub fn fields(&self) -> &HeadFields {
        &self.fields
    }

    /// The head, for the gateway's rules.
    pub(super) fn head(&self) -> RequestHead<'_> {
        RequestHead { method: &self.method, target: self.target(), headers: &self.fields, last_key: None }
    }

    /// The same, with the last session cookie of its connection.
    pub(super) fn head_over<'a>(&'a self, connection: &'a Connection) -> RequestHead<'a> {
        RequestHead { last_key: Some(connection.last_key()), ..self.head() }
    }

    /// Whether pipelined data after it are unambiguously another request. If not, a program that honours a length which
    /// the gateway ignores would read them as part of this request (request smuggling), so the connection is closed.
    pub(super) fn may_be_followed(&self) -> bool {
        self.framing == SentFraming::Nothing && !self.is_old && matches!(self.method, Method::GET | Method::HEAD)
    }

    /// The version of HTTP that its client uses.
    pub(super) fn version(&self) -> Version {
        if self.is_old { Version::HTTP_10 } else { Version::HTTP_11 }
    }

    /// How its body is framed.
    pub(super) fn framing(&self) -> SentFraming {
        self.framing
    }

    /// Reads its body.
    pub(super) fn body(head: &Head) -> BodyReader {
        BodyReader::new(head.framing)
    }

    /// Whether the client uses HTTP/1.0, which has neither chunked coding nor interim answers.
    pub(super) fn is_http10(&self) -> bool {
        self.is_old
    }

    /// Whether its client wants to keep the connection.
    pub(super) fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Whether its client waits for 100-continue before it sends the body.
    pub(super) fn expects_continue(&self) -> bool {
        !self.is_old && self.has(KnownName::Expect)
    }

    fn has(&self, known: KnownName) -> bool {
        self.fields.lines().known(self.fields.bytes(), known).next().is_some()
    }

    /// Whether it asks for another protocol.
    pub(super) fn is_upgrade(&self) -> bool {
        self.has(KnownName::Upgrade)
    }

    /// Whether it is HEAD, whose answer has no body.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}
