//! Tests of a table that may be out of date: events were missed, or the store does not answer.

use super::stored_tests::{HERE, look_up, replicas, table, table_over};
use super::tests::{AT_START, open};
use super::*;
use crate::session::live::Cut;
use crate::session::store::End;
use crate::session::store::faulty::{FaultMode, FaultyStore};

#[tokio::test]
async fn after_a_gap_sessions_are_confirmed_before_they_are_served() {
    for used in [true, false] {
        let (first, second, store) = replicas();
        let (ends, stays) = (open(&first, "alice", AT_START).await, open(&first, "bob", AT_START).await);
        let here = look_up(&second, &ends.id.key(), AT_START).await.unwrap().unwrap();
        look_up(&second, &stays.id.key(), AT_START).await.unwrap().unwrap();
        assert!(first.end(&ends.session, EndCause::Logout).await.is_some());
        store.lose_events();
        assert!(second.follow_events().await.unwrap().is_empty() && !here.has_ended());
        store.set_mode(FaultMode::Down);
        assert_eq!(look_up(&second, &stays.id.key(), AT_START).await.unwrap_err(), Unavailable);
        assert_eq!(second.confirm_some().await.unwrap_err(), Unavailable);
        assert!(second.len() == 2, "a transient error ends no session");
        store.set_mode(FaultMode::Sound);
        let mut ended = Vec::new();
        if used {
            second.load(&ends.id.key(), HERE, AT_START, &mut ended).await.unwrap();
        } else {
            ended = second.confirm_some().await.unwrap();
        }
        assert!(ended.len() == 1 && Arc::ptr_eq(&ended[0].session, &here) && here.has_ended());
        assert_eq!((ended[0].cause, ended[0].end), (EndCause::Elsewhere, End::Lost));
        assert!(second.find(&ends.id.key(), AT_START).is_none());
        assert!(look_up(&second, &stays.id.key(), AT_START).await.unwrap().is_some());
        let loads = store.loads();
        assert!(second.find(&stays.id.key(), AT_START).is_some() && second.confirm_some().await.unwrap().is_empty());
        assert_eq!(store.loads(), loads, "each is confirmed once");
    }
}

#[tokio::test]
async fn a_session_that_was_opened_or_loaded_after_the_gap_needs_no_confirmation() {
    let (table, store) = table();
    store.lose_events();
    assert!(table.follow_events().await.unwrap().is_empty());
    let key = open(&table, "alice", AT_START).await.id.key();
    assert!(table.find(&key, AT_START).is_some());
    let other = table_over(FaultyStore::wrap(store.other().replica()));
    assert!(look_up(&other, &key, AT_START).await.unwrap().is_some() && other.find(&key, AT_START).is_some());
}

#[tokio::test]
async fn without_trust_no_session_is_served() {
    let (table, store) = table();
    let (trust, at) = (store.trust(), |seconds| Moment::from_seconds(seconds));
    let Opened { id, session, .. } = open(&table, "alice", AT_START).await;
    trust.set_until(at(5));
    assert!(table.find(&id.key(), at(4)).is_some());
    for key in [id.key(), SessionId::generate().unwrap().key()] {
        assert_eq!(look_up(&table, &key, at(5)).await.unwrap_err(), Unavailable);
    }
    assert!(!session.has_ended() && table.len() == 1);
    trust.set_until(at(9));
    assert!(table.find(&id.key(), at(5)).is_some(), "it is served when the trust returns");
}

#[tokio::test]
async fn connections_at_all_gateways_are_counted() {
    let at = |seconds| Moment::from_seconds(seconds);
    let (first, one) = table();
    let two = FaultyStore::wrap(one.other().replica());
    let second = table_over(Arc::clone(&two));
    [&one, &two].iter().for_each(|store| store.trust().set_until(at(50)));
    let Opened { id, session, .. } = open(&first, "alice", AT_START).await;
    let here = look_up(&second, &id.key(), AT_START).await.unwrap().unwrap();
    let holds = [(); 2].map(|()| Arc::clone(&session).hold(&Cut::new()).unwrap());
    let _hold = Arc::clone(&here).hold(&Cut::new()).unwrap();
    let counts = || [first.connections_of(&session), second.connections_of(&here)];
    first.exchange_connections(at(10)).await;
    second.exchange_connections(at(10)).await;
    assert_eq!(counts(), [2, 3], "the first one has not asked since");
    first.exchange_connections(at(13)).await;
    assert_eq!(counts(), [2, 3], "it is not due");
    first.exchange_connections(at(14)).await;
    drop(holds);
    assert_eq!(counts(), [1, 3]);
    first.exchange_connections(at(18)).await;
    second.exchange_connections(at(18)).await;
    assert_eq!(counts(), [1, 1]);
    first.exchange_connections(at(22)).await;
    assert_eq!(counts(), [1, 1]);
    two.set_mode(FaultMode::Down);
    second.exchange_connections(at(22)).await;
    first.exchange_connections(at(50)).await;
    assert_eq!(counts(), [0, 1], "without an answer only the own ones are known");
}
