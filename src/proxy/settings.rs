//! The settings of the server.

use std::time::Duration;

use crate::http1::request_head::HeadLimits;
use crate::values::client_address::TrustedProxies;
use crate::values::listen_address::ListenAddress;

/// The settings of the network side: addresses, timeouts and limits.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The addresses to listen on. Default: `127.0.0.1:8080`.
    pub listen: Vec<ListenAddress>,
    /// The longest time from the first byte of a request to the end of its head (against slowloris). Default: 10 s.
    pub head_timeout: Duration,
    /// The longest time that a connection may be idle between two requests. Default: 75 s.
    pub idle_timeout: Duration,
    /// The longest time until the first byte on a new connection. Default: 10 s.
    pub silent_timeout: Duration,
    /// The longest pause within a request body. Default: 60 s.
    pub body_timeout: Duration,
    /// The longest time that a client may take nothing of what is sent to it. Default: 60 s.
    pub send_timeout: Duration,
    /// Minimum transfer rate in bytes per second, either direction: all pauses of a body together may last
    /// `body_timeout` or `send_timeout`, plus one second for every this many bytes. Default: 100.
    pub min_rate: u64,
    /// The limits of a request's head. Default: 32 KiB and 100 lines.
    pub head: HeadLimits,
    /// The maximum number of connections from one address (IPv6: from one /64), except from loopback, unix sockets and
    /// trusted proxies. Further ones are answered 503. Default: 1,000.
    pub connections_per_address: usize,
    /// The proxies in front, which have connections of many clients.
    pub trusted: TrustedProxies,
    /// The maximum number of connections of all listeners; further ones are answered 503. Default: 20,000.
    pub connections: usize,
    /// The longest time that a connection to an upstream is kept idle. Default: 60 s.
    pub upstream_idle: Duration,
    /// How long running exchanges may continue after a graceful shutdown has begun. Default: 20 s.
    pub drain: Duration,
    /// The number of worker threads; `None` for one per core. Default: `None`.
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
    /// Makes the runtime of the gateway.
    ///
    /// # Errors
    /// The system refuses threads or an event queue.
    pub fn runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = self.threads {
            builder.worker_threads(threads.max(1));
        }
        builder.enable_all().thread_name("exeunt").build()
    }
}
