//! Methods are asked in their order, and an unknown name takes as long as a wrong password.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use parking_lot::Mutex;

use super::*;
use crate::credentials::account_status::Account;
use crate::credentials::hashing::HashingSettings;
use crate::credentials::password::hash;
use crate::credentials::user_file::Users;
use crate::credentials::user_file::current::CurrentUsers;
use crate::credentials::user_file::method::UserFile;
use crate::credentials::username_password::CredentialSource;

/// Returns a fixed verdict.
#[derive(Debug)]
struct Says(&'static str, Verdict);

#[async_trait]
impl SignInMethod for Says {
    fn name(&self) -> &'static str {
        self.0
    }

    fn source(&self) -> Option<&str> {
        (self.0 != "b").then_some(self.0)
    }

    async fn judge(&self, _: &UsernamePassword, _: &Password, _: MethodContext<'_>) -> Verdict {
        self.1.clone()
    }

    fn decoy(&self, _: &UsernamePassword) -> Option<StoredHash> {
        None
    }

    fn status_of(&self, _: &UserKey) -> Option<AccountStatus> {
        None
    }
}

/// A directory on a server, which has bob: his status is known after he has signed in, or after a refresh.
#[derive(Debug, Default)]
struct Directory {
    /// What the server answers about each of its users; nothing while it is down.
    server: Arc<Mutex<BTreeMap<Arc<str>, bool>>>,
    known: Mutex<BTreeMap<Arc<str>, bool>>,
}

impl Directory {
    fn with_bob(server: &Arc<Mutex<BTreeMap<Arc<str>, bool>>>) -> Box<dyn SignInMethod> {
        server.lock().insert("bob".into(), true);
        Box::new(Self { server: Arc::clone(server), known: Mutex::default() })
    }
}

#[async_trait]
impl SignInMethod for Directory {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn source(&self) -> Option<&str> {
        Some("directory")
    }

    async fn judge(&self, presented: &UsernamePassword, _: &Password, _: MethodContext<'_>) -> Verdict {
        let Some(may) = self.server.lock().get(presented.user.as_str()).copied() else { return Verdict::Absent };
        // As LDAP servers do, it takes an empty password for a sign-in of nobody in particular.
        if !may || !["", "bind"].contains(&presented.password.as_str()) {
            return Verdict::Refuse(Reason::CredentialsWrong);
        }
        let user = UserKey { source: "directory".into(), subject: presented.user.as_str().into() };
        self.known.lock().insert(Arc::clone(&user.subject), may);
        Verdict::Accept(Accepted { user, identity: identity(&presented.user), method: self.name() })
    }

    fn decoy(&self, _: &UsernamePassword) -> Option<StoredHash> {
        None
    }

    async fn refresh(&self, _: &[Arc<Session>]) {
        self.known.lock().extend(self.server.lock().clone());
    }

    fn status_of(&self, user: &UserKey) -> Option<AccountStatus> {
        let may = *self.known.lock().get(&user.subject)?;
        let active = || AccountStatus::Active(Account::new(identity(&user.subject), [b"", b"", b""]));
        Some(if may { active() } else { AccountStatus::Disabled })
    }
}

fn identity(name: &str) -> Arc<Identity> {
    Arc::new(Identity::new(name, None, None, &[]).unwrap())
}

/// A file with alice, whose password is "open sesame", and carol, who is disabled.
fn file() -> Box<dyn SignInMethod> {
    let hash = hash(&Password::new("open sesame".to_owned()).unwrap()).unwrap();
    let text = format!("[users.alice]\npassword = '{hash}'\n[users.carol]\npassword = '{hash}'\nenabled = false\n");
    let users = Users::parse("users.toml".as_ref(), &text).unwrap();
    Box::new(UserFile::new(Arc::new(CurrentUsers::new(Arc::new(users)))))
}

fn presented(name: &str, password: &str) -> UsernamePassword {
    UsernamePassword::new(CredentialSource::Form, name, password.to_owned().into()).unwrap()
}

fn accept(method: &'static str) -> Verdict {
    let user = UserKey { source: "test".into(), subject: "alice".into() };
    Verdict::Accept(Accepted { user, identity: identity("alice"), method })
}

const SHARE: Share = Share { account: 1, address: 1, site: 1, is_known: false };

#[tokio::test]
async fn the_first_method_that_does_not_pass_decides() {
    let passwords = PasswordChecker::new(HashingSettings::default()).unwrap();
    let wrong = Verdict::Refuse(Reason::CredentialsWrong);
    let busy = Verdict::Refuse(Reason::SignInBusy);
    let cases: [(Vec<Verdict>, Result<usize, Reason>); 6] = [
        (vec![], Err(Reason::CredentialsWrong)),
        (vec![Verdict::Absent], Err(Reason::CredentialsWrong)),
        (vec![Verdict::Absent, accept("b")], Ok(1)),
        (vec![accept("a"), wrong.clone()], Ok(0)),
        (vec![wrong, accept("b")], Err(Reason::CredentialsWrong)),
        (vec![Verdict::Absent, busy, accept("c")], Err(Reason::SignInBusy)),
    ];
    for (verdicts, want) in cases {
        let names = ["a", "b", "c"];
        let message = verdicts.iter().zip(names).map(|(verdict, name)| Says(name, verdict.clone()));
        let methods = SignInMethods::new(message.map(|says| Box::new(says) as Box<dyn SignInMethod>).collect());
        let judged =
            methods.judge(&presented("alice", "x"), MethodContext { passwords: &passwords, share: SHARE }).await;
        let by = judged.map(|accepted| names.iter().position(|name| *name == accepted.method).unwrap());
        assert_eq!(by, want, "{verdicts:?}");
    }
}

/// In both orders. Whoever is in the file costs one hash, and so does who is nowhere; the directory computes none.
#[tokio::test]
async fn a_name_that_one_method_does_not_know_is_for_the_next() {
    let passwords = PasswordChecker::new(HashingSettings::default()).unwrap();
    let wrong = || Err(Reason::CredentialsWrong);
    for file_first in [true, false] {
        let mut methods = vec![file(), Directory::with_bob(&Arc::default())];
        if !file_first {
            methods.reverse();
        }
        let methods = SignInMethods::new(methods);
        let cases = [
            ("alice", "open sesame", Ok("form"), 1),
            ("alice", "bind", wrong(), 1),
            ("carol", "open sesame", wrong(), 1),
            ("bob", "bind", Ok("directory"), 0),
            ("bob", "open sesame", wrong(), 0),
            ("nobody", "bind", wrong(), 1),
            ("nobody", "open sesame", wrong(), 1),
            ("nobody", "", wrong(), 0),
            ("alice", "", wrong(), 0),
            ("bob", "", wrong(), 0),
        ];
        for (name, password, want, hashes) in cases {
            let before = passwords.computed();
            let means = MethodContext { passwords: &passwords, share: SHARE };
            let judged = methods.judge(&presented(name, password), means).await;
            assert_eq!(judged.map(|accepted| accepted.method), want, "{name} {password}");
            assert_eq!(passwords.computed() - before, hashes, "{name} {password}");
        }
    }
}

/// A full queue is the answer for every name, or it would reveal which users exist.
#[test]
fn a_name_that_nobody_knows_waits_its_turn() {
    let full = PasswordChecker::full();
    let methods = SignInMethods::new(vec![Directory::with_bob(&Arc::default()), file()]);
    for name in ["alice", "carol", "nobody"] {
        let means = MethodContext { passwords: &full, share: SHARE };
        let judged = methods.judge(&presented(name, "x"), means).now_or_never();
        assert_eq!(judged, Some(Err(Reason::SignInBusy)), "{name}");
    }
}

#[tokio::test]
async fn a_source_that_does_not_answer_leaves_the_status_open() {
    let server = Arc::default();
    let methods = SignInMethods::new(vec![file(), Directory::with_bob(&server)]);
    let key = |source: &str, name: &str| UserKey { source: source.into(), subject: name.into() };
    let is_active = |name| methods.status_of(&key("directory", name)).map(|status| status != AccountStatus::Disabled);
    assert_eq!(is_active("bob"), None, "nothing is known after a start");
    methods.refresh(&[]).await;
    assert_eq!(is_active("bob"), Some(true));
    server.lock().insert("bob".into(), false);
    assert_eq!(is_active("bob"), Some(true), "until the next refresh");
    methods.refresh(&[]).await;
    assert_eq!(is_active("bob"), Some(false));
    assert_eq!(methods.status_of(&key("file", "bob")), Some(AccountStatus::Removed), "another source's bob");
    assert_eq!(methods.status_of(&key("elsewhere", "bob")), Some(AccountStatus::Removed), "nobody's");
}

#[test]
fn a_name_has_a_key_in_each_source() {
    let methods = ["a", "b", "c"].map(|name| Box::new(Says(name, Verdict::Absent)) as Box<dyn SignInMethod>);
    let keys: Vec<_> = SignInMethods::new(methods.into()).keys_of("alice").map(|key| key.source.to_string()).collect();
    assert_eq!(keys, ["a", "c"]);
}
