//! Too many wrong passwords.

use super::*;

const WRONG: &str = "username=alice&password=wrong";
const RIGHT: &str = "username=Alice&password=wonder+land";

#[tokio::test]
async fn a_banned_account_has_one_answer_and_costs_no_hash() {
    let harness = harness();
    for _ in 0..5 {
        assert_eq!(harness.ask("POST", "/login", &[FORM], WRONG).await.status, 401);
    }
    let computed = harness.gateway.passwords.computed();
    let [wrong, right] = [WRONG, "username=alice&password=wonder+land"];
    let wrong = harness.ask("POST", "/login", &[FORM], wrong).await;
    let right = harness.ask("POST", "/login", &[FORM], right).await;
    assert_eq!((right.status.as_u16(), &json(&right)["error"]), (429, &"too_many_attempts".into()));
    assert_eq!((wrong.status, wrong.headers, wrong.body), (right.status, right.headers.clone(), right.body.clone()));
    assert_eq!(header(&right, "retry-after"), Some("5"));
    assert_eq!(harness.gateway.passwords.computed(), computed);
    assert_eq!(harness.ask("POST", "/login", &[FORM], RIGHT).await.status, 429, "in any letter case");
    let page = harness.ask("POST", "/login", &[FORM, BROWSER], WRONG).await;
    assert_eq!((page.status.as_u16(), header(&page, "retry-after")), (429, Some("5")));
    let shown = text(&page);
    assert!(shown.contains("You can try again in 5 s.") && shown.contains("name=\"password\""), "{shown}");
    let lines = harness.lines.lock().join("\n");
    assert!(lines.contains("event=sign_in_refused client=unix reason=too_many_attempts user=alice"), "{lines}");
    harness.clock.advance(Duration::from_secs(5));
    harness.sign_in("alice").await;
}

#[tokio::test]
async fn bans_do_not_affect_sessions_and_known_browsers() {
    let harness = harness();
    let reply = harness.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await;
    let session = cookie_line(&reply);
    let known = reply.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE).nth(1).unwrap();
    let known = format!("Cookie: {}", known.1.to_str().unwrap().split(';').next().unwrap());
    assert!(known.starts_with("Cookie: exeunt-known="));
    for _ in 0..9 {
        harness.ask("POST", "/login", &[FORM], WRONG).await;
    }
    assert_eq!(harness.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await.status, 429);
    assert!(harness.is_signed_in(&session));
    let reply = harness.ask("POST", "/login", &[FORM, &known], "username=alice&password=wonder+land").await;
    assert_eq!(reply.status, 303);
    let again = reply.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE).nth(1).unwrap();
    assert!(again.1.to_str().unwrap().starts_with(known.strip_prefix("Cookie: ").unwrap()), "it is still the same one");
    assert!(harness.gateway.unban("alice"));
    assert_eq!(harness.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await.status, 303);
}

/// The `Cookie` pair that makes a browser known.
fn known_pair(reply: &Reply) -> String {
    let lines = reply.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE);
    let pairs = lines.map(|(_, line)| line.to_str().unwrap().split(';').next().unwrap().to_owned());
    pairs.into_iter().find(|pair| pair.starts_with("exeunt-known=")).unwrap()
}

/// One browser with two users, while an attacker gets both accounts banned from another address.
#[tokio::test]
async fn a_browser_is_known_for_each_of_its_users() {
    const RIGHT: [&str; 2] = ["username=alice&password=wonder+land", "username=BOB&password=wonder+land"];
    let harness = harness();
    let sign_in = async |lines: &[&str], body| harness.ask("POST", "/login", &[&[FORM], lines].concat(), body).await;
    let alone = known_pair(&sign_in(&[], RIGHT[0]).await);
    let both = format!("Cookie: {alone}");
    let both = known_pair(&sign_in(&[&both], "username=bob&password=wonder+land").await);
    for body in ["username=alice&password=wrong", "username=bob&password=wrong"] {
        for _ in 0..9 {
            sign_in(&[], body).await;
        }
    }
    let planted = known_pair(&self::harness().ask("POST", "/login", &[FORM], RIGHT[0]).await);
    for (pairs, want) in [
        (both.clone(), [false, false]),
        (alone.clone(), [false, true]),
        (planted.clone(), [true, true]),
        (format!("exeunt-known=x; {planted}; {both}"), [false, false]),
    ] {
        let cookie = format!("Cookie: {pairs}");
        let is_banned = async |body| sign_in(&[&cookie], body).await.status == 429;
        let got = [is_banned(RIGHT[0]).await, is_banned(RIGHT[1]).await];
        assert_eq!(got, want, "{pairs}");
    }
    harness.clock.advance(Duration::from_secs(180 * 24 * 3600));
    for _ in 0..9 {
        sign_in(&[], "username=alice&password=wrong").await;
    }
    assert_eq!(sign_in(&[&format!("Cookie: {both}")], RIGHT[0]).await.status, 429, "half a year later it is unknown");
}

#[tokio::test]
async fn the_known_cookie_is_no_session_and_is_not_forwarded() {
    let harness = harness();
    let reply = harness.ask("POST", "/login", &[FORM], "username=alice&password=wonder+land").await;
    let known = reply.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE).nth(1).unwrap();
    let value = known.1.to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    assert!(!harness.is_signed_in(&format!("Cookie: exeunt={value}")));
    let lines = [format!("Cookie: exeunt-known={value}")];
    let lines = lines.each_ref().map(String::as_str);
    let headers = head("GET", &lines).headers;
    let headers = sent(&harness.forward("/public/x", &lines), &headers);
    assert!(!headers.contains_key(http::header::COOKIE), "{headers:?}");
    let goodbye = harness.ask("POST", "/logout", &[&cookie_line(&reply)], "").await;
    let expired = goodbye.headers.iter().filter(|(name, _)| name == http::header::SET_COOKIE);
    assert!(expired.map(|(_, line)| line.to_str().unwrap()).all(|line| !line.contains("known")));
}

#[tokio::test]
async fn a_likely_proxy_is_reported_once() {
    let harness = harness();
    for number in 0..30 {
        let body = format!("username=user{number}&password=wrong");
        harness.ask("POST", "/login", &[FORM], body.leak()).await;
    }
    let lines = harness.lines.lock();
    let advice: Vec<_> = lines.iter().filter(|line| line.contains("event=likely_proxy client=unix ")).collect();
    assert_eq!(advice.len(), 1, "{lines:?}");
    assert!(advice[0].contains("trusted_proxies = ["), "{advice:?}");
}
