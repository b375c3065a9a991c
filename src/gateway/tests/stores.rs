//! The gateway with a store that fails, lags, or is shared with another gateway: it fails closed, reports correctly and
//! loses no end.

use super::*;
use crate::session::store::faulty::{FaultMode, FaultyStore};
use crate::session::store::memory::MemoryStore;

const FAILING: [FaultMode; 4] = [FaultMode::Down, FaultMode::Deaf, FaultMode::Lagging, FaultMode::Late];

fn harness_and_store() -> (Harness, Arc<FaultyStore>) {
    let store = FaultyStore::new();
    (harness_over(Some(Arc::clone(&store) as Arc<dyn SessionStore>), |_| {}), store)
}

/// Two gateways on the same store; the second has to follow the events of the first.
fn two() -> (Harness, Harness, Arc<FaultyStore>) {
    let first = MemoryStore::new();
    let store = FaultyStore::wrap(first.replica());
    let second = harness_over(Some(Arc::clone(&store) as Arc<dyn SessionStore>), |_| {});
    (harness_over(Some(Arc::new(first)), |_| {}), second, store)
}

impl Harness {
    fn lines_with(&self, what: &str) -> usize {
        self.lines.lock().iter().filter(|line| line.contains(what)).count()
    }

    /// A running request, which lasts until the returned value is dropped, and its connection.
    async fn running(&self, cookie: &str) -> (Box<Forward>, Arc<Cut>) {
        let cut = Cut::new();
        match self.receive_on(&cut, "GET", "/x", &[cookie]).await {
            Received::Forward(forward) => (forward, cut),
            other => panic!("{other:?}"),
        }
    }

    async fn status(&self, target: &str, cookie: &str) -> u16 {
        match self.receive_later("GET", target, &[cookie]).await {
            Received::Forward(_) => 200,
            Received::Answer(reply) => reply.status.as_u16(),
            other => panic!("{other:?}"),
        }
    }

    /// Applies the events of the other gateway.
    async fn catch_up(&self) {
        let ended = self.gateway.sessions().follow_events().now_or_never().expect("something was done").unwrap();
        self.gateway.pipeline.end(SessionsToEnd::Ended(ended), self.gateway.without_client()).await;
    }
}

fn expires_cookies(reply: &Reply) -> bool {
    header(reply, "set-cookie").is_some_and(|line| line.contains("Max-Age=0"))
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_logout_is_reported_and_ends_locally() {
    for mood in FAILING {
        let (harness, store) = harness_and_store();
        let alice = harness.session_of("alice").await;
        let (_running, cut) = harness.running(&alice).await;
        store.set_mode(mood);
        let reply = harness.ask("POST", "/logout?next=/bye", &[&alice], "").await;
        let receipt = json(&reply);
        assert_eq!((reply.status.as_u16(), &receipt["steps"][0]["result"]), (503, &"failed".into()), "{mood:?}");
        assert!(expires_cookies(&reply) && header(&reply, "location").is_none(), "{mood:?}");
        assert_eq!(cut.signalled(), Some(Duration::from_secs(5)), "{mood:?}: its exchange is cut");
        assert_eq!(harness.lines_with("cause=logout"), 1);
        for _ in 0..2 {
            assert_eq!(harness.status("/x", &alice).await, 503, "{mood:?}");
            let again = harness.ask("POST", "/logout", &[&alice, BROWSER], "").await;
            assert!(again.status == 503 && expires_cookies(&again), "{mood:?}");
            assert!(text(&again).contains("not confirmed"));
            harness.gateway.reap().await;
        }
        store.set_mode(FaultMode::Sound);
        assert_eq!(harness.status("/x", &alice).await, 503, "the store still has it, but it is refused");
        harness.gateway.reap().await;
        assert_eq!(
            (harness.status("/x", &alice).await, harness.lines_with("session_ended")),
            (401, 1),
            "the end is retried"
        );
        assert_eq!(harness.ask("POST", "/logout", &[&alice], "").await.status, 200);
    }
}

/// A session that is not in the table, and a store that does not answer.
#[tokio::test(start_paused = true)]
async fn a_transient_error_neither_admits_nor_signs_out() {
    for mood in FAILING {
        let (first, second, store) = two();
        let alice = first.session_of("alice").await;
        store.set_mode(mood);
        let refused = second.ask("GET", "/x", &[&alice], "").await;
        assert_eq!((refused.status.as_u16(), &json(&refused)["error"]), (503, &"store_unavailable".into()), "{mood:?}");
        assert!(header(&refused, "retry-after").is_some() && header(&refused, "set-cookie").is_none(), "{mood:?}");
        assert_eq!(second.status("/.exeunt/session", &alice).await, 503);
        assert_eq!(second.status("/login", &alice).await, 200, "the form is shown");
        let public = match second.receive_later("GET", "/public/x", &[&alice]).await {
            Received::Forward(forward) => forward,
            other => panic!("{other:?}"),
        };
        assert!(public.session().is_none(), "public routes go on without a session");
        let body = "username=bob&password=wonder+land";
        let sign_in = second.ask("POST", "/login", &[FORM, &alice], body).await;
        assert_eq!(sign_in.status, 503, "a sign-in that cannot end the earlier session");
        assert_eq!(second.ask("POST", "/login", &[FORM], body).await.status, 503);
        assert_eq!(second.status("/x", "Accept: */*").await, 401, "requests without a session are answered as usual");
        store.set_mode(FaultMode::Sound);
        assert_eq!(second.status("/x", &alice).await, 200, "{mood:?}: nothing was lost");
    }
}

/// A sign-in ends the earlier session of its browser, so it is refused while that session cannot be looked up.
#[tokio::test(start_paused = true)]
async fn a_sign_in_that_cannot_end_the_session_before_it_is_refused() {
    let (first, second, store) = two();
    let alice = first.session_of("alice").await;
    let held = store.block_next_call();
    let body = "username=bob&password=wonder+land";
    assert_eq!(second.ask("POST", "/login", &[FORM, &alice], body).await.status, 503);
    drop(held);
    assert_eq!(second.ask("POST", "/login", &[FORM, &alice], body).await.status, 303);
    first.catch_up().await;
    assert_eq!(first.status("/x", &alice).await, 401, "the earlier session has ended");
}

#[tokio::test]
async fn a_logout_of_a_session_that_cannot_be_loaded_is_done_later() {
    let (first, second, store) = two();
    let alice = first.session_of("alice").await;
    store.set_mode(FaultMode::Down);
    let reply = second.ask("POST", "/logout", &[&alice], "").await;
    assert!(reply.status == 503 && expires_cookies(&reply));
    assert_eq!((second.lines_with("session_ended"), json(&reply)["steps"][0]["result"] == "failed"), (0, true));
    store.set_mode(FaultMode::Sound);
    assert_eq!(second.status("/x", &alice).await, 503, "a signed-out session is still refused when the store is back");
    second.gateway.reap().await;
    assert_eq!((second.status("/x", &alice).await, second.lines_with("user=alice")), (401, 1));
    first.catch_up().await;
    assert_eq!(
        (first.status("/x", &alice).await, first.lines_with("session_ended")),
        (401, 0),
        "one receipt for one end"
    );
}

/// The client disconnects after the request, and the end is still completed.
#[tokio::test]
async fn a_logout_completes_after_its_client_disconnects() {
    let (harness, store) = harness_and_store();
    let alice = harness.session_of("alice").await;
    let (_running, cut) = harness.running(&alice).await;
    store.set_mode(FaultMode::Lagging);
    let lines = [&*alice];
    let mut logout = Box::pin(harness.ask("POST", "/logout", &lines, ""));
    assert!(futures_util::poll!(logout.as_mut()).is_pending());
    until_idle().await;
    assert!(futures_util::poll!(logout.as_mut()).is_pending(), "the answer came before the end was stored");
    drop(logout);
    store.set_mode(FaultMode::Sound);
    until_idle().await;
    assert_eq!(
        (harness.lines_with("cause=logout"), cut.signalled().is_some()),
        (1, true),
        "the further steps were not run"
    );
    assert_eq!(harness.status("/x", &alice).await, 401);
}

#[tokio::test]
async fn a_session_ends_at_every_gateway_and_is_audited_once() {
    let (first, second, _) = two();
    let alice = first.session_of("alice").await;
    let (_running, cut) = second.running(&alice).await;
    assert_eq!(first.ask("POST", "/logout", &[&alice], "").await.status, 200);
    assert_eq!(cut.signalled(), None);
    second.catch_up().await;
    assert_eq!(cut.signalled(), Some(Duration::from_secs(5)), "the loser cuts its own connections");
    assert_eq!((first.lines_with("session_ended"), second.lines_with("session_ended")), (1, 0));
    assert_eq!((first.status("/x", &alice).await, second.status("/x", &alice).await), (401, 401));
}

#[tokio::test]
async fn the_loser_of_a_race_only_cuts_its_own_connections() {
    let (harness, store) = harness_and_store();
    let alice = harness.session_of("alice").await;
    let (_running, cut) = harness.running(&alice).await;
    store.set_mode(FaultMode::Beaten);
    let reply = harness.ask("POST", "/logout", &[&alice], "").await;
    assert!(reply.status == 200 && expires_cookies(&reply) && cut.signalled().is_some());
    assert_eq!((harness.lines_with("session_ended"), &json(&reply)["user"]), (0, &"alice".into()));
}

/// It is idle and swept at both; only one of them logs the end.
#[tokio::test]
async fn a_session_that_is_idle_everywhere_ends_once() {
    let (first, second, _) = two();
    let alice = first.session_of("alice").await;
    assert_eq!(second.status("/x", &alice).await, 200);
    for harness in [&first, &second] {
        harness.clock.advance(Duration::from_secs(600));
        harness.gateway.reap().await;
    }
    assert_eq!(first.lines_with("cause=idle") + second.lines_with("cause=idle"), 1);
    assert_eq!((first.status("/x", &alice).await, second.status("/x", &alice).await), (401, 401));
}

/// A session that a request finds expired ends like one that is swept.
#[tokio::test]
async fn a_session_that_a_request_finds_idle_is_audited() {
    let (harness, _) = harness_and_store();
    let alice = harness.session_of("alice").await;
    harness.clock.advance(Duration::from_secs(600));
    assert_eq!((harness.status("/x", &alice).await, harness.lines_with("cause=idle")), (401, 1));
}

#[tokio::test(start_paused = true)]
async fn the_reaper_does_not_wait_for_slow_ends() {
    let (harness, store) = harness_and_store();
    harness.session_of("alice").await;
    harness.clock.advance(Duration::from_secs(300));
    harness.session_of("bob").await;
    let upkeep = tokio::spawn(Arc::clone(&harness.gateway).run_background_tasks());
    let held = store.block_next_call();
    harness.clock.advance(Duration::from_secs(300));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(harness.lines_with("session_ended"), 0, "the end of alice's session is held by the store");
    harness.clock.advance(Duration::from_secs(300));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(harness.lines_with("user=bob") == 1 && harness.lines_with("user=alice") == 0, "bob's waits for alice's");
    drop(held);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(harness.lines_with("user=alice"), 1);
    upkeep.abort();
}

#[tokio::test]
async fn an_operator_ends_sessions_that_only_the_store_has() {
    let (first, second, store) = two();
    let there = first.sign_in("alice").await;
    store.set_mode(FaultMode::Down);
    assert!(second.gateway.revoke_all_of("alice").await.is_err(), "an end that is not confirmed is reported as done");
    store.set_mode(FaultMode::Sound);
    assert_eq!(second.gateway.revoke_all_of("alice").await.unwrap().len(), 1);
    first.catch_up().await;
    assert_eq!(first.status("/x", &there).await, 401);
}

/// Otherwise sessions that other gateways have ended meanwhile would go on here.
#[tokio::test]
async fn exchanges_are_cut_when_the_store_is_silent_for_too_long() {
    let (harness, store) = harness_and_store();
    let alice = harness.session_of("alice").await;
    let (_running, cut) = harness.running(&alice).await;
    harness.gateway.reap().await;
    assert_eq!(cut.signalled(), None);
    store.trust().set_until(harness.gateway.pipeline.clock.now());
    harness.gateway.reap().await;
    assert_eq!((cut.signalled(), harness.status("/x", &alice).await), (Some(Duration::from_secs(5)), 503));
    store.trust().set_until(harness.gateway.pipeline.clock.now() + Duration::from_secs(60));
    assert_eq!(
        (harness.status("/x", &alice).await, harness.lines_with("session_ended")),
        (200, 0),
        "it was ended by an error"
    );
    let (_running, later) = harness.running(&alice).await;
    harness.gateway.reap().await;
    assert_eq!(later.signalled(), None);
    store.trust().set_until(harness.gateway.pipeline.clock.now());
    harness.gateway.reap().await;
    assert!(later.signalled().is_some(), "the second silence");
}

/// The session is in the table, and it is unknown whether it has ended at another gateway: here the logout ends it.
#[tokio::test]
async fn a_logout_with_an_untrusted_table_ends_its_session_locally() {
    let (harness, store) = harness_and_store();
    let alice = harness.session_of("alice").await;
    let (_running, cut) = harness.running(&alice).await;
    let now = harness.gateway.pipeline.clock.now();
    store.trust().set_until(now);
    store.set_mode(FaultMode::Down);
    assert_eq!(harness.ask("POST", "/logout", &[&alice], "").await.status, 503);
    assert!(cut.signalled().is_some(), "its exchange was not cut");
    store.trust().set_until(now + Duration::from_secs(60));
    store.set_mode(FaultMode::Sound);
    assert_eq!(harness.status("/x", &alice).await, 503, "it is served again before its end is confirmed");
    harness.gateway.reap().await;
    assert_eq!(harness.status("/x", &alice).await, 401);
}
