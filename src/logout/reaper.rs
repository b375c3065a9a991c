//! When sessions are checked: expired ones are ended, and unconfirmed ends are retried.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

/// The interval between two rounds, so that the connections of an expired session end within a second.
const INTERVAL: Duration = Duration::from_millis(500);
/// The maximum number of concurrent rounds: a slow store or application delays the end of a round.
const ROUNDS: usize = 16;

/// Begins a round every [`INTERVAL`], forever, without waiting for earlier rounds, so that expired sessions end on time
/// even if applications are slow.
pub(crate) async fn reap_periodically<F>(mut round: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(ROUNDS));
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // At the maximum this tick is skipped; expired sessions are refused anyway.
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            let round = round();
            tokio::spawn(async move {
                round.await;
                drop(turn);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rounds_overlap_up_to_a_limit() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let stuck = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::pending()
        };
        let seconds = Duration::from_secs(60);
        assert!(tokio::time::timeout(seconds, reap_periodically(stuck)).await.is_err(), "for ever");
        assert_eq!(begun.load(Ordering::SeqCst), ROUNDS);
    }
}
