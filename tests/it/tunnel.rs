//! The tunnel between real WebSocket peers on loopback sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use exeunt::proxy::tunnel::{self, CloseMessage, Side, TunnelEnd, TunnelEndCause, TunnelPeer, TunnelRules};
use exeunt::session::live::Cut;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// What a hung test is cut short by; nothing is measured against it.
const HANG: Duration = Duration::from_secs(30);

/// What the session does, and what is noted about it.
#[derive(Default)]
struct Watched {
    activity: AtomicUsize,
    has_ended: AtomicBool,
    restarts: AtomicBool,
}

impl TunnelRules for Watched {
    type WriteGuard<'a> = ();

    fn begin_write(&self) -> Option<()> {
        (!self.has_ended.load(Ordering::SeqCst)).then_some(())
    }

    fn check(&self) {}

    fn note_activity(&self) {
        self.activity.fetch_add(1, Ordering::SeqCst);
    }

    fn close_message(&self) -> CloseMessage {
        if self.restarts.load(Ordering::SeqCst) { CloseMessage::Restart } else { CloseMessage::SessionEnded }
    }
}

struct Joined {
    client: TcpStream,
    upstream: TcpStream,
    cut: Arc<Cut>,
    watched: Arc<Watched>,
    tunnel: JoinHandle<TunnelEnd>,
}

impl Joined {
    fn sockets(self) -> (WebSocket, WebSocket, Rest) {
        let rest = Rest { cut: self.cut, watched: self.watched, tunnel: self.tunnel };
        (WebSocket::of(self.client, Role::Client), WebSocket::of(self.upstream, Role::Server), rest)
    }
}

struct Rest {
    cut: Arc<Cut>,
    watched: Arc<Watched>,
    tunnel: JoinHandle<TunnelEnd>,
}

impl Rest {
    async fn end(self) -> TunnelEnd {
        tokio::time::timeout(HANG, self.tunnel).await.expect("the tunnel ends").unwrap()
    }

    fn activity(&self) -> usize {
        self.watched.activity.load(Ordering::SeqCst)
    }
}

struct WebSocket(WebSocketStream<TcpStream>);

impl WebSocket {
    fn of(stream: TcpStream, role: Role) -> Self {
        // `from_raw_socket` is async only in name: it reads nothing.
        let socket = futures_util::FutureExt::now_or_never(WebSocketStream::from_raw_socket(stream, role, None));
        Self(socket.unwrap())
    }

    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(HANG, self.0.next()).await.expect("something comes");
        next.and_then(Result::ok)
    }

    async fn closed_with(&mut self) -> Option<(CloseCode, String)> {
        while let Some(message) = self.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| (frame.code, frame.reason.to_string()));
            }
        }
        None
    }
}

async fn socket_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

async fn joined_after(client_said: &'static [u8], upstream_said: &'static [u8]) -> Joined {
    let (client, client_far) = socket_pair().await;
    let (upstream, upstream_far) = socket_pair().await;
    let (cut, watched) = (Cut::new(), Arc::new(Watched::default()));
    let (signal, rules) = (Arc::clone(&cut), Arc::clone(&watched));
    let tunnel = tokio::spawn(async move {
        let client = Side { stream: client_far, already_read: Bytes::from_static(client_said) };
        let upstream = Side { stream: upstream_far, already_read: Bytes::from_static(upstream_said) };
        tunnel::run(client, upstream, &signal, &*rules).await
    });
    Joined { client, upstream, cut, watched, tunnel }
}

async fn joined() -> Joined {
    joined_after(b"", b"").await
}

#[tokio::test]
async fn messages_pass_both_ways_and_count_as_activity() {
    let (mut client, mut upstream, rest) = joined().await.sockets();
    client.send(Message::text("hello")).await;
    assert_eq!(upstream.next().await, Some(Message::text("hello")));
    upstream.send(Message::binary(vec![7; 300])).await;
    assert_eq!(client.next().await, Some(Message::binary(vec![7; 300])));
    assert_eq!(rest.activity(), 1, "what the application pushes is none of the person's");
}

#[tokio::test]
async fn ping_and_pong_pass_and_are_no_activity() {
    let Joined { mut client, mut upstream, watched, .. } = joined().await;
    let (ping, pong) = (b"\x89\x83\0\0\0\0one", b"\x8a\x03one");
    let mut got = [0; 9];
    client.write_all(ping).await.unwrap();
    upstream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, ping);
    let mut got = [0; 5];
    upstream.write_all(pong).await.unwrap();
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, pong);
    // A heartbeat of two bytes, as some applications send it, in a data frame.
    let heartbeat = b"\x81\x82\0\0\0\0{}";
    let mut got = [0; 8];
    client.write_all(heartbeat).await.unwrap();
    upstream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, heartbeat);
    assert_eq!(watched.activity.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn large_messages_pass_intact_in_both_directions_at_once() {
    let (client, upstream, _rest) = joined().await.sockets();
    let up: Vec<u8> = (0..6_000_000u32).map(|n| (n % 251) as u8).collect();
    let down: Vec<u8> = (0..5_000_000u32).map(|n| (n % 241) as u8).collect();
    let exchange = async |socket: WebSocket, message: &[u8]| {
        let (mut sink, mut stream) = socket.0.split();
        let (sent, got) = tokio::join!(sink.send(Message::binary(message.to_vec())), stream.next());
        sent.unwrap();
        got.unwrap().unwrap().into_data()
    };
    let both = async { tokio::join!(exchange(client, &up), exchange(upstream, &down)) };
    let (client_got, upstream_got) = tokio::time::timeout(HANG, both).await.unwrap();
    assert!(upstream_got == up, "what the upstream got");
    assert!(client_got == down, "what the client got");
}

#[tokio::test]
async fn bytes_after_the_handshake_are_delivered_first() {
    // A masked "hi" of the client, an unmasked "yo" of the upstream.
    let joined = joined_after(b"\x81\x82\0\0\0\0hi", b"\x81\x02yo").await;
    let (mut client, mut upstream, _rest) = joined.sockets();
    assert_eq!(upstream.next().await, Some(Message::text("hi")));
    assert_eq!(client.next().await, Some(Message::text("yo")));
    client.send(Message::text("more")).await;
    assert_eq!(upstream.next().await, Some(Message::text("more")));
}

#[tokio::test]
async fn a_close_of_the_client_passes_and_ends_the_tunnel() {
    let (mut client, mut upstream, rest) = joined().await.sockets();
    client.send(Message::Close(None)).await;
    assert_eq!(upstream.next().await, Some(Message::Close(None)));
    assert_eq!(upstream.next().await, None);
    assert_eq!(client.next().await, Some(Message::Close(None)));
    drop((client, upstream));
    let end = rest.end().await;
    assert!(matches!(end.cause, TunnelEndCause::Ended(_)), "{end:?}");
    assert_eq!((end.to_upstream, end.to_client, end.in_order), (6, 2, true));
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_tunnel() {
    let Joined { client, mut upstream, tunnel, .. } = joined().await;
    drop(client);
    let mut rest = Vec::new();
    upstream.read_to_end(&mut rest).await.unwrap();
    drop(upstream);
    let end = tunnel.await.unwrap();
    assert_eq!((end.cause, end.in_order), (TunnelEndCause::Ended(TunnelPeer::Client), false));
}

#[tokio::test]
async fn last_message_of_an_ending_upstream_arrives() {
    for round in 0..10 {
        let Joined { client, mut upstream, tunnel, .. } = joined().await;
        let (mut hearing, mut talking) = client.into_split();
        // More than the upstream, which never reads, and the tunnel can hold.
        let talk = tokio::spawn(async move { talking.write_all(&vec![0x82; 20_000_000]).await });
        upstream.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        // With the client's bytes unread, this is a reset.
        drop(upstream);
        let mut got = Vec::new();
        let heard = tokio::time::timeout(HANG, hearing.read_to_end(&mut got)).await.unwrap();
        assert!(heard.is_ok(), "round {round}: a reset, after {} bytes", got.len());
        talk.await.unwrap().unwrap();
        assert_eq!(got.len() as u64, tunnel.await.unwrap().to_client, "round {round}");
    }
}

#[tokio::test]
async fn cut_of_an_idle_tunnel_sends_the_reason_to_both_sides() {
    let (mut client, mut upstream, rest) = joined().await.sockets();
    client.send(Message::text("hello")).await;
    upstream.next().await;
    rest.cut.signal(Duration::from_secs(5));
    assert_eq!(client.closed_with().await, Some((CloseCode::Policy, "session ended".to_owned())));
    assert_eq!(upstream.closed_with().await, Some((CloseCode::Away, String::new())));
    assert_eq!(client.next().await, None);
    assert_eq!(upstream.next().await, None);
    drop((client, upstream));
    assert_eq!(rest.end().await.cause, TunnelEndCause::Cut);
}

#[tokio::test]
async fn a_cut_before_the_tunnel_begins_is_not_missed() {
    let (mut client, _upstream, rest) = {
        let joined = joined().await;
        joined.cut.signal(Duration::ZERO);
        joined.sockets()
    };
    assert_eq!(client.closed_with().await, Some((CloseCode::Policy, "session ended".to_owned())));
    drop(client);
    assert_eq!(rest.end().await.cause, TunnelEndCause::Cut);
}

#[tokio::test]
async fn a_cut_in_a_long_frame_waits_for_its_end() {
    let Joined { mut client, mut upstream, cut, tunnel, .. } = joined().await;
    let mut frame = b"\x82\x7e\x10\x00".to_vec();
    frame.extend([b'x'; 0x1000]);
    let (first, second) = frame.split_at(1000);
    upstream.write_all(first).await.unwrap();
    client.read_exact(&mut [0; 1000]).await.unwrap();
    cut.signal(Duration::ZERO);
    // The rest of the frame, and one more that must not be forwarded.
    upstream.write_all(second).await.unwrap();
    upstream.write_all(b"\x81\x04late").await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, [second, b"\x88\x0f\x03\xf0session ended"].concat());
    drop((client, upstream));
    assert_eq!(tunnel.await.unwrap().cause, TunnelEndCause::Cut);
}

/// Between the end of the session and its cut nothing more goes out, not even what was read before.
#[tokio::test]
async fn nothing_reaches_the_upstream_once_the_session_has_ended() {
    let Joined { mut client, mut upstream, cut, watched, tunnel } = joined().await;
    client.write_all(b"\x81\x83\0\0\0\0hey").await.unwrap();
    upstream.read_exact(&mut [0; 9]).await.unwrap();
    watched.has_ended.store(true, Ordering::SeqCst);
    client.write_all(b"\x81\x84\0\0\0\0late").await.unwrap();
    // It goes the other way still: by then what the client sent was seen.
    upstream.write_all(b"\x81\x02yo").await.unwrap();
    client.read_exact(&mut [0; 4]).await.unwrap();
    cut.signal(Duration::ZERO);
    let mut got = Vec::new();
    upstream.read_to_end(&mut got).await.unwrap();
    assert_eq!((got.len(), got[0]), (8, 0x88), "a Close frame alone: {got:?}");
    drop((client, upstream));
    assert_eq!(tunnel.await.unwrap().cause, TunnelEndCause::Cut);
}

#[tokio::test]
async fn restart_closes_with_its_own_code() {
    let (mut client, mut upstream, rest) = joined().await.sockets();
    rest.watched.restarts.store(true, Ordering::SeqCst);
    rest.cut.signal(Duration::ZERO);
    assert_eq!(client.closed_with().await, Some((CloseCode::Restart, "service restart".to_owned())));
    assert_eq!(upstream.closed_with().await, Some((CloseCode::Away, String::new())));
}

#[tokio::test]
async fn nothing_that_the_client_sends_after_a_cut_reaches_the_upstream() {
    let (mut client, mut upstream, rest) = joined().await.sockets();
    rest.cut.signal(Duration::ZERO);
    let _ = client.0.send(Message::text("too late")).await;
    assert_eq!(upstream.closed_with().await, Some((CloseCode::Away, String::new())));
    assert_eq!(upstream.next().await, None);
    drop((client, upstream));
    assert_eq!(rest.end().await.cause, TunnelEndCause::Cut);
}

#[tokio::test]
async fn a_frame_that_the_client_has_begun_is_not_completed_after_a_cut() {
    let Joined { mut client, mut upstream, cut, tunnel, .. } = joined().await;
    let half = b"\x82\x88\0\0\0\0half";
    client.write_all(half).await.unwrap();
    let mut got = vec![0; half.len()];
    upstream.read_exact(&mut got).await.unwrap();
    cut.signal(Duration::ZERO);
    client.write_all(b"done").await.unwrap();
    got.clear();
    upstream.read_to_end(&mut got).await.unwrap();
    assert!(got.is_empty(), "neither the rest nor a Close in the middle: {got:?}");
    drop((client, upstream));
    assert_eq!(tunnel.await.unwrap().cause, TunnelEndCause::Cut);
}

#[tokio::test]
async fn a_cut_does_not_wait_for_a_frame_that_never_ends() {
    let Joined { mut client, mut upstream, cut, tunnel, .. } = joined().await;
    upstream.write_all(b"\x82\x7e\x10\x00half").await.unwrap();
    let mut got = [0; 8];
    client.read_exact(&mut got).await.unwrap();
    cut.signal(Duration::ZERO);
    let end = tokio::time::timeout(HANG, tunnel).await.expect("the cut is bounded").unwrap();
    assert_eq!((end.cause, end.to_client), (TunnelEndCause::Cut, 8));
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "no Close in the middle of a frame: {rest:?}");
}

#[tokio::test]
async fn a_cut_does_not_wait_for_a_client_that_does_not_read() {
    let Joined { client, upstream, cut, tunnel, .. } = joined().await;
    let mut upstream = WebSocket::of(upstream, Role::Server);
    // Until the buffers of both sockets are full and the tunnel stands.
    let flood = async {
        loop {
            if upstream.0.send(Message::binary(vec![0; 100_000])).await.is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(300), flood).await;
    cut.signal(Duration::ZERO);
    let end = tokio::time::timeout(HANG, tunnel).await.expect("the cut is bounded").unwrap();
    assert_eq!(end.cause, TunnelEndCause::Cut);
    drop(client);
}
