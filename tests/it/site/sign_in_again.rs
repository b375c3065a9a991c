//! A sign-in while the browser has a live session: the connections go on for the same user, and end for another one.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::harness::{ABSOLUTE, FORM, PASSWORD, Site};
use super::sockets::{Socket, open, site_with};
use super::streams::{STREAM, Slow, is_cut};
use crate::server::client::within;

/// Signs in with the cookie of a live session, and gives the new one.
async fn sign_in_over(site: &Site, user: &str, cookie: &str) -> String {
    let form = format!("username={user}&password={}", PASSWORD.replace(' ', "+"));
    let answer = site.ask("POST", "/login", &[FORM, cookie], &form).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.cookie_line()
}

/// Whether the application still answers on it.
async fn answers(socket: &mut Socket, text: &str) -> bool {
    if socket.send(Message::text(text)).await.is_err() {
        return false;
    }
    matches!(within(socket.next()).await, Some(Ok(message)) if message.to_text().is_ok_and(|got| got == text))
}

/// The code and the reason of the Close frame with which it ends.
async fn closed(socket: &mut Socket) -> (CloseCode, String) {
    loop {
        match within(socket.next()).await.unwrap().unwrap() {
            Message::Close(Some(frame)) => return (frame.code, frame.reason.to_string()),
            Message::Close(None) => panic!("no reason"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_lives_on_for_the_same_user_and_ends_with_the_new_session() {
    let (site, _handshakes) = site_with(|_| {}).await;
    let first = site.sign_in("alice").await;
    let mut socket = open(&site, "/socket", &[&first]).await.unwrap();
    let second = sign_in_over(&site, "alice", &first).await;
    assert_eq!(site.get("/.exeunt/session", &[&first]).await.status, 401, "the first cookie opens nothing any more");
    assert!(answers(&mut socket, "still here").await);
    let line = site.lines().into_iter().find(|line| line.contains("cause=signed_in_again")).unwrap();
    assert!(line.contains("end:done:1,answer:done:1"), "{line}");
    let receipt = site.ask("POST", "/logout", &[&second], "").await;
    let receipt = receipt.text();
    assert!(receipt.contains(r#"{"step":"cut","result":"done","count":1"#), "{receipt}");
    assert_eq!(closed(&mut socket).await, (CloseCode::Policy, "session ended".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_lives_on_for_the_same_user_and_ends_with_the_new_session() {
    let slow = Slow::with(STREAM, |_| {}).await;
    let first = slow.site.sign_in("alice").await;
    let (mut stream, _) = slow.begun_at("/x", &[&first]).await;
    // A third session goes on with it as well.
    let second = sign_in_over(&slow.site, "alice", &first).await;
    let third = sign_in_over(&slow.site, "alice", &second).await;
    slow.go_on.add_permits(1);
    assert_eq!(stream.chunk().await.as_deref(), Some(b"piece".as_slice()));
    slow.site.sign_out(&third).await;
    is_cut(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_life_counts_from_the_new_sign_in() {
    let (site, _handshakes) = site_with(|_| {}).await;
    let first = site.sign_in("alice").await;
    let mut socket = open(&site, "/socket", &[&first]).await.unwrap();
    let mut activity = 0;
    for _ in 0..10 {
        site.advance(ABSOLUTE / 20).await;
        activity += 1;
        assert!(answers(&mut socket, &format!("number {activity}")).await);
    }
    let second = sign_in_over(&site, "alice", &first).await;
    for _ in 0..15 {
        site.advance(ABSOLUTE / 20).await;
        activity += 1;
        assert!(answers(&mut socket, &format!("number {activity}")).await, "cut by the life of the first session");
    }
    assert_eq!(site.get("/.exeunt/session", &[&second]).await.status, 200, "what moves on the socket keeps it");
    site.advance(ABSOLUTE / 4).await;
    site.advance(ABSOLUTE / 20).await;
    assert_eq!(closed(&mut socket).await.0, CloseCode::Policy);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_the_previous_user_end() {
    let (site, _handshakes) = site_with(|_| {}).await;
    let alice = site.sign_in("alice").await;
    let mut socket = open(&site, "/socket", &[&alice]).await.unwrap();
    sign_in_over(&site, "bob", &alice).await;
    assert_eq!(closed(&mut socket).await.0, CloseCode::Policy);
}
