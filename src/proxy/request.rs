//! A request that came: its head as it was read.

use bytes::{Bytes, BytesMut};
use http::header::{EXPECT, UPGRADE};
use http::{Method, Version, request};

use super::wire::Framing;
use crate::values::body::BodyReader;
use crate::values::head_lines::{Known, Span};
use crate::values::headers::RequestHead;
use crate::values::request_head::{self, Head};

/// One request, without its body.
#[derive(Debug)]
pub struct Request {
    head: Bytes,
    parts: request::Parts,
    target: Span,
    framing: Framing,
    is_old: bool,
    keeps_alive: bool,
}

impl Request {
    /// Takes a head from the bytes that came; what is behind it stays.
    pub(super) fn take(bytes: &mut BytesMut, head: &Head) -> Self {
        let text = bytes.split_to(head.end).freeze();
        let (mut parts, ()) = http::Request::new(()).into_parts();
        // The reader lets no other methods pass than those that are words.
        parts.method = Method::from_bytes(head.method.of(&text)).unwrap_or_default();
        parts.version = if head.is_old { Version::HTTP_10 } else { Version::HTTP_11 };
        parts.headers = head.lines.to_map(&text);
        let says_length = head.lines.known(&text, Known::ContentLength).next().is_some();
        let framing = match head.framing {
            request_head::Framing::Empty if says_length => Framing::Length(0),
            request_head::Framing::Empty => Framing::Nothing,
            request_head::Framing::Length(length) => Framing::Length(length),
            request_head::Framing::Chunked => Framing::Chunked,
        };
        Self { parts, target: head.target, framing, is_old: head.is_old, keeps_alive: head.keeps_alive, head: text }
    }

    /// The target, byte for byte.
    pub fn target(&self) -> &[u8] {
        self.target.of(&self.head)
    }

    /// What the gateway judges.
    pub(super) fn head(&self) -> RequestHead<'_> {
        RequestHead::of(&self.parts, self.target())
    }

    /// Method, version and headers.
    pub fn parts(&self) -> &request::Parts {
        &self.parts
    }

    /// How its body is framed.
    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    /// Reads its body.
    pub(super) fn body(head: &Head) -> BodyReader {
        BodyReader::new(head.framing)
    }

    /// Whether it was sent by a client of HTTP/1.0, which knows neither chunks nor interim answers.
    pub(super) fn is_old(&self) -> bool {
        self.is_old
    }

    /// Whether its client wants to ask again on the same connection.
    pub(super) fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Whether its client sends the body only when it is asked to, or after a while.
    pub(super) fn waits_to_be_asked(&self) -> bool {
        !self.is_old && self.parts.headers.contains_key(EXPECT)
    }

    /// Whether it asks for another protocol.
    pub(super) fn is_upgrade(&self) -> bool {
        self.parts.headers.contains_key(UPGRADE)
    }

    /// Whether its answer has a head alone.
    pub(super) fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }
}
