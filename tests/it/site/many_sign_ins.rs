//! Many who sign in at once, over real connections: others get their turn.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use exeunt::credentials::user_file::Users;
use exeunt::credentials::user_file::htpasswd::WeakHashes;

use super::answer::Answer;
use super::harness::{FORM, Site, until};

/// bcrypt of "open sesame" with its least cost: a millisecond, or ten where nothing is optimised.
const HASH: &str = "$2y$04$kdobx0du3W5uscfIgeVS0uHM65Dfc09xmpm6upiSeD3A5RXBnoNX2";
const PEOPLE: usize = 20;

/// All requests come through a trusted proxy, which gives the client's address.
async fn site() -> Site {
    let (site, _) = Site::with_echo_and(|setup| {
        let names = (0..PEOPLE).map(|number| format!("user{number}")).chain(["mallory".to_owned()]);
        let text: String = names.map(|name| format!("{name}:{HASH}\n")).collect();
        setup.gateway.users = Arc::new(Users::parse_any("htpasswd".as_ref(), &text, WeakHashes::Refuse).unwrap());
        setup.gateway.trusted.networks = vec![IpAddr::from([127, 0, 0, 1]).into()];
    })
    .await;
    site
}

async fn sign_in(site: &Site, user: &str, password: &str, from: &str, cookie: &str) -> Answer {
    let form = format!("username={user}&password={password}");
    let lines = [FORM, &format!("X-Forwarded-For: {from}"), cookie];
    site.ask("POST", "/login", &lines, &form).await
}

/// Goes on with a crowd on 96 connections, whose tries answer whether a password was looked at, until all people are
/// signed in, each by one try. Answers how many of the crowd were served before one of them, in the middle.
async fn all_get_in(site: &Site, one_try: impl AsyncFn(usize, usize) -> bool) -> usize {
    let (over, tries, served) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let one_of_the_crowd = async |number: usize| {
        while !over.load(Ordering::Relaxed) {
            let looked_at = one_try(number, tries.fetch_add(1, Ordering::Relaxed)).await;
            served.fetch_add(usize::from(looked_at), Ordering::Relaxed);
        }
    };
    let people = async {
        until(|| served.load(Ordering::Relaxed) > 96).await;
        let mut before = Vec::new();
        for number in 0..PEOPLE {
            let user = format!("user{number}");
            let begun = served.load(Ordering::Relaxed);
            let answer = sign_in(site, &user, "open+sesame", "192.0.2.1", "A: b").await;
            assert_eq!(answer.status, 303, "{user}: {answer:?}");
            before.push(served.load(Ordering::Relaxed) - begun);
        }
        over.store(true, Ordering::Relaxed);
        before.sort_unstable();
        before[PEOPLE / 2]
    };
    let crowd = futures_util::future::join_all((0..96).map(one_of_the_crowd));
    futures_util::future::join(crowd, people).await.1
}

/// 96 known browsers of one account, each as often as it can.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_on_one_account_do_not_starve_others() {
    let site = site().await;
    let mut known = Vec::new();
    for _ in 0..96 {
        let answer = sign_in(&site, "mallory", "open+sesame", "192.0.2.1", "A: b").await;
        let line = answer.headers("set-cookie").into_iter().find(|line| line.starts_with("exeunt-known=")).unwrap();
        known.push(format!("Cookie: {}", line.split(';').next().unwrap()));
    }
    let one_try = async |number: usize, _| {
        let status = sign_in(&site, "mallory", "open+sesame", "192.0.2.1", &known[number]).await.status;
        assert!([303, 429].contains(&status), "{status}: a place, not a ban");
        status == 303
    };
    let before = all_get_in(&site, one_try).await;
    assert!(before < 48, "in their order it would be 96: {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_from_a_few_addresses_do_not_starve_others() {
    let site = site().await;
    let one_try = async |number: usize, name: usize| {
        let from = format!("2001:db8:{}::1", number % 8);
        let status = sign_in(&site, &format!("x{name}"), "x", &from, "A: b").await.status;
        assert!([401, 429].contains(&status), "{status}");
        status == 401
    };
    all_get_in(&site, one_try).await;
}
