//! Requests that the gateway makes itself (logout calls), on new connections to the same upstreams and with the same
//! trusted authorities.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use http::Method;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dispatch::{UpstreamConnection, UpstreamConnector};
use super::wire::{self, Persistence, SentFraming};
use crate::http1::answer_head::{AnswerContext, AnswerHead, AnswerReader};
use crate::http1::body::BodyReader;
use crate::http1::head_lines::HeadFields;
use crate::http1::headers::Headers;
use crate::http1::request_head::HeadLimits;
use crate::logout::client::{ApplicationClient, OwnAnswer, OwnRequest};
use crate::routes::endpoint::FailedEndpoints;
use crate::routes::pool::Pool;
use crate::values::application_outcome::CallFailure;

/// The limits of an answer's head.
const HEAD: HeadLimits = HeadLimits { size: 64 * 1024, fields: 256 };
/// The maximum number of bytes of a body that are read; the rest is ignored.
const BODY: usize = 1024 * 1024;
/// The maximum number of interim answers (1xx).
const INTERIM: usize = 32;
/// The size of one read, in bytes.
const BUFFER_SIZE: usize = 16 * 1024;

/// Sends the gateway's own requests.
pub(super) struct OwnRequests(Arc<UpstreamConnector>);

impl OwnRequests {
    pub(super) fn new(connector: &Arc<UpstreamConnector>) -> Self {
        Self(Arc::clone(connector))
    }

    /// Opens a new connection: an idle one may be closing, and these requests are not retried.
    async fn connect(&self, pool: &Pool, affinity: u64) -> Result<UpstreamConnection, CallFailure> {
        let mut tried = FailedEndpoints::NOTHING;
        loop {
            let endpoint = pool.choose(affinity, &tried).await.ok_or(CallFailure::Unreachable)?;
            match self.0.connect(pool, &endpoint).await {
                Ok(made) => return Ok(made),
                Err(()) => tried.insert(&endpoint),
            }
        }
    }
}

impl fmt::Debug for OwnRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnRequests")
    }
}

#[async_trait]
impl ApplicationClient for OwnRequests {
    async fn send(&self, pool: &Pool, affinity: u64, request: OwnRequest) -> Result<OwnAnswer, CallFailure> {
        let mut upstream = self.connect(pool, affinity).await?;
        // An upstream that stops reading may already have answered.
        let sent = upstream.stream.write_all(&bytes_of(&request)).await.is_ok();
        if sent {
            upstream.stream.flush().await.map_err(|_| CallFailure::Broken)?;
        }
        read(&mut upstream).await
    }
}

fn bytes_of(request: &OwnRequest) -> BytesMut {
    let mut bytes = BytesMut::new();
    let framing = match request.method {
        Method::POST => SentFraming::Length(request.body.len() as u64),
        _ => SentFraming::Nothing,
    };
    let line = (request.method.as_str().as_bytes(), request.target.as_bytes());
    let put_lines = |to: &mut BytesMut| to.extend_from_slice(&request.lines);
    wire::put_request(&mut bytes, line, put_lines, framing, Persistence::Close);
    bytes.extend_from_slice(&request.body);
    bytes
}

async fn read(upstream: &mut UpstreamConnection) -> Result<OwnAnswer, CallFailure> {
    let head = read_head(upstream).await?;
    let (status, mut body) = (head.status, BodyReader::of_answer(head.body));
    let fields = HeadFields::new(upstream.input.split_to(head.end).freeze(), head.lines);
    let headers: &dyn Headers = &fields;
    let is_json = headers.header(&CONTENT_TYPE).is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    let set_cookies = headers.lines(&SET_COOKIE).map(<[u8]>::to_vec).collect();
    let (content, is_whole) = (Vec::new(), false);
    let mut answer = OwnAnswer { status, set_cookies, is_json, body: content, is_whole, head: Some(fields) };
    while answer.body.len() < BODY {
        while !upstream.input.is_empty() && !body.is_over() {
            let piece = body.step(&upstream.input).map_err(|_| CallFailure::Broken)?;
            answer.body.extend_from_slice(upstream.input.get(piece.data).unwrap_or_default());
            upstream.input.advance(piece.taken);
        }
        if body.is_over() {
            answer.is_whole = true;
            break;
        }
        // If the body is incomplete, the status still counts, and the token may already be in it.
        match read_more(upstream).await {
            Ok(0) => answer.is_whole = matches!(body, BodyReader::UntilClose),
            Ok(_) => continue,
            Err(_) => {}
        }
        break;
    }
    Ok(answer)
}

/// The head of the final answer, after interim ones.
async fn read_head(upstream: &mut UpstreamConnection) -> Result<AnswerHead, CallFailure> {
    let mut reader = AnswerReader::new(AnswerContext::default());
    for _ in 0..INTERIM {
        let head = loop {
            match reader.feed(&mut upstream.input, &HEAD).map_err(|_| CallFailure::Broken)? {
                Some(head) => break head,
                None if read_more(upstream).await? == 0 => return Err(CallFailure::Broken),
                None => {}
            }
        };
        if !head.is_interim() {
            return Ok(head);
        }
        upstream.input.advance(head.end);
    }
    Err(CallFailure::Broken)
}

async fn read_more(upstream: &mut UpstreamConnection) -> Result<usize, CallFailure> {
    upstream.input.reserve(BUFFER_SIZE);
    upstream.stream.read_buf(&mut upstream.input).await.map_err(|_| CallFailure::Broken)
}
