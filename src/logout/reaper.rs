//! When sessions are looked over: ends that nobody asks for, and ends that have to be asked for again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

/// How often sessions are looked over: connections of one that is over end within a second.
const INTERVAL: Duration = Duration::from_millis(500);
/// Rounds that may be under way at the same time, because a store or an application takes its time.
const ROUNDS: usize = 16;

/// Begins a round every [`INTERVAL`], for ever, and waits for none of them: sessions whose time is up end then, however
/// long the applications of earlier ones take.
pub(crate) async fn keep_reaping<F>(mut round: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(ROUNDS));
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // With so many under way it is left to the next tick: what is over serves nobody meanwhile.
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
