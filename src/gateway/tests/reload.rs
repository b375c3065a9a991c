//! A running gateway with a new configuration.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::*;
use crate::credentials::account_status::AccountStatus;
use crate::credentials::methods::{MethodContext, SignInMethod, SignInMethods, Verdict};
use crate::credentials::stored_hash::StoredHash;
use crate::credentials::username_password::UsernamePassword;
use crate::gateway::assembled::Assembled;
use crate::session::record::Session;
use crate::values::identity::UserKey;

const ALICE: &str = "username=alice&password=wonder+land";
/// The hashes of alice's password and of another one.
static HASHES: LazyLock<[String; 2]> = LazyLock::new(|| {
    ["wonder land", "looking glass"].map(|text| password::hash(&Password::new(text.to_owned()).unwrap()).unwrap())
});

fn user(name: &str, hash: &str, more: &str) -> String {
    format!("[users.{name}]\npassword = \"{hash}\"\n{more}\n")
}

fn file(text: &str) -> Arc<Users> {
    Arc::new(Users::parse("users.toml".as_ref(), text).unwrap())
}

/// Only alice, in her group.
fn alice() -> Arc<Users> {
    file(&user("alice", &HASHES[0], "groups = [\"staff\"]"))
}

async fn reload(harness: &Harness, change: impl FnOnce(&mut GatewaySettings)) -> ReloadOutcome {
    let mut settings = GatewaySettings { users: alice(), ..settings() };
    change(&mut settings);
    harness.gateway.reload(settings, LIMITS, None).await.unwrap()
}

#[tokio::test]
async fn a_reload_ends_sessions_of_removed_users_and_changed_passwords_only() {
    let staff = "groups = [\"staff\"]";
    let cases = [
        (user("alice", &HASHES[0], staff), None, true),
        (user("alice", &HASHES[0], "groups = [\"guests\"]"), None, false),
        (user("alice", &HASHES[0], ""), None, false),
        (user("alice", &HASHES[0], "groups = [\"staff\"]\nenabled = false"), Some("user_disabled"), false),
        (user("alice", &HASHES[1], staff), Some("password_changed"), false),
        (user("bob", &HASHES[0], staff), Some("user_removed"), false),
    ];
    for (users, cause, is_staff) in cases {
        let harness = harness_with(|settings| settings.users = alice());
        let cookie = harness.sign_in("alice").await;
        let running = harness.forward("/x", &[&cookie]);
        let reloaded = reload(&harness, |settings| settings.users = file(&users)).await;
        assert_eq!((reloaded.ended, reloaded.generation), (usize::from(cause.is_some()), 1), "{users}");
        assert_eq!((harness.is_signed_in(&cookie), running.has_ended()), (cause.is_none(), cause.is_some()), "{users}");
        let is_let_in = matches!(harness.receive("GET", "/staff", &[&cookie]), Received::Forward(_));
        assert_eq!(is_let_in, is_staff, "{users}");
        let ended = harness.lines.lock().iter().filter_map(|line| line.split("cause=").nth(1)).map(word).next();
        assert_eq!(ended.as_deref(), cause, "{users}");
    }
}

fn word(text: &str) -> String {
    text.split(' ').next().unwrap().to_owned()
}

/// The password was right when the sign-in began.
#[tokio::test]
async fn a_sign_in_during_a_reload_is_judged_by_the_new_users() {
    for (users, want) in [(user("bob", &HASHES[0], ""), 401), (user("alice", &HASHES[0], ""), 303)] {
        let harness = harness_with(|settings| settings.users = alice());
        let Received::BuiltIn(request) = harness.receive("POST", "/login", &[FORM]) else { panic!("a sign-in") };
        let (arrive, body) = oneshot::channel();
        let gateway = Arc::clone(&harness.gateway);
        let sign_in = async { gateway.sign_in_or_out(request, async { Ok(body.await.unwrap()) }).await };
        let later = async {
            reload(&harness, |settings| settings.users = file(&users)).await;
            arrive.send(Bytes::from_static(ALICE.as_bytes())).unwrap();
        };
        let (reply, ()) = tokio::join!(sign_in, later);
        assert_eq!(
            (reply.status.as_u16(), harness.gateway.sessions().len()),
            (want, usize::from(want == 303)),
            "{users}"
        );
        if want == 303 {
            let cookie = cookie_line(&reply);
            assert!(!matches!(harness.receive("GET", "/staff", &[&cookie]), Received::Forward(_)), "the old groups");
        }
    }
}

#[tokio::test]
async fn running_exchanges_are_judged_by_the_new_rules() {
    type Change = fn(&mut GatewaySettings);
    let keep: Change = |_| {};
    let cases: [(&str, bool, Change, Result<(), Reason>); 8] = [
        ("/x", true, keep, Ok(())),
        ("/public", false, keep, Ok(())),
        ("/staff", true, keep, Ok(())),
        ("/staff", true, |settings| settings.users = file(&user("alice", &HASHES[0], "")), Err(Reason::GroupMissing)),
        (
            "/x",
            true,
            |settings| settings.routes[0].access = Access::Groups(vec!["x".into()]),
            Err(Reason::GroupMissing),
        ),
        ("/public", false, |settings| settings.routes[1].access = Access::SignedIn, Err(Reason::SignInRequired)),
        ("/public", false, |settings| drop(settings.routes.remove(1)), Err(Reason::SignInRequired)),
        ("/x", true, |settings| drop(settings.routes.remove(0)), Err(Reason::NoRoute)),
    ];
    for (target, signed_in, change, want) in cases {
        let harness = harness_with(|settings| settings.users = alice());
        let cookie = harness.sign_in("alice").await;
        let lines = if signed_in { vec![cookie.as_str()] } else { Vec::new() };
        let forward = harness.forward(target, &lines);
        let ReloadOutcome { generation, .. } = reload(&harness, change).await;
        assert_eq!((forward.generation(), generation, harness.gateway.generation()), (0, 1, 1));
        let head = head("GET", &lines);
        let again = harness.gateway.judge_again(RequestHead::of(&head, target.as_bytes()), Peer::Unix, &forward);
        assert_eq!((again, harness.gateway.refused_again()), (want, usize::from(want.is_err())), "{target}");
        if want.is_ok() {
            assert_eq!(harness.forward(target, &lines).generation(), 1);
        }
    }
}

#[tokio::test]
async fn changed_lifetimes_apply_to_existing_sessions() {
    let harness = harness_with(|settings| settings.users = alice());
    let cookie = harness.sign_in("alice").await;
    harness.clock.advance(Duration::from_secs(60));
    let limits =
        |idle| SessionSettings { lifetime: Lifetime { idle: Duration::from_secs(idle), ..LIMITS.lifetime }, ..LIMITS };
    let with = async |idle| {
        let settings = GatewaySettings { users: alice(), ..settings() };
        harness.gateway.reload(settings, limits(idle), None).await.unwrap();
    };
    with(61).await;
    assert!(harness.is_signed_in(&cookie));
    harness.clock.advance(Duration::from_secs(60));
    with(60).await;
    assert_eq!((harness.gateway.reap().await, harness.gateway.sessions().len()), (1, 0), "the new limit applies");
    let cookie = harness.sign_in("alice").await;
    with(3600).await;
    harness.clock.advance(Duration::from_secs(1800));
    assert_eq!((harness.gateway.reap().await, harness.is_signed_in(&cookie)), (0, true));
}

/// Counts of wrong passwords and known browsers are kept over a reload.
#[tokio::test]
async fn a_ban_outlives_a_reload() {
    let harness = harness_with(|settings| settings.users = alice());
    for _ in 0..5 {
        harness.ask("POST", "/login", &[FORM], "username=alice&password=wrong").await;
    }
    assert_eq!(harness.ask("POST", "/login", &[FORM], ALICE).await.status, 429);
    reload(&harness, |_| {}).await;
    assert_eq!(harness.ask("POST", "/login", &[FORM], ALICE).await.status, 429);
}

/// Credentials that were verified by the old file are checked again at once, and their exchanges are cut.
#[tokio::test]
async fn programs_that_send_a_password_are_checked_by_the_new_file() {
    let basic = ["Authorization: Basic YWxpY2U6d29uZGVyIGxhbmQ="];
    let harness = harness_with(|settings| {
        settings.users = alice();
        settings.routes[0].basic = true;
    });
    let received = harness.receive_later("GET", "/x", &basic).await;
    let Received::Forward(running) = received else { panic!("{received:?}") };
    assert!(matches!(harness.receive("GET", "/x", &basic), Received::Forward(_)), "remembered");
    let other = file(&user("alice", &HASHES[1], ""));
    reload(&harness, |settings| (settings.users, settings.routes[0].basic) = (other, true)).await;
    assert!(running.has_ended());
    let Received::Answer(reply) = harness.receive_later("GET", "/x", &basic).await else { panic!("let in") };
    assert_eq!(reply.status, 401);
}

/// Users on a server: with what it last said of them, and whether it was asked again.
#[derive(Debug)]
struct UserServer(Option<AccountStatus>, AtomicBool);

#[async_trait]
impl SignInMethod for UserServer {
    fn name(&self) -> &'static str {
        "server"
    }

    fn source(&self) -> Option<&str> {
        Some("file")
    }

    async fn judge(&self, _: &UsernamePassword, _: &Password, _: MethodContext<'_>) -> Verdict {
        Verdict::Absent
    }

    fn decoy(&self, _: &UsernamePassword) -> Option<StoredHash> {
        None
    }

    async fn refresh(&self, sessions: &[Arc<Session>]) {
        self.1.store(sessions.len() == 1, Ordering::Relaxed);
    }

    fn status_of(&self, _: &UserKey) -> Option<AccountStatus> {
        assert!(self.1.load(Ordering::Relaxed), "it is asked before the review");
        self.0.clone()
    }
}

#[tokio::test]
async fn a_source_that_does_not_answer_ends_no_session() {
    for (status, ended) in [(None, 0), (Some(AccountStatus::Removed), 1)] {
        let harness = harness_with(|settings| settings.users = alice());
        let cookie = harness.sign_in("alice").await;
        let gateway = &harness.gateway;
        let keys = Arc::clone(&gateway.assembled.load().keys);
        let counted = (&gateway.pipeline.clock, gateway.pipeline.log.metrics());
        let mut assembled = Assembled::new(settings(), keys, &gateway.upstreams, counted).unwrap();
        assembled.methods = SignInMethods::new(vec![Box::new(UserServer(status, AtomicBool::new(false)))]);
        gateway.assembled.store(Arc::new(assembled));
        assert_eq!(gateway.review_sessions(None).await, ended);
        assert_eq!(harness.is_signed_in(&cookie), ended == 0);
    }
}
