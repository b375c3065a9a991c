//! One hash for known and unknown users, fair shares, and threads of low priority.

use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::*;
use crate::credentials::methods::{MethodContext, SignInMethods};
use crate::credentials::password;
use crate::credentials::stored_hash::WorkFactor;
use crate::credentials::user_file::Users;
use crate::credentials::user_file::current::CurrentUsers;
use crate::credentials::user_file::htpasswd::WeakHashes;
use crate::credentials::user_file::method::UserFile;
use crate::credentials::username_password::{CredentialSource, UsernamePassword};

/// The sign-in form with these users.
struct FormMethod(SignInMethods);

impl FormMethod {
    fn with(users: Users) -> Self {
        Self(SignInMethods::new(vec![Box::new(UserFile::new(Arc::new(CurrentUsers::new(Arc::new(users)))))]))
    }

    /// The name of the user with this name and password.
    async fn verify(
        &self,
        passwords: &PasswordChecker,
        name: &str,
        password: &str,
        share: Share,
    ) -> Result<Arc<str>, Reason> {
        let presented = UsernamePassword::new(CredentialSource::Form, name, password.to_owned().into()).unwrap();
        self.0.judge(&presented, MethodContext { passwords, share }).await.map(|accepted| accepted.user.subject)
    }
}

fn users() -> Users {
    let hash = password::hash(&Password::new("open sesame".to_owned()).unwrap()).unwrap();
    let text = format!(
        "[users.alice]\npassword = '{hash}'\ngroups = ['staff']\n\n\
         [users.carol]\npassword = '{hash}'\nenabled = false\n"
    );
    Users::parse("users.toml".as_ref(), &text).unwrap()
}

/// The share of a single client.
const SHARE: Share = Share { account: 1, address: 1, site: 1, is_known: false };

/// A checker that computes one hash at a time.
fn checker(waiting: usize) -> PasswordChecker {
    let waiting = QueueLimits { for_all: waiting, for_known: 0 };
    PasswordChecker::new(HashingSettings { threads: NonZero::<usize>::MIN, waiting }).unwrap()
}

#[tokio::test]
async fn right_wrong_unknown_and_disabled_compute_one_hash_each() {
    let (users, checker) = (FormMethod::with(users()), checker(1));
    let wrong = || Err(Reason::CredentialsWrong);
    let cases = [
        ("alice", "open sesame", Ok("alice".into())),
        ("alice", "open sesam", wrong()),
        ("Alice", "open sesame", wrong()),
        ("bob", "open sesame", wrong()),
        ("carol", "open sesame", wrong()),
    ];
    for (count, (name, password, want)) in (1..).zip(cases) {
        assert_eq!(users.verify(&checker, name, password, SHARE).await, want, "{name} {password}");
        assert_eq!(checker.computed(), count, "{name} {password}");
    }
}

#[tokio::test]
async fn impossible_passwords_are_wrong_for_all_users() {
    let (users, checker) = (FormMethod::with(users()), checker(1));
    for name in ["alice", "bob"] {
        for password in [String::new(), "a".repeat(password::MAX_PASSWORD + 1)] {
            let verdict = users.verify(&checker, name, &password, SHARE).await;
            assert_eq!(verdict, Err(Reason::CredentialsWrong));
        }
    }
    assert_eq!(checker.computed(), 0);
}

#[tokio::test]
async fn without_users_a_name_costs_a_new_hash() {
    let (users, checker) = (Users::none(), checker(1));
    assert_eq!(users.decoy().work(), WorkFactor::Argon2id(password::Cost::NEW));
    let verdict = FormMethod::with(users).verify(&checker, "alice", "x", SHARE).await;
    assert_eq!((verdict, checker.computed()), (Err(Reason::CredentialsWrong), 1));
}

/// The checker has no thread at first, so that the queue fills.
#[tokio::test]
async fn a_full_queue_refuses_and_a_cancelled_check_is_not_run() {
    let users = FormMethod::with(users());
    let checker = PasswordChecker::without_threads(QueueLimits { for_all: 1, for_known: 0 });
    let mut context = Context::from_waker(Waker::noop());
    let other = Share { account: 2, address: 2, site: 2, is_known: false };

    let mut waiting = Box::pin(users.verify(&checker, "alice", "open sesame", SHARE));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    for (share, reason) in [(other, Reason::SignInBusy), (SHARE, Reason::SignInCrowded)] {
        let mut late = Box::pin(users.verify(&checker, "alice", "open sesame", share));
        assert_eq!(late.as_mut().poll(&mut context), Poll::Ready(Err(reason)));
    }

    drop(waiting);
    let waiting = users.verify(&checker, "alice", "open sesame", SHARE);
    checker.start_thread().unwrap();
    assert!(waiting.await.is_ok(), "its place was given back");
    assert_eq!(checker.computed(), 1, "no hash for the cancelled check");
}

/// 96 attempts on one account or on random names, and then 20 users, from the same address or another one.
#[tokio::test]
async fn real_passwords_are_checked_in_fair_shares() {
    // bcrypt with its minimum cost takes a millisecond.
    let hash = "$2y$04$kdobx0du3W5uscfIgeVS0uHM65Dfc09xmpm6upiSeD3A5RXBnoNX2";
    let text: String = (0..=20).map(|number| format!("user{number}:{hash}\n")).collect();
    let users = FormMethod::with(Users::parse_any("htpasswd".as_ref(), &text, WeakHashes::Refuse).unwrap());
    let share = |account, address| Share { account, address, site: address, is_known: false };
    let one_account = |_| ("user0".to_owned(), share(0, 0));
    let random_name = |number: u64| (format!("x{number}"), share(100 + number, 1 + number % 8));
    let crowds = [(0..96).map(one_account).collect::<Vec<_>>(), (0..96).map(random_name).collect()];
    for crowd in crowds {
        let checker = PasswordChecker::without_threads(HashingSettings::default().waiting);
        let people = (1..=20).map(|number| (format!("user{number}"), share(number, 0)));
        let mut asked: FuturesUnordered<_> = crowd
            .into_iter()
            .map(|asks| (false, asks))
            .chain(people.map(|asks| (true, asks)))
            .map(|(is_person, (name, share))| {
                let (checker, users) = (&checker, &users);
                async move { (is_person, users.verify(checker, &name, "open sesame", share).await) }
            })
            .collect();
        assert!(asked.next().now_or_never().is_none(), "all are queued, and none is computed yet");
        checker.start_thread().unwrap();
        let answered: Vec<_> = asked.collect().await;
        assert!(answered.iter().all(|(person, verdict)| !person || verdict.is_ok()));
        let last = answered.iter().rposition(|(person, _)| *person).unwrap();
        assert!(last < 60, "the last of 20 people is number {last} of 116");
    }
}

/// The niceness is the field 19 of a thread's stat file (proc_pid_stat(5)).
#[test]
fn the_threads_have_a_lower_priority() {
    let checker = checker(1);
    let of_thread = |folder: std::fs::DirEntry| std::fs::read_to_string(folder.path().join("stat")).ok();
    let niceness = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let stats: Vec<_> = threads.filter_map(|folder| of_thread(folder.unwrap())).collect();
        let of = |stat: &String| {
            let (name, rest) = stat.rsplit_once(") ").unwrap();
            (name.ends_with("(passwords"), rest.split(' ').nth(16).unwrap().parse::<i32>().unwrap())
        };
        stats.iter().map(of).collect::<Vec<_>>()
    };
    let own = getpriority_process(None).unwrap();
    // The thread lowers its priority itself, a moment after it was started.
    while !niceness().contains(&(true, (own + NICENESS).min(19))) {
        thread::yield_now();
    }
    assert!(
        niceness().iter().all(|&(passwords, nice)| passwords || nice == own),
        "the other threads keep their priority"
    );
    drop(checker);
}

/// A weak reference shows when the last thread has dropped the queue.
#[test]
fn the_threads_end_with_the_checker() {
    let checker = checker(1);
    let queue = Arc::downgrade(&checker.queue);
    drop(checker);
    while queue.upgrade().is_some() {
        thread::yield_now();
    }
}
