//! Bodies pass in pieces, both ways, and none is taken for a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::answer::request;
use super::harness::{FORM, Site, until};
use crate::server::client::{Client, within};
use crate::upstream::{self, header};

const MIB: u64 = 1024 * 1024;
/// What is sent one way.
const LARGE: u64 = 64 * MIB;
/// What may be under way between two ends of which one does not read: the buffers of four sockets on loopback, which
/// the system lets grow to 6 MiB each, and a few buffers of the gateway.
const IN_FLIGHT: u64 = 40 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_framed_again() {
    let (site, echo) = Site::with_echo().await;
    let mut client = site.client().await;
    client.exchange(&request("POST", "/public/x", &[], "hello")).await;
    let seen = echo.take().concat();
    assert_eq!((header(&seen, "content-length"), header(&seen, "transfer-encoding")), (Some("5"), None));
    assert!(seen.ends_with("\r\n\r\nhello"));

    let head = request("POST", "/public/x", &["Transfer-Encoding: chunked"], "");
    let answer = client.exchange(&format!("{head}3;ext=\"x\"\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")).await;
    assert_eq!(answer.status, 200);
    let seen = echo.take().concat();
    assert_eq!((header(&seen, "content-length"), header(&seen, "transfer-encoding")), (None, Some("chunked")));
    assert!(seen.contains("hel") && !seen.contains("ext"), "{seen}");
}

/// 64 MiB to an application that begins late: the client is held back meanwhile, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn upload_is_limited_by_the_application() {
    let go_on = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go_on);
    let slow = upstream::start(move |mut connection, _| {
        let waits = Arc::clone(&waits);
        async move {
            let head = connection.head().await.unwrap();
            assert_eq!(header(&head, "content-length"), Some(&*LARGE.to_string()));
            let _ = waits.acquire().await.unwrap();
            let begun = connection.take_unread();
            let sum = read_counting(&begun, &mut connection.stream).await;
            connection.answer(200, "", &sum.to_string()).await;
        }
    })
    .await;
    let site = Site::before_one(slow);
    let mut client = site.client().await;
    client.say(&format!("POST /public/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: {LARGE}\r\n\r\n")).await;
    let sent = AtomicU64::new(0);
    let (mut reader, mut writer) = client.stream.split();
    let sending = write_counting(&mut writer, &sent);
    let held_back = async {
        let bound = stalled(&sent).await;
        assert!(bound < IN_FLIGHT, "{bound} bytes were taken and not read");
        go_on.add_permits(1);
    };
    let ((), ()) = within(async { tokio::join!(sending, held_back) }).await;
    let mut answers = Client::over(tokio::io::join(&mut reader, tokio::io::sink()));
    assert_eq!(answers.one_answer(false).await.unwrap().text(), checksum(LARGE).to_string());
}

/// 64 MiB to a client that begins to read late: the application is held back, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn download_is_limited_by_the_client() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let eager = upstream::start(move |mut connection, _| {
        let counter = Arc::clone(&counter);
        async move {
            connection.head().await;
            connection.write(&format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")).await;
            write_counting(&mut connection.stream, &counter).await;
        }
    })
    .await;
    let site = Site::before_one(eager);
    let mut client = site.client().await;
    client.say(&request("GET", "/public/x", &[], "")).await;
    client.answer_head().await.unwrap();
    let bound = stalled(&sent).await;
    assert!(bound < IN_FLIGHT, "{bound} bytes were taken and not read");
    let begun = client.take_unread();
    assert_eq!(within(read_counting(&begun, &mut client.stream)).await, checksum(LARGE));
}

const PIECE: usize = 64 * 1024;

fn piece(number: u64) -> Vec<u8> {
    (0..PIECE as u64).map(|at| (at.wrapping_mul(31) + number) as u8).collect()
}

fn add(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

fn checksum(length: u64) -> u64 {
    (0..length / PIECE as u64).fold(0, |sum, number| add(sum, &piece(number)))
}

async fn write_counting(writer: &mut (impl AsyncWriteExt + Unpin), sent: &AtomicU64) {
    for number in 0..LARGE / PIECE as u64 {
        writer.write_all(&piece(number)).await.unwrap();
        sent.fetch_add(PIECE as u64, Ordering::SeqCst);
    }
}

async fn read_counting(begun: &[u8], reader: &mut (impl AsyncReadExt + Unpin)) -> u64 {
    let (mut sum, mut left) = (add(0, begun), LARGE - begun.len() as u64);
    let mut bytes = vec![0; PIECE];
    while left > 0 {
        let count = reader.read(&mut bytes).await.unwrap();
        assert!(count > 0, "{left} bytes are missing");
        (sum, left) = (add(sum, &bytes[..count]), left - count as u64);
    }
    sum
}

/// Waits until nothing more is taken, and answers how much was.
async fn stalled(sent: &AtomicU64) -> u64 {
    let mut before = 0;
    loop {
        // The test looks for the absence of progress, which causes no event.
        tokio::time::sleep(Duration::from_millis(300)).await;
        match sent.load(Ordering::SeqCst) {
            now if now > 0 && now == before => return now,
            now => before = now,
        }
    }
}

/// Our own forms are asked for as well; what is refused is refused without them.
#[tokio::test(flavor = "multi_thread")]
async fn expect_continue_is_answered_for_own_forms() {
    let (site, _echo) = Site::with_echo().await;
    let form = "username=alice&password=wonder+land";
    let mut client = site.client().await;
    let head =
        request("POST", "/login", &[FORM, "Expect: 100-continue", &format!("Content-Length: {}", form.len())], "");
    client.say(&head).await;
    assert_eq!(client.one_answer(false).await.unwrap().status, 100);
    client.say(form).await;
    assert_eq!(client.one_answer(false).await.unwrap().status, 303);
    for (method, target, length, status) in [("POST", "/x", 5, 401), ("POST", "/login", 10_000_000, 413)] {
        let mut client = site.client().await;
        let length = format!("Content-Length: {length}");
        client.say(&request(method, target, &[FORM, "Expect: 100-continue", &length], "")).await;
        let answer = client.one_answer(false).await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{target}");
    }
}

/// The limit holds for a form that does not say how long it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_has_a_limit_however_it_is_framed() {
    let (site, _echo) = Site::with_echo().await;
    let mut client = site.client().await;
    client.say(&request("POST", "/login", &[FORM, "Transfer-Encoding: chunked"], "")).await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    for _ in 0..5 {
        client.say(&chunk).await;
    }
    assert_eq!(client.one_answer(false).await.unwrap().status, 413);
}

/// Resets the connection: a client that only closes its own direction still waits for the answer.
fn leave(client: Client) {
    client.stream.set_zero_linger().unwrap();
}

/// When the client is gone, its exchange with the application is aborted.
#[tokio::test(flavor = "multi_thread")]
async fn disconnect_of_the_client_ends_the_upstream_request() {
    let over = Arc::new(Semaphore::new(0));
    let ended = Arc::clone(&over);
    let patient = upstream::start(move |mut connection, _| {
        let ended = Arc::clone(&ended);
        async move {
            connection.request().await.unwrap();
            assert_eq!(connection.request().await, None);
            ended.add_permits(1);
        }
    })
    .await;
    let site = Site::before_one(patient);
    let alice = site.session_of("alice").await;
    let mut client = site.client().await;
    client.say(&request("GET", "/x", &[&alice], "")).await;
    let session = site.get("/.exeunt/session", &[&alice]).await.json();
    assert_eq!(session["user"], "alice");
    until(|| site.server.connections() >= 1).await;
    leave(client);
    let _ = within(over.acquire()).await.unwrap();
    within(site.server.reached(0)).await;
    assert_eq!(site.access_lines(1, "path=/x ").await.len(), 1);
}
