//! Tests of application cookies and keys of a session that several gateways serve: a change by one is visible on the
//! others, and concurrent changes are merged.

use futures_util::FutureExt;

use super::cookie_tests::{after_crash, record_of, sent, set, table_over};
use super::tests::{AT_START, file_keys, open};
use super::*;
use crate::session::store::Record;
use crate::session::store::contract::further;
use crate::session::store::faulty::{FaultMode, FaultyStore};
use crate::values::client_address::ClientAddress;

/// A gateway, and its connection to the store.
struct Gateway {
    table: SessionTable,
    store: Arc<FaultyStore>,
}

impl Gateway {
    fn over(store: Arc<FaultyStore>) -> Self {
        Self { table: table_over(&store, file_keys()), store }
    }

    /// Applies all pending events of the others.
    async fn follow(&self) {
        while let Some(ended) = self.table.follow_events().now_or_never() {
            assert!(ended.unwrap().is_empty());
        }
    }

    /// The session with a key, as a request finds it.
    async fn session(&self, key: &SessionKey) -> Option<Arc<Session>> {
        if let Lookup::Unknown | Lookup::Outdated(_) = self.table.look_up(key, AT_START) {
            self.table.load(key, ClientAddress::Unix, AT_START, &mut Vec::new()).await.unwrap();
        }
        self.table.find(key, AT_START)
    }

    /// A request whose answer sets cookies.
    async fn answer(&self, key: &SessionKey, lines: &[&str]) {
        let session = self.session(key).await.unwrap();
        set(&session, lines);
        self.table.save_cookies(&session).await;
    }

    /// A new password, in the name of a session.
    async fn set_password(&self, session: &Session, password: &str) {
        let stamp = CredentialStamp::new(session.user(), &[password.as_bytes()], &file_keys());
        self.table.set_stamp(session, stamp).await;
    }

    /// The cookies that the application receives with a request, sorted.
    async fn sent(&self, key: &SessionKey) -> String {
        let mut pairs: Vec<_> = sent(&self.session(key).await.unwrap()).split("; ").map(str::to_owned).collect();
        pairs.sort();
        pairs.join("; ")
    }
}

/// Two gateways, and a session that both have in their tables.
async fn two() -> (Gateway, Gateway, SessionKey) {
    let store = FaultyStore::new();
    let other = Gateway::over(FaultyStore::wrap(store.other().replica()));
    let one = Gateway::over(store);
    let key = open(&one.table, "alice", AT_START).await.id.key();
    assert!(other.session(&key).await.is_some());
    (one, other, key)
}

#[tokio::test]
async fn a_change_is_visible_on_the_other_gateway() {
    let (one, other, key) = two().await;
    for round in 0..4 {
        let gateways = if round % 2 == 0 { [&one, &other] } else { [&other, &one] };
        let [sets, gets] = gateways;
        sets.answer(&key, &[&format!("sid={round}; HttpOnly; Path=/")]).await;
        gets.follow().await;
        let loads = gets.store.loads();
        assert_eq!(gets.sent(&key).await, format!("sid={round}"));
        assert_eq!(gets.sent(&key).await, format!("sid={round}"));
        assert_eq!(gets.store.loads(), loads + 1, "it is loaded once, and not again");
        let loads = sets.store.loads();
        sets.follow().await;
        assert_eq!(
            (sets.sent(&key).await, sets.store.loads()),
            (format!("sid={round}"), loads),
            "its own change needs no load"
        );
    }
    one.answer(&key, &["sid=; Max-Age=0; HttpOnly; Path=/"]).await;
    other.follow().await;
    assert_eq!(other.sent(&key).await, "");
}

/// Neither gateway has read the other's change.
#[tokio::test]
async fn concurrent_changes_are_merged() {
    let (one, other, key) = two().await;
    one.answer(&key, &["gone=1; HttpOnly; Path=/", "same=0; HttpOnly; Path=/"]).await;
    other.follow().await;
    other.session(&key).await.unwrap();
    let [here, there] = [one.session(&key).await.unwrap(), other.session(&key).await.unwrap()];
    set(&here, &["a=1; HttpOnly; Path=/", "same=1; HttpOnly; Path=/", "theme=dark; Path=/"]);
    set(&there, &["b=2; HttpOnly; Path=/", "gone=; Max-Age=0; HttpOnly; Path=/", "lang=en; Path=/"]);
    one.table.save_cookies(&here).await;
    other.table.save_cookies(&there).await;
    one.follow().await;
    for gateway in [&one, &other] {
        assert_eq!(gateway.sent(&key).await, "a=1; b=2; same=1");
        let session = gateway.session(&key).await.unwrap();
        assert!(!gateway.table.has_unsaved_cookies(&session));
        assert_eq!(
            session.vault().unwrap().remembered("app.test").len(),
            2,
            "the cookies of both in the browser are remembered"
        );
    }
    assert_eq!(sent(&after_crash(&one.store, &here).await.unwrap()).len(), "a=1; b=2; same=1".len());
}

#[tokio::test]
async fn an_unconfirmed_change_survives_a_write_by_another_gateway() {
    let (one, other, key) = two().await;
    let here = one.session(&key).await.unwrap();
    for (mood, name) in [(FaultMode::Down, "down"), (FaultMode::Deaf, "deaf")] {
        one.store.set_mode(mood);
        set(&here, &[&format!("{name}=1; HttpOnly; Path=/")]);
        one.table.save_cookies(&here).await;
        one.store.set_mode(FaultMode::Sound);
        other.follow().await;
        other.answer(&key, &[&format!("other={name}; HttpOnly; Path=/")]).await;
        one.follow().await;
        assert!(one.sent(&key).await.contains(&format!("{name}=1")));
        one.table.save_cookies(&here).await;
        other.follow().await;
        let sent = other.sent(&key).await;
        assert!(sent.contains(&format!("{name}=1")) && sent.contains(&format!("other={name}")), "{sent}");
    }
}

/// The change comes after the store was read, and before the session is in the table.
#[tokio::test]
async fn a_change_is_not_missed_while_the_session_is_loaded() {
    let (one, _, key) = two().await;
    let late = Gateway::over(FaultyStore::wrap(one.store.other().replica()));
    late.store.set_mode(FaultMode::Late);
    let mut loading = std::pin::pin!(late.session(&key));
    assert!(loading.as_mut().now_or_never().is_none());
    one.answer(&key, &["sid=1; HttpOnly; Path=/"]).await;
    late.follow().await;
    late.store.set_mode(FaultMode::Sound);
    assert_eq!(sent(&loading.await.unwrap()), "sid=1");
}

/// The same for a session in the table, which was read before the second change.
#[tokio::test]
async fn a_change_is_not_missed_while_another_one_is_read() {
    let (one, other, key) = two().await;
    one.answer(&key, &["sid=1; HttpOnly; Path=/"]).await;
    other.follow().await;
    other.store.set_mode(FaultMode::Late);
    let mut reading = std::pin::pin!(other.session(&key));
    assert!(reading.as_mut().now_or_never().is_none());
    one.answer(&key, &["sid=2; HttpOnly; Path=/"]).await;
    other.follow().await;
    other.store.set_mode(FaultMode::Sound);
    assert_eq!(sent(&reading.await.unwrap()), "sid=2");
}

/// The store lost a confirmed write, as after a failover.
#[tokio::test]
async fn a_jar_that_the_store_has_lost_is_written_again() {
    let (one, other, key) = two().await;
    for value in 1..4 {
        one.answer(&key, &[&format!("sid={value}; HttpOnly; Path=/")]).await;
    }
    let session = one.session(&key).await.unwrap();
    let lost = Record { version: 0, jar: Vec::new(), ..record_of(&one.store, &session).await };
    one.store.other().open(lost).await.unwrap();
    one.store.lose_events();
    other.store.lose_events();
    one.follow().await;
    assert_eq!(one.sent(&key).await, "sid=3");
    one.table.save_cookies(&session).await;
    other.follow().await;
    assert_eq!(other.sent(&key).await, "sid=3");
}

fn has_password(session: &Session, password: &str) -> bool {
    session.stamp().is_some_and(|stamp| stamp.is_of(session.user(), &[password.as_bytes()], &file_keys()))
}

#[tokio::test]
async fn a_password_that_was_changed_elsewhere_is_known_before_the_next_request_or_when_it_is_asked_for() {
    let (one, other, key) = two().await;
    let [here, there] = [one.session(&key).await.unwrap(), other.session(&key).await.unwrap()];
    one.set_password(&here, "first").await;
    other.follow().await;
    other.session(&key).await.unwrap();
    assert!(has_password(&there, "first"));
    other.set_password(&there, "second").await;
    one.follow().await;
    assert!(one.table.renew(&[Arc::clone(&here)]).await.unwrap().is_empty());
    assert!(has_password(&here, "second"));
    let loads = one.store.loads();
    assert!(one.table.renew(&[Arc::clone(&here)]).await.unwrap().is_empty());
    assert_eq!(one.store.loads(), loads, "asked for though nothing has changed");
    // As after a start.
    assert!(has_password(&after_crash(&one.store, &here).await.unwrap(), "second"));
    let _ = one.table.end(&here, EndCause::Logout).await.unwrap();
    other.store.lose_events();
    other.follow().await;
    assert_eq!(other.table.renew(&[there]).await.unwrap().len(), 1, "it has ended");
}

/// The store was read before the change, or has not taken it.
#[tokio::test]
async fn an_older_stamp_never_replaces_a_newer_one() {
    let (one, other, key) = two().await;
    let [here, there] = [one.session(&key).await.unwrap(), other.session(&key).await.unwrap()];
    other.set_password(&there, "theirs").await;
    one.follow().await;
    one.store.set_mode(FaultMode::Late);
    let mut reading = std::pin::pin!(one.session(&key));
    assert!(reading.as_mut().now_or_never().is_none());
    here.set_stamp(CredentialStamp::new(here.user(), &[b"ours"], &file_keys()));
    one.store.set_mode(FaultMode::Sound);
    reading.await.unwrap();
    assert!(has_password(&here, "ours"));

    one.store.set_mode(FaultMode::Down);
    one.set_password(&here, "not kept").await;
    one.store.set_mode(FaultMode::Sound);
    other.table.add_key(&there, further("shop.test")).await.unwrap();
    one.follow().await;
    assert_eq!(one.session(&key).await.unwrap().keys().len(), 2);
    assert!(has_password(&here, "not kept"));
}

#[tokio::test]
async fn a_key_that_was_replaced_elsewhere_is_refused() {
    let (one, other, key) = two().await;
    let session = one.session(&key).await.unwrap();
    let [earlier, later] = [further("shop.test"), further("shop.test")];
    assert_eq!(one.table.add_key(&session, earlier.clone()).await, Ok(true));
    other.follow().await;
    assert!(other.session(&earlier.key).await.is_some());
    assert_eq!(one.table.add_key(&session, later.clone()).await, Ok(true));
    other.follow().await;
    assert!(other.session(&earlier.key).await.is_none(), "the host has another key now");
    let there = other.session(&later.key).await.unwrap();
    assert_eq!(there.keys(), [key, later.key]);
    // A sign-out by the first key has to expire the cookies of every host.
    one.table.add_key(&session, further("blog.test")).await.unwrap();
    other.follow().await;
    assert_eq!(other.session(&key).await.unwrap().keys().len(), 3);
}
