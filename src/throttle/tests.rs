//! Tests of the rate limit: which attempts lead to which bans.

use super::*;
use crate::values::known_browser::KnownBrowser;
use crate::values::mac::MacKeys;
use crate::values::time::WallTime;

const BAN_MAX: Duration = Duration::from_secs(900);
const NOW: Moment = Moment::from_seconds(0);
const FAR: &str = "192.0.2.1";

fn client(text: &str) -> ClientAddress {
    text.parse().map_or(ClientAddress::Unix, ClientAddress::Ip)
}

fn requester<'a>(user: &'a str, from: &str, known: Option<BrowserId>) -> SignInClient<'a> {
    SignInClient { user, client: client(from), known }
}

fn no_proxies() -> TrustedProxies {
    TrustedProxies::default()
}

impl Throttle {
    /// Whether an attempt may begin. It is abandoned, so it does not count.
    fn lets(&self, user: &str, from: &str, known: Option<BrowserId>, now: Moment) -> bool {
        self.attempt(&requester(user, from, known), &no_proxies(), now).is_ok()
    }

    /// Fails until banned, at most `times` times, and returns the number of failures.
    fn fail(&self, times: usize, user: &str, from: &str, known: Option<BrowserId>) -> usize {
        let mut tried = 0;
        while let Some(ticket) =
            self.attempt(&requester(user, from, known), &no_proxies(), NOW).ok().filter(|_| tried < times)
        {
            ticket.failed(BAN_MAX, NOW);
            tried += 1;
        }
        tried
    }
}

#[test]
fn wrong_passwords_ban_an_account_from_everywhere() {
    let throttle = Throttle::default();
    for (number, user) in ["John", "JOHN", "john ", " john", "jOhN"].into_iter().enumerate() {
        assert_eq!(throttle.fail(1, user, &format!("192.0.2.{number}"), None), 1, "{user}");
    }
    assert!(!throttle.lets("john", "198.51.100.1", None, NOW));
    assert!(throttle.lets("jane", FAR, None, NOW), "no other account is banned");
    let banned = throttle.attempt(&requester("john", FAR, None), &no_proxies(), NOW).unwrap_err();
    assert_eq!(banned.until, NOW + Duration::from_secs(5));
    assert!(throttle.lets("john", FAR, None, banned.until));
}

#[test]
fn concurrent_attempts_cannot_exceed_the_limit() {
    let throttle = Throttle::default();
    let attempt = || throttle.attempt(&requester("john", FAR, None), &TrustedProxies::default(), NOW);
    let tickets: Vec<_> = (0..100).map_while(|_| attempt().ok()).collect();
    assert_eq!(tickets.len(), 5);
    assert_eq!(
        attempt().unwrap_err().until,
        NOW + Duration::from_secs(1),
        "not a ban: retry when the others have finished"
    );
    drop(tickets);
    assert!(attempt().is_ok(), "no attempt has failed");
}

#[test]
fn an_address_is_banned_for_all_names() {
    let throttle = Throttle::default();
    let names: Vec<_> = (0..30).map(|number| format!("user{number}")).collect();
    let tried: usize = names.iter().map(|user| throttle.fail(1, user, "2001:db8::1", None)).sum();
    assert_eq!(tried, 20);
    assert!(!throttle.lets("jane", "2001:db8::ffff", None, NOW), "the same /64");
    assert!(throttle.lets("jane", "2001:db8:0:1::1", None, NOW));
}

#[test]
fn successes_in_between_do_not_reset_an_address() {
    let throttle = Throttle::default();
    let mut tried = 0;
    for number in 0..100 {
        tried += throttle.fail(1, &format!("user{number}"), FAR, None);
        if let Ok(ticket) = throttle.attempt(&requester("mallory", FAR, None), &no_proxies(), NOW) {
            ticket.succeeded(NOW);
        }
    }
    assert_eq!(tried, 20);
}

#[test]
fn a_success_resets_the_account() {
    let throttle = Throttle::default();
    for _ in 0..3 {
        assert_eq!(throttle.fail(4, "john", "127.0.0.1", None), 4);
        throttle.attempt(&requester("john", "127.0.0.1", None), &no_proxies(), NOW).unwrap().succeeded(NOW);
    }
}

#[test]
fn trusted_proxies_and_loopback_are_never_banned_by_address() {
    let trusted = TrustedProxies { networks: vec!["10.0.0.0/8".parse().unwrap()], unix: true };
    for (from, trusted, banned) in [
        ("127.0.0.1", &no_proxies(), false),
        ("::1", &no_proxies(), false),
        ("unix", &no_proxies(), false),
        ("unix", &trusted, false),
        ("10.0.0.7", &trusted, false),
        ("10.0.0.7", &no_proxies(), true),
    ] {
        let throttle = Throttle::default();
        for number in 0..100 {
            let user = format!("user{number}");
            if let Ok(ticket) = throttle.attempt(&requester(&user, from, None), trusted, NOW) {
                ticket.failed(BAN_MAX, NOW);
            }
        }
        let last = throttle.attempt(&requester("jane", from, None), trusted, NOW);
        assert_eq!(last.is_err(), banned, "{from} {trusted:?}");
    }
}

#[test]
fn the_hint_about_a_proxy_is_given_once() {
    for (from, want) in [("127.0.0.1", 1), ("unix", 1), ("10.0.0.7", 1), ("fd00::7", 1), ("192.0.2.7", 0)] {
        let throttle = Throttle::default();
        let advice = (0..50).filter_map(|number| {
            let user = format!("user{number}");
            let ticket = throttle.attempt(&requester(&user, from, None), &no_proxies(), NOW).ok()?;
            ticket.failed(BAN_MAX, NOW)
        });
        assert_eq!(advice.collect::<Vec<_>>(), vec![client(from); want], "{from}");
    }
}

/// A new browser.
fn browser() -> BrowserId {
    KnownBrowser::after_sign_in(None, "", &MacKeys::generate().unwrap(), WallTime(0)).unwrap().id()
}

#[test]
fn an_attacker_cannot_lock_out_a_known_browser() {
    let throttle = Throttle::default();
    let [own, other] = [browser(), browser()];
    throttle.fail(20, "john", FAR, None);
    throttle.fail(20, "john", FAR, Some(other));
    for number in 0..40 {
        throttle.fail(1, &format!("user{number}"), FAR, None);
    }
    for (known, want) in [(Some(own), true), (Some(other), false), (None, false)] {
        assert_eq!(throttle.lets("john", FAR, known, NOW), want, "{known:?}");
    }
    assert_eq!(throttle.fail(20, "John ", FAR, Some(own)), 5, "a known browser has a limit as well");
    assert!(!throttle.lets("john", FAR, Some(own), NOW) && throttle.lets("jane", FAR, Some(own), NOW));
}

/// There is no table of known browsers from which successful sign-ins could evict others, and the failures of other
/// accounts stay counted.
#[test]
fn successful_sign_ins_of_one_account_evict_no_other_counter() {
    let throttle = Throttle::default();
    let known = browser();
    throttle.fail(20, "john", FAR, None);
    throttle.fail(20, "jane", FAR, Some(known));
    for number in 0..36_000_u32 {
        let from = format!("2001:db8:{:x}:{:x}::1", number % 9000, number / 9000);
        let browser = if number % 2 == 0 { Some(browser()) } else { None };
        throttle.attempt(&requester("mallory", &from, browser), &no_proxies(), NOW).unwrap().succeeded(NOW);
    }
    assert!(!throttle.lets("john", FAR, None, NOW) && !throttle.lets("jane", FAR, Some(known), NOW));
    assert_eq!([&throttle.accounts, &throttle.known].map(CounterTable::len), [1, 1], "only failures take an entry");
}

#[test]
fn an_ipv6_site_has_a_higher_limit() {
    let throttle = Throttle::default();
    let fails = |number: u32| {
        let from = format!("2001:db8:7:{number:x}::1");
        (0..30).map(|name| throttle.fail(1, &format!("user{number}-{name}"), &from, None)).sum::<usize>()
    };
    let tried: Vec<_> = (0..10).map(fails).collect();
    assert_eq!(tried, [20, 20, 20, 20, 20, 0, 0, 0, 0, 0]);
    assert!(!throttle.lets("jane", "2001:db8:7:ffff::1", None, NOW));
    assert!(throttle.lets("jane", "2001:db8:8::1", None, NOW), "the next site");
    assert!(throttle.unban("2001:db8:7:ffff::1", NOW) && throttle.lets("jane", "2001:db8:7:ffff::1", None, NOW));
}

#[test]
fn a_share_has_account_address_and_site() {
    let throttle = Throttle::default();
    let share =
        |user, from, known| throttle.attempt(&requester(user, from, known), &no_proxies(), NOW).unwrap().share();
    let john = share("John", "2001:db8::1", None);
    assert_eq!(john, share("john ", "2001:db8::ffff", None));
    let [jane, next_door, elsewhere] = [("jane", "2001:db8::2"), ("john", "2001:db8:0:1::1"), ("john", "2001:db9::1")]
        .map(|(user, from)| share(user, from, None));
    let same = |other: Share| (john.account == other.account, john.address == other.address, john.site == other.site);
    assert_eq!(
        [jane, next_door, elsewhere].map(same),
        [(false, true, true), (true, false, true), (true, false, false)]
    );
    let old = share("john", "192.0.2.1", None);
    assert_eq!(old.address, old.site);
    let known = browser();
    assert!(share("john", FAR, Some(known)).is_known && !share("john", FAR, None).is_known);
    throttle.fail(1, "john", FAR, Some(known));
    assert!(!share("john", FAR, Some(known)).is_known, "a failure removes the privilege");
}

#[test]
fn an_operator_can_reset_failures() {
    let throttle = Throttle::default();
    let known = browser();
    throttle.fail(20, "john", "127.0.0.1", None);
    throttle.fail(20, "john", "127.0.0.1", Some(known));
    throttle.fail(20, "jane", "127.0.0.1", None);
    assert!(throttle.unban("JOHN", NOW));
    assert!(throttle.lets("john", FAR, None, NOW) && throttle.lets("john", FAR, Some(known), NOW));
    assert!(!throttle.lets("jane", FAR, None, NOW));
    assert!(!throttle.unban("john", NOW) && !throttle.unban("nobody", NOW));
    let tried: usize = (0..30).map(|number| throttle.fail(1, &format!("user{number}"), FAR, None)).sum();
    assert_eq!(tried, 20);
    assert!(!throttle.lets("bob", FAR, None, NOW));
    assert!(throttle.unban(FAR, NOW) && throttle.lets("bob", FAR, None, NOW), "by address");
}
