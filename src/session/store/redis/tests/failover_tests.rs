//! Tests with a replica: a failover loses no write that was answered, since the replica has to confirm it.

use super::group::{primary_with, until};
use super::*;

async fn on_port(port: u16, replicas: u32) -> Result<RedisStore, NotConnected> {
    let address = RedisAddress::parse(&format!("redis://127.0.0.1:{port}")).unwrap().with_replicas(replicas);
    RedisStore::connect(&address, STALENESS, Clock::system(), &keys('1')).await
}

#[tokio::test]
async fn answered_writes_are_on_a_replica() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = primary_with(folder.path(), 1);
    let one = on_port(nodes[0].port, 1).await.unwrap();
    timeout(PATIENCE, trusted(&one)).await.unwrap();
    let (ended, doubtful, open) = (record("a"), record("b"), record("c"));
    one.open(ended.clone()).await.unwrap();
    one.open(doubtful.clone()).await.unwrap();
    assert_eq!(one.end(&[ended.name]).await, Ok(vec![End::Won]));
    // The primary is without its replica: its writes may be lost in a failover.
    nodes[1].server.signal("STOP");
    assert_eq!(one.end(&[doubtful.name]).await, Err(Unavailable), "answered without a replica");
    assert_eq!(one.end_all_of(&doubtful.user).await, Err(Unavailable));
    assert_eq!(one.open(open.clone()).await, Err(Unavailable));
    assert_eq!(one.load(&record("nobody").name).await, Err(Unavailable), "absence is cached");
    following(&one, async {
        while is_trusted(&one) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    nodes[1].server.signal("CONT");
    timeout(PATIENCE, trusted(&one)).await.unwrap();
    assert_eq!(one.load(&record("nobody").name).await, Ok(None));
    // The replica takes over.
    nodes[0].server.stop();
    nodes[1].server.ask("REPLICAOF NO ONE");
    let other = on_port(nodes[1].port, 0).await.unwrap();
    assert_eq!(other.load(&ended.name).await, Ok(None), "an answered end was lost");
}

#[tokio::test]
async fn a_primary_without_enough_replicas_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = primary_with(folder.path(), 1);
    assert_eq!(on_port(nodes[0].port, 2).await.unwrap_err(), NotConnected::TooFewReplicas);
    assert!(on_port(nodes[0].port, 1).await.is_ok());
}

/// It follows a server that lacks an end, and takes its place again. The stream does not show that.
#[tokio::test]
async fn a_server_that_was_a_replica_between_two_heartbeats_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = primary_with(folder.path(), 1);
    let [primary, replica] = [&nodes[0].server, &nodes[1].server];
    let one = on_port(nodes[0].port, 0).await.unwrap();
    trusted(&one).await;
    let ended = record("a");
    one.open(ended.clone()).await.unwrap();
    until("the replica is late", || replica.ask("DBSIZE") == primary.ask("DBSIZE"));
    replica.ask("REPLICAOF NO ONE");
    assert_eq!(one.end(&[ended.name]).await, Ok(vec![End::Won]));
    primary.ask(&format!("REPLICAOF 127.0.0.1 {}", nodes[1].port));
    until("it does not follow", || primary.ask("INFO replication").contains("master_link_status:up"));
    primary.ask("REPLICAOF NO ONE");
    primary.ask(&format!("XADD {EVENTS} * j later"));
    let other = on_port(nodes[0].port, 0).await.unwrap();
    assert!(other.load(&ended.name).await.unwrap().is_some(), "it has not lost the end");
    timeout(PATIENCE, events_until(&one, StoreEvent::Gap)).await.unwrap();
    assert_eq!(other.load(&ended.name).await, Ok(None));
}
