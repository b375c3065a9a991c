//! The signals of the process: how an operator, or systemd, stops or reloads the gateway.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::server::Server;

/// The process's signals, taken over from the system's defaults: from here on a hang-up does not kill.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over. The first thing to do within the runtime: what comes before has the default
    /// effect.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Runs the server until it is stopped: the first SIGTERM or SIGINT drains it, the second stops it at once.
    /// Each SIGHUP calls `reload`, which must not block.
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
