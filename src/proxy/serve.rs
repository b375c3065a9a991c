//! The life of one connection: wait for a request, let the engine answer it, wait for the next.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pingora::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::arrival::{Arrival, Begun, Refused, read_head};
use super::client_io::ClientIo;
use super::connection::{Connection, Handover, poll_interrupted};
use super::door::House;
use super::refusal::{Behind, last_words, say};
use super::stage::Stage;
use super::table::Place;
use super::transport::Transport;

/// What an exchange came to.
enum After {
    /// The client may ask again.
    Again(Transport, Option<HttpPersistentSettings>),
    /// The rest of the connection belongs to somebody else.
    HandedOver(Transport, Handover),
    /// Nothing more is to be said.
    Farewell(Transport),
    /// It was ended from this side, or the engine let go of the stream for good.
    Gone,
}

/// Serves one connection to its end, and gives its place back when the socket is closed.
pub(super) async fn serve<A>(house: Arc<House<A>>, transport: Transport, connection: Arc<Connection>, place: Place)
where
    A: Behind,
{
    serve_requests(&house, transport, &connection).await;
    drop(place);
}

async fn serve_requests<A>(house: &House<A>, mut transport: Transport, connection: &Arc<Connection>)
where
    A: Behind,
{
    let mut kept = None;
    while request_comes(&transport, connection).await {
        let begun = match read_head(&mut transport, connection, &house.settings.head).await {
            Arrival::Request(begun) => begun,
            Arrival::Refused(refused) => return Box::pin(refuse(house, transport, connection, refused)).await,
            Arrival::Gone => return,
        };
        // Boxed, so that an idle connection does not carry the room of a busy one.
        match Box::pin(exchange(house, transport, connection, kept, begun)).await {
            After::Again(stream, settings) if connection.enter(Stage::Idle) => {
                (transport, kept) = (stream, settings);
            }
            After::HandedOver(stream, handover) => {
                return Box::pin(hand_over(stream, handover, connection)).await;
            }
            After::Farewell(stream) if !connection.is_draining() => {
                return Box::pin(farewell(stream, connection)).await;
            }
            After::Again(..) | After::Farewell(_) | After::Gone => return,
        }
    }
}

/// Says why a head is no request. What a client is told whose time is over is what the system takes at once.
async fn refuse<A: Behind>(house: &House<A>, mut transport: Transport, connection: &Connection, refused: Refused) {
    let words = last_words(house.app.refuse(connection.peer(), &refused.bytes, refused.reason));
    if connection.enter(Stage::Farewell) {
        say(&mut transport, connection, &words).await;
        farewell(transport, connection).await;
    } else {
        // It is told if it still listens; if not, nothing is lost.
        let _ = transport.try_write(&words);
    }
}

/// Waits for the first byte of a request, with no engine object alive. False: the connection is over.
async fn request_comes(transport: &Transport, connection: &Connection) -> bool {
    let mut has_bytes = pin!(transport.has_bytes());
    let comes = poll_fn(|context| {
        // A connection that came while the door was closing is on nobody's list: the flag tells.
        if connection.is_draining() || poll_over(connection, context).is_ready() {
            return Poll::Ready(false);
        }
        has_bytes.as_mut().poll(context).map(|bytes| bytes.unwrap_or(false))
    })
    .await;
    comes && connection.begin_head()
}

/// Ready when the connection was ended or cut, with or without grace: between requests there is nothing to finish.
fn poll_over(connection: &Connection, context: &mut Context<'_>) -> Poll<()> {
    let ended = connection.poll_ended(context).is_ready();
    let cut = connection.cut().poll_signalled(context).is_ready();
    if ended || cut { Poll::Ready(()) } else { Poll::Pending }
}

/// One request and its answer. Whatever ends the connection drops the engine's future, and with it both sides.
async fn exchange<A>(
    house: &House<A>,
    transport: Transport,
    connection: &Arc<Connection>,
    kept: Option<HttpPersistentSettings>,
    begun: Begun,
) -> After
where
    A: Behind,
{
    if !connection.enter(Stage::Exchange) {
        return After::Gone;
    }
    let session = new_session(transport, connection, kept, begun);
    let mut answer = house.app.process_new_http(session, &house.stopping);
    let answered = poll_fn(|context| match poll_interrupted(connection, context) {
        Poll::Ready(ending) => Poll::Ready(Err(ending)),
        Poll::Pending => answer.as_mut().poll(context).map(Ok),
    })
    .await;
    drop(answer);
    match answered {
        Ok(Some(reused)) => again(reused),
        Ok(None) => what_is_left(connection),
        Err(ending) => {
            tracing::debug!(peer = ?connection.peer(), ?ending, "exchange ended from this side");
            drop(connection.left_behind().transport.take());
            After::Gone
        }
    }
}

/// The engine's object for a request that has begun. It has no timer of its own: the sweep keeps all times.
fn new_session(
    transport: Transport,
    connection: &Arc<Connection>,
    kept: Option<HttpPersistentSettings>,
    begun: Begun,
) -> ServerSession {
    let io = ClientIo::new(transport, Arc::clone(connection), begun.body);
    let mut session = ServerSession::new_http1(Box::new(io));
    if let Some(kept) = kept {
        kept.apply_to_session(&mut session);
    }
    session.set_pipelined_prefix(begun.bytes);
    // Zero: kept alive.
    session.set_keepalive(Some(0));
    session.set_read_timeout(None);
    session
}

fn again(reused: ReusedHttpStream) -> After {
    let (stream, settings) = reused.consume();
    match stream.into_any().downcast::<ClientIo>().map(|io| io.into_transport()) {
        Ok(Some(transport)) => After::Again(transport, settings),
        _ => After::Gone,
    }
}

fn what_is_left(connection: &Connection) -> After {
    let mut left = connection.left_behind();
    match (left.transport.take(), left.handover.take()) {
        (Some(transport), Some(handover)) => After::HandedOver(transport, handover),
        (Some(transport), None) => After::Farewell(transport),
        (None, _) => After::Gone,
    }
}

/// Runs the rest of the connection. The cut is its own business: it has words to say before it goes.
async fn hand_over(transport: Transport, handover: Handover, connection: &Arc<Connection>) {
    if !connection.enter(Stage::HandedOver) {
        return;
    }
    let mut rest = (handover.take_over)(transport, handover.early, Arc::clone(connection));
    poll_fn(|context| match connection.poll_ended(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => rest.as_mut().poll(context),
    })
    .await;
}

/// Closes a connection so that the last answer arrives: closing while the client still sends makes the system
/// reset the connection, and the answer is lost with it.
async fn farewell(mut transport: Transport, connection: &Connection) {
    if !connection.enter(Stage::Farewell) || transport.shutdown().await.is_err() {
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
    async fn with_a_request(draining: bool) -> (Transport, UnixStream, Arc<Connection>) {
        let (ours, mut clients) = UnixStream::pair().unwrap();
        clients.write_all(b"GET").await.unwrap();
        let connection = Connection::new(Peer::Unix, Clock::manual().0, Arc::new(draining.into()));
        (Transport::Unix(ours), clients, connection)
    }

    #[tokio::test]
    async fn a_request_is_taken() {
        let (transport, _clients, connection) = with_a_request(false).await;
        assert!(request_comes(&transport, &connection).await);
        assert_eq!(connection.stage(), Stage::Head);
    }

    #[tokio::test]
    async fn none_is_taken_while_the_door_closes_nor_after_a_cut() {
        let (transport, _clients, connection) = with_a_request(true).await;
        assert!(!request_comes(&transport, &connection).await);
        let (transport, _clients, connection) = with_a_request(false).await;
        connection.cut().signal(Duration::from_secs(5));
        assert!(!request_comes(&transport, &connection).await);
    }

    #[tokio::test]
    async fn readiness_that_is_left_over_is_no_request() {
        let (mut transport, mut clients, connection) = with_a_request(false).await;
        transport.read_exact(&mut [0; 3]).await.unwrap();
        let mut waiting = pin!(request_comes(&transport, &connection));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        clients.write_all(b"GET").await.unwrap();
        assert!(waiting.await);
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_no_request() {
        let (mut transport, clients, connection) = with_a_request(false).await;
        transport.read_exact(&mut [0; 3]).await.unwrap();
        drop(clients);
        assert!(!request_comes(&transport, &connection).await);
    }
}
