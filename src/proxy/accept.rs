//! The accept loop, one for each listener. It does not spin on errors, and runs until the server closes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::application::Application;
use super::client::Client;
use super::connection::Connection;
use super::listener::Listener;
use super::refusal::no_room;
use super::serve::serve;
use super::shared::ServerState;
use super::transport::Transport;
use crate::values::client_address::Peer;
use crate::values::reason::Reason;

/// The pause after an error that would recur at once, such as too many open files.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long a refused client may take to read the answer.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Accepts until the server closes, then drops the listener, which removes a unix socket's file.
pub(super) async fn accept_loop<A>(shared: Arc<ServerState<A>>, listener: Listener)
where
    A: Application,
{
    let mut stopping = shared.stopping.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((transport, peer)) => admit(&shared, transport, peer),
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                shared.log_accept_error(listener.address(), &error);
                tokio::select! {
                    biased;
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                    () = tokio::time::sleep(RETRY_PAUSE) => {}
                }
            }
        }
    }
}

/// Whether the error concerns only one client, which has disconnected before it was accepted.
fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn admit<A>(shared: &Arc<ServerState<A>>, transport: Transport, peer: Peer)
where
    A: Application,
{
    let connection = Connection::new(peer, shared.clock.clone(), Arc::clone(&shared.draining));
    match shared.table.enter(&connection) {
        Ok(slot) => {
            if connection.is_draining() {
                // The server may have begun to stop before this connection was in the table.
                let drain = shared.settings.load().drain;
                connection.end_within(drain);
                connection.cut().signal(drain);
            }
            let client = Client::new(transport, Arc::clone(&connection));
            tokio::spawn(serve(Arc::clone(shared), client, connection, slot));
        }
        Err(reason) => refuse_connection(shared, transport, reason),
    }
}

/// Answers 503. A limited number of such clients gets time to read it; beyond that the answer is written and the
/// connection dropped at once.
fn refuse_connection<A>(shared: &Arc<ServerState<A>>, mut transport: Transport, reason: Reason)
where
    A: Application,
{
    shared.log_refusal(reason);
    if transport.try_write(&no_room(reason)).is_err() {
        return;
    }
    let Ok(turn) = Arc::clone(&shared.refusals).try_acquire_owned() else { return };
    tokio::spawn(async move {
        let until_gone = async {
            transport.shutdown().await?;
            let mut waste = [0; 256];
            while transport.read(&mut waste).await? > 0 {}
            Ok::<(), io::Error>(())
        };
        // The client has had its time, whether it has read the answer or not.
        let _ = tokio::time::timeout(REFUSAL_TIME, until_gone).await;
        drop(turn);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_one_client_are_ignored_at_once() {
        assert!(concerns_one_client(&io::ErrorKind::ConnectionAborted.into()));
        assert!(!concerns_one_client(&io::Error::from_raw_os_error(libc::EMFILE)));
    }
}
