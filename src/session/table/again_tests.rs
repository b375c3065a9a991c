//! Tests of repeated sign-ins in the same browser: what the new session takes over, and concurrent ends.

use std::sync::Arc;
use std::time::Duration;

use super::tests::{AT_START, file_keys, open, settings, sign_in};
use super::*;
use crate::session::live::Cut;
use crate::session::store::End;
use crate::session::store::contract::further;
use crate::session::store::faulty::{FaultMode, FaultyStore};
use crate::session::store::memory::MemoryStore;
use crate::values::client_address::ClientAddress;

pub(super) const GRACE: Duration = Duration::from_secs(5);

fn table_over(store: Arc<dyn SessionStore>) -> SessionTable {
    SessionTable::new(settings(), Some(Backing::new(store, Clock::manual().0, file_keys())))
}

/// A table without a store, and one with a store. They behave in the same way.
fn tables() -> [SessionTable; 2] {
    [SessionTable::new(settings(), None), table_over(Arc::new(MemoryStore::new()))]
}

/// Signs alice in again. Returns the new session and the ends.
async fn again(table: &SessionTable, earlier: &Arc<Session>) -> (Opened, Vec<Ended>) {
    let (over, opened) = table.open_successor(earlier, sign_in("alice"), AT_START).await;
    (opened.unwrap(), over)
}

#[tokio::test]
async fn connections_move_to_the_new_session_and_end_with_it() {
    for table in tables() {
        let first = open(&table, "alice", AT_START).await;
        let shop = further("shop.test");
        table.add_key(&first.session, shop.clone()).await.unwrap();
        let cut = Cut::new();
        let hold = Arc::clone(&first.session).hold(&cut).unwrap();
        let (second, over) = again(&table, &first.session).await;
        assert!(over.len() == 1 && over[0].goes_on && Arc::ptr_eq(&over[0].session, &first.session));
        assert_eq!((over[0].cause, over[0].end, over[0].confirmed), (EndCause::SignedInAgain, End::Won, true));
        assert!(table.find(&first.id.key(), AT_START).is_none() && table.find(&shop.key, AT_START).is_none());
        assert!(table.find(&second.id.key(), AT_START).is_some());
        assert!(cut.signalled().is_none() && hold.begin_write().is_some(), "it was cut");
        assert_eq!((table.len(), second.session.live_connections()), (1, 1));
        assert_eq!(table.add_key(&first.session, shop).await, Ok(false), "a key was added to an ended name");

        let ended = table.end(&second.session, EndCause::Logout).await.unwrap();
        assert_eq!(ended.session.cut(GRACE), 1);
        assert_eq!((cut.signalled(), hold.begin_write().is_none()), (Some(GRACE), true));
        assert!(table.is_empty() && table.list(second.session.user()).is_empty());
    }
}

/// A logout with the earlier cookie ends the session that has succeeded it.
#[tokio::test]
async fn an_end_by_the_earlier_name_ends_the_new_session() {
    for table in tables() {
        let first = open(&table, "alice", AT_START).await;
        let (second, _) = again(&table, &first.session).await;
        let (third, _) = again(&table, &second.session).await;
        let ended = table.end(&first.session, EndCause::Logout).await.unwrap();
        assert!(Arc::ptr_eq(&ended.session, &third.session) && ended.end == End::Won);
        assert!(table.find(&third.id.key(), AT_START).is_none() && table.is_empty());
    }
}

#[tokio::test]
async fn a_use_of_the_earlier_one_keeps_the_new_one_alive() {
    for table in tables() {
        let first = open(&table, "alice", AT_START).await;
        let (second, _) = again(&table, &first.session).await;
        first.session.touch(Moment::from_seconds(59));
        assert!(table.find(&second.id.key(), Moment::from_seconds(100)).is_some());
    }
}

#[tokio::test]
async fn expired_foreign_and_already_succeeded_sessions_are_not_continued() {
    for table in tables() {
        let (first, bob) = (open(&table, "alice", AT_START).await, open(&table, "bob", AT_START).await);
        let idle = Moment::from_seconds(61);
        assert!(!table.can_continue(&first.session, &sign_in("alice"), idle), "it is idle");
        assert!(!table.can_continue(&bob.session, &sign_in("alice"), AT_START), "it is another user's");
        let (_, over) = again(&table, &bob.session).await;
        assert!(over.is_empty() && table.find(&bob.id.key(), AT_START).is_some());
        let (second, _) = again(&table, &first.session).await;
        let (third, over) = again(&table, &first.session).await;
        assert!(over.is_empty(), "a second sign-in with the same cookie");
        assert!(table.find(&second.id.key(), AT_START).is_some() && table.find(&third.id.key(), AT_START).is_some());
        assert!(table.end(&third.session, EndCause::Logout).await.is_some() && !second.session.has_ended());
    }
}

/// Another gateway was faster, or the store does not confirm the end of the earlier session: it has ended as usual.
#[tokio::test(start_paused = true)]
async fn a_session_that_another_call_ended_is_not_continued() {
    for (mood, end) in [(FaultMode::Beaten, End::Lost), (FaultMode::Down, End::Won)] {
        let store = FaultyStore::new();
        let table = table_over(Arc::clone(&store) as _);
        let first = open(&table, "alice", AT_START).await;
        let cut = Cut::new();
        let hold = Arc::clone(&first.session).hold(&cut).unwrap();
        let held = store.block_next_call();
        let mut both = Box::pin(table.open_successor(&first.session, sign_in("alice"), AT_START));
        assert!(futures_util::poll!(both.as_mut()).is_pending());
        drop(held);
        if mood == FaultMode::Beaten {
            store.set_mode(mood);
        }
        if mood == FaultMode::Down {
            // Opening the new session succeeds; the calls after it fail.
            let open = store.block_next_call();
            assert!(futures_util::poll!(both.as_mut()).is_pending());
            store.set_mode(mood);
            drop(open);
        }
        let (over, opened) = both.await;
        assert!(over.len() == 1 && !over[0].goes_on && over[0].end == end, "{mood:?}: {over:?}");
        assert!(first.session.has_ended() && hold.begin_write().is_none(), "{mood:?}");
        assert_eq!(opened.is_ok(), mood == FaultMode::Beaten);
        assert_eq!(table.len(), usize::from(opened.is_ok()), "{mood:?}");
        store.set_mode(FaultMode::Sound);
        table.retry_unconfirmed(AT_START).await;
        let kept = table_over(store).load_all().await.unwrap();
        assert_eq!(kept, usize::from(opened.is_ok()), "{mood:?}: no other session is in the store");
    }
}

/// The earlier session is ended by a logout while the store is asked: only the new session is live afterwards.
#[tokio::test]
async fn an_end_at_the_same_time_wins() {
    for everything in [false, true] {
        let store = FaultyStore::new();
        let table = table_over(Arc::clone(&store) as _);
        let first = open(&table, "alice", AT_START).await;
        let held = store.block_next_call();
        let mut both = Box::pin(table.open_successor(&first.session, sign_in("alice"), AT_START));
        assert!(futures_util::poll!(both.as_mut()).is_pending());
        let ended = match everything {
            false => table.end_all(vec![Arc::clone(&first.session)], EndCause::Logout).await,
            true => table.end_all_of(first.session.user(), EndCause::Everywhere).await.ended,
        };
        assert!(ended.len() == 1 && ended[0].end == End::Won);
        drop(held);
        let (over, opened) = both.await;
        let opened = opened.unwrap();
        assert!(over.iter().all(|over| !over.goes_on) && !opened.session.has_ended(), "{everything}");
        assert_eq!((table.len(), table.list(opened.session.user()).len()), (1, 1));
        let restarted = table_over(store);
        assert_eq!(restarted.load_all().await, Ok(1));
        assert!(restarted.find(&opened.id.key(), AT_START).is_some());
    }
}

/// An end and a repeated sign-in in real threads leave the table consistent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_and_a_repeated_sign_in_never_miss_each_other() {
    for round in 0..400 {
        let table = Arc::new(SessionTable::new(settings(), None));
        let first = open(&table, "alice", AT_START).await;
        let (other, session) = (Arc::clone(&table), Arc::clone(&first.session));
        let end = tokio::spawn(async move {
            match round % 2 {
                0 => other.end_all(vec![session], EndCause::Logout).await,
                _ => other.end_all_of(session.user(), EndCause::Everywhere).await.ended,
            }
        });
        let (over, opened) = table.open_successor(&first.session, sign_in("alice"), AT_START).await;
        let (ended, opened) = (end.await.unwrap(), opened.unwrap());
        let live = table.find(&opened.id.key(), AT_START).is_some();
        assert_eq!(live, !opened.session.has_ended(), "round {round}");
        assert_eq!((table.len(), table.list(opened.session.user()).len()), (usize::from(live), usize::from(live)));
        assert!(ended.len() <= 1 && over.len() <= 1 && !(ended.is_empty() && over.is_empty()), "round {round}");
    }
}

#[tokio::test]
async fn repeated_sign_ins_keep_to_the_limits() {
    for table in tables() {
        let first = open(&table, "alice", AT_START).await;
        let (_, _) = (open(&table, "alice", AT_START).await, open(&table, "alice", AT_START).await);
        let (second, _) = again(&table, &first.session).await;
        assert!(second.evicted.is_empty() && table.len() == 3, "the earlier one does not count");
        for _ in 0..2 {
            open(&table, "bob", AT_START).await;
        }
        let (over, opened) = table.open_successor(&second.session, sign_in("alice"), AT_START).await;
        assert!(over.is_empty() && matches!(opened, Err(NotOpened::Full)));
        assert!(table.find(&second.id.key(), AT_START).is_some() && table.len() == 5, "the earlier one is live");
    }
}

#[tokio::test]
async fn the_new_session_survives_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let table = table_over(Arc::new(store.replica()));
    let first = open(&table, "alice", AT_START).await;
    let (second, _) = again(&table, &first.session).await;
    let restarted = table_over(Arc::new(store.replica()));
    restarted.load_all().await.unwrap();
    assert!(restarted.find(&second.id.key(), AT_START).is_some() && restarted.len() == 1);
    let known = restarted.load(&first.id.key(), ClientAddress::Unix, AT_START, &mut Vec::new()).await;
    assert!(known.is_ok() && restarted.find(&first.id.key(), AT_START).is_none());
}
