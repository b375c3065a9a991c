//! The signals with which an operator or systemd stops or reloads the gateway.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::server::Server;

/// The handlers of SIGTERM, SIGINT and SIGHUP.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Installs the handlers. It should be called first within the runtime, since earlier signals have their default
    /// effect and end the process.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until the server is stopped: the first SIGTERM or SIGINT begins a graceful shutdown, the second stops it
    /// at once. Each SIGHUP calls `reload`, which must not block.
    pub async fn run(mut self, server: &Server, mut reload: impl FnMut()) {
        let mut stops = 0_u32;
        loop {
            tokio::select! {
                () = server.stopped() => return,
                Some(()) = self.hang_up.recv() => reload(),
                Some(()) = self.terminate.recv() => stop(server, &mut stops),
                Some(()) = self.interrupt.recv() => stop(server, &mut stops),
            }
        }
    }
}

fn stop(server: &Server, stops: &mut u32) {
    *stops += 1;
    if *stops == 1 {
        tracing::info!("stopping: running exchanges may finish; a second signal stops at once");
        server.stop();
    } else {
        tracing::info!("stopping at once");
        server.stop_now();
    }
}
