//! What the gateway knows about application cookies after a restart: the cookies of ended sessions that browsers still
//! have, and the learned names.

use super::app_cookies::{Browser, SESSION, alice};
use super::*;
use crate::session::store::NoteKind;
use crate::session::store::faulty::{FaultMode, FaultyStore};
use crate::values::end_cause::EndCause;
use crate::vault::rules::AppCookies;

/// The state that is kept over a restart.
struct Kept {
    keys: Arc<MacKeys>,
    store: Arc<FaultyStore>,
    folder: tempfile::TempDir,
    mode: AppCookies,
}

fn kept(mode: AppCookies) -> Kept {
    let (keys, store) = (Arc::new(MacKeys::generate().unwrap()), FaultyStore::new());
    Kept { keys, store, folder: tempfile::tempdir().unwrap(), mode }
}

impl Kept {
    /// Starts the gateway at this time of its clock. The previous one was killed.
    async fn start(&self, after: Duration) -> Harness {
        let harness = harness_with_keys(Arc::clone(&self.keys), Some(Arc::clone(&self.store) as _), |settings| {
            settings.routes.iter_mut().for_each(|route| route.cookies.mode = self.mode);
        });
        harness.clock.advance(after);
        let pending = PendingEnds::open(&self.folder.path().join("pending")).unwrap();
        harness.gateway.load_sessions(pending).await.unwrap();
        harness
    }
}

impl Harness {
    /// Saves the cookies, as the proxy does before it sends the head of an answer.
    async fn save_cookies(&self) {
        for session in self.gateway.sessions().sessions_of(None) {
            self.gateway.sessions().save_cookies(&session).await;
        }
    }
}

const IDLE: Duration = Duration::from_secs(601);

/// For every cause that ends the first user's session, even if the program is killed right after that.
#[tokio::test(start_paused = true)]
async fn another_user_never_carries_the_first_ones_cookies_after_a_restart() {
    for end in [
        "idle", "idle, and killed at once", "while it is down", "revoked", "revoked while the store is down",
        "the pending file",
    ] {
        let kept = kept(AppCookies::Track);
        let first = kept.start(Duration::ZERO).await;
        let mut browser = alice(&first).await;
        browser.visit(&first, "/x", &[SESSION]);
        first.save_cookies().await;
        let mut after = Duration::ZERO;
        match end {
            "idle" => {
                first.clock.advance(IDLE);
                assert_eq!(first.gateway.reap().await, 1);
                after = IDLE;
            }
            "idle, and killed at once" => {
                first.clock.advance(IDLE);
                let now = first.gateway.pipeline.clock.now();
                assert_eq!(first.gateway.sessions().expired(now).await.len(), 1);
                after = IDLE;
            }
            "while it is down" => after = IDLE,
            "revoked" => drop(first.gateway.revoke_all_of("alice").await),
            "revoked while the store is down" | "the pending file" => {
                kept.store.set_mode(FaultMode::Down);
                drop(first.gateway.revoke_all_of("alice").await);
                kept.store.set_mode(FaultMode::Sound);
                if end != "the pending file" {
                    first.gateway.reap().await;
                }
            }
            other => panic!("{other}"),
        }
        drop(first);
        let second = kept.start(after).await;
        second.gateway.reap().await;
        browser.sign_in(&second, "bob").await;
        assert!(!browser.has("sid"), "{end}");
        assert_eq!(browser.visit(&second, "/x", &[]), "", "{end}");
        second.gateway.reap().await;
        assert_eq!(kept.store.notes(NoteKind::Debt, 9).await, Ok(Vec::new()), "{end}: the debt is settled");
    }
}

/// When a logout is confirmed, its debts are in the store, since the browser may not get the answer.
#[tokio::test]
async fn a_browser_that_misses_the_answer_gets_deletions_after_a_restart() {
    let kept = kept(AppCookies::Track);
    let first = kept.start(Duration::ZERO).await;
    let mut browser = alice(&first).await;
    browser.visit(&first, "/x", &[SESSION]);
    let session = first.gateway.sessions().sessions_of(None).pop().unwrap();
    let ended = first.gateway.sessions().end_all(vec![session], EndCause::Logout).await;
    assert!(ended[0].confirmed);
    drop(first);
    let second = kept.start(Duration::ZERO).await;
    let mut other = browser.clone();
    assert_eq!(browser.visit(&second, "/public/x", &[]), "");
    assert!(!browser.has("sid"), "the browser deletes it");
    second.gateway.reap().await;
    assert_eq!(kept.store.notes(NoteKind::Debt, 9).await, Ok(Vec::new()), "no debt is left");
    assert_eq!(other.visit(&second, "/public/x", &[]), "sid=1", "the deletion is sent once");
}

#[tokio::test]
async fn settled_debts_are_deleted_from_the_store() {
    let kept = kept(AppCookies::Track);
    let first = kept.start(Duration::ZERO).await;
    alice(&first).await.visit(&first, "/x", &[SESSION]);
    drop(first.gateway.revoke_all_of("alice").await);
    assert_eq!(kept.store.notes(NoteKind::Debt, 9).await.unwrap().len(), 1);
    first.clock.advance(Duration::from_secs(8 * 24 * 3600));
    first.gateway.reap().await;
    assert_eq!(kept.store.notes(NoteKind::Debt, 9).await, Ok(Vec::new()));
}

/// A cookie planted before the sign-in, after a restart in which the application has not set it again yet.
#[tokio::test]
async fn learned_names_are_known_after_a_restart() {
    let kept = kept(AppCookies::Vault);
    let first = kept.start(Duration::ZERO).await;
    alice(&first).await.visit(&first, "/x", &[SESSION]);
    kept.store.set_mode(FaultMode::Down);
    first.gateway.reap().await;
    kept.store.set_mode(FaultMode::Sound);
    first.gateway.reap().await;
    drop(first);
    let second = kept.start(Duration::ZERO).await;
    let mut victim = Browser::default();
    victim.keep(["sid=planted; Path=/", "a=b; Path=/"]);
    victim.sign_in(&second, "bob").await;
    assert_eq!(victim.visit(&second, "/x", &[]), "a=b");
    assert!(!victim.has("sid") && victim.has("a"));
}
