//! Prices as server-sent events.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::answer::{self, Body};
use super::ticker::{Ticker, Ticks, message};

/// An answer that continues until the client disconnects or the shop closes.
pub(super) fn answer(ticker: &Ticker) -> Response<Body> {
    let Some(ticks) = ticker.listen() else { return answer::full() };
    let events = StreamBody::new(stream::unfold(ticks, next_event));
    let response = Response::new(events.boxed_unsync());
    let response = answer::with(response, CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer::with(response, CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}

async fn next_event(mut ticks: Ticks) -> Option<(Result<Frame<Bytes>, Infallible>, Ticks)> {
    let tick = ticks.next().await?;
    let event = format!("id: {tick}\ndata: {}\n\n", message(tick));
    Some((Ok(Frame::data(event.into())), ticks))
}
