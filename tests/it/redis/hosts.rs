//! What gateways on one server know of each other besides sessions: codes that lead to another host, what browsers have
//! to forget, which cookies applications keep from scripts.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::time::Instant;

use super::jars::start_application;
use super::server::RedisServer;
use super::{gateway_to, start};
use crate::restarts::{Answer, PATIENCE, ask_at, body_of, sign_out};

pub(super) const LOGIN: &str = "localhost:8080";
pub(super) const SHOP: &str = "shop.localhost:8080";

pub(super) fn get(folder: &Path, host: &str, target: &str, cookie: &str) -> Answer {
    ask_at(folder, host, "GET", target, cookie, "").unwrap()
}

pub(super) fn path(location: &str) -> String {
    location.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap()
}

/// Two gateways with two hosts, in front of this server and this application.
fn with_shop(server: &RedisServer, folder: &Path) -> [tempfile::TempDir; 2] {
    let upstream = start_application(folder);
    [gateway_to(server, &upstream), gateway_to(server, &upstream)].map(|gateway| {
        let path = gateway.path().join("config.toml");
        let configuration = fs::read_to_string(&path).unwrap().replacen("\n", "\nhosts = [\"shop.localhost\"]\n", 1);
        fs::write(path, configuration).unwrap();
        gateway
    })
}

/// Every step at another gateway than the one before.
#[test]
fn hand_over_code_is_accepted_once_at_any_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let [a, b] = with_shop(&server, folder.path());
    let (one, _other) = start(&a, &b);
    for round in 0..20 {
        let (here, there) = if round % 2 == 0 { (a.path(), b.path()) } else { (b.path(), a.path()) };
        let login = one.sign_in();
        let sent = get(there, SHOP, "/.exeunt/enter?next=/x", "");
        let back = get(here, LOGIN, &path(&sent.location), &login);
        let (target, hop) = (path(&back.location), sent.cookie.unwrap());
        // Two tabs, or an attacker with the address and the browser's cookies, at the same moment.
        let barrier = Barrier::new(2);
        let entered = std::thread::scope(|scope| {
            let enter = |folder| {
                barrier.wait();
                get(folder, SHOP, &target, &hop)
            };
            [there, here].map(|folder| scope.spawn(move || enter(folder))).map(|one| one.join().unwrap())
        });
        let opened: Vec<_> = entered.iter().filter(|answer| answer.status == 303).collect();
        assert_eq!(opened.len(), 1, "round {round}: {:?}", entered.map(|answer| answer.status));
        let shop = opened[0].cookie.clone().unwrap();
        for folder in [here, there] {
            assert_eq!(get(folder, SHOP, "/.exeunt/session", &shop).status, 200);
            assert_eq!(get(folder, SHOP, &target, &hop).status, 403, "it counts once");
        }
        // With another browser's hop it is void, and from then on for the one that it was made for.
        let stolen = get(here, LOGIN, &path(&sent.location), &login);
        let stranger = get(there, SHOP, "/.exeunt/enter?next=/x", "").cookie.unwrap();
        assert_eq!(get(there, SHOP, &path(&stolen.location), &stranger).status, 403);
        assert_eq!(get(here, SHOP, &path(&stolen.location), &hop).status, 403);
        let late = get(here, LOGIN, &path(&sent.location), &login);
        assert!(sign_out(there, &login));
        assert_eq!(get(there, SHOP, &path(&late.location), &hop).status, 403, "its session is over");
        assert_eq!(get(here, SHOP, "/.exeunt/session", &shop).status, 401);
    }
}

/// The session ends by way of one gateway, and its browser comes to the other one, which has never seen it.
#[test]
fn cookie_debts_are_known_to_every_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let upstream = start_application(folder.path());
    let [a, b] = [gateway_to(&server, &upstream), gateway_to(&server, &upstream)];
    let (one, _other) = start(&a, &b);
    let [cookie, elsewhere] = [one.sign_in(), one.sign_in()];
    assert!(get(a.path(), LOGIN, "/readable/1", &cookie).head.contains("readable=1"));
    let everywhere = ask_at(a.path(), LOGIN, "POST", "/logout", &elsewhere, "everywhere=1").unwrap();
    assert!([200, 303].contains(&everywhere.status));
    let told = get(b.path(), LOGIN, "/", &format!("{cookie}; readable=1"));
    assert!(told.status != 200 && told.head.contains("readable=; "), "{} {}", told.status, told.head);
}

/// What an application keeps from scripts no browser may choose, whichever gateway the application has told that.
#[test]
fn a_planted_cookie_is_withheld_at_every_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let upstream = start_application(folder.path());
    let [a, b] = [gateway_to(&server, &upstream), gateway_to(&server, &upstream)];
    let (one, _other) = start(&a, &b);
    let [first, second] = [one.sign_in(), one.sign_in()];
    for (here, there, name) in [(a.path(), b.path(), "sid"), (b.path(), a.path(), "token")] {
        let planted = format!("{second}; {name}=planted");
        assert_eq!(body_of(there, "/", &planted).unwrap(), (200, format!("{name}=planted")), "nobody knows it yet");
        assert_eq!(body_of(here, &format!("/{name}/1"), &first).unwrap().0, 200);
        let begun = Instant::now();
        while body_of(there, "/", &planted).unwrap().1.contains("planted") {
            assert!(begun.elapsed() < PATIENCE, "it still gets through");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
