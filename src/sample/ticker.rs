//! Live prices: every stream shows the same tick at the same time.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::products;

/// The maximum number of concurrent streams.
const STREAMS: usize = 256;

/// Makes streams of ticks.
#[derive(Debug)]
pub(super) struct Ticker {
    tick: watch::Receiver<u64>,
    places: Arc<Semaphore>,
}

/// One stream. It counts against the limit until it is dropped.
#[derive(Debug)]
pub(super) struct Ticks {
    tick: watch::Receiver<u64>,
    _place: OwnedSemaphorePermit,
}

impl Ticker {
    /// A ticker that follows this counter.
    pub(crate) fn new(tick: watch::Receiver<u64>) -> Self {
        Self { tick, places: Arc::new(Semaphore::new(STREAMS)) }
    }

    /// A new stream; `None` if the limit is reached.
    pub(crate) fn listen(&self) -> Option<Ticks> {
        let shop_path = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let mut tick = self.tick.clone();
        // The first tick is returned at once.
        tick.mark_changed();
        Some(Ticks { tick, _place: shop_path })
    }
}

impl Ticks {
    /// Waits for the next tick; the first one is returned at once. A slow listener misses ticks, since none is queued.
    /// `None` when the shop closes.
    pub(crate) async fn next(&mut self) -> Option<u64> {
        self.tick.changed().await.ok()?;
        Some(*self.tick.borrow_and_update())
    }
}

/// The prices of a tick, in cents: `{"prices":{"bear":24900,…},"tick":7}`.
pub(super) fn message(tick: u64) -> String {
    let prices: Map<String, Value> = products::prices(tick).map(|(id, cents)| (id.to_owned(), cents.into())).collect();
    json!({ "tick": tick, "prices": prices }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_yields_at_once_then_each_change_then_the_end() {
        let (sender, tick) = watch::channel(7);
        let ticker = Ticker::new(tick);
        let mut ticks = ticker.listen().unwrap();
        assert_eq!(ticks.next().await, Some(7));
        sender.send_replace(8);
        sender.send_replace(9);
        assert_eq!(ticks.next().await, Some(9));
        drop(sender);
        assert_eq!(ticks.next().await, None);
    }

    #[test]
    fn streams_have_a_limit_and_free_their_slot() {
        let (_sender, tick) = watch::channel(0);
        let ticker = Ticker::new(tick);
        let mut all: Vec<_> = std::iter::from_fn(|| ticker.listen()).take(STREAMS + 1).collect();
        assert_eq!(all.len(), STREAMS);
        all.pop();
        assert!(ticker.listen().is_some());
    }

    #[test]
    fn a_message_names_every_price() {
        let read: Value = serde_json::from_str(&message(3)).unwrap();
        assert_eq!(read["tick"], 3);
        assert_eq!(read["prices"].as_object().unwrap().len(), products::COUNT);
    }
}
