//! The access line says that an answer or a socket ended before it was whole, and why.

use std::sync::Arc;
use std::time::Duration;

use exeunt::audit::Format;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio_tungstenite::client_async;

use super::answer::request;
use super::harness::Site;
use crate::server::client::{Client, within};
use crate::upstream;

const BEGUN: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nbegun";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n";
const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbegun";

/// In front of an application that begins every answer with these bytes, and closes its connection when it is told.
async fn site(answer: &'static str, format: Format) -> (Site, Arc<Semaphore>) {
    let close = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&close);
    let app = upstream::start(move |mut connection, _| {
        let told = Arc::clone(&told);
        async move {
            if connection.request().await.is_some() {
                connection.write(answer).await;
                told.acquire().await.unwrap().forget();
            }
        }
    })
    .await;
    (Site::before(&[format!("http://{app}")], |setup| setup.log.format = format), close)
}

/// A client that has the beginning of an answer.
async fn begun(site: &Site, target: &str, cookie: &str) -> Client {
    let mut client = site.client().await;
    client.say(&request("GET", target, &[cookie], "")).await;
    client.up_to(b"begun").await.unwrap();
    client
}

/// What the one line of this path says of a cut.
async fn cut_of(site: &Site, path: &str) -> String {
    let lines = site.access_lines(1, &format!("path={path} ")).await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    line.split(" cut=").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn complete_answers_are_not_logged_as_cut() {
    let (site, _close) = site(WHOLE, Format::Text).await;
    let alice = site.session_of("alice").await;
    drop(begun(&site, "/whole", &alice).await);
    assert_eq!(cut_of(&site, "/whole").await, "-");
    site.sign_out(&alice).await;
    assert_eq!(cut_of(&site, "/logout").await, "-");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_names_the_end_of_the_session_in_every_format() {
    for (format, want) in [
        (Format::Text, " cut=session_ended"),
        (Format::Json, "\"cut\":\"session_ended\""),
        (Format::Combined, " cut=\"session_ended\""),
    ] {
        let (site, _close) = site(STREAM, format).await;
        let alice = site.session_of("alice").await;
        let mut stream = begun(&site, "/stream", &alice).await;
        site.sign_out(&alice).await;
        stream.rest().await;
        let lines = || site.lines().into_iter().filter(|line| line.contains("/stream")).collect::<Vec<_>>();
        super::harness::until(|| !lines().is_empty()).await;
        assert!(lines().len() == 1 && lines()[0].contains(want), "{format:?}: {:?}", lines());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_grace_is_over_is_cut() {
    let (site, _close) = site(BEGUN, Format::Text).await;
    let alice = site.session_of("alice").await;
    let mut download = begun(&site, "/download", &alice).await;
    site.sign_out(&alice).await;
    site.turning(download.rest()).await;
    assert_eq!(cut_of(&site, "/download").await, "session_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_distinguishes_client_disconnect_from_upstream_abort() {
    let (site, close) = site(BEGUN, Format::Text).await;
    let alice = site.session_of("alice").await;
    let left = begun(&site, "/left", &alice).await;
    // A client that only closes its side may still read.
    socket2::SockRef::from(&left.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(left);
    assert_eq!(cut_of(&site, "/left").await, "client_gone");
    let mut broken = begun(&site, "/broken", &alice).await;
    close.add_permits(2);
    broken.rest().await;
    assert_eq!(cut_of(&site, "/broken").await, "upstream_broke");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_names_an_upstream_timeout() {
    let (site, _close) = site(BEGUN, Format::Text).await;
    // A session would end before.
    let mut stalled = begun(&site, "/public/stalled", "Accept: */*").await;
    // Its time begins when it is looked at next.
    site.server.sweep();
    site.advance(Duration::from_secs(3600)).await;
    stalled.rest().await;
    assert_eq!(cut_of(&site, "/public/stalled").await, "upstream_too_slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_names_a_stop() {
    let (site, _close) = site(STREAM, Format::Text).await;
    let alice = site.session_of("alice").await;
    let mut stream = begun(&site, "/stopped", &alice).await;
    site.server.stop_now();
    stream.rest().await;
    assert_eq!(cut_of(&site, "/stopped").await, "stopping");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_names_the_logout_that_closes_a_socket() {
    let app = upstream::start(|connection, _| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(connection.stream).await else { return };
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let site = Site::before_one(app);
    let alice = site.session_of("alice").await;
    let stream = tokio::net::TcpStream::connect(site.address()).await.unwrap();
    let handshake = http::Request::get("ws://app.test/socket")
        .header("host", "app.test")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", tokio_tungstenite::tungstenite::handshake::client::generate_key())
        .header("cookie", alice.strip_prefix("Cookie: ").unwrap());
    let (mut socket, _) = client_async(handshake.body(()).unwrap(), stream).await.unwrap();
    site.sign_out(&alice).await;
    within(async { while let Some(Ok(_)) = socket.next().await {} }).await;
    assert_eq!(cut_of(&site, "/socket").await, "session_ended");
}
