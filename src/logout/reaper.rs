//! Ends what is over: the only cause that nobody asks for.

use std::time::Duration;

use super::run::Pipeline;
use crate::session::table::SessionTable;

/// How often sessions are looked over: connections of one that is over end within a second.
pub const INTERVAL: Duration = Duration::from_millis(500);

/// Ends every session whose time is up, and answers how many that were.
pub async fn reap(sessions: &SessionTable, pipeline: &Pipeline, grace: Duration) -> usize {
    let begun = pipeline.clock.now();
    let ended = sessions.expired(begun).await;
    for ended in &ended {
        pipeline.run(std::slice::from_ref(ended), begun, grace, 0);
    }
    ended.len()
}
