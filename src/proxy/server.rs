//! The server: listeners, connections, deadlines, and graceful shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, sleep, timeout};

use super::accept::accept_loop;
use super::application::Application;
use super::connection::Connection;
use super::connection_state::{CloseReason, ConnectionTimeouts};
use super::connection_table::{ConnectionLimits, ConnectionTable};
use super::listener::Listener;
use super::rate_limited_log::RateLimitedLog;
use super::settings::ServerSettings;
use super::shared::ServerState;
use crate::values::listen_address::ListenAddress;
use crate::values::time::{Clock, Moment};

/// A running server. Dropping it stops it at once.
#[derive(Debug)]
pub struct Server {
    control: Control,
    addresses: Vec<ListenAddress>,
    /// Closed when the last of the server's tasks has ended: each of them holds a receiver.
    running: watch::Sender<()>,
}

/// The maximum number of refused clients that get time to read their 503 at the same time.
const MAX_CONCURRENT_REFUSALS: usize = 64;
/// Timeout for exchanges to be judged again, in case a thread does not run for that long.
const JUDGE_TIMEOUT: Duration = Duration::from_millis(500);
/// The interval at which deadlines are checked, and so their precision.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

impl Server {
    /// Starts to serve on `listeners`; to be called within a tokio runtime. The settings for binding and threads have
    /// been used before and are ignored here.
    pub fn open<A>(settings: ServerSettings, listeners: Vec<Listener>, app: Arc<A>, clock: Clock) -> Self
    where
        A: Application,
    {
        let (stop, stopping) = watch::channel(false);
        let draining = Arc::new(AtomicBool::new(false));
        let control = Control {
            table: ConnectionTable::new(ConnectionLimits::of(&settings)),
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            clock: clock.clone(),
            draining: Arc::clone(&draining),
            stop: Arc::new(stop),
            application: Sweep({
                let app = Arc::clone(&app);
                Arc::new(move |now| app.sweep(now))
            }),
        };
        let shared = Arc::new(ServerState {
            app,
            settings: Arc::clone(&control.settings),
            clock,
            table: Arc::clone(&control.table),
            stopping,
            draining,
            refusals: Arc::new(Semaphore::new(MAX_CONCURRENT_REFUSALS)),
            refusal_log: RateLimitedLog::default(),
            accept_log: RateLimitedLog::default(),
        });
        let addresses = listeners.iter().map(|listener| listener.address().clone()).collect();
        let (running, runs) = watch::channel(());
        for listener in listeners {
            spawn_holding(runs.clone(), accept_loop(Arc::clone(&shared), listener));
        }
        spawn_holding(runs, sweep_until_empty(control.clone()));
        Self { control, addresses, running }
    }

    /// The addresses of its listeners, in their order.
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.control.table.open()
    }

    /// Waits until exactly this many connections are open. For tests.
    pub async fn reached(&self, connections: usize) {
        self.control.table.reach(connections).await;
    }

    /// Checks all deadlines now. For tests that advance the clock.
    pub fn sweep(&self) {
        self.control.sweep();
    }

    /// Replaces the settings, also for open connections, except those for binding and threads.
    pub fn set(&self, settings: ServerSettings) {
        self.control.table.set_limits(ConnectionLimits::of(&settings));
        self.control.settings.store(Arc::new(settings));
    }

    /// Has all running exchanges judged again that were judged by an older configuration, and waits until that is done.
    /// An exchange that is just connecting to its upstream may be judged later, before its head is sent.
    pub(crate) async fn judge_again(&self, generation: u64) {
        let is_awaited = |connection: &Connection| connection.wake_if_judged_before(generation);
        let all_judged = async {
            while self.control.table.count_if(is_awaited) > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        // After a timeout they are still judged: an exchange checks the generation before each step.
        let _ = timeout(JUDGE_TIMEOUT, all_judged).await;
    }

    /// Begins a graceful shutdown: no connection is accepted any more, idle ones are closed, running exchanges may
    /// finish within `drain`, clients that have just connected may send their request, upgraded connections and event
    /// streams are cut. Calling it again has no effect.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Stops at once, without waiting for running exchanges.
    pub fn stop_now(&self) {
        self.control.stop_now();
    }

    /// Waits until the server begins to stop.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.control.stop.subscribe();
        // The sender is in `control`, so this cannot fail.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Waits until the server was stopped and all listeners and connections are closed.
    pub async fn stopped(&self) {
        self.running.closed().await;
        self.control.table.empty().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.stop_now();
    }
}

/// What is needed to stop the server and to check its deadlines.
#[derive(Clone, Debug)]
struct Control {
    table: Arc<ConnectionTable>,
    settings: Arc<ArcSwap<ServerSettings>>,
    clock: Clock,
    draining: Arc<AtomicBool>,
    stop: Arc<watch::Sender<bool>>,
    application: Sweep,
}

/// A function of the application that is called at every sweep.
#[derive(Clone)]
struct Sweep(Arc<dyn Fn(Moment) + Send + Sync>);

impl std::fmt::Debug for Sweep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sweep")
    }
}

impl Control {
    fn sweep(&self) {
        let now = self.clock.now();
        let limits = ConnectionTimeouts::of(&self.settings.load());
        let is_stopping = self.draining.load(Ordering::Acquire);
        self.table.sweep(now, &if is_stopping { limits.while_stopping() } else { limits });
        (self.application.0)(now);
    }

    /// Sets the flag before it cuts the connections: a connection that is added in between sees the flag. The cut
    /// closes idle connections and streams; exchanges may run until the deadline, and connections that have sent
    /// nothing yet get a short time to begin one.
    fn stop(&self) {
        if self.draining.swap(true, Ordering::AcqRel) {
            return;
        }
        let drain = self.settings.load().drain;
        let end = self.clock.now() + drain;
        self.table.for_each(|connection| {
            connection.end_by(end);
            connection.cut().signal(drain);
        });
        self.sweep();
        self.stop.send_replace(true);
    }

    fn stop_now(&self) {
        self.draining.store(true, Ordering::Release);
        self.stop.send_replace(true);
        self.table.for_each(|connection| connection.end(CloseReason::Stopped));
    }
}

fn spawn_holding(runs: watch::Receiver<()>, task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        task.await;
        drop(runs);
    });
}

/// Checks all deadlines until the server was stopped and the last connection is closed.
async fn sweep_until_empty(control: Control) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let over = async {
        let mut stopping = control.stop.subscribe();
        // The sender is in `control`, so this cannot fail.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        control.table.empty().await;
    };
    let mut over = std::pin::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return,
            _ = ticks.tick() => control.sweep(),
        }
    }
}
