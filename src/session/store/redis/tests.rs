//! Tests with a real server: the contract, silent gateways, and gateways that missed events.

use std::path::Path;

use tokio::time::timeout;

use super::*;
use crate::session::store::contract::{further, gives_all_of_a_user, holds, keeps_notes, record, shares_notes};

mod failover_tests;
#[path = "../../../../tests/it/redis/server.rs"]
mod server;

#[path = "../../../../tests/it/redis/group.rs"]
mod group;

use server::RedisServer;

/// A limit that only a hanging test reaches.
const PATIENCE: Duration = Duration::from_secs(60);
const STALENESS: Duration = Duration::from_secs(2);

async fn store_on(socket: &Path) -> RedisStore {
    connected(socket, &keys('1')).await.unwrap()
}

async fn connected(socket: &Path, keys: &MacKeys) -> Result<RedisStore, NotConnected> {
    let address = RedisAddress::parse(&format!("redis+unix://{}", socket.display())).unwrap();
    RedisStore::connect(&address, STALENESS, Clock::system(), keys).await
}

fn keys(digit: char) -> MacKeys {
    MacKeys::parse(&String::from(digit).repeat(64)).unwrap()
}

fn server() -> (tempfile::TempDir, RedisServer) {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    (folder, server)
}

#[tokio::test]
async fn the_server_keeps_the_contract() {
    let (_folder, server) = server();
    let (one, other) = (store_on(&server.socket()).await, store_on(&server.socket()).await);
    timeout(PATIENCE, holds(&one, &other)).await.unwrap();
    timeout(PATIENCE, keeps_notes(&one)).await.unwrap();
    timeout(PATIENCE, shares_notes(&one, &other)).await.unwrap();
    timeout(PATIENCE, gives_all_of_a_user(&one, &other)).await.unwrap();
}

#[tokio::test]
async fn codes_and_numbers_of_connections_expire_on_the_server() {
    let (_folder, server) = server();
    let one = store_on(&server.socket()).await;
    one.put_code(&[0; 32], b"good", Duration::from_secs(30)).await.unwrap();
    one.exchange_connections(&[(record("alice").name, 1)]).await.unwrap();
    for (key, most) in
        [(format!("x:{}", "A".repeat(43)), 30_000), (format!("l:{}", one.shared.peers.own_name()), 10_000)]
    {
        let answer = server.ask(&format!("PTTL {PREFIX}{key}"));
        let left: u64 = answer.lines().next().unwrap().trim_start_matches(':').parse().unwrap();
        assert!((1..=most).contains(&left), "{key}: {answer}");
    }
}

/// A gateway with other keys would end all sessions.
#[tokio::test]
async fn gateways_on_one_server_have_the_same_keys() {
    let (_folder, server) = server();
    let socket = server.socket();
    let _first = store_on(&socket).await;
    assert_eq!(connected(&socket, &keys('2')).await.unwrap_err(), NotConnected::OtherKeys);
    let rotated = MacKeys::parse(&["2".repeat(64), "1".repeat(64)].join("\n")).unwrap();
    assert!(connected(&socket, &rotated).await.is_ok() && connected(&socket, &keys('2')).await.is_ok());
    assert_eq!(connected(&socket, &keys('1')).await.unwrap_err(), NotConnected::OtherKeys);
    drop(server);
    assert_eq!(connected(&socket, &keys('2')).await.unwrap_err(), NotConnected::Unavailable);
}

/// A self-signed certificate for 127.0.0.1 in this folder, and the options of a server that has it.
fn certificate(folder: &Path) -> (String, [&'static str; 6]) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let options = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no"];
    (made.cert.pem(), options)
}

#[tokio::test]
async fn over_tls_only_a_server_with_a_trusted_certificate_is_used() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ((own, options), (others, _)) = (certificate(folder.path()), certificate(elsewhere.path()));
    let (_server, port) = RedisServer::start_on_a_port(folder.path(), "--tls-port", &options);
    let connect = async |host: &str, authority: Option<&str>| {
        let address = RedisAddress::parse(&format!("rediss://{host}:{port}")).unwrap();
        let address = authority.iter().fold(address, |address, pem| address.with_authorities(pem.as_bytes()));
        RedisStore::connect(&address, STALENESS, Clock::system(), &keys('1')).await
    };
    let one = connect("127.0.0.1", Some(&own)).await.unwrap();
    timeout(PATIENCE, trusted(&one)).await.unwrap();
    assert_eq!(one.open(record("a")).await, Ok(()));
    let refused = [("127.0.0.1", Some(&*others)), ("127.0.0.1", None), ("localhost", Some(&*own))];
    for (host, authority) in refused {
        assert_eq!(connect(host, authority).await.unwrap_err(), NotConnected::Untrusted, "{host} {authority:?}");
    }
}

/// Lets a store follow the other gateways until `work` is done.
async fn following<T>(store: &RedisStore, work: impl Future<Output = T>) -> T {
    let follow = async {
        loop {
            let _ = store.events().await;
        }
    };
    tokio::select! {
        done = work => done,
        () = follow => unreachable!(),
    }
}

fn is_trusted(store: &RedisStore) -> bool {
    store.trust().holds_at(store.shared.clock.now())
}

/// Waits until a store has read all events and its table is trusted.
async fn trusted(store: &RedisStore) {
    following(store, async {
        while !is_trusted(store) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_end_waits_for_serving_gateways_and_not_for_others() {
    let (_folder, server) = server();
    let (one, other) = (store_on(&server.socket()).await, store_on(&server.socket()).await);
    trusted(&other).await;
    let (first, second, third) = (record("a"), record("b"), record("c"));
    for record in [&first, &second, &third] {
        one.open(record.clone()).await.unwrap();
    }
    // The other gateway follows the events, so it acknowledges.
    assert_eq!(following(&other, one.end(&[first.name])).await, Ok(vec![End::Won]));
    trusted(&other).await;
    // It serves and does not follow: the end waits until its table is no longer trusted.
    let names = [second.name];
    let mut end = std::pin::pin!(one.end(&names));
    assert!(timeout(STALENESS / 4, &mut end).await.is_err() && is_trusted(&other), "answered while others serve it");
    assert_eq!(timeout(PATIENCE, end).await.unwrap(), Ok(vec![End::Won]));
    assert!(!is_trusted(&other), "it still serves");
    // From then on no end waits for it, nor for a gateway that has left.
    let quickly = STALENESS / 2;
    assert_eq!(timeout(quickly, one.end_all_of(&third.user)).await.unwrap().unwrap().len(), 1);
    trusted(&other).await;
    other.leave().await;
    assert!(!is_trusted(&other));
    let late = record("d");
    one.open(late.clone()).await.unwrap();
    assert_eq!(timeout(quickly, one.end(&[late.name, late.name])).await.unwrap(), Ok(vec![End::Won, End::Lost]));
}

/// The second of two ends of one session is not answered earlier, either.
#[tokio::test]
async fn the_loser_waits_as_the_winner_does() {
    let (_folder, server) = server();
    let (one, two, other) =
        (store_on(&server.socket()).await, store_on(&server.socket()).await, store_on(&server.socket()).await);
    trusted(&other).await;
    let ended = Record { further: vec![further("shop.test")], ..record("a") };
    one.open(ended.clone()).await.unwrap();
    let (names, keys) = ([ended.name], [ended.further[0].key]);
    let mut first = std::pin::pin!(one.end(&names));
    assert!(timeout(STALENESS / 8, &mut first).await.is_err());
    let mut second = std::pin::pin!(two.end(&keys));
    assert!(timeout(STALENESS / 8, &mut second).await.is_err(), "answered while others serve it");
    let ends = following(&other, async { tokio::join!(first, second) }).await;
    assert_eq!(ends, (Ok(vec![End::Won]), Ok(vec![End::Lost])));
}

/// The events of a store up to this one.
async fn events_until(store: &RedisStore, event: StoreEvent) -> Vec<StoreEvent> {
    let mut told = Vec::new();
    while !told.contains(&event) {
        // While the server is down, reading fails and is repeated.
        told.extend(timeout(PATIENCE, store.events()).await.unwrap().unwrap_or_default());
    }
    told
}

#[tokio::test]
async fn a_server_that_was_emptied_or_restarted_leaves_a_gap() {
    let (_folder, mut server) = server();
    let (one, other) = (store_on(&server.socket()).await, store_on(&server.socket()).await);
    trusted(&other).await;
    assert_eq!(server.ask("FLUSHALL").lines().next(), Some("+OK"));
    assert_eq!(events_until(&other, StoreEvent::Gap).await, [StoreEvent::Gap]);
    trusted(&other).await;
    // The stream loses events that were not read.
    for _ in 0..5 {
        one.open(record("a")).await.unwrap();
        assert_eq!(one.end_all_of(&record("a").user).await.unwrap().len(), 1);
    }
    server.ask("XTRIM {exeunt}:e MAXLEN 2");
    assert_eq!(events_until(&other, StoreEvent::Gap).await[0], StoreEvent::Gap);
    trusted(&other).await;
    server.restart_empty();
    events_until(&other, StoreEvent::Gap).await;
    trusted(&other).await;
}

/// Its last event may have a later id than the events of the server that takes over.
#[tokio::test]
async fn what_was_read_on_another_server_acknowledges_nothing() {
    let (_folder, mut server) = server();
    let one = store_on(&server.socket()).await;
    trusted(&one).await;
    server.ask(&format!("XADD {EVENTS} 99999999999999-0 o 2 r other"));
    events_until(&one, StoreEvent::Learned).await;
    server.restart_empty();
    events_until(&one, StoreEvent::Gap).await;
    let said = |own: &str| server.ask(&format!("HGET {PREFIX}r {own}"));
    assert!(said(one.shared.peers.own_name()).contains("\r\n0-0 "), "{}", said(one.shared.peers.own_name()));
    let follows = following(&one, async {
        while said(one.shared.peers.own_name()).contains("\r\n0-0 ") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    timeout(PATIENCE, follows).await.unwrap();
}

/// A server that lost confirmed writes, as after a failover or with an old copy of the data.
#[tokio::test]
async fn ends_that_a_restarted_server_has_lost_are_repeated() {
    let (_folder, mut server) = server();
    let one = store_on(&server.socket()).await;
    trusted(&one).await;
    let ended = record("a");
    one.open(ended.clone()).await.unwrap();
    assert_eq!(one.end(&[ended.name]).await, Ok(vec![End::Won]));
    server.restart_empty();
    let restored = store_on(&server.socket()).await;
    restored.open(ended.clone()).await.unwrap();
    assert!(restored.load(&ended.name).await.unwrap().is_some());
    events_until(&one, StoreEvent::Gap).await;
    assert_eq!(restored.load(&ended.name).await, Ok(None));
}

/// The answers of another server are used only once its events are followed: an old primary has outdated data.
#[tokio::test]
async fn calls_go_to_the_server_whose_events_are_followed() {
    let (_folder, mut server) = server();
    let one = store_on(&server.socket()).await;
    trusted(&one).await;
    server.restart_empty();
    for _ in 0..3 {
        assert_eq!(one.load(&record("a").name).await, Err(Unavailable));
    }
    events_until(&one, StoreEvent::Gap).await;
    assert_eq!(one.load(&record("a").name).await, Ok(None));
}

#[tokio::test]
async fn a_full_server_still_takes_ends() {
    let (_folder, server) = server();
    let one = store_on(&server.socket()).await;
    let (ended, refused) = (record("a"), record("b"));
    one.open(ended.clone()).await.unwrap();
    server.ask("CONFIG SET maxmemory 1");
    assert_eq!(one.open(refused).await, Err(Unavailable));
    trusted(&one).await;
    assert_eq!(one.end(&[ended.name]).await, Ok(vec![End::Won]));
    assert_eq!(one.load(&ended.name).await, Ok(None));
}

#[tokio::test]
async fn trust_ends_with_the_connection_and_returns_with_it() {
    let (_folder, server) = server();
    let one = store_on(&server.socket()).await;
    trusted(&one).await;
    server.signal("STOP");
    following(&one, async {
        while is_trusted(&one) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(one.load(&record("a").name).await, Err(Unavailable));
    server.signal("CONT");
    timeout(PATIENCE, trusted(&one)).await.unwrap();
    assert_eq!(one.load(&record("a").name).await, Ok(None));
}
