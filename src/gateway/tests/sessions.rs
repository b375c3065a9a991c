//! Sessions over time, and how many there may be.

use super::*;

#[tokio::test]
async fn two_different_session_cookies_are_none_and_expire() {
    let bench = bench();
    let (alice, bob) = (bench.sign_in("alice").await, bench.sign_in("bob").await);
    let both = format!("{alice}; {}", bob.strip_prefix("Cookie: ").unwrap());
    let reply = bench.ask("GET", "/x", &[&both], "").await;
    assert_eq!(reply.status, 401);
    assert!(header(&reply, "set-cookie").unwrap().contains("Max-Age=0"));
    let public = bench.forward("/public/x", &[&both]);
    assert!(public.session().is_none());
    assert!(matches!(public.response_edits(StatusCode::OK, &HeaderMap::new()).as_slice(), [HeaderEdit::Add(..)]));
    assert!(bench.ask("POST", "/logout", &[&both], "").await.status == 200);
    assert!(bench.is_signed_in(&alice) && bench.is_signed_in(&bob));
}

#[tokio::test]
async fn sessions_end_by_time_and_their_end_is_written() {
    let bench = bench();
    let alice = bench.sign_in("alice").await;
    bench.clock.advance(Duration::from_secs(599));
    assert!(bench.is_signed_in(&alice));
    bench.clock.advance(Duration::from_secs(599));
    assert_eq!(bench.ask("GET", "/.exeunt/session", &[&alice], "").await.status, 200);
    bench.clock.advance(Duration::from_secs(1));
    assert!(!bench.is_signed_in(&alice), "asking who I am prolonged the session");
    bench.clock.advance(Duration::from_secs(10));
    assert_eq!(bench.gateway.reap().await, 1);
    let lines = bench.lines.lock().join("\n");
    assert!(lines.contains("event=session_ended user=alice") && lines.contains("cause=idle"), "{lines}");
}

#[tokio::test]
async fn one_session_too_many_and_a_full_table() {
    let bench = bench();
    let first = bench.sign_in("alice").await;
    let second = bench.sign_in("alice").await;
    let _third = bench.sign_in("alice").await;
    assert!(!bench.is_signed_in(&first) && bench.is_signed_in(&second));
    bench.sign_in("bob").await;
    let reply = bench.ask("POST", "/login", &[FORM], "username=bob&password=wonder+land").await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (503, &"sessions_full".into()));
    assert!(header(&reply, "retry-after").is_some());
}

#[tokio::test]
async fn nobody_is_created_for_a_stranger() {
    let bench = bench();
    for target in ["/x", "/public/x", "/login", "/.exeunt/session", "/.exeunt/goodbye", "/logout"] {
        drop(bench.receive("GET", target, &[BROWSER]));
    }
    assert!(bench.gateway.sessions().is_empty());
}
