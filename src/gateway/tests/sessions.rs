//! Expiry of sessions, and their limits.

use super::*;

#[tokio::test]
async fn sessions_expire_and_their_end_is_audited() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    harness.clock.advance(Duration::from_secs(599));
    assert!(harness.is_signed_in(&alice));
    harness.clock.advance(Duration::from_secs(599));
    assert_eq!(harness.ask("GET", "/.exeunt/session", &[&alice], "").await.status, 200);
    harness.clock.advance(Duration::from_secs(1));
    assert!(!harness.is_signed_in(&alice), "a request for /.exeunt/session counted as activity");
    harness.clock.advance(Duration::from_secs(10));
    assert_eq!(harness.gateway.reap().await, 1);
    let lines = harness.lines.lock().join("\n");
    assert!(lines.contains("event=session_ended user=alice") && lines.contains("cause=idle"), "{lines}");
}

#[tokio::test]
async fn one_session_too_many_and_a_full_table() {
    let harness = harness();
    let first = harness.sign_in("alice").await;
    let second = harness.sign_in("alice").await;
    let _third = harness.sign_in("alice").await;
    assert!(!harness.is_signed_in(&first) && harness.is_signed_in(&second));
    harness.sign_in("bob").await;
    let reply = harness.ask("POST", "/login", &[FORM], "username=bob&password=wonder+land").await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (503, &"sessions_full".into()));
    assert!(header(&reply, "retry-after").is_some());
}

#[tokio::test]
async fn anonymous_requests_create_no_session() {
    let harness = harness();
    for target in ["/x", "/public/x", "/login", "/.exeunt/session", "/.exeunt/goodbye", "/logout"] {
        drop(harness.receive("GET", target, &[BROWSER]));
    }
    assert!(harness.gateway.sessions().is_empty());
}

/// If an operator's program disconnects while a head is being written, the revocation is completed and audited.
#[tokio::test(start_paused = true)]
async fn a_revocation_completes_after_its_caller_disconnects() {
    for all in [false, true] {
        let harness = harness();
        let alice = harness.sign_in("alice").await;
        let forward = harness.forward("/x", &[&alice]);
        let handle = forward.session().unwrap().handle().unwrap();
        let revoke = async {
            if all {
                harness.gateway.revoke_all_of("alice").await.unwrap();
            } else {
                harness.gateway.revoke(handle.as_str()).await;
            }
        };
        let write_guard = forward.begin_write().unwrap();
        let mut revoke = Box::pin(revoke);
        assert!(futures_util::poll!(revoke.as_mut()).is_pending());
        until_idle().await;
        assert!(futures_util::poll!(revoke.as_mut()).is_pending(), "a head is being written");
        drop(revoke);
        drop(write_guard);
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(forward.begin_write().is_none() && !harness.is_signed_in(&alice));
        let lines = harness.lines.lock().join("\n");
        assert!(lines.contains("cause=revoked"), "{lines}");
    }
}

/// A late write is reported, and delays the end only for a limited time.
#[tokio::test(start_paused = true)]
async fn a_receipt_reports_a_late_write() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let forward = harness.forward("/x", &[&alice]);
    let stuck = forward.begin_write().unwrap();
    let receipt = json(&harness.ask("POST", "/logout", &[&alice], "").await);
    assert_eq!((&receipt["steps"][1]["step"], &receipt["steps"][1]["result"]), (&"cut".into(), &"timed_out".into()));
    assert!(harness.lines.lock().join("\n").contains("cut:timed_out:1"));
    drop(stuck);
}
