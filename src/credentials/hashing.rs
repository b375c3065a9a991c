//! Checking passwords without letting strangers take the machine: a few at a time, some waiting, the rest
//! refused at once.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::sync::Semaphore;
use tokio::task;
use zeroize::Zeroizing;

use crate::credentials::Verdict;
use crate::credentials::password::{HashingFailed, Password};
use crate::credentials::stored_hash::StoredHash;
use crate::credentials::user_file::Users;
use crate::values::reason::Reason;

/// How many passwords are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At once, each on one of the runtime's threads for blocking work, which are not those that serve
    /// requests. Default: one a core, at most 4.
    pub threads: NonZero<usize>,
    /// Waiting for their turn; further ones are refused with [`Reason::SignInBusy`]. Default: 64.
    pub waiting: usize,
}

impl Default for Settings {
    fn default() -> Self {
        const MOST: NonZero<usize> = NonZero::new(4).unwrap();
        let cores = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        Self { threads: cores.min(MOST), waiting: 64 }
    }
}

/// Checks passwords against the users' file.
///
/// A check takes a place first, of which there are as many as may run and wait together: no place, no wait.
/// Then it waits for its turn, first come, first served. Whoever goes away drops the future and with it the
/// place, before anything was computed for nobody; a check that has begun keeps its turn to the end.
#[derive(Debug)]
pub struct PasswordChecker {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

impl PasswordChecker {
    /// A checker with these limits.
    pub fn new(settings: Settings) -> Self {
        let threads = settings.threads.get();
        Self {
            places: Arc::new(Semaphore::new(threads + settings.waiting)),
            turns: Arc::new(Semaphore::new(threads)),
            computed: Arc::default(),
        }
    }

    /// Asks whether this is a user's password. Never [`Verdict::Absent`].
    ///
    /// One hash is computed whether the user exists, is disabled, or not, so that the time of the answer does
    /// not tell. (Users whose stored hashes differ in kind or cost can be told apart; `users` names the most common
    /// work, and that is what a stranger's name takes.) The password's own length is checked first: that says
    /// nothing about users.
    pub async fn verify(&self, users: &Users, name: &str, password: Zeroizing<String>) -> Verdict {
        let Ok(password) = Password::new(password) else {
            return Verdict::Refuse(Reason::CredentialsWrong);
        };
        let user = users.find(name);
        let hash = user.map_or_else(|| users.decoy(), |user| user.hash.clone());
        let Ok(matches) = self.compute(hash, password).await else {
            return Verdict::Refuse(Reason::SignInBusy);
        };
        match user.filter(|user| user.enabled && matches) {
            Some(user) => Verdict::Accept(user.key(), Arc::clone(&user.identity)),
            None => Verdict::Refuse(Reason::CredentialsWrong),
        }
    }

    /// How many hashes were computed so far.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute(&self, hash: StoredHash, password: Password) -> Result<bool, HashingFailed> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HashingFailed)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| HashingFailed)?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        let check = move || {
            // Given back when the work is done, not when nobody waits for its result any more.
            let _held = (place, turn);
            hash.matches(&password)
        };
        task::spawn_blocking(check).await.map_err(|_| HashingFailed)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::credentials::password;
    use crate::credentials::stored_hash::Work;

    fn users() -> Users {
        let hash = password::hash(&Password::new("open sesame".to_owned()).unwrap()).unwrap();
        let text = format!(
            "[users.alice]\npassword = '{hash}'\ngroups = ['staff']\n\n\
             [users.carol]\npassword = '{hash}'\nenabled = false\n"
        );
        Users::parse("users.toml".as_ref(), &text).unwrap()
    }

    fn typed(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    /// One at a time.
    fn checker(waiting: usize) -> PasswordChecker {
        PasswordChecker::new(Settings { threads: NonZero::<usize>::MIN, waiting })
    }

    #[tokio::test]
    async fn right_wrong_unknown_and_disabled_compute_one_hash_each() {
        let (users, checker) = (users(), checker(1));
        let wrong = Verdict::Refuse(Reason::CredentialsWrong);
        let alice = users.find("alice").unwrap();
        let cases = [
            ("alice", "open sesame", Verdict::Accept(alice.key(), Arc::clone(&alice.identity))),
            ("alice", "open sesam", wrong.clone()),
            ("Alice", "open sesame", wrong.clone()),
            ("bob", "open sesame", wrong.clone()),
            ("", "open sesame", wrong.clone()),
            ("carol", "open sesame", wrong.clone()),
        ];
        for (count, (name, password, want)) in (1..).zip(cases) {
            assert_eq!(checker.verify(&users, name, typed(password)).await, want, "{name} {password}");
            assert_eq!(checker.computed(), count, "{name} {password}");
        }
    }

    #[tokio::test]
    async fn impossible_passwords_are_wrong_for_everybody() {
        let (users, checker) = (users(), checker(1));
        for name in ["alice", "bob"] {
            for password in [String::new(), "a".repeat(password::MAX_PASSWORD + 1)] {
                let verdict = checker.verify(&users, name, Zeroizing::new(password)).await;
                assert_eq!(verdict, Verdict::Refuse(Reason::CredentialsWrong));
            }
        }
        assert_eq!(checker.computed(), 0);
    }

    #[tokio::test]
    async fn without_users_a_name_costs_what_a_new_hash_costs() {
        let (users, checker) = (Users::none(), checker(1));
        assert_eq!(users.decoy().work(), Work::Argon2id(password::Cost::NEW));
        let verdict = checker.verify(&users, "alice", typed("x")).await;
        assert_eq!((verdict, checker.computed()), (Verdict::Refuse(Reason::CredentialsWrong), 1));
    }

    /// The gate: while the test holds the only turn, nothing is computed.
    #[tokio::test]
    async fn a_full_queue_is_busy_and_a_caller_who_left_is_not_served() {
        let (users, checker) = (users(), checker(1));
        let place = Arc::clone(&checker.places).try_acquire_owned().unwrap();
        let turn = Arc::clone(&checker.turns).try_acquire_owned().unwrap();
        let mut context = Context::from_waker(Waker::noop());

        let mut waiting = Box::pin(checker.verify(&users, "alice", typed("open sesame")));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        let mut late = Box::pin(checker.verify(&users, "alice", typed("open sesame")));
        assert_eq!(late.as_mut().poll(&mut context), Poll::Ready(Verdict::Refuse(Reason::SignInBusy)));

        drop(waiting);
        assert_eq!(checker.computed(), 0, "nobody waited for it any more");
        let waiting = checker.verify(&users, "alice", typed("open sesame"));
        drop(turn);
        assert!(matches!(waiting.await, Verdict::Accept(..)), "its place was given back");
        assert_eq!(checker.computed(), 1);
        drop(place);
    }

    /// The gate: the runtime's only thread for such work is kept busy by the test.
    #[test]
    fn a_check_that_has_begun_keeps_its_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let (users, checker) = (users(), checker(0));
        runtime.block_on(async {
            let (gate, closed) = mpsc::channel::<()>();
            let busy = task::spawn_blocking(move || closed.recv());
            let mut begun = Box::pin(checker.verify(&users, "alice", typed("open sesame")));
            assert!(begun.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(begun);
            assert_eq!(checker.places.available_permits(), 0);
            gate.send(()).unwrap();
            busy.await.unwrap().unwrap();
            drop(Arc::clone(&checker.places).acquire_owned().await.unwrap());
        });
    }
}
