//! Tests of application cookies in a store: answered changes survive a crash, and no other session can read them.

use futures_util::FutureExt;

use super::tests::{AT_START, file_keys, open, settings, sign_in};
use super::*;
use crate::session::store::Record;
use crate::session::store::faulty::{FaultMode, FaultyStore};
use crate::values::time::WallTime;
use crate::vault::jar::{Change, CookieContext};
use crate::vault::learned::LearnedNames;
use crate::vault::request::RouteCookies;
use crate::vault::rules::CookieRules;

const HOST: &str = "app.test";

pub(super) fn table_over(store: &Arc<FaultyStore>, keys: Arc<MacKeys>) -> SessionTable {
    SessionTable::over(settings(), Arc::clone(store) as _, Clock::manual().0, keys)
}

fn asked() -> CookieContext<'static> {
    CookieContext { path: b"/", https: true, cross_site: false, now: WallTime(1000) }
}

/// An answer of the application that sets cookies.
pub(super) fn set(session: &Session, lines: &[&str]) {
    let (rules, learned) = (CookieRules::default(), LearnedNames::default());
    let route = RouteCookies { rules: &rules, learned: &learned, path: b"" };
    let lines = lines.iter().map(|line| line.as_bytes());
    session.open_vault().unwrap().answer(HOST, asked(), route, lines, |_| false).unwrap();
}

/// The `Cookie` header that the application receives.
pub(super) fn sent(session: &Session) -> String {
    let (rules, learned) = (CookieRules::default(), LearnedNames::default());
    let route = RouteCookies { rules: &rules, learned: &learned, path: b"" };
    let made = session.vault().map(|vault| vault.request(HOST, asked(), route, b"", || false)).unwrap_or_default();
    String::from_utf8(made.line.unwrap_or_default()).unwrap()
}

pub(super) async fn record_of(store: &FaultyStore, session: &Session) -> Record {
    store.other().load(session.name()).await.unwrap().unwrap()
}

/// The session after a crash of the program.
pub(super) async fn after_crash(store: &Arc<FaultyStore>, session: &Session) -> Option<Arc<Session>> {
    let table = table_over(store, file_keys());
    table.load_all().await.unwrap();
    table.find(session.name(), AT_START)
}

#[tokio::test]
async fn cookies_that_were_saved_survive_a_crash() {
    let store = FaultyStore::new();
    let table = table_over(&store, file_keys());
    let session = open(&table, "alice", AT_START).await.session;
    set(&session, &["sid=secret-1; HttpOnly; Path=/", "theme=dark; Path=/"]);
    assert!(table.has_unsaved_cookies(&session));
    assert_eq!(sent(&after_crash(&store, &session).await.unwrap()), "", "not saved yet");
    table.save_cookies(&session).await;
    assert!(!table.has_unsaved_cookies(&session));
    let again = after_crash(&store, &session).await.unwrap();
    assert_eq!(sent(&again), "sid=secret-1");
    assert_eq!(again.vault().unwrap().remembered(HOST).len(), 1, "the cookie in the browser is remembered");
    set(&again, &["sid=secret-2; HttpOnly; Path=/"]);
    table_over(&store, file_keys()).save_cookies(&again).await;
    assert_eq!(record_of(&store, &session).await.version, 2);
    assert_eq!(sent(&after_crash(&store, &session).await.unwrap()), "sid=secret-2");
    set(&again, &["sid=; Max-Age=0; Path=/"]);
    table.save_cookies(&again).await;
    assert_eq!(sent(&after_crash(&store, &session).await.unwrap()), "", "a deletion is a change");
}

#[tokio::test]
async fn cookies_move_to_the_new_session_of_a_repeated_sign_in() {
    let store = FaultyStore::new();
    let table = table_over(&store, file_keys());
    let first = open(&table, "alice", AT_START).await.session;
    set(&first, &["sid=secret-1; HttpOnly; Path=/", "theme=dark; Path=/"]);
    table.save_cookies(&first).await;
    set(&first, &["sid=secret-2; HttpOnly; Path=/"]);
    let second = table.open_successor(&first, sign_in("alice"), AT_START).await.1.unwrap().session;
    table.save_cookies(&second).await;
    let kept = after_crash(&store, &second).await.unwrap();
    assert_eq!((sent(&kept), kept.vault().unwrap().remembered(HOST).len()), ("sid=secret-2".to_owned(), 1));
    // The answer to a request that was made with the first session.
    set(&first, &["sid=secret-3; HttpOnly; Path=/"]);
    assert_eq!(sent(&second), "sid=secret-3");
    table.save_cookies(&first).await;
    assert_eq!(sent(&after_crash(&store, &second).await.unwrap()), "sid=secret-3");
    assert_eq!(record_of(&store, &second).await.version, 2);
    let _ = table.end(&second, EndCause::Logout).await;
    assert_eq!((second.close_vault().dropped, sent(&first)), (1, String::new()), "a logout drops them");
}

#[tokio::test]
async fn jars_are_sealed_and_cannot_be_read_with_other_keys() {
    let store = FaultyStore::new();
    let table = table_over(&store, file_keys());
    let [session, other] = [open(&table, "alice", AT_START).await.session, open(&table, "bob", AT_START).await.session];
    set(&session, &["sid=secret-1; HttpOnly; Path=/"]);
    table.save_cookies(&session).await;
    let jar = record_of(&store, &session).await.jar;
    for clear in [b"secret-1".as_slice(), b"sid", HOST.as_bytes()] {
        assert!(!jar.windows(clear.len()).any(|bytes| bytes == clear));
    }
    // Without its jar, or with the jar of another session, the application would see another user.
    let backing = table.backing.as_ref().unwrap();
    let moved = Record { jar: jar.clone(), version: 1, ..record_of(&store, &other).await };
    let restored = |record: &Record| backing.restored(record, Arc::new(record.user.clone()), backing.epoch());
    assert!(restored(&moved).is_none());
    assert!(restored(&Record { jar: jar[1..].to_vec(), ..record_of(&store, &session).await }).is_none());
    let with_other_keys = table_over(&store, Arc::new(MacKeys::generate().unwrap()));
    with_other_keys.load_all().await.unwrap();
    assert!(with_other_keys.find(session.name(), AT_START).is_none());
    assert!(with_other_keys.find(other.name(), AT_START).is_some(), "it has no cookies");
}

#[tokio::test]
async fn cookies_are_saved_when_a_failed_store_is_back() {
    let store = FaultyStore::new();
    let table = table_over(&store, file_keys());
    let session = open(&table, "alice", AT_START).await.session;
    set(&session, &["sid=1; HttpOnly; Path=/"]);
    store.set_mode(FaultMode::Down);
    table.save_cookies(&session).await;
    assert!(table.has_unsaved_cookies(&session));
    store.set_mode(FaultMode::Sound);
    table.save_uses(Clock::manual().0.now(), Duration::ZERO).await;
    assert!(!table.has_unsaved_cookies(&session));
    assert_eq!(sent(&after_crash(&store, &session).await.unwrap()), "sid=1");
}

/// The client disconnected while its answer waited for the store.
#[tokio::test]
async fn an_abandoned_save_is_repeated() {
    let store = FaultyStore::new();
    let table = table_over(&store, file_keys());
    let session = open(&table, "alice", AT_START).await.session;
    set(&session, &["sid=1; HttpOnly; Path=/"]);
    store.set_mode(FaultMode::Late);
    assert!(table.save_cookies(&session).now_or_never().is_none());
    assert!(table.has_unsaved_cookies(&session));
    store.set_mode(FaultMode::Sound);
    // The write took effect nevertheless: the stored version is higher than the vault knows.
    assert_eq!(record_of(&store, &session).await.version, 1);
    set(&session, &["sid=2; HttpOnly; Path=/"]);
    table.save_cookies(&session).await;
    assert_eq!(record_of(&store, &session).await.version, 2);
    assert_eq!(sent(&after_crash(&store, &session).await.unwrap()), "sid=2");
}

#[tokio::test]
async fn a_prolonged_cookie_is_saved_with_the_next_report() {
    let store = FaultyStore::new();
    let table = table_over(&store, file_keys());
    let session = open(&table, "alice", AT_START).await.session;
    set(&session, &["sid=1; HttpOnly; Path=/; Max-Age=100"]);
    table.save_cookies(&session).await;
    for age in ["; Max-Age=100", "; Max-Age=200", ""] {
        let line = format!("sid=1; HttpOnly; Path=/{age}");
        set(&session, &[&line]);
        assert!(!table.has_unsaved_cookies(&session), "{line}");
    }
    assert_eq!(session.vault().unwrap().change(), Change::Prolonged);
    table.save_uses(Clock::manual().0.now(), Duration::ZERO).await;
    assert_eq!(session.vault().unwrap().change(), Change::Nothing);
    for line in [
        "sid=1; HttpOnly; Path=/; Max-Age=99",
        "sid=1; HttpOnly; Path=/; Max-Age=9",
        "sid=2; HttpOnly; Path=/",
        "sid=2; HttpOnly; Path=/; SameSite=Strict",
    ] {
        set(&session, &[line]);
        assert!(table.has_unsaved_cookies(&session), "{line}");
        table.save_cookies(&session).await;
    }
}

#[tokio::test]
async fn cookies_of_an_ended_session_are_not_written() {
    let store = FaultyStore::new();
    let table = table_over(&store, file_keys());
    let session = open(&table, "alice", AT_START).await.session;
    set(&session, &["sid=1; HttpOnly; Path=/"]);
    session.close_vault();
    assert!(!table.has_unsaved_cookies(&session));
    table.save_cookies(&session).await;
    assert_eq!(record_of(&store, &session).await.version, 0);
}
