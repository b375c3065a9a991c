//! What an operator can set about the server.

use std::time::Duration;

use crate::http1::request_head::HeadLimits;
use crate::values::client_address::TrustedProxies;
use crate::values::listen_address::ListenAddress;

/// The client side of the proxy: where it listens and how long it waits.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where clients connect. Default: `127.0.0.1:8080`.
    pub listen: Vec<ListenAddress>,
    /// Longest time from the first byte of a request to the end of its head, however the bytes trickle.
    /// Default: 10 s.
    pub head_timeout: Duration,
    /// Longest time that a connection may stand idle between two requests. Default: 75 s.
    pub idle_timeout: Duration,
    /// Longest time that a new connection may stay silent. Default: 10 s.
    pub silent_timeout: Duration,
    /// Longest pause inside a request body that is still being sent. Default: 60 s.
    pub body_timeout: Duration,
    /// Longest time that a client may take nothing of what is being sent to it. Default: 60 s.
    pub send_timeout: Duration,
    /// Minimum transfer rate in bytes per second, either direction: the pauses of a body together may last
    /// `body_timeout` or `send_timeout`, plus a second for every this many bytes. Default: 100.
    pub min_rate: u64,
    /// The largest head of a request. Default: 32 KiB and 100 lines.
    pub head: HeadLimits,
    /// Most connections from one address at the same time, IPv6 by /64; never counted for loopback, unix sockets and
    /// trusted proxies. What comes above is answered 503. Default: 1,000.
    pub connections_per_address: usize,
    /// The proxies in front, which stand for many clients.
    pub trusted: TrustedProxies,
    /// Most connections at the same time, over all listeners; what comes above is answered 503. Default: 20,000.
    pub connections: usize,
    /// Longest time that a connection to an upstream is kept for the next request. Default: 60 s.
    pub upstream_idle: Duration,
    /// How long running exchanges may go on after a stop was asked for. Default: 20 s.
    pub drain: Duration,
    /// Worker threads; `None`: one a core. Default: `None`.
    pub threads: Option<usize>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 8080).into())],
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            silent_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            min_rate: 100,
            head: HeadLimits { size: 32 * 1024, fields: 100 },
            connections_per_address: 1_000,
            trusted: TrustedProxies::default(),
            connections: 20_000,
            upstream_idle: Duration::from_secs(60),
            drain: Duration::from_secs(20),
            threads: None,
        }
    }
}

impl ServerSettings {
    /// The runtime that everything of the gateway runs on.
    ///
    /// # Errors
    /// When the system gives no threads or no event queue.
    pub fn runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = self.threads {
            builder.worker_threads(threads.max(1));
        }
        builder.enable_all().thread_name("exeunt").build()
    }
}
