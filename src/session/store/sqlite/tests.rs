//! Tests of the contract, also after a restart, and of the messages for files that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::session::store::contract::{further, holds_alone, keeps_notes, record};

fn message(path: &Path) -> String {
    SqliteStore::open(path).unwrap_err().to_string()
}

#[tokio::test]
async fn the_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    holds_alone(&SqliteStore::open(&path).unwrap()).await;
    holds_alone(&SqliteStore::open(&path).unwrap()).await;
    keeps_notes(&SqliteStore::open(&path).unwrap()).await;
    for entry in fs::read_dir(folder.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn answered_calls_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let (stays, ends) = (Record { further: vec![further("shop.test")], ..record("alice") }, record("bob"));
    let store = SqliteStore::open(&path).unwrap();
    store.open(stays.clone()).await.unwrap();
    store.open(ends.clone()).await.unwrap();
    assert_eq!(store.end(&[ends.name]).await, Ok(vec![End::Won]));
    assert!(matches!(SqliteStore::open(&path), Err(problem) if problem.to_string().contains("another gateway")));
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.load(&stays.further[0].key).await, Ok(Some(stays.clone())));
    assert_eq!(store.load(&ends.name).await, Ok(None));
    assert_eq!(store.page(None, 10).await.unwrap().records, [stays]);
}

/// A file with the schema of version 1 and a session in it.
#[tokio::test]
async fn a_file_of_an_earlier_version_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let kept = record("alice");
    let store = SqliteStore::open(&path).unwrap();
    store.open(kept.clone()).await.unwrap();
    drop(store);
    let back = "DROP TABLE note; ALTER TABLE further DROP COLUMN host; PRAGMA user_version = 1";
    Connection::open(&path).unwrap().execute_batch(back).unwrap();
    assert_eq!(upkeep::check(&path).unwrap().sessions, 1);
    for _ in 0..2 {
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.add_key(&kept.name, further("shop.test")).await, Ok(true));
        assert_eq!(store.load(&kept.name).await.unwrap().unwrap().further.len(), 1);
        keeps_notes(&store).await;
    }
}

/// Concurrent calls share transactions, and each gets its own answer.
#[tokio::test(flavor = "multi_thread")]
async fn calls_at_the_same_time_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("sessions.db")).unwrap());
    let one = |number: usize| {
        let store = Arc::clone(&store);
        async move {
            let record = record(&number.to_string());
            store.open(record.clone()).await.unwrap();
            // Opening it twice fails: the other calls in its transaction must not be affected.
            assert_eq!(store.open(record.clone()).await, Err(Unavailable));
            assert_eq!(store.load(&record.name).await, Ok(Some(record.clone())));
            assert_eq!(store.end(&[record.name]).await, Ok(vec![End::Won]));
        }
    };
    let tasks: Vec<_> = (0..200).map(|number| tokio::spawn(one(number))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_loses_no_session_and_opens_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("sessions.db")).unwrap();
    let kept = record("alice");
    store.open(kept.clone()).await.unwrap();
    let pages =
        |most: u32| move |file: &Connection| file.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()));
    store.run(pages(1)).await.unwrap();
    let big = Record { about: vec![7; 1 << 20], ..record("bob") };
    assert_eq!(store.open(big.clone()).await, Err(Unavailable));
    assert!(store.last_problem().unwrap().to_string().contains("disk is full"));
    assert_eq!((store.load(&big.name).await, store.load(&kept.name).await), (Ok(None), Ok(Some(kept))));
    store.run(pages(1 << 20)).await.unwrap();
    assert_eq!(store.open(big).await, Ok(()));
}

#[tokio::test]
async fn a_call_whose_caller_timed_out_is_not_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("sessions.db")).unwrap();
    let (began, begun) = std::sync::mpsc::channel::<()>();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = parking_lot::Mutex::new(released);
    let late = record("late");
    {
        let busy = store.run(move |_| {
            began.send(()).unwrap();
            released.lock().recv().unwrap();
            Ok(())
        });
        let mut busy = Box::pin(busy);
        assert!(futures_util::poll!(busy.as_mut()).is_pending());
        begun.recv().unwrap();
        let mut open = Box::pin(store.open(late.clone()));
        assert!(futures_util::poll!(open.as_mut()).is_pending());
        drop(open);
        release.send(()).unwrap();
        busy.await.unwrap();
    }
    assert_eq!(store.load(&late.name).await, Ok(None));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let store = SqliteStore::open(&path).unwrap();
    store.open(record("alice")).await.unwrap();
    drop(store);
    let sound = fs::read(&path).unwrap();
    let altered = |sql: &str| {
        fs::write(&path, &sound).unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        fs::read(&path).unwrap()
    };
    let later = altered("PRAGMA user_version = 1000");
    let foreign = altered("PRAGMA application_id = 1");
    let cases = [
        (later, "later version"),
        (foreign, "another program"),
        (b"this is a text and no database at all, whatever its name says".repeat(99), "is damaged"),
        ([&sound[..4096], &vec![0xa5; sound.len() - 4096]].concat(), ""),
    ];
    for (content, want) in cases {
        fs::write(&path, &content).unwrap();
        match SqliteStore::open(&path) {
            Err(problem) => assert!(problem.to_string().contains(want), "{problem}"),
            // Damage after the first page is found when the sessions are loaded at the start.
            Ok(store) => {
                assert_eq!(want, "");
                assert_eq!(store.page(None, 10).await, Err(Unavailable));
                assert!(store.last_problem().unwrap().to_string().contains("is damaged"));
            }
        }
        assert!(fs::read(&path).unwrap() == content, "{want}: it was changed");
    }
    let missing = message(&folder.path().join("no/such.db"));
    assert!(missing.contains("cannot be locked") && missing.contains("no/such.db"), "{missing}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(message(&path).contains("cannot be opened"));
}

/// The work succeeds, and the commit fails.
#[tokio::test]
async fn a_failed_commit_is_not_answered_as_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("sessions.db")).unwrap();
    let broken = "CREATE TABLE other (a REFERENCES session (id) DEFERRABLE INITIALLY DEFERRED); \
                  INSERT INTO other VALUES (12345)";
    assert_eq!(store.run(move |file| file.execute_batch(broken)).await, Err(Unavailable));
    assert_eq!(store.open(record("alice")).await, Ok(()));
}

#[tokio::test]
async fn the_file_can_be_checked_at_any_time_and_vacuumed_while_it_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    assert!(upkeep::check(&path).is_err() && upkeep::vacuum(&path).is_err() && !path.exists());
    let store = SqliteStore::open(&path).unwrap();
    let mut names = Vec::new();
    for _ in 0..50 {
        let record = Record { about: vec![1; 10_000], ..record("alice") };
        names.push(record.name);
        store.open(record).await.unwrap();
    }
    store.end(&names[1..]).await.unwrap();
    let before = upkeep::check(&path).unwrap();
    assert_eq!((before.sessions, before.users), (1, 1));
    assert!(upkeep::vacuum(&path).unwrap_err().to_string().contains("in use"));
    drop(store);
    let after = upkeep::vacuum(&path).unwrap();
    assert!(after.sessions == 1 && after.bytes * 2 < before.bytes, "{after:?} {before:?}");
    let mut damaged = fs::read(&path).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..].fill(0xa5);
    fs::write(&path, damaged).unwrap();
    assert!(upkeep::check(&path).unwrap_err().to_string().contains("is damaged"));
}
