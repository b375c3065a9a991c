//! Accepts connections, and changes the prices every second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Shop, handlers};

/// The maximum number of concurrent connections; further ones wait in the system's queue.
const CONNECTIONS: usize = 1024;
/// Longer than the gateway keeps an idle connection (60 s), so that the client closes first, and no request is sent on
/// a connection that is just being closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The maximum size of a request's head, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The time between two prices.
const TICK: Duration = Duration::from_secs(1);
/// The pause after a failed accept, most often without free file descriptors, so that the next one would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves forever. Dropping the future closes all connections; the streams end since `ticks` is dropped with it.
pub(super) async fn serve(listener: TcpListener, shop: Arc<Shop>, ticks: watch::Sender<u64>) {
    let mut connections = JoinSet::new();
    let mut clock = interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve_one(stream, Arc::clone(&shop)))),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            _ = clock.tick() => ticks.send_modify(|tick| *tick += 1),
        }
    }
}

async fn serve_one(stream: TcpStream, shop: Arc<Shop>) {
    let answer = service_fn(|request| {
        let shop = Arc::clone(&shop);
        async move { Ok::<_, Infallible>(handlers::answer(&shop, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    // Lost connections are normal and not reported.
    let _ = builder.serve_connection(TokioIo::new(stream), answer).with_upgrades().await;
}
