//! Tests of a table with a store that fails, that is slow, and that other gateways use as well.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::tests::{AT_START, file_keys, open, settings, sign_in};
use super::*;
use crate::session::pending::PendingEnds;
use crate::session::store::contract::further;
use crate::session::store::faulty::{FaultMode, FaultyStore};
use crate::session::store::{End, Use};
use crate::values::client_address::ClientAddress;
use crate::values::mac::MacKeys;
use crate::vault::store::Vault;

pub(super) const HERE: ClientAddress = ClientAddress::Unix;

pub(super) fn table_over(store: Arc<FaultyStore>) -> SessionTable {
    SessionTable::new(settings(), Some(Backing::new(store, Clock::manual().0, file_keys())))
}

/// The start of a table's clock.
fn beginning() -> Moment {
    Clock::manual().0.now()
}

/// A table and its store.
pub(super) fn table() -> (SessionTable, Arc<FaultyStore>) {
    let store = FaultyStore::new();
    (table_over(Arc::clone(&store)), store)
}

/// Two tables over the same records, and the store of the second.
pub(super) fn replicas() -> (SessionTable, SessionTable, Arc<FaultyStore>) {
    let (first, store) = table();
    let second = FaultyStore::wrap(store.other().replica());
    (first, table_over(Arc::clone(&second)), second)
}

/// Looks a key up, with a load if necessary.
pub(super) async fn look_up(
    table: &SessionTable,
    key: &SessionKey,
    now: Moment,
) -> Result<Option<Arc<Session>>, Unavailable> {
    if let Lookup::Unknown = table.look_up(key, now) {
        table.load(key, HERE, now, &mut Vec::new()).await?;
    }
    Ok(table.find(key, now))
}

/// So many ends that the table does not remember them all, while a session is opened.
#[tokio::test]
async fn many_ends_during_a_sign_in_do_not_prevent_it() {
    for is_ended in [false, true] {
        let (table, store) = table();
        let name = SessionId::generate().unwrap().key();
        let session = Arc::new(Session::new(sign_in("alice"), name, AT_START));
        let (slot, mark) = (table.reserve().unwrap(), table.store_new(&session).await.unwrap());
        if is_ended {
            store.other().end(&[name]).await.unwrap();
        }
        let ended = &table.backing.as_ref().unwrap().ended;
        (0..5000).for_each(|_| ended.ended_elsewhere(SessionId::generate().unwrap().key()));
        assert_eq!(table.enter_new(&session, slot, mark, AT_START).await, !is_ended);
        assert_eq!((table.find(&name, AT_START).is_none(), table.is_empty()), (is_ended, is_ended));
    }
}

async fn is_kept(store: &FaultyStore, key: &SessionKey) -> bool {
    store.other().load(key).await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_confirm_opens_nothing() {
    for mood in [FaultMode::Down, FaultMode::Deaf, FaultMode::Lagging, FaultMode::Late] {
        let (table, store) = table();
        store.set_mode(mood);
        assert_eq!(table.open(sign_in("alice"), AT_START).await.unwrap_err(), NotOpened::StoreUnavailable, "{mood:?}");
        assert!(table.is_empty() && table.sessions_of(None).is_empty(), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_end_is_effective_here_and_repeated() {
    for mood in [FaultMode::Down, FaultMode::Deaf, FaultMode::Lagging, FaultMode::Late] {
        let (table, store) = table();
        let Opened { id, session, .. } = open(&table, "alice", AT_START).await;
        store.set_mode(mood);
        let ended = table.end(&session, EndCause::Logout).await.unwrap();
        assert!((ended.end, ended.confirmed) == (End::Won, false) && session.has_ended(), "{mood:?}");
        let again = table.end(&session, EndCause::Logout).await.unwrap();
        assert!((again.end, again.confirmed) == (End::Lost, false), "a second logout has the same result");
        assert_eq!(look_up(&table, &id.key(), AT_START).await.unwrap_err(), Unavailable);
        assert!(table.retry_unconfirmed(AT_START).await.is_empty());
        assert_eq!(look_up(&table, &id.key(), AT_START).await.unwrap_err(), Unavailable, "{mood:?}");

        store.set_mode(FaultMode::Sound);
        assert_eq!(look_up(&table, &id.key(), AT_START).await.unwrap_err(), Unavailable, "the store still has it");
        assert!(table.retry_unconfirmed(AT_START).await.is_empty(), "its end was reported before");
        assert!(!is_kept(&store, &id.key()).await);
        assert!(look_up(&table, &id.key(), AT_START).await.unwrap().is_none());
        assert!(table.end(&session, EndCause::Logout).await.is_none());
    }
}

#[tokio::test]
async fn an_end_is_repeated_until_the_session_has_expired() {
    let (table, store) = table();
    let session = open(&table, "alice", AT_START).await.session;
    store.set_mode(FaultMode::Down);
    let _ = table.end(&session, EndCause::Logout).await;
    table.retry_unconfirmed(Moment::from_seconds(299)).await;
    table.retry_unconfirmed(Moment::from_seconds(300)).await;
    table.retry_unconfirmed(Moment::from_seconds(301)).await;
    assert_eq!(store.ends(), [1, 1]);
}

#[tokio::test]
async fn the_second_of_two_ends_waits_for_the_first() {
    let (table, store) = table();
    let session = open(&table, "alice", AT_START).await.session;
    store.set_mode(FaultMode::Lagging);
    let mut first = std::pin::pin!(table.end(&session, EndCause::Logout));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let mut second = std::pin::pin!(table.end(&session, EndCause::Logout));
    assert!(futures_util::poll!(second.as_mut()).is_pending(), "answered before the end is on disk");
    store.set_mode(FaultMode::Sound);
    assert!(first.await.unwrap().confirmed && second.await.is_none());
}

#[tokio::test]
async fn the_loser_of_a_race_is_told() {
    let (table, store) = table();
    let [one, two, three] =
        [open(&table, "a", AT_START).await, open(&table, "b", AT_START).await, open(&table, "c", AT_START).await]
            .map(|opened| opened.session);
    store.set_mode(FaultMode::Beaten);
    let ended = table.end(&one, EndCause::Logout).await.unwrap();
    assert_eq!((ended.end, ended.confirmed), (End::Lost, true));
    let ended = table.end_all_of(two.user(), EndCause::Revoked).await;
    assert!(ended.confirmed && ended.ended.len() == 1 && ended.ended[0].end == End::Lost);
    let ended = table.expired(Moment::from_seconds(60)).await;
    assert!(ended.len() == 1 && ended[0].end == End::Lost && ended[0].cause == EndCause::Idle);
    assert!([one, two, three].iter().all(|session| session.has_ended()) && table.is_empty());
}

#[tokio::test]
async fn a_batch_is_one_call() {
    let (table, store) = table();
    let sessions = [open(&table, "a", AT_START).await, open(&table, "b", AT_START).await].map(|opened| opened.session);
    assert_eq!(table.end_all(sessions.to_vec(), EndCause::Revoked).await.len(), 2);
    assert_eq!(store.ends(), [2]);
}

#[tokio::test]
async fn a_session_is_found_on_another_gateway_by_every_key() {
    let (first, second, store) = replicas();
    let opened = open(&first, "alice", AT_START).await;
    let another = further("shop.test");
    let further = another.key;
    assert_eq!(first.add_key(&opened.session, another).await, Ok(true));
    let keys = [opened.id.key(), further, opened.id.key()];
    let known = join_all(keys.iter().map(|key| look_up(&second, key, AT_START))).await;
    let known: Vec<_> = known.into_iter().map(|known| known.unwrap().unwrap()).collect();
    assert!(known.iter().all(|session| Arc::ptr_eq(session, &known[0])), "two sessions for one record");
    assert!((second.len(), known[0].identity().user()) == (1, "alice"));
    let loads = store.loads();
    for _ in 0..9 {
        assert!(look_up(&second, &further, AT_START).await.unwrap().is_some());
    }
    assert_eq!(store.loads(), loads, "a known session needs no load");

    let later = HostKey { key: SessionId::generate().unwrap().key(), host: "blog.test".into() };
    assert_eq!(first.add_key(&opened.session, later.clone()).await, Ok(true));
    let later = later.key;
    assert!(Arc::ptr_eq(&look_up(&second, &later, AT_START).await.unwrap().unwrap(), &known[0]));
}

#[tokio::test]
async fn a_session_that_ends_on_another_gateway_ends_here() {
    let (first, second, _) = replicas();
    let Opened { id, session, .. } = open(&first, "alice", AT_START).await;
    let here = look_up(&second, &id.key(), AT_START).await.unwrap().unwrap();
    assert!(first.end(&session, EndCause::Logout).await.unwrap().confirmed);
    let ended = second.follow_events().await.unwrap();
    assert!(ended.len() == 1 && Arc::ptr_eq(&ended[0].session, &here) && here.has_ended());
    assert_eq!((ended[0].end, ended[0].cause), (End::Lost, EndCause::Elsewhere));
    assert!(look_up(&second, &id.key(), AT_START).await.unwrap().is_none() && second.is_empty());
}

/// A load reads a record, then the session ends, then the load gets its answer.
#[tokio::test]
async fn an_old_record_does_not_bring_a_session_back() {
    for here in [false, true] {
        let (first, second, store) = replicas();
        let Opened { id, session, .. } = open(&first, "alice", AT_START).await;
        let another = further("shop.test");
        let further = another.key;
        assert_eq!(first.add_key(&session, another).await, Ok(true));
        if here {
            look_up(&second, &id.key(), AT_START).await.unwrap().unwrap();
        }
        store.set_mode(FaultMode::Late);
        let (key, mut ended) = (if here { further } else { id.key() }, Vec::new());
        if here {
            second.by_key.remove(&further);
        }
        let mut load = Box::pin(second.load(&key, HERE, AT_START, &mut ended));
        assert!(futures_util::poll!(load.as_mut()).is_pending());
        assert!(first.end(&session, EndCause::Logout).await.is_some());
        let _ = second.follow_events().await.unwrap();
        store.set_mode(FaultMode::Sound);
        assert_eq!(load.await, Ok(()));
        assert!(second.find(&key, AT_START).is_none() && second.is_empty(), "{here}");
    }
}

#[tokio::test]
async fn unknown_keys_and_keys_of_ended_sessions_are_looked_up_once() {
    let (table, store) = table();
    let (unknown, known) = (SessionId::generate().unwrap().key(), open(&table, "alice", AT_START).await);
    for _ in 0..9 {
        assert!(look_up(&table, &unknown, AT_START).await.unwrap().is_none());
    }
    assert_eq!(store.loads(), 1);
    assert!(table.end(&known.session, EndCause::Logout).await.is_some());
    assert!(look_up(&table, &known.id.key(), AT_START).await.unwrap().is_none());
    assert_eq!(store.loads(), 1);
    store.set_mode(FaultMode::Down);
    let other = SessionId::generate().unwrap().key();
    for _ in 0..9 {
        assert_eq!(look_up(&table, &other, AT_START).await.unwrap_err(), Unavailable);
    }
    store.set_mode(FaultMode::Sound);
    assert!(look_up(&table, &other, AT_START).await.unwrap().is_none(), "an error is not cached");
}

#[tokio::test]
async fn a_session_that_is_idle_here_may_be_in_use_elsewhere() {
    let (first, second, store) = replicas();
    let at = |seconds| beginning().before(Duration::from_secs(300)) + Duration::from_secs(seconds);
    let Opened { id, session: there, .. } = open(&first, "alice", at(0)).await;
    let here = look_up(&second, &id.key(), at(0)).await.unwrap().unwrap();
    there.touch(at(50));
    let uses = [Use { session: *there.name(), at: Clock::manual().0.wall_at(at(50)) }];
    store.other().touch(&uses).await.unwrap();
    assert!(second.find(&id.key(), at(70)).is_none(), "it is not served before the store was asked");
    assert!(second.expired(at(70)).await.is_empty(), "it is in use");
    assert!(Arc::ptr_eq(&second.find(&id.key(), at(70)).unwrap(), &here) && here.last_seen() == at(50));
    assert!(look_up(&second, &id.key(), at(109)).await.unwrap().is_some());
    store.set_mode(FaultMode::Down);
    assert_eq!(look_up(&second, &id.key(), at(110)).await.unwrap_err(), Unavailable);
    assert!(second.expired(at(110)).await.is_empty() && !here.has_ended(), "a transient error ends no session");
    store.set_mode(FaultMode::Sound);
    let mut ended = Vec::new();
    assert!(second.load(&id.key(), HERE, at(110), &mut ended).await.is_ok());
    assert!(ended.len() == 1 && (ended[0].end, ended[0].cause) == (End::Won, EndCause::Idle));
    assert!(matches!(second.look_up(&id.key(), at(110)), Lookup::Absent));
    assert!(first.follow_events().now_or_never().unwrap().unwrap().len() == 1, "it ends there as well");
}

#[tokio::test]
async fn the_sweep_is_repeated_when_the_store_is_back() {
    let (table, store) = table();
    let _alice = open(&table, "alice", AT_START).await;
    store.set_mode(FaultMode::Down);
    assert!(table.expired(Moment::from_seconds(60)).await.is_empty());
    store.set_mode(FaultMode::Sound);
    assert_eq!(table.expired(Moment::from_seconds(62)).await.len(), 1);
}

#[tokio::test]
async fn uses_are_reported_in_intervals_and_again_after_a_failure() {
    let (store, (clock, clock_handle)) = (FaultyStore::new(), Clock::manual());
    let table = SessionTable::new(settings(), Some(Backing::new(Arc::clone(&store) as _, clock.clone(), file_keys())));
    let now = clock.now();
    let [alice, bob] = [open(&table, "alice", now).await, open(&table, "bob", now).await].map(|opened| opened.session);
    clock_handle.advance(Duration::from_secs(60));
    let saved = async |session: &Session| {
        clock.moment_of(store.other().load(session.name()).await.unwrap().unwrap().last_seen).seconds() - now.seconds()
    };
    let at = |seconds| now + Duration::from_secs(seconds);
    alice.touch(at(5));
    table.save_uses(at(9), Duration::from_secs(10)).await;
    assert_eq!(saved(&alice).await, 0, "not yet");
    store.set_mode(FaultMode::Down);
    table.save_uses(at(10), Duration::from_secs(10)).await;
    store.set_mode(FaultMode::Sound);
    table.save_uses(at(11), Duration::from_secs(10)).await;
    assert_eq!((saved(&alice).await, saved(&bob).await), (5, 0));
    bob.touch(at(11));
    table.save_uses(at(30), Duration::from_secs(10)).await;
    assert_eq!((saved(&alice).await, saved(&bob).await), (5, 11), "a use in the second of the last time counts");
}

#[tokio::test]
async fn everywhere_includes_sessions_that_were_not_loaded() {
    let (first, second, store) = replicas();
    let (here, there) = (open(&second, "alice", AT_START).await, open(&first, "alice", AT_START).await);
    let bob = open(&first, "bob", AT_START).await;
    let ended = second.end_all_of(here.session.user(), EndCause::Revoked).await;
    let won = ended.ended.iter().filter(|ended| ended.end == End::Won && ended.session.has_ended()).count();
    assert_eq!((ended.confirmed, won, ended.ended.len()), (true, 2, 2));
    assert!(!is_kept(&store, &there.id.key()).await && is_kept(&store, &bob.id.key()).await);
    let _ = first.follow_events().await.unwrap();
    assert!(there.session.has_ended() && !bob.session.has_ended());

    let again = open(&first, "alice", AT_START).await;
    store.set_mode(FaultMode::Down);
    let ended = second.end_all_of(here.session.user(), EndCause::Revoked).await;
    assert!(!ended.confirmed && ended.ended.is_empty() && !again.session.has_ended());
}

#[tokio::test]
async fn a_key_that_cannot_be_asked_about_is_ended_later() {
    let (first, second, store) = replicas();
    let Opened { id, session, .. } = open(&first, "alice", AT_START).await;
    store.set_mode(FaultMode::Down);
    second.schedule_end_of(&[id.key(), SessionId::generate().unwrap().key()], AT_START).await;
    assert!(second.retry_unconfirmed(AT_START).await.is_empty());
    store.set_mode(FaultMode::Sound);
    assert_eq!(look_up(&second, &id.key(), AT_START).await.unwrap_err(), Unavailable, "the key is refused meanwhile");
    let ended = second.retry_unconfirmed(AT_START).await;
    assert!(ended.len() == 1 && (ended[0].end, ended[0].cause) == (End::Won, EndCause::Logout));
    assert_eq!(ended[0].session.identity().user(), "alice");
    let _ = first.follow_events().await.unwrap();
    assert!(session.has_ended() && look_up(&second, &id.key(), AT_START).await.unwrap().is_none());
}

#[tokio::test]
async fn a_full_table_loads_no_session_and_reports_an_error() {
    let (first, second, _) = replicas();
    let stranded = open(&first, "x", AT_START).await;
    for user in ["a", "b", "c", "d", "e"] {
        let _ = open(&second, user, AT_START).await;
    }
    assert_eq!(look_up(&second, &stranded.id.key(), AT_START).await.unwrap_err(), Unavailable);
}

#[tokio::test]
async fn a_session_that_expired_while_no_gateway_ran_ends_when_it_is_loaded() {
    let (first, second, _) = replicas();
    let Opened { id, .. } = open(&first, "alice", AT_START).await;
    let at = Moment::from_seconds(300);
    assert!(look_up(&second, &id.key(), at).await.unwrap().is_none());
    let ended = second.expired(at).await;
    assert!(ended.len() == 1 && ended[0].cause == EndCause::Absolute && ended[0].end == End::Won);
}

#[tokio::test]
async fn all_sessions_are_loaded_at_the_start() {
    let (first, second, store) = replicas();
    let clock = Clock::manual().0;
    let mut keys = Vec::new();
    for user in ["a", "b", "b", "b", "c"] {
        keys.push(open(&first, user, clock.now()).await.id.key());
    }
    let another = further("shop.test");
    let further = another.key;
    assert!(store.other().add_key(&keys[0], another).await.unwrap());
    assert!(second.end_all_of(&sign_in("c").user, EndCause::Logout).await.confirmed);
    let limits = SessionSettings { capacity: 2, max_per_user: 1, ..settings() };
    let third = SessionTable::new(limits, Some(Backing::new(Arc::clone(&store) as _, clock.clone(), file_keys())));
    assert_eq!(third.load_all().await, Ok(4), "lower limits end no session");
    let loads = store.loads();
    let live = keys[..4].iter().chain([&further]).filter(|key| third.find(key, clock.now()).is_some()).count();
    assert_eq!((live, store.loads(), third.len()), (5, loads, 4));
    assert_eq!(third.load_all().await, Ok(4), "loading again changes nothing");
    let unknown = SessionId::generate().unwrap().key();
    assert!(matches!(third.look_up(&unknown, clock.now()), Lookup::Absent), "an unknown key needs no load");
    let of_one = third.list(&sign_in("b").user);
    assert_eq!(of_one.len(), 3);
    assert!(of_one.iter().all(|one| Arc::ptr_eq(&one.identity(), &of_one[0].identity())), "the identity is not shared");
    store.set_mode(FaultMode::Down);
    assert_eq!(third.load_all().await, Err(Unavailable));
    let ended = third.end(&third.find(&further, clock.now()).unwrap(), EndCause::Logout).await.unwrap();
    assert!(!ended.confirmed);
    assert!(matches!(third.look_up(&further, clock.now()), Lookup::Unknown), "an unconfirmed end is forgotten");
}

#[tokio::test]
async fn the_stamp_of_a_new_password_is_stored() {
    let (table, store) = table();
    let session = open(&table, "alice", AT_START).await.session;
    let keys = MacKeys::generate().unwrap();
    let stamp = CredentialStamp::new(session.user(), &[b"new"], &keys);
    table.set_stamp(&session, stamp).await;
    let record = store.other().load(session.name()).await.unwrap().unwrap();
    let kept = Session::restored(&record, Arc::new(record.user.clone()), Vault::default(), &Clock::manual().0).unwrap();
    assert!(kept.stamp().unwrap().is_of(session.user(), &[b"new"], &keys));
}

/// The program is killed while the store does not answer.
#[tokio::test]
async fn an_unconfirmed_end_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let pending = || PendingEnds::open(&folder.path().join("pending")).unwrap();
    let store = FaultyStore::new();
    let first = table_over(Arc::clone(&store));
    first.take_over(pending());
    let [ends, unknown, stays] = [
        open(&first, "a", beginning()).await,
        open(&first, "b", beginning()).await,
        open(&first, "c", beginning()).await,
    ];
    store.set_mode(FaultMode::Down);
    assert!(!first.end(&ends.session, EndCause::Logout).await.unwrap().confirmed);
    first.schedule_end_of(&[unknown.id.key()], beginning()).await;
    drop(first);

    store.set_mode(FaultMode::Sound);
    let second = table_over(Arc::clone(&store));
    second.take_over(pending());
    assert_eq!(second.load_all().await, Ok(1));
    for over in [&ends, &unknown] {
        assert_eq!(look_up(&second, &over.id.key(), beginning()).await.unwrap_err(), Unavailable);
    }
    assert!(second.find(&stays.id.key(), beginning()).is_some());
    assert_eq!(second.retry_unconfirmed(beginning()).await.len(), 2);
    for over in [&ends, &unknown] {
        assert!(!is_kept(&store, &over.id.key()).await);
        assert!(look_up(&second, &over.id.key(), beginning()).await.unwrap().is_none());
    }
    assert!(pending().all().is_empty(), "confirmed ends are removed");
}
