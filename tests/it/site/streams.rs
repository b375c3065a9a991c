//! Event streams and long downloads: how long they may be silent, and what a logout does to them.

use exeunt::config::Settings;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::answer::request;
use super::harness::{ABSOLUTE, GRACE, IDLE, Site};
use crate::server::client::{Client, within};
use crate::upstream;

/// An application that begins an answer and goes on with it, piece by piece, as the test says.
pub struct Slow {
    pub site: Site,
    /// One permit is one further piece.
    pub go_on: Arc<Semaphore>,
    /// One message for each answer whose connection was closed before its end.
    gone: mpsc::UnboundedReceiver<()>,
}

pub const STREAM: &str = "Content-Type: text/event-stream; charset=utf-8\r\n";
pub const PIECES: usize = 3;

/// The longest silence within an answer.
const SILENCE: Duration = Duration::from_secs(3600);

impl Slow {
    /// `head`: header lines of the answer. It has three pieces, the first of them at once.
    async fn answering(head: &'static str) -> Self {
        Self::with(head, |_| {}).await
    }

    pub async fn with(head: &'static str, change: impl FnOnce(&mut Settings)) -> Self {
        let go_on = Arc::new(Semaphore::new(0));
        let (gone_here, gone) = mpsc::unbounded_channel();
        let next = Arc::clone(&go_on);
        let app = upstream::start(move |mut connection, _| {
            let (next, gone) = (Arc::clone(&next), gone_here.clone());
            async move {
                connection.request().await.unwrap();
                connection
                    .write(&format!("HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n"))
                    .await;
                for _ in 1..PIECES {
                    tokio::select! {
                        permit = next.acquire() => permit.unwrap().forget(),
                        _ = connection.request() => {
                            let _ = gone.send(());
                            return;
                        }
                    }
                    connection.write("5\r\npiece\r\n").await;
                }
                connection.write("0\r\n\r\n").await;
            }
        })
        .await;
        Self { site: Site::before(&[format!("http://{app}")], change), go_on, gone }
    }

    /// A client that has the head and the first piece of an answer.
    async fn begun(&self, cookie: &str) -> (Client, String) {
        self.begun_at("/x", &[cookie]).await
    }

    pub async fn begun_at(&self, target: &str, head: &[&str]) -> (Client, String) {
        let mut client = self.site.client().await;
        client.say(&request("GET", target, head, "")).await;
        let head = client.answer_head().await.unwrap();
        assert_eq!(client.chunk().await.unwrap(), b"piece");
        (client, head)
    }
}

/// What is left of an answer: true if it came to its end.
pub async fn finishes(client: &mut Client) -> bool {
    loop {
        match client.chunk().await {
            Some(chunk) if chunk.is_empty() => return true,
            Some(chunk) => assert!(chunk.starts_with(b"piece")),
            None => return false,
        }
    }
}

/// A stream that is cut ends where it is, with its last chunk: a reader sees an end, and asks again.
pub async fn is_cut(client: &mut Client) {
    assert_eq!(client.chunk().await.as_deref(), Some(b"".as_slice()));
    assert_eq!(client.rest().await, "", "and the connection with it");
}

/// Nothing of a session's streams outlives it.
#[tokio::test(flavor = "multi_thread")]
async fn t78_a_logout_cuts_event_streams_at_once() {
    let mut slow = Slow::answering(STREAM).await;
    let (alice, bob) = (slow.site.session_of("alice").await, slow.site.session_of("bob").await);
    let (mut stream, _) = slow.begun(&alice).await;
    let (mut other, _) = slow.begun(&bob).await;
    slow.site.sign_out(&alice).await;
    // No time has passed by the gateway's clock.
    is_cut(&mut stream).await;
    within(slow.gone.recv()).await.unwrap();
    slow.go_on.add_permits(PIECES - 1);
    assert!(finishes(&mut other).await, "nobody else's stream is touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_under_way_may_finish_within_its_grace() {
    let slow = Slow::answering("Content-Type: text/plain\r\n").await;
    let alice = slow.site.session_of("alice").await;
    let (mut download, _) = slow.begun(&alice).await;
    slow.site.sign_out(&alice).await;
    slow.site.advance(GRACE - Duration::from_millis(1)).await;
    slow.go_on.add_permits(PIECES - 1);
    assert!(finishes(&mut download).await);
    // The answer was complete and did not announce a close: another user's request may follow.
    let bob = slow.site.session_of("bob").await;
    for (cookie, status) in [(&alice, 401), (&bob, 200)] {
        let answer = download.exchange(&request("GET", "/.exeunt/session", &[cookie], "")).await;
        assert_eq!(answer.status, status, "between two requests a connection belongs to nobody's session");
        slow.site.advance(GRACE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_under_way_is_cut_after_its_grace() {
    let mut slow = Slow::answering("Content-Type: text/plain\r\n").await;
    let alice = slow.site.session_of("alice").await;
    let (mut download, _) = slow.begun(&alice).await;
    slow.site.sign_out(&alice).await;
    // The grace begins when the connection's task has noticed the logout.
    let before = slow.site.clock.now();
    assert!(!slow.site.turning(finishes(&mut download)).await);
    let after = slow.site.clock.now().duration_since(before);
    assert!(after >= GRACE && after < SILENCE, "{after:?}");
    within(slow.gone.recv()).await.unwrap();
    let lines = slow.site.access_lines(1, "path=/x ").await;
    assert!(lines.len() == 1 && lines[0].contains("user=alice") && lines[0].contains("status=200"), "{lines:?}");
}

/// An answer that comes after the logout sets no cookie, nor does it bring the session back.
#[tokio::test(flavor = "multi_thread")]
async fn t56_what_is_answered_after_the_logout_sets_no_cookie() {
    let go_on = Arc::new(Semaphore::new(0));
    let (asked_here, mut asked) = mpsc::unbounded_channel();
    let wait = Arc::clone(&go_on);
    let app = upstream::start(move |mut connection, _| {
        let (wait, asked) = (Arc::clone(&wait), asked_here.clone());
        async move {
            while connection.request().await.is_some() {
                asked.send(()).unwrap();
                wait.acquire().await.unwrap().forget();
                connection.answer(200, "Set-Cookie: app=1\r\n", "done").await;
            }
        }
    })
    .await;
    let site = Site::before_one(app);
    for (out, cookies) in [(false, 1), (true, 0)] {
        let alice = site.session_of("alice").await;
        let mut client = site.client().await;
        let page = request("GET", "/x", &[&alice], "");
        client.say(&page).await;
        within(asked.recv()).await.unwrap();
        if out {
            site.sign_out(&alice).await;
        }
        go_on.add_permits(1);
        let answer = client.reply_to(&page).await.unwrap();
        assert_eq!((answer.text(), answer.headers("set-cookie").len()), ("done", cookies));
    }
    assert!(site.gateway.sessions().list(&user("alice")).len() == 1, "the one that is still signed in");
}

fn user(name: &str) -> exeunt::values::identity::UserKey {
    exeunt::values::identity::UserKey { source: "test".into(), subject: name.into() }
}

/// Ends without a sign-out: the idle timeout, the longest life, and one session too many.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_a_session_cuts_its_streams() {
    let mut slow = Slow::answering(STREAM).await;
    let alice = slow.site.session_of("alice").await;
    let (mut stream, _) = slow.begun(&alice).await;
    slow.site.advance(IDLE - Duration::from_millis(1)).await;
    slow.go_on.add_permits(1);
    assert_eq!(stream.chunk().await.unwrap(), b"piece");
    slow.site.advance(Duration::from_millis(1)).await;
    is_cut(&mut stream).await;
    within(slow.gone.recv()).await.unwrap();
    assert_eq!(slow.site.get("/x", &[&alice]).await.status, 401);
    assert!(slow.site.lines().iter().any(|line| line.contains("cause=idle")), "{:?}", slow.site.lines());
}

/// Not seconds later: the sweeper sees the end when it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_absolute_life_does() {
    let slow = Slow::answering(STREAM).await;
    let alice = slow.site.session_of("alice").await;
    slow.site.advance(Duration::from_millis(300)).await;
    let (mut stream, _) = slow.begun(&alice).await;
    for _ in 0..ABSOLUTE.as_secs() / 500 {
        slow.site.advance(Duration::from_secs(500)).await;
        assert_eq!(slow.site.get("/.exeunt/session", &[&alice]).await.status, 200);
        drop(slow.begun(&alice).await);
    }
    slow.go_on.add_permits(1);
    assert_eq!(stream.chunk().await.unwrap(), b"piece");
    slow.site
        .advance(ABSOLUTE - Duration::from_secs(ABSOLUTE.as_secs() / 500 * 500) - Duration::from_millis(300))
        .await;
    is_cut(&mut stream).await;
    assert!(slow.site.lines().iter().any(|line| line.contains("cause=absolute")), "{:?}", slow.site.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_does_not_extend_the_absolute_life() {
    let (site, _echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let step = IDLE / 2;
    for _ in 0..ABSOLUTE.as_secs() / step.as_secs() - 1 {
        site.advance(step).await;
        assert_eq!(site.get("/x", &[&alice]).await.status, 200);
    }
    site.advance(step).await;
    assert_eq!(site.get("/x", &[&alice]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_too_many_cuts_the_one_that_it_ends() {
    let slow = Slow::with(STREAM, |setup| setup.session.max_per_user = 2).await;
    let first = slow.site.sign_in("alice").await;
    let (mut stream, _) = slow.begun(&first).await;
    slow.site.advance(Duration::from_secs(1)).await;
    let others = [slow.site.sign_in("alice").await, slow.site.sign_in("alice").await];
    is_cut(&mut stream).await;
    assert_eq!(slow.site.get("/.exeunt/session", &[&first]).await.status, 401);
    for cookie in &others {
        assert_eq!(slow.site.get("/.exeunt/session", &[cookie]).await.status, 200);
    }
}

/// `response_timeout` is for an answer that does not begin; event streams are silent as they please, almost.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_silent_for_longer_than_it_may_take_to_begin() {
    let slow = Slow::answering(STREAM).await;
    let (mut stream, _) = slow.begun_at("/public/x", &[]).await;
    slow.site.advance(SILENCE - Duration::from_millis(1)).await;
    slow.go_on.add_permits(1);
    assert_eq!(stream.chunk().await.unwrap(), b"piece");
    slow.site.advance(SILENCE - Duration::from_millis(1)).await;
    slow.go_on.add_permits(1);
    assert!(finishes(&mut stream).await, "each piece begins the time anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_falls_silent_is_cut_where_it_was() {
    let mut slow = Slow::answering(STREAM).await;
    let (mut stream, _) = slow.begun_at("/public/x", &[]).await;
    // Its time begins when it is looked at next.
    slow.site.server.sweep();
    slow.site.advance(SILENCE).await;
    assert!(!finishes(&mut stream).await);
    within(slow.gone.recv()).await.unwrap();
    let lines = slow.site.access_lines(1, "path=/public/x ").await;
    assert!(lines[0].contains("status=200") && lines[0].contains("cut=upstream_too_slow"), "{lines:?}");
}
