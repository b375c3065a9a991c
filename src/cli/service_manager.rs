//! Notifications to a service manager (systemd's `Type=notify`): ready, watchdog, reloading, stopping. Without
//! `NOTIFY_SOCKET` nothing is sent.

use std::future::pending;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use crate::proxy::Server;

/// Runs a reload, and notifies its beginning and its end (sd_notify(3) wants the time with the beginning).
pub(super) async fn while_reloading<T>(reload: impl Future<Output = T>) -> T {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager cannot be notified of the reload"),
    }
    let reloaded = reload.await;
    notify(&[NotifyState::Ready]);
    reloaded
}

/// Notifies that the server is ready, pings the watchdog, and notifies when the server begins to stop. Returns when
/// the server has stopped.
pub(super) async fn report_status(server: &Server) {
    notify(&[NotifyState::Ready]);
    let until_stopped = async {
        server.stopping().await;
        notify(&[NotifyState::Stopping]);
        server.stopped().await;
    };
    tokio::select! {
        () = until_stopped => {}
        () = ping_watchdog() => {}
    }
}

/// Pings as often as the watchdog (`WATCHDOG_USEC`) asks for, also while the server drains. Never returns.
async fn ping_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled().and_then(ping_period) else {
        return pending().await;
    };
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // On one of the worker threads: if all of them hang, no ping is sent and the manager restarts the service.
        let sent = tokio::spawn(async { notify(&[NotifyState::Watchdog]) });
        if let Err(error) = sent.await {
            tracing::error!(%error, "the watchdog was not pinged");
        }
    }
}

/// Twice within the watchdog's timeout, as sd_watchdog_enabled(3) advises. A timeout of zero means no watchdog.
fn ping_period(timeout: Duration) -> Option<Duration> {
    Some(timeout / 2).filter(|period| !period.is_zero())
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_pinged_twice_in_its_timeout() {
        assert_eq!(ping_period(Duration::from_secs(30)), Some(Duration::from_secs(15)));
        assert_eq!(ping_period(Duration::ZERO), None);
    }
}
