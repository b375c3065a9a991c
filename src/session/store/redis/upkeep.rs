//! Operations for operators: find out whether gateways use the store, and empty it.

use std::time::Duration;

use super::link::Code;
use super::peers::{LEFT, staleness_of};
use super::{MAX_STALENESS, RedisStore};
use crate::session::store::Unavailable;

/// The interval of the checks for new heartbeats.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The tolerance for late heartbeats.
const TOLERANCE: Duration = Duration::from_millis(500);

impl RedisStore {
    /// Whether any gateway uses the store: whether one writes a new heartbeat within twice its interval.
    ///
    /// # Errors
    /// [`Unavailable`]: the server does not answer.
    pub(crate) async fn is_in_use(&self) -> Result<bool, Unavailable> {
        let link = &self.shared.link;
        let mut first = link.read_heartbeats().await?;
        first.retain(|_, said| said != LEFT);
        let staleness = first.values().map(|said| staleness_of(said).unwrap_or(MAX_STALENESS).min(MAX_STALENESS)).max();
        let Some(staleness) = staleness else { return Ok(false) };
        let mut left = staleness * 2 / 5 + TOLERANCE;
        while !left.is_zero() {
            tokio::time::sleep(POLL_INTERVAL).await;
            let now = link.read_heartbeats().await?;
            if now.iter().any(|(name, said)| said != LEFT && first.get(name) != Some(said)) {
                return Ok(true);
            }
            left = left.saturating_sub(POLL_INTERVAL);
        }
        Ok(false)
    }

    /// Deletes all content.
    ///
    /// # Errors
    /// [`Unavailable`]: the server does not answer. A part of the content may have been deleted.
    pub async fn clear(&self) -> Result<(), Unavailable> {
        let script = Code::new(include_str!("clear.lua"), true);
        let mut cursor = "0".to_owned();
        loop {
            cursor = self.shared.link.call(&script, |call| _ = call.arg(&cursor)).await?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }
}
