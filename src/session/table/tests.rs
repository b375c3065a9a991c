//! Tests of the session table.

use std::time::Duration;

use tokio::time::timeout;

use super::ends::WRITE_TIMEOUT;
use super::*;
use crate::session::live::Cut;
use crate::session::sign_in::SignIn;
use crate::session::store::End;
use crate::session::store::contract::further;
use crate::session::store::memory::MemoryStore;
use crate::values::identity::Identity;
use crate::values::time::WallTime;
use crate::vault::jar::CookieContext;
use crate::vault::learned::LearnedNames;
use crate::vault::request::RouteCookies;
use crate::vault::rules::CookieRules;

pub(super) const AT_START: Moment = Moment::from_seconds(0);

pub(super) fn settings() -> SessionSettings {
    let lifetime = Lifetime { idle: Duration::from_secs(60), absolute: Duration::from_secs(300) };
    SessionSettings { lifetime, max_per_user: 3, capacity: 5 }
}

/// The same keys for every table, as from one key file.
pub(super) fn file_keys() -> Arc<MacKeys> {
    Arc::new(MacKeys::parse(&"5e".repeat(32)).unwrap())
}

/// A table without a store, and one with a store. They behave in the same way.
fn tables() -> [SessionTable; 2] {
    let backing = Backing::new(Arc::new(MemoryStore::new()), Clock::manual().0, file_keys());
    [None, Some(backing)].map(|backing| SessionTable::new(settings(), backing))
}

pub(super) fn sign_in(user: &str) -> SignIn {
    SignIn::of("file", Identity::new(user, None, None, &[]).unwrap())
}

pub(super) async fn open(table: &SessionTable, user: &str, now: Moment) -> Opened {
    table.open(sign_in(user), now).await.unwrap()
}

#[tokio::test]
async fn a_session_is_found_until_it_ends_and_never_again() {
    for table in tables() {
        let opened = open(&table, "alice", AT_START).await;
        let key = opened.id.key();
        assert!(Arc::ptr_eq(&table.find(&key, AT_START).unwrap(), &opened.session));
        assert!(table.find(&SessionId::generate().unwrap().key(), AT_START).is_none());

        let ended = table.end(&opened.session, EndCause::Logout).await.unwrap();
        assert!(ended.confirmed && ended.end == End::Won && ended.session.has_ended());
        assert!(table.find(&key, AT_START).is_none());
        opened.session.touch(AT_START);
        assert!(table.find(&key, AT_START).is_none(), "touching brought it back");
        assert!(table.end(&opened.session, EndCause::Logout).await.is_none(), "ended twice");
        assert!(table.is_empty() && table.list(opened.session.user()).is_empty());
    }
}

#[tokio::test]
async fn a_host_has_one_key_of_a_session() {
    for table in tables() {
        let opened = open(&table, "alice", AT_START).await;
        let keys = [further("shop.test"), further("blog.test"), further("shop.test")];
        for key in &keys {
            assert_eq!(table.add_key(&opened.session, key.clone()).await, Ok(true));
        }
        let found = keys.map(|further| table.find(&further.key, AT_START).is_some());
        assert_eq!(found, [false, true, true], "an earlier key of a host still opens the session");
        let hosts: Vec<_> = opened.session.hosts("app.test");
        assert_eq!(hosts, ["app.test", "blog.test", "shop.test"].map(Box::<str>::from));
        assert_eq!(opened.session.keys().len(), 3);
    }
}

#[tokio::test]
async fn all_keys_of_a_session_end_with_it() {
    for table in tables() {
        let opened = open(&table, "alice", AT_START).await;
        let another = further("shop.test");
        let other_host = another.key;
        assert_eq!(table.add_key(&opened.session, another.clone()).await, Ok(true));
        assert!(table.find(&other_host, AT_START).is_some());
        assert!(table.end(&opened.session, EndCause::Logout).await.is_some());
        assert!(table.find(&other_host, AT_START).is_none() && table.find(&opened.id.key(), AT_START).is_none());
        assert_eq!(table.add_key(&opened.session, another).await, Ok(false));
        assert!(table.find(&other_host, AT_START).is_none(), "an ended session got a new key");
    }
}

#[tokio::test]
async fn timeouts_are_exact_to_the_second() {
    for table in tables() {
        let opened = open(&table, "alice", AT_START).await;
        let key = opened.id.key();
        let at = Moment::from_seconds;
        for second in (0..300).step_by(59) {
            let session = table.find(&key, at(second)).unwrap();
            session.touch(at(second));
        }
        assert!(table.find(&key, at(299)).is_some());
        assert!(table.find(&key, at(300)).is_none(), "activity extended the absolute lifetime");

        let idle = open(&table, "bob", AT_START).await.id.key();
        assert!(table.find(&idle, at(59)).is_some() && table.find(&idle, at(60)).is_none());
    }
}

#[tokio::test]
async fn the_sweep_ends_expired_sessions_and_keeps_the_others() {
    for table in tables() {
        let idle = open(&table, "idle", AT_START).await;
        let busy = open(&table, "busy", AT_START).await;
        busy.session.touch(Moment::from_seconds(50));
        assert!(table.expired(Moment::from_seconds(59)).await.is_empty());
        let ended = table.expired(Moment::from_seconds(70)).await;
        assert_eq!(ended.len(), 1);
        assert!(Arc::ptr_eq(&ended[0].session, &idle.session) && ended[0].cause == EndCause::Idle);
        assert!(table.find(&busy.id.key(), Moment::from_seconds(70)).is_some());
        let ended = table.expired(Moment::from_seconds(120)).await;
        assert_eq!(ended.len(), 1, "a session that was live at its first check is checked again");
        assert!(table.is_empty());
    }
}

#[tokio::test]
async fn a_sign_in_beyond_the_limit_ends_the_least_recently_used() {
    for table in tables() {
        let first = open(&table, "alice", AT_START).await;
        let second = open(&table, "alice", AT_START).await;
        let third = open(&table, "alice", AT_START).await;
        first.session.touch(Moment::from_seconds(9));
        third.session.touch(Moment::from_seconds(8));
        let fourth = open(&table, "alice", Moment::from_seconds(10)).await;
        assert_eq!(fourth.evicted.len(), 1);
        assert!(Arc::ptr_eq(&fourth.evicted[0].session, &second.session));
        assert_eq!(fourth.evicted[0].cause, EndCause::OneTooMany);
        assert!(second.session.has_ended() && !first.session.has_ended() && !third.session.has_ended());
        assert!(open(&table, "bob", AT_START).await.evicted.is_empty());
    }
}

#[tokio::test]
async fn a_full_table_refuses_sign_ins_until_a_session_ends() {
    for table in tables() {
        let mut opened = Vec::new();
        for user in ["a", "b", "c", "d", "e"] {
            opened.push(open(&table, user, AT_START).await);
        }
        assert_eq!(table.open(sign_in("f"), AT_START).await.unwrap_err(), NotOpened::Full);
        assert!(table.end(&opened[0].session, EndCause::Logout).await.is_some());
        assert!(table.open(sign_in("f"), AT_START).await.is_ok());
    }
}

#[tokio::test]
async fn everywhere_means_every_session_of_that_user_only() {
    for table in tables() {
        let first = open(&table, "alice", AT_START).await;
        let _second = open(&table, "alice", AT_START).await;
        let other = open(&table, "bob", AT_START).await;
        assert_eq!(table.end_all_of(first.session.user(), EndCause::Logout).await.ended.len(), 2);
        assert_eq!(table.len(), 1);
        assert!(!other.session.has_ended());
    }
}

#[tokio::test]
async fn an_end_reaches_every_registered_exchange() {
    for table in tables() {
        let session = open(&table, "alice", AT_START).await.session;
        let (running, finished) = (Cut::new(), Cut::new());
        let hold = Arc::clone(&session).hold(&running).unwrap();
        drop(Arc::clone(&session).hold(&finished).unwrap());
        assert_eq!(session.live_connections(), 1);

        let ended = table.end(&session, EndCause::Logout).await.unwrap();
        assert_eq!(ended.session.cut(Duration::from_secs(5)), 1);
        assert_eq!(running.signalled(), Some(Duration::from_secs(5)));
        assert_eq!(finished.signalled(), None, "a finished exchange was cut");
        running.set_streaming();
        assert_eq!(running.signalled(), Some(Duration::ZERO), "a stream has no grace");
        drop(hold);
        assert!(Arc::clone(&session).hold(&Cut::new()).is_none(), "registered with an ended session");
        assert_eq!(session.live_connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_announced_writes() {
    for table in tables() {
        let session = open(&table, "alice", AT_START).await.session;
        let hold = Arc::clone(&session).hold(&Cut::new()).unwrap();
        let write_guard = hold.begin_write().unwrap();
        let mut end = std::pin::pin!(table.end(&session, EndCause::Logout));
        assert!(futures_util::poll!(end.as_mut()).is_pending(), "a head is being written");
        assert_eq!(session.ended(), Some(EndCause::Logout), "the mark comes first");
        assert!(hold.begin_write().is_none(), "the mark is read again before each write");
        drop(write_guard);
        assert!(end.await.unwrap().quiet);
    }
}

/// The session has left the table, but the answer to the second sign-out must not come before the last head.
#[tokio::test(start_paused = true)]
async fn every_sign_out_waits_for_announced_writes() {
    for table in tables() {
        let opened = open(&table, "alice", AT_START).await;
        let (key, user) = (opened.id.key(), opened.session.shared_user());
        let hold = Arc::clone(&opened.session).hold(&Cut::new()).unwrap();
        let write_guard = hold.begin_write().unwrap();
        let mut first = std::pin::pin!(table.end(&opened.session, EndCause::Logout));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        assert!(!table.by_key.contains(&key), "it has left the table");
        let Lookup::Over(over) = table.look_up(&key, AT_START) else { panic!("not found") };
        let mut second = std::pin::pin!(table.end_all(vec![over], EndCause::Logout));
        let mut all = std::pin::pin!(table.end_all_of(&user, EndCause::Revoked));
        for _ in 0..3 {
            let pending =
                [futures_util::poll!(second.as_mut()).is_pending(), futures_util::poll!(all.as_mut()).is_pending()];
            assert_eq!(pending, [true, true], "a head is being written");
            assert!(futures_util::poll!(first.as_mut()).is_pending());
        }
        drop(write_guard);
        assert!(first.await.is_some_and(|ended| ended.quiet), "the first caller reports the end");
        assert!(second.await.is_empty() && all.await.ended.is_empty());
        assert!(matches!(table.look_up(&key, AT_START), Lookup::Absent), "it is not kept");
    }
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_a_batch_wait_once_and_for_a_limited_time() {
    for table in tables() {
        let sessions = [open(&table, "alice", AT_START).await.session, open(&table, "alice", AT_START).await.session];
        let holds = sessions.clone().map(|session| session.hold(&Cut::new()).unwrap());
        let stuck = holds.iter().map(|hold| hold.begin_write().unwrap()).collect::<Vec<_>>();
        let end = table.end_all_of(sessions[0].user(), EndCause::Logout);
        let ended = timeout(WRITE_TIMEOUT + Duration::from_millis(1), end).await.expect("one wait for all").ended;
        assert!(ended.len() == 2 && ended.iter().all(|ended| ended.confirmed && !ended.quiet));
        drop(stuck);
    }
}

/// The debts are recorded as soon as the session cannot be found, not only when the end is complete: otherwise a
/// sign-in in between would not expire the application's cookies, and the next user would have them.
#[tokio::test]
async fn the_debts_of_a_session_are_recorded_before_it_leaves_the_table() {
    for table in tables() {
        let debts = Arc::new(Debts::new(Clock::manual().0));
        debts.set_lifetime(Duration::from_secs(60));
        let table = table.with_debts(&debts);
        let opened = open(&table, "alice", AT_START).await;
        let asked = CookieContext { path: b"/", https: false, cross_site: false, now: WallTime(0) };
        let route = RouteCookies { rules: &CookieRules::default(), learned: &LearnedNames::default(), path: b"" };
        let lines = [&b"theme=dark"[..]].into_iter();
        opened.session.open_vault().unwrap().answer("app.test", asked, route, lines, |_| false).unwrap();
        let hold = Arc::clone(&opened.session).hold(&Cut::new()).unwrap();
        let written = hold.begin_write().unwrap();
        let mut end = std::pin::pin!(table.end(&opened.session, EndCause::Revoked));
        assert!(futures_util::poll!(&mut end).is_pending(), "it waits for the announced write");
        let key = opened.id.key();
        assert!(table.find(&key, AT_START).is_none());
        assert_eq!(debts.of(&key, "app.test").len(), 1);
        drop(written);
        assert!(end.await.is_some());
    }
}

/// Lookup and sweep agree about the second at which a session expires.
#[tokio::test]
async fn the_sweep_is_as_exact_as_the_lookup() {
    for table in tables() {
        let at = |millis| AT_START + Duration::from_millis(millis);
        let opened = open(&table, "alice", at(7_300)).await;
        for (millis, over) in [(66_999, false), (67_000, true)] {
            assert_eq!(table.find(&opened.id.key(), at(millis)).is_none(), over);
            assert_eq!(table.expired(at(millis)).await.len(), usize::from(over), "{millis}");
        }
    }
}

/// A logout and an exchange that begins, in real threads: either the exchange is not registered, or it is signalled.
#[test]
fn no_exchange_is_missed_between_the_mark_and_the_cut() {
    for _ in 0..2_000 {
        let session = Arc::new(Session::new(sign_in("alice"), SessionId::generate().unwrap().key(), AT_START));
        let cut = Cut::new();
        let hold = std::thread::scope(|scope| {
            let ender = scope.spawn(|| {
                session.mark(EndCause::Logout);
                session.cut(Duration::ZERO)
            });
            let hold = Arc::clone(&session).hold(&cut);
            ender.join().unwrap();
            hold
        });
        assert!(hold.is_none() || cut.signalled().is_some());
    }
}
