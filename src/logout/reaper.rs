//! Ends what is over: the only cause that nobody asks for.

use std::time::Duration;

use super::run::Pipeline;
use crate::session::table::SessionTable;

/// How often sessions are looked over. A session is refused to the second all the same.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Ends every session whose time is up, and answers how many that were.
pub async fn reap(sessions: &SessionTable, pipeline: &Pipeline, grace: Duration) -> usize {
    let begun = pipeline.clock.now();
    let ended = sessions.expired(begun).await;
    for ended in &ended {
        pipeline.run(ended, begun, grace, 0);
    }
    ended.len()
}
