//! Nothing leaves in a session's name after its logout was answered: no request behind a slow connect, no handshake, no
//! head that was just about to be written. What left when is told by the kernel.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use exeunt::routes::access::Access;
use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};

use super::answer::request;
use super::harness::{Site, route, until};
use crate::kernel_time::{Nanos, Timed, stamp};
use crate::server::client::within;

/// When the kernel received each request, by its `X-Round`.
type Seen = Arc<Mutex<Vec<(usize, Nanos)>>>;

/// An application that takes connections only when it is told to: until then the kernel answers none.
struct Stalling {
    listener: Arc<TcpListener>,
    address: SocketAddr,
    /// It fills the queue.
    _first: TcpStream,
    seen: Seen,
}

impl Stalling {
    fn listen() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let listener = TcpListener::from(socket);
        stamp(&listener);
        let address = listener.local_addr().unwrap();
        let first = TcpStream::connect(address).unwrap();
        let second = TcpStream::connect_timeout(&address, Duration::from_millis(200));
        assert!(second.is_err(), "the queue is full");
        Self { listener: Arc::new(listener), address, _first: first, seen: Seen::default() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it takes whatever comes, and answers.
    fn go_on(&self) {
        let (listener, seen) = (Arc::clone(&self.listener), Arc::clone(&self.seen));
        std::thread::spawn(move || serve(&listener, &seen));
    }
}

/// Answers every request, and notes when it was received.
fn serve(listener: &TcpListener, seen: &Seen) {
    while let Ok((stream, _)) = listener.accept() {
        let (seen, mut stream) = (Arc::clone(seen), Timed::over(stream));
        std::thread::spawn(move || {
            while let Some((text, at)) = stream.request() {
                let round =
                    text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-round: ")?.parse().ok());
                // Without a time it counts as early.
                seen.lock().push((round.unwrap_or(0), at.unwrap_or(0)));
                if !stream.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {
                    return;
                }
            }
        });
    }
}

const SOCKET: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

#[tokio::test(flavor = "multi_thread")]
async fn request_waiting_for_a_connection_is_not_sent_after_the_logout() {
    let asks: [(&str, &[&str], &str); 3] = [("POST", &[], "amount=1000"), ("GET", &[], ""), ("GET", &SOCKET, "")];
    let stalling = Stalling::listen();
    let site = Site::before(&[stalling.url()], |_| {});
    let mut waiting = Vec::new();
    for (method, lines, body) in asks {
        let alice = site.session_of("alice").await;
        let mut client = site.client().await;
        client.say(&request(method, "/x", &[lines, &[&*alice]].concat(), body)).await;
        let sessions = || site.gateway.sessions().sessions_of(None);
        until(|| sessions().iter().map(|session| session.live_connections()).sum::<usize>() == 1).await;
        site.sign_out(&alice).await;
        waiting.push(client);
    }
    stalling.go_on();
    for mut client in waiting {
        let answer = client.one_answer(false).await;
        assert!(answer.is_none_or(|answer| answer.status != 200), "nobody is told what alice may see");
    }
    assert!(stalling.seen.lock().is_empty(), "a head left after the logout");
}

const LOGOUTS: usize = 200;
const CONNECTIONS: usize = 16;

/// As fast as they can, sixteen connections ask in the name of a session, and one more waits for a connection, while
/// the session is signed out; two hundred times.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_head_is_received_after_the_answer_to_the_logout() {
    let (stalling, fast) = (Stalling::listen(), TcpListener::bind("127.0.0.1:0").unwrap());
    stamp(&fast);
    let (url, seen) = (format!("http://{}", fast.local_addr().unwrap()), Seen::default());
    let noted = Arc::clone(&seen);
    std::thread::spawn(move || serve(&fast, &noted));
    let site = Site::before(std::slice::from_ref(&url), |setup| {
        let routes = [("/", url.clone()), ("/slow", stalling.url())];
        setup.gateway.routes = routes.map(|(path, url)| route(path, Access::SignedIn, &[url])).into();
    });
    let (mut answered, mut waiting) = (HashMap::new(), Vec::new());
    for round in 1..=LOGOUTS {
        let cookie = site.session_of("alice").await;
        let of_round = format!("X-Round: {round}");
        let mut slow = site.client().await;
        slow.say(&request("GET", "/slow", &[&cookie, &of_round], "")).await;
        waiting.push(slow);
        let out = AtomicBool::new(false);
        let busy = (0..CONNECTIONS).map(|_| keep_asking(&site, &cookie, &of_round, &out));
        let logout = async {
            until(|| seen.lock().iter().rev().take_while(|(seen, _)| *seen == round).count() >= CONNECTIONS).await;
            let at = sign_out(site.address(), cookie.clone()).await;
            out.store(true, Ordering::SeqCst);
            at
        };
        let (at, _) = within(async { tokio::join!(logout, futures_util::future::join_all(busy)) }).await;
        answered.insert(round, at);
    }
    stalling.go_on();
    for mut client in waiting {
        assert!(client.one_answer(false).await.is_none_or(|answer| answer.status != 200));
    }
    assert!(stalling.seen.lock().is_empty(), "behind a slow connect {} heads left", stalling.seen.lock().len());
    let seen = seen.lock();
    let late = seen.iter().filter(|(round, at)| *at > answered[round]).count();
    assert!(seen.len() >= LOGOUTS * CONNECTIONS && late == 0, "{late} of {} heads were late", seen.len());
}

/// Signs out, and tells when the kernel received the answer.
async fn sign_out(address: SocketAddr, cookie: String) -> Nanos {
    let work = tokio::task::spawn_blocking(move || {
        let mut stream = Timed::to(address);
        assert!(stream.say(&request("POST", "/logout", &[&cookie], "")));
        let (answer, at) = stream.head().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        at
    });
    work.await.unwrap()
}

/// Asks on one connection until the answer is that of a request without a session.
async fn keep_asking(site: &Site, cookie: &str, of_round: &str, out: &AtomicBool) {
    let page = request("GET", "/x", &[cookie, of_round], "");
    let mut client = site.client().await;
    loop {
        client.say(&page).await;
        match client.reply_to(&page).await {
            Some(answer) if answer.status == 200 && !out.load(Ordering::SeqCst) => {}
            _ => return,
        }
    }
}
