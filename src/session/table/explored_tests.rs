//! Tests of the table's invariants under many interleavings of its tasks. Shuttle chooses them at random, and by
//! priorities that change at a few points (PCT), which finds errors that need few changes at the right places.
//!
//! The types are those of the program, with a scheduling point before each access (`session::sync`). Not explored are
//! tasks inside the stores, weaker memory orders, and expiring timeouts.

use std::sync::atomic::AtomicBool;

use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread;

use super::again_tests::GRACE;
use super::stored_tests::{HERE, replicas, table_over};
use super::tests::{AT_START, file_keys, open, settings, sign_in};
use super::*;
use crate::session::hold::Hold;
use crate::session::live::Cut;
use crate::session::store::contract::further;
use crate::session::store::faulty::{FaultMode, FaultyStore};
use crate::session::store::{End, SessionStore};
use crate::session::sync::explored::point;

/// The number of schedules of a scenario, half of them by either scheduler.
const SCHEDULES: usize = 5000;
/// The maximum number of steps of a schedule: a longer one is a deadlock or a livelock.
const MAX_STEPS: usize = 20_000;
/// The bug depth of PCT: the number of priority changes plus one.
const DEPTH: usize = 4;
/// The seed, fixed so that every run explores the same schedules.
const SEED: u64 = 0x6578_6575_6e74;

/// Runs a scenario in many schedules; `EXEUNT_SCHEDULES` at build time sets their number.
fn explore(scenario: fn()) {
    let number = option_env!("EXEUNT_SCHEDULES").map_or(SCHEDULES, |number| number.parse().unwrap());
    run(RandomScheduler::new_from_seed(SEED, number / 2), scenario);
    run(PctScheduler::new_from_seed(SEED, DEPTH, number / 2), scenario);
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) {
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 19;
    config.max_steps = shuttle::MaxSteps::FailAfter(MAX_STEPS);
    config.silence_warnings = true;
    shuttle::Runner::new(scheduler, config).run(scenario);
}

/// A table that is explored, and the state from which the invariants are checked.
struct Explored {
    table: SessionTable,
    /// Whether the end is known: from then on the session must not be found.
    known: AtomicBool,
    /// Whether a sign-out has been answered.
    answered: AtomicBool,
    /// The number of ends that were won.
    won: AtomicUsize,
}

impl Explored {
    fn new(table: SessionTable) -> Arc<Self> {
        Arc::new(Self {
            table,
            known: AtomicBool::default(),
            answered: AtomicBool::default(),
            won: AtomicUsize::default(),
        })
    }

    /// Runs a scenario on a table without a store, then on one with a store.
    fn each(scenario: impl Fn(&Arc<Self>)) {
        scenario(&Self::new(SessionTable::new(settings(), None)));
        scenario(&Self::new(table_over(FaultyStore::new())));
    }

    fn sign_in(&self, user: &str) -> Opened {
        block_on(open(&self.table, user, AT_START))
    }

    fn is_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }

    fn live(&self, key: &SessionKey) -> Option<Arc<Session>> {
        if let Lookup::Unknown = self.table.look_up(key, AT_START) {
            let mut idle = Vec::new();
            let _ = block_on(self.table.load(key, HERE, AT_START, &mut idle));
            self.report(&idle);
        }
        self.table.find(key, AT_START)
    }

    /// A request with this key up to its first write. Returns its registration, if it has one.
    fn request(&self, key: &SessionKey) -> Option<(Hold, Arc<Cut>)> {
        let is_late = self.known.load(Ordering::SeqCst);
        let session = self.live(key);
        assert!(!(is_late && session.is_some()), "found after the end was known");
        let (session, cut, is_late) = (session?, Cut::new(), self.is_answered());
        let hold = session.hold(&cut);
        assert!(!(is_late && hold.is_some()), "a permit after the answer");
        let hold = hold?;
        hold.session().touch(AT_START + Duration::from_secs(1));
        if let Some(_permission) = hold.begin_write() {
            assert!(!self.is_answered(), "permission to write after the answer");
            point();
            assert!(!self.is_answered(), "written after the answer");
        }
        Some((hold, cut))
    }

    /// The steps after an end, up to its answer.
    fn report(&self, ended: &[Ended]) {
        for ended in ended.iter().filter(|ended| !ended.goes_on) {
            self.won.fetch_add(usize::from(ended.end == End::Won), Ordering::SeqCst);
            ended.session.cut(GRACE);
        }
    }

    fn answer(&self, ended: &[Ended]) {
        self.report(ended);
        self.known.store(true, Ordering::SeqCst);
        self.answered.store(true, Ordering::SeqCst);
    }

    fn sign_out(&self, session: &Arc<Session>) {
        let ended = block_on(self.table.end_all(vec![Arc::clone(session)], EndCause::Logout));
        self.answer(&ended);
    }

    /// A sign-out as a browser sends it: with a key.
    fn sign_out_by_key(&self, key: &SessionKey) {
        let _ = self.live(key);
        match self.table.look_up(key, AT_START) {
            Lookup::Live(session) | Lookup::Outdated(session) | Lookup::Over(session) => self.sign_out(&session),
            Lookup::Absent => self.answer(&[]),
            // The answer says that the end is not confirmed.
            Lookup::Unknown => {}
        }
    }

    fn sign_out_everywhere(&self, user: &UserKey) {
        let ends = block_on(self.table.end_all_of(user, EndCause::Everywhere));
        self.report(&ends.ended);
    }

    /// Checks that nothing is left of the sessions of a user with these keys.
    fn is_over(&self, user: &UserKey, keys: &[SessionKey]) {
        assert_eq!(self.won.load(Ordering::SeqCst), 1, "an end is reported once");
        for key in keys {
            assert!(self.live(key).is_none() && !self.table.by_key.contains(key), "a key is left");
        }
        assert!(self.table.list(user).is_empty() && self.table.is_empty());
    }
}

/// Starts a task of a scenario.
fn task<T: Send + 'static>(
    explored: &Arc<Explored>,
    work: impl FnOnce(&Arc<Explored>) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let explored = Arc::clone(explored);
    thread::spawn(move || work(&explored))
}

fn requests(explored: &Arc<Explored>, key: SessionKey) -> thread::JoinHandle<Option<(Hold, Arc<Cut>)>> {
    task(explored, move |explored| explored.request(&key))
}

/// Checks that every request that is still registered after the end was cut.
fn all_cut(requests: impl IntoIterator<Item = thread::JoinHandle<Option<(Hold, Arc<Cut>)>>>) {
    for request in requests {
        let held = request.join().unwrap();
        assert!(held.is_none_or(|(_hold, cut)| cut.signalled().is_some()), "a connection was not cut");
    }
}

/// Three concurrent sign-outs, one of all sessions, while requests arrive. Each is answered after the last write, also
/// if the session has left the table before.
#[test]
fn an_end_reaches_every_request_and_is_reported_once() {
    explore(|| {
        Explored::each(|explored| {
            let Opened { session, .. } = explored.sign_in("alice");
            let (key, user) = (*session.name(), session.shared_user());
            let requests = [requests(explored, key), requests(explored, key)];
            let sign_out = |session: Arc<Session>| task(explored, move |explored| explored.sign_out(&session));
            let everywhere = task(explored, move |explored| {
                explored.sign_out_everywhere(&user);
                explored.answer(&[]);
            });
            let by_key = task(explored, move |explored| explored.sign_out_by_key(&key));
            let ends = [sign_out(Arc::clone(&session)), by_key, everywhere];
            ends.into_iter().for_each(|end| end.join().unwrap());
            all_cut(requests);
            explored.is_over(session.user(), &session.keys());
        });
    });
}

/// A connection that has moved on to a request of another user is not cut by the end of the earlier session.
#[test]
fn an_end_does_not_cut_a_request_of_another_user() {
    explore(|| {
        let explored = &Explored::new(SessionTable::new(settings(), None));
        let (alice, bob) = (explored.sign_in("alice").session, explored.sign_in("bob").session);
        let theirs = Arc::clone(&alice);
        let connection = task(explored, move |_| {
            let cut = Cut::new();
            drop(theirs.hold(&cut));
            let hold = bob.hold(&cut);
            (hold.is_some(), hold, cut)
        });
        explored.sign_out(&alice);
        let (is_held, _hold, cut) = connection.join().unwrap();
        assert!(is_held && cut.signalled().is_none(), "cut by the end of another session");
    });
}

/// A key for a further host is added while the session ends.
#[test]
fn no_key_of_an_ended_session_is_left() {
    explore(|| {
        Explored::each(|explored| {
            let (session, shop) = (explored.sign_in("alice").session, further("shop.test"));
            let (one, other, key) = (Arc::clone(&session), Arc::clone(&session), shop.key);
            let added = task(explored, move |explored| _ = block_on(explored.table.add_key(&one, shop)));
            let requests = [requests(explored, key)];
            let end = task(explored, move |explored| explored.sign_out(&other));
            added.join().unwrap();
            end.join().unwrap();
            all_cut(requests);
            explored.is_over(session.user(), &[*session.name(), key]);
        });
    });
}

/// The user signs in again in the same browser while a request and a sign-out arrive with the earlier cookie.
#[test]
fn a_repeated_sign_in_and_an_end_leave_a_consistent_table() {
    explore(|| {
        Explored::each(|explored| {
            let earlier = explored.sign_in("alice").session;
            let (one, other) = (Arc::clone(&earlier), Arc::clone(&earlier));
            let again = task(explored, move |explored| {
                let (ended, opened) = block_on(explored.table.open_successor(&one, sign_in("alice"), AT_START));
                explored.report(&ended);
                opened.unwrap()
            });
            let requests = [requests(explored, *earlier.name())];
            let end = task(explored, move |explored| explored.sign_out(&other));
            end.join().unwrap();
            let Opened { session, .. } = again.join().unwrap();
            all_cut(requests);
            assert!(earlier.has_ended() && explored.live(earlier.name()).is_none());
            if session.has_ended() {
                explored.is_over(earlier.user(), &[*earlier.name(), *session.name()]);
            } else {
                assert_eq!(explored.won.load(Ordering::SeqCst), 1, "an end is reported once");
                assert!(explored.live(session.name()).is_some() && explored.table.len() == 1);
                assert_eq!(session.live_connections(), 0, "it has the connections of the ended session");
            }
        });
    });
}

/// A gateway loads a session while its user signs out on the same gateway.
#[test]
fn no_load_brings_an_ended_session_back() {
    explore(|| {
        let (first, second, _) = replicas();
        let (session, shop) = (block_on(open(&first, "alice", AT_START)).session, further("shop.test"));
        let (explored, keys) = (&Explored::new(second), [*session.name(), shop.key]);
        block_on(first.add_key(&session, shop)).unwrap();
        let requests = keys.map(|key| requests(explored, key));
        let user = session.shared_user();
        let end = task(explored, move |explored| {
            let ends = block_on(explored.table.end_all_of(&user, EndCause::Everywhere));
            explored.answer(&ends.ended);
        });
        end.join().unwrap();
        all_cut(requests);
        explored.is_over(session.user(), &keys);
    });
}

/// Two gateways end the same session, one of them while it is loading it.
#[test]
fn of_two_gateways_one_reports_the_end() {
    explore(|| {
        let (first, second, _) = replicas();
        let session = block_on(open(&first, "alice", AT_START)).session;
        let (explored, key, user) = (&Explored::new(second), *session.name(), session.shared_user());
        let requests = [requests(explored, key)];
        let elsewhere = Arc::clone(&session);
        let elsewhere = thread::spawn(move || block_on(first.end_all(vec![elsewhere], EndCause::Logout)));
        let here = task(explored, move |explored| explored.sign_out_everywhere(&user));
        here.join().unwrap();
        let ended = elsewhere.join().unwrap();
        explored.report(&ended);
        if ended.iter().any(|ended| ended.end == End::Won) {
            explored.report(&block_on(explored.table.follow_events()).unwrap());
        }
        all_cut(requests);
        explored.is_over(session.user(), &[key]);
    });
}

/// A user signs in while all sessions of the user end at the same gateway, or at another one. The new session is live
/// on all gateways or on none.
#[test]
fn a_session_that_ends_while_it_is_opened_does_not_stay_on_one_gateway() {
    explore(|| {
        for end_at_other in [false, true] {
            let (first, second, _) = replicas();
            let (other, explored) = (&Explored::new(first), &Explored::new(second));
            let opening = task(explored, |explored| block_on(explored.table.open(sign_in("alice"), AT_START)));
            let stages = [other, explored].map(Arc::clone);
            let end = thread::spawn(move || {
                let [other, explored] = stages;
                let at = if end_at_other { &other } else { &explored };
                let ends = block_on(at.table.end_all_of(&sign_in("alice").user, EndCause::Everywhere));
                if end_at_other && !ends.ended.is_empty() {
                    drop(block_on(explored.table.follow_events()));
                }
            });
            end.join().unwrap();
            if let Ok(Opened { session, .. }) = opening.join().unwrap() {
                let [here, elsewhere] = [explored, other].map(|explored| explored.live(session.name()).is_some());
                assert_eq!(here, elsewhere, "live on one gateway only");
                assert_eq!(explored.table.len(), usize::from(here));
            } else {
                assert!(explored.table.is_empty());
            }
        }
    });
}

/// The same if the user was signed in in this browser: the earlier session, which the new one continues, is over in any
/// case.
#[test]
fn a_repeated_sign_in_during_an_end_elsewhere_leaves_a_consistent_table() {
    explore(|| {
        let (first, second, _) = replicas();
        let (other, explored) = (Explored::new(first), &Explored::new(second));
        let earlier = explored.sign_in("alice").session;
        let one = Arc::clone(&earlier);
        let again =
            task(explored, move |explored| block_on(explored.table.open_successor(&one, sign_in("alice"), AT_START)));
        let end = task(explored, move |explored| {
            let ends = block_on(other.table.end_all_of(&sign_in("alice").user, EndCause::Everywhere));
            if !ends.ended.is_empty() {
                drop(block_on(explored.table.follow_events()));
            }
            other
        });
        let other = end.join().unwrap();
        let (_, opened) = again.join().unwrap();
        assert!(explored.live(earlier.name()).is_none() && !explored.table.by_key.contains(earlier.name()));
        let live = opened.ok().map(|opened| opened.session).filter(|session| {
            let [here, elsewhere] = [explored, &other].map(|explored| explored.live(session.name()).is_some());
            assert_eq!(here, elsewhere, "live on one gateway only");
            here
        });
        let goes_on = live.as_ref().is_some_and(|session| std::ptr::eq(session.life(), earlier.life()));
        assert_ne!(earlier.has_ended(), goes_on, "connections go on exactly if they belong to a live session");
        assert_eq!(explored.table.len(), usize::from(live.is_some()));
    });
}

/// Another gateway ends a session that this one has or is loading. Once the event was applied, requests are refused.
#[test]
fn a_session_that_ended_elsewhere_is_over_once_the_event_was_read() {
    explore(|| {
        let (first, second, _) = replicas();
        let session = block_on(open(&first, "alice", AT_START)).session;
        let (explored, key) = (&Explored::new(second), *session.name());
        let requests = [requests(explored, key), requests(explored, key)];
        let (elsewhere, user) = (Arc::clone(&session), session.shared_user());
        let end = task(explored, move |explored| {
            explored.report(&block_on(first.end_all(vec![elsewhere], EndCause::Logout)));
            let told = block_on(explored.table.follow_events()).unwrap();
            explored.answer(&told);
        });
        end.join().unwrap();
        all_cut(requests);
        explored.is_over(&user, &[key]);
    });
}

/// The same if the event is lost: once the gap is known, requests are refused.
#[test]
fn a_session_that_ended_in_a_gap_of_events_is_over_once_the_gap_is_known() {
    explore(|| {
        let (first, second, store) = replicas();
        let session = block_on(open(&first, "alice", AT_START)).session;
        let (explored, key) = (&Explored::new(second), *session.name());
        assert!(explored.live(&key).is_some());
        store.lose_events();
        block_on(explored.table.follow_events()).unwrap();
        let requests = [requests(explored, key)];
        let (elsewhere, user) = (Arc::clone(&session), session.shared_user());
        let end = task(explored, move |explored| {
            explored.report(&block_on(first.end_all(vec![elsewhere], EndCause::Logout)));
            store.lose_events();
            block_on(explored.table.follow_events()).unwrap();
            explored.known.store(true, Ordering::SeqCst);
            explored.report(&block_on(explored.table.confirm_some()).unwrap());
        });
        end.join().unwrap();
        all_cut(requests);
        explored.is_over(&user, &[key]);
    });
}

/// The store confirms an end only later, while requests arrive.
#[test]
fn an_unconfirmed_end_is_effective() {
    explore(|| {
        let store = FaultyStore::new();
        let explored = &Explored::new(table_over(Arc::clone(&store)));
        let session = explored.sign_in("alice").session;
        let (one, key) = (Arc::clone(&session), *session.name());
        let requests = [requests(explored, key), requests(explored, key)];
        let end = task(explored, move |explored| {
            store.set_mode(FaultMode::Down);
            explored.sign_out(&one);
            store.set_mode(FaultMode::Sound);
            assert!(block_on(explored.table.retry_unconfirmed(AT_START)).is_empty());
        });
        end.join().unwrap();
        all_cut(requests);
        explored.is_over(session.user(), &[key]);
    });
}

/// A session expires while a request uses it on another gateway, which reports the use to the store.
#[test]
fn a_session_is_idle_on_all_gateways_or_on_none() {
    explore(|| {
        let ((clock, hands), store) = (Clock::manual(), FaultyStore::new());
        let other = FaultyStore::wrap(store.other().replica());
        let table = |store| SessionTable::over(settings(), store, clock.clone(), file_keys());
        let (first, explored) = (table(Arc::clone(&store) as _), &Explored::new(table(other)));
        let session = block_on(open(&first, "alice", clock.now())).session;
        let key = *session.name();
        assert!(explored.live(&key).is_some());
        hands.advance(settings().lifetime.idle);
        let later = clock.now();
        let (one, reported) = (Arc::clone(&session), Arc::new(AtomicBool::default()));
        let was_reported = Arc::clone(&reported);
        let used = thread::spawn(move || {
            one.touch(later);
            block_on(first.save_uses(later, Duration::ZERO));
            reported.store(true, Ordering::SeqCst);
        });
        let swept = task(explored, move |explored| {
            let is_used = was_reported.load(Ordering::SeqCst);
            let ended = block_on(explored.table.expired(later));
            assert!(!is_used || ended.is_empty(), "ended though the store knew of its use");
            explored.report(&ended);
        });
        used.join().unwrap();
        swept.join().unwrap();
        let is_kept = block_on(store.other().load(&key)).unwrap().is_some();
        let is_live = explored.table.find(&key, later).is_some();
        assert_eq!((is_live, explored.table.len()), (is_kept, usize::from(is_kept)));
        assert_eq!(explored.won.load(Ordering::SeqCst), usize::from(!is_kept));
    });
}
