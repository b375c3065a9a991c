//! Serves one connection: waits for a request, has it answered, and waits for the next.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::application::Application;
use super::client::Client;
use super::connection::{Connection, poll_interrupted};
use super::connection_state::ConnectionState;
use super::connection_table::ConnectionSlot;
use super::outcome::{ExchangeOutcome, UpgradeHandler};
use super::read_head::{ReceivedHead, read_head};
use super::refusal::{closing_answer, send};
use super::request::Request;
use super::shared::ServerState;
use super::transport::Transport;
use crate::values::reason::Reason;

/// What remains to be done on a connection that takes no further request.
enum Remaining {
    /// Nothing.
    Nothing,
    /// Refuse an invalid head, and close.
    Refuse(Reason),
    /// Run the task to which it was handed over.
    HandOver(UpgradeHandler),
    /// Close so that the last answer arrives (lingering close).
    Close,
}

/// Serves one connection to its end, and frees its slot after the socket is closed.
///
/// Not an `async fn`, whose future would hold its arguments twice: this one exists for each idle connection.
#[expect(clippy::manual_async_fn, reason = "see above")]
pub(super) fn serve<A>(
    shared: Arc<ServerState<A>>,
    mut client: Client,
    connection: Arc<Connection>,
    slot: ConnectionSlot,
) -> impl Future<Output = ()> + Send
where
    A: Application,
{
    async move {
        match serve_requests(&shared, &mut client, &connection).await {
            Remaining::Nothing => drop(client),
            remaining => Box::pin(finish(&shared, client, &connection, remaining)).await,
        }
        drop(slot);
    }
}

async fn serve_requests<A>(shared: &ServerState<A>, client: &mut Client, connection: &Arc<Connection>) -> Remaining
where
    A: Application,
{
    while wait_for_request(client, connection).await {
        let limits = shared.settings.load().head;
        let received = match read_head(client, &limits) {
            Ok(received) => received,
            Err(unfinished) => unfinished.read_rest(client, &limits).await,
        };
        let request = match received {
            ReceivedHead::Request(request) => request,
            ReceivedHead::Refused(reason) => return Remaining::Refuse(reason),
            ReceivedHead::Gone => {
                shared.app.left(connection.peer(), &client.input);
                return Remaining::Nothing;
            }
        };
        // Boxed, so that the future of an idle connection does not include the large one of an exchange.
        match Box::pin(exchange(shared, client, connection, request)).await {
            ExchangeOutcome::Again if connection.enter_idle() => {}
            ExchangeOutcome::HandedOver(take_over) => return Remaining::HandOver(take_over),
            ExchangeOutcome::Close if !connection.is_draining() => return Remaining::Close,
            ExchangeOutcome::Again | ExchangeOutcome::Close | ExchangeOutcome::Gone => return Remaining::Nothing,
        }
    }
    Remaining::Nothing
}

async fn finish<A: Application>(
    shared: &ServerState<A>,
    client: Client,
    connection: &Arc<Connection>,
    remaining: Remaining,
) {
    match remaining {
        Remaining::Nothing => {}
        Remaining::Refuse(reason) => refuse(shared, client, connection, reason).await,
        Remaining::HandOver(take_over) => hand_over(client, take_over, connection).await,
        Remaining::Close => lingering_close(client.into_parts().0, connection).await,
    }
}

/// Sends the reason why a head is invalid. After a timeout, only what the socket accepts at once is sent.
async fn refuse<A: Application>(shared: &ServerState<A>, mut client: Client, connection: &Connection, reason: Reason) {
    let answer = closing_answer(shared.app.refuse(connection.peer(), &client.input, reason));
    if connection.enter(ConnectionState::Lingering) {
        send(client.transport(), connection, &answer).await;
        lingering_close(client.into_parts().0, connection).await;
    } else {
        // The client may have stopped reading, which is no error here.
        let _ = client.transport().try_write(&answer);
    }
}

/// Waits for the first byte of a request, without a buffer or an exchange. False if the connection has ended.
async fn wait_for_request(client: &mut Client, connection: &Connection) -> bool {
    let comes = poll_fn(|context| {
        let ended = connection.poll_ended(context).is_ready();
        let cut = connection.cut().poll_signalled(context).is_ready();
        // When the server stops, the cut does not concern requests that clients sent before they could know of it.
        if ended || cut && !connection.is_draining() {
            return Poll::Ready(false);
        }
        match client.poll_readable(context) {
            Poll::Pending if connection.is_draining() && !connection.is_awaiting_first() => Poll::Ready(false),
            comes => comes,
        }
    })
    .await;
    comes && connection.begin_head(client.input.len())
}

/// Ready when the connection was ended or cut; a grace does not matter, since between requests nothing is running.
fn poll_over(connection: &Connection, context: &mut Context<'_>) -> Poll<()> {
    let ended = connection.poll_ended(context).is_ready();
    let cut = connection.cut().poll_signalled(context).is_ready();
    if ended || cut { Poll::Ready(()) } else { Poll::Pending }
}

/// One request and its answer. When the connection is ended, the exchange is dropped, which closes both sides.
async fn exchange<A>(
    shared: &ServerState<A>,
    client: &mut Client,
    connection: &Connection,
    request: Request,
) -> ExchangeOutcome
where
    A: Application,
{
    if !connection.begin_exchange() {
        return ExchangeOutcome::Gone;
    }
    let answered = {
        let mut answer = pin!(shared.app.exchange(client, &request));
        poll_fn(|context| match poll_interrupted(connection, context) {
            Poll::Ready(ending) => Poll::Ready(Err(ending)),
            Poll::Pending => answer.as_mut().poll(context).map(Ok),
        })
        .await
    };
    let after = answered.unwrap_or_else(|ending| {
        tracing::debug!(peer = ?connection.peer(), ?ending, "exchange ended by the gateway");
        client.cut_short(ending);
        ExchangeOutcome::Gone
    });
    client.finish();
    after
}

/// Runs the task to which the connection was handed over. It handles a cut itself, since it sends a Close frame first.
async fn hand_over(client: Client, take_over: UpgradeHandler, connection: &Arc<Connection>) {
    if !connection.enter(ConnectionState::HandedOver) {
        return;
    }
    let (transport, early) = client.into_parts();
    let mut rest = take_over(transport, early, Arc::clone(connection));
    poll_fn(|context| match connection.poll_ended(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => rest.as_mut().poll(context),
    })
    .await;
}

/// Closes a connection so that the last answer arrives: closing while the client still sends would make the system
/// reset the connection, and the answer could be lost.
async fn lingering_close(mut transport: Transport, connection: &Connection) {
    if !connection.enter(ConnectionState::Lingering) || transport.shutdown().await.is_err() {
        return;
    }
    let mut waste = [0; 1024];
    loop {
        let mut read = pin!(transport.read(&mut waste));
        let goes_on = poll_fn(|context| match poll_over(connection, context) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => read.as_mut().poll(context).map(|read| read.is_ok_and(|count| count > 0)),
        });
        if !goes_on.await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::client_address::Peer;
    use crate::values::time::Clock;
    use std::time::Duration;
    use tokio::net::UnixStream;

    /// A connection whose client has sent something.
    async fn with_a_request(draining: bool) -> (Client, UnixStream, Arc<Connection>) {
        let (ours, mut clients) = UnixStream::pair().unwrap();
        clients.write_all(b"GET").await.unwrap();
        let connection = Connection::new(Peer::Unix, Clock::manual().0, Arc::new(draining.into()));
        (Client::new(Transport::Unix(ours), Arc::clone(&connection)), clients, connection)
    }

    #[tokio::test]
    async fn a_request_is_taken() {
        let (mut client, _clients, connection) = with_a_request(false).await;
        assert!(wait_for_request(&mut client, &connection).await);
        assert_eq!((connection.state(), connection.bytes_in()), (ConnectionState::Head, 3));
    }

    #[tokio::test]
    async fn none_is_taken_after_a_cut() {
        let (mut client, _clients, connection) = with_a_request(false).await;
        connection.cut().signal(Duration::from_secs(5));
        assert!(!wait_for_request(&mut client, &connection).await);
    }

    #[tokio::test]
    async fn a_stopping_server_takes_sent_requests_and_waits_for_new_connections_only() {
        let (mut client, mut clients, connection) = with_a_request(true).await;
        connection.cut().signal(Duration::from_secs(5));
        assert!(wait_for_request(&mut client, &connection).await);
        client.input.clear();
        connection.enter(ConnectionState::Idle);
        assert!(!wait_for_request(&mut client, &connection).await);
        connection.enter(ConnectionState::Silent);
        {
            let mut waiting = pin!(wait_for_request(&mut client, &connection));
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        clients.write_all(b"GET").await.unwrap();
        assert!(wait_for_request(&mut client, &connection).await);
    }

    #[tokio::test]
    async fn outdated_readiness_is_no_request_and_an_idle_connection_has_no_buffer() {
        let (mut client, mut clients, connection) = with_a_request(false).await;
        client.transport().read_exact(&mut [0; 3]).await.unwrap();
        {
            let mut waiting = pin!(wait_for_request(&mut client, &connection));
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        assert_eq!((client.input.capacity(), client.out.capacity()), (0, 0));
        clients.write_all(b"GET").await.unwrap();
        assert!(wait_for_request(&mut client, &connection).await);
    }

    #[tokio::test]
    async fn a_client_that_disconnects_sends_no_request() {
        let (mut client, clients, connection) = with_a_request(false).await;
        client.transport().read_exact(&mut [0; 3]).await.unwrap();
        drop(clients);
        assert!(!wait_for_request(&mut client, &connection).await);
    }
}
