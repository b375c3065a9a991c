//! One check serves many requests, and its result ends when its user loses access.

use futures_util::FutureExt;

use super::*;
use crate::credentials::username_password::CredentialSource;
use crate::session::live::Cut;
use crate::session::sign_in::SignIn;
use crate::values::identity::Identity;
use crate::values::reason::Reason;

const GRACE: Duration = Duration::from_secs(5);
const START: Moment = Moment::from_seconds(1000);

fn presented(user: &str, password: &str) -> UsernamePassword {
    UsernamePassword::new(CredentialSource::Basic, user, password.to_owned().into()).unwrap()
}

fn session(user: &str, now: Moment) -> Arc<Session> {
    let sign_in = SignIn::of("test", Identity::new(user, None, None, &[]).unwrap());
    Arc::new(Session::without_key(sign_in, now))
}

fn check<'a>(verified: &'a Verified, presented: &UsernamePassword) -> CheckInProgress<'a> {
    match verified.turn(presented) {
        Turn::Check(check) => check,
        Turn::Wait(_) => panic!("another request checks"),
    }
}

/// A user whose password was right at this moment.
fn enter(verified: &Verified, user: &str, password: &str, now: Moment) -> Arc<Session> {
    let (presented, session) = (presented(user, password), session(user, now));
    let check = check(verified, &presented);
    assert!(check.enter(&presented, None, &session, now));
    session
}

fn found(verified: &Verified, user: &str, password: &str, now: Moment) -> &'static str {
    match verified.find(&presented(user, password), now) {
        EarlierCheck::Valid(session) => {
            assert_eq!(session.identity().user(), user);
            "valid"
        }
        EarlierCheck::Known(_) => "known",
        EarlierCheck::Unknown => "unknown",
    }
}

#[test]
fn credentials_are_valid_for_a_minute_and_known_for_an_hour() {
    let verified = Verified::default();
    enter(&verified, "alice", "open sesame", START);
    let after = |seconds| START + Duration::from_secs(seconds);
    for (user, password, seconds, want) in [
        ("alice", "open sesame", 0, "valid"),
        ("alice", "open sesame", 59, "valid"),
        ("alice", "open sesame", 60, "known"),
        ("alice", "open sesame", 3599, "known"),
        ("alice", "open sesame", 3600, "unknown"),
        ("alice", "open sesam", 0, "unknown"),
        ("alice", "", 0, "unknown"),
        ("Alice", "open sesame", 0, "unknown"),
        ("bob", "open sesame", 0, "unknown"),
        ("aliceopen", " sesame", 0, "unknown"),
    ] {
        assert_eq!(found(&verified, user, password, after(seconds)), want, "{user} {password} {seconds}");
    }
    assert_eq!(verified.sweep(Duration::from_secs(7200), GRACE, after(3600)), 0);
    assert!(verified.table.lock().by_user.is_empty(), "the entry is dropped");
    let other = Verified::default();
    assert_eq!(found(&other, "alice", "open sesame", START), "unknown", "another process, another key");
}

#[test]
fn a_user_has_one_entry_and_the_table_is_limited() {
    let verified = Verified::default();
    enter(&verified, "alice", "Gr\u{fc}\u{df}e", START);
    enter(&verified, "alice", "Gru\u{308}\u{df}e", START);
    assert_eq!(found(&verified, "alice", "Gr\u{fc}\u{df}e", START), "unknown");
    assert_eq!(found(&verified, "alice", "Gru\u{308}\u{df}e", START), "valid");
    let later = START + Duration::from_secs(1);
    for number in 0..CAPACITY {
        enter(&verified, &format!("user{number}"), "x", later);
    }
    assert_eq!(verified.table.lock().by_user.len(), CAPACITY);
    assert_eq!(found(&verified, "alice", "Gru\u{308}\u{df}e", later), "unknown", "the first one went");
    assert_eq!(found(&verified, "user0", "x", later), "valid");
}

#[tokio::test]
async fn only_one_of_many_requests_with_the_same_credentials_checks() {
    let verified = Verified::default();
    let alice = presented("alice", "x");
    let first = check(&verified, &alice);
    let Turn::Wait(others) = verified.turn(&alice) else { panic!() };
    let other = check(&verified, &presented("alice", "y"));
    drop(other);
    let mut waiting = Box::pin(outcome(others.clone()));
    assert!(waiting.as_mut().now_or_never().is_none());
    first.finish(&Err(Reason::CredentialsWrong.into()));
    let told = waiting.await.unwrap().unwrap_err();
    assert_eq!(told.reason, Reason::CredentialsWrong);
    let second = check(&verified, &alice);
    let Turn::Wait(others) = verified.turn(&alice) else { panic!() };
    drop(second);
    assert!(outcome(others).await.is_none(), "the check was cancelled");
    assert!(matches!(verified.turn(&alice), Turn::Check(_)), "another request takes over");
    assert!(verified.under_way.lock().is_empty());
}

#[test]
fn removed_users_are_cut_and_others_are_not() {
    let verified = Verified::default();
    let users = ["alice", "bob"];
    let sessions = users.map(|user| enter(&verified, user, "x", START));
    let cuts = users.map(|_| Cut::new());
    let _holds = [0, 1].map(|at| Arc::clone(&sessions[at]).hold(&cuts[at]).unwrap());
    // After a second check of the same user, the requests of the first one are still found.
    enter(&verified, "alice", "x", START + VALID);
    let checked = check(&verified, &presented("carol", "x"));
    let cut = verified.forget(GRACE, |session| (session.identity().user() == "alice").then_some(EndCause::Revoked));
    assert_eq!(cut, 1);
    assert_eq!(cuts.map(|cut| cut.signalled()), [Some(GRACE), None]);
    assert_eq!(sessions[0].ended(), Some(EndCause::Revoked));
    for user in users {
        assert_eq!(found(&verified, user, "x", START + VALID), "unknown");
    }
    let (presented, session) = (presented("carol", "x"), session("carol", START));
    assert!(!checked.enter(&presented, None, &session, START), "checked before, and forgotten meanwhile");
    assert_eq!(found(&verified, "carol", "x", START), "unknown");
}

#[test]
fn exchanges_end_some_time_after_their_check() {
    let verified = Verified::default();
    let alice = enter(&verified, "alice", "x", START);
    let cut = Cut::new();
    let _hold = alice.hold(&cut).unwrap();
    let longest = Duration::from_secs(100);
    assert_eq!(verified.sweep(longest, GRACE, START + Duration::from_secs(99)), 0);
    assert_eq!((cut.signalled(), verified.sweep(longest, GRACE, START + longest)), (None, 1));
    assert_eq!(cut.signalled(), Some(GRACE));
    assert_eq!(found(&verified, "alice", "x", START + longest), "known", "the next request is checked");
}
