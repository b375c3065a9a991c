//! A primary with replicas, each a server of the test's own, on a port of 127.0.0.1. They are killed with the test.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::server::RedisServer;

/// So long that only what hangs runs into it.
const PATIENCE: Duration = Duration::from_secs(60);
/// A replica is not kept waiting for others.
const PROMPT: [&str; 4] = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];

/// A server and its port.
pub(crate) struct Node {
    pub(crate) server: RedisServer,
    pub(crate) port: u16,
}

impl Node {
    pub(crate) fn start(folder: &Path, name: &str, options: &[&str]) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        let options = [&PROMPT, options].concat();
        let (server, port) = RedisServer::start_on_a_port(&folder, "--port", &options);
        Self { server, port }
    }
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A primary, which is the first, and so many replicas that follow it.
pub(crate) fn primary_with(folder: &Path, replicas: usize) -> Vec<Node> {
    let mut nodes = vec![Node::start(folder, "0", &[])];
    let primary = format!("127.0.0.1 {}", nodes[0].port);
    for number in 1..=replicas {
        nodes.push(Node::start(folder, &number.to_string(), &["--replicaof", &primary]));
    }
    until("the replicas do not follow", || {
        nodes[1..].iter().all(|node| node.server.ask("INFO replication").contains("master_link_status:up"))
    });
    nodes
}
