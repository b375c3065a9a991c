//! When sessions are checked: expired ones are ended, and unconfirmed ends are retried.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

/// How often sessions are looked over: connections of one that is over end within a second.
const INTERVAL: Duration = Duration::from_millis(500);
/// Rounds that may be under way at the same time, because a store or an application takes its time.
const ROUNDS: usize = 16;

/// Begins a round every [`INTERVAL`], forever, without waiting for earlier rounds: expired sessions end on time,
/// however long the applications of earlier ones take.
pub(crate) async fn keep_reaping<F>(mut round: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(ROUNDS));
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // With this many in progress the next tick continues: expired sessions are refused meanwhile.
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
    async fn a_round_waits_for_none_before_it_and_there_are_not_too_many() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let stuck = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::pending()
        };
        let seconds = Duration::from_secs(60);
        assert!(tokio::time::timeout(seconds, keep_reaping(stuck)).await.is_err(), "for ever");
        assert_eq!(begun.load(Ordering::SeqCst), ROUNDS);
    }
}
