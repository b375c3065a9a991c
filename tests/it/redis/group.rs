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
    /// Starts it on a port, which this option names.
    pub(crate) fn start_on(port_option: &str, folder: &Path, name: &str, options: &[&str]) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        let options = [&PROMPT, options].concat();
        let (server, port) = RedisServer::start_on_a_port(&folder, port_option, &options);
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

/// A primary, which is the first, and this number of replicas that follow it.
pub(crate) fn primary_with(folder: &Path, replicas: usize) -> Vec<Node> {
    primary_on("--port", folder, replicas, &[])
}

/// The same with further options, where this one names the ports.
pub(crate) fn primary_on(port_option: &str, folder: &Path, replicas: usize, options: &[&str]) -> Vec<Node> {
    let mut nodes = vec![Node::start_on(port_option, folder, "0", options)];
    let primary = format!("127.0.0.1 {}", nodes[0].port);
    for number in 1..=replicas {
        let options = [options, &["--replicaof", &primary]].concat();
        nodes.push(Node::start_on(port_option, folder, &number.to_string(), &options));
    }
    until("the replicas do not follow", || {
        nodes[1..].iter().all(|node| node.server.ask("INFO replication").contains("master_link_status:up"))
    });
    nodes
}
