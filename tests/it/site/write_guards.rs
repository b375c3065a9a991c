//! Nothing leaves in a session's name after its logout was answered: no request behind a slow connect, no handshake, no
//! head that was just about to be written. What left when is told by the kernel.

use std::collections::HashMap;
use std::io::{IoSliceMut, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use exeunt::routes::access::Access;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};

use super::answer::request;
use super::harness::{Site, route, until};
use crate::server::client::within;

/// When the kernel received each request, by its `X-Round`.
type Seen = Arc<Mutex<Vec<(usize, TimeSpec)>>>;

/// Reads one head and tells when its last piece was received; `None` at the end of the connection.
fn receive(stream: &TcpStream) -> Option<(String, TimeSpec)> {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let mut room = nix::cmsg_space!(TimeSpec);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut room), MsgFlags::empty()).ok()?;
        let at = message.cmsgs().unwrap().find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(at) => Some(at),
            _ => None,
        });
        let count = Some(message.bytes).filter(|&count| count > 0)?;
        text += &String::from_utf8_lossy(&buffer[..count]);
        if text.contains("\r\n\r\n") {
            return Some((text, at.expect("the kernel tells when it received them")));
        }
    }
}

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
        setsockopt(&listener, ReceiveTimestampns, &true).unwrap();
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
    while let Ok((mut stream, _)) = listener.accept() {
        let seen = Arc::clone(seen);
        std::thread::spawn(move || {
            while let Some((text, at)) = receive(&stream) {
                let round =
                    text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-round: ")?.parse().ok());
                seen.lock().push((round.unwrap_or(0), at));
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
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
async fn what_waits_for_a_connection_does_not_leave_after_the_logout() {
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

/// As fast as they can, sixteen connections ask in the name of a session, and one more waits for a connection, while the
/// session is signed out; two hundred times.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_head_is_received_after_the_answer_to_the_logout() {
    let (stalling, fast) = (Stalling::listen(), TcpListener::bind("127.0.0.1:0").unwrap());
    setsockopt(&fast, ReceiveTimestampns, &true).unwrap();
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
async fn sign_out(address: SocketAddr, cookie: String) -> TimeSpec {
    let work = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        setsockopt(&stream, ReceiveTimestampns, &true).unwrap();
        stream.write_all(request("POST", "/logout", &[&cookie], "").as_bytes()).unwrap();
        let (answer, at) = receive(&stream).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        at
    });
    work.await.unwrap()
}

/// Asks on one connection until it is told that nobody is signed in.
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
