//! A Cluster: three primaries, of which the one that has the store's slot has two replicas. A node takes over, and the
//! slot moves to another node.

use std::path::Path;
use std::time::{Duration, Instant};

use super::failover::hold;
use super::group::{Node, until};
use super::{gateway_with, start, wait_for_status};
use crate::restarts::{sign_in, sign_out, status};

const RANGES: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];
const OPTIONS: [&str; 6] =
    ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"];

/// About so many times a part of the keys moves.
const STEPS: u32 = 20;

/// After five seconds a node gives up a failover for which it did not get the votes.
const FAILOVER_TIME: Duration = Duration::from_secs(6);

pub(crate) struct Cluster {
    nodes: Vec<Node>,
    slot: u16,
    /// The place of the node that has this slot.
    owner: usize,
}

impl Cluster {
    pub(crate) fn start(folder: &Path, replicas: usize) -> Self {
        Self::start_on("--port", folder, replicas, &[])
    }

    /// The same with further options, where this one names the ports.
    pub(super) fn start_on(port_option: &str, folder: &Path, replicas: usize, options: &[&str]) -> Self {
        let (names, options) = (0..RANGES.len() + replicas, [&OPTIONS, options].concat());
        let nodes: Vec<_> =
            names.map(|name| Node::start_on(port_option, folder, &name.to_string(), &options)).collect();
        for (number, (node, (first, last))) in nodes.iter().zip(RANGES).enumerate() {
            node.server.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
            node.server.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        }
        for node in &nodes {
            nodes[0].server.ask(&format!("CLUSTER MEET 127.0.0.1 {}", node.port));
        }
        let known = format!("cluster_known_nodes:{}\r\n", nodes.len());
        until("the nodes do not find each other", || {
            nodes.iter().all(|node| {
                let info = node.server.ask("CLUSTER INFO");
                info.contains(&known) && info.contains("cluster_state:ok")
            })
        });
        let slot = nodes[0].server.ask("CLUSTER KEYSLOT {exeunt}:");
        let slot = slot.lines().next().unwrap().trim_start_matches(':').parse().unwrap();
        let owner = RANGES.iter().position(|(first, last)| (*first..=*last).contains(&slot)).unwrap();
        let cluster = Self { nodes, slot, owner };
        for replica in &cluster.nodes[RANGES.len()..] {
            replica.server.ask(&format!("CLUSTER REPLICATE {}", cluster.id(owner)));
            until("a replica does not follow", || replica.server.ask("INFO replication").contains("link_status:up"));
        }
        cluster
    }

    fn id(&self, node: usize) -> String {
        let answer = self.nodes[node].server.ask("CLUSTER MYID");
        answer.lines().nth(1).unwrap().to_owned()
    }

    /// The nodes that an address names.
    pub(crate) fn hosts(&self) -> String {
        let hosts: Vec<_> = self.nodes[..RANGES.len()].iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        hosts.join(",")
    }

    /// A replica of the slot's owner takes over, as somebody tells it to.
    pub(crate) fn fail_over(&mut self) {
        let replica = (0..self.nodes.len()).find(|node| *node != self.owner && *node >= RANGES.len()).unwrap();
        let server = &self.nodes[replica].server;
        let mut asked: Option<Instant> = None;
        until("it does not take over", || {
            if asked.is_none_or(|at| at.elapsed() > FAILOVER_TIME) && server.ask("CLUSTER FAILOVER").starts_with("+OK")
            {
                asked = Some(Instant::now());
            }
            server.ask("ROLE").contains("master")
        });
        until("the one before does not follow", || self.nodes[self.owner].server.ask("ROLE").contains("slave"));
        self.owner = replica;
    }

    /// The owner of the slot is killed with all that it knew, and comes back when one of its replicas has taken over.
    pub(crate) fn lose_owner(&mut self) {
        let lost = self.owner;
        self.nodes[lost].server.stop();
        let (mut next, others) = (None, (0..self.nodes.len()).filter(|node| *node != lost));
        let others: Vec<_> = others.collect();
        until("no replica takes over", || {
            let has_slot = |node: &&usize| {
                let slots = self.nodes[**node].server.ask("CLUSTER NODES");
                slots.lines().any(|line| line.contains("myself,master") && self.is_in(line))
            };
            next = others.iter().find(has_slot).copied();
            next.is_some()
        });
        self.owner = next.unwrap();
        self.nodes[lost].server.restart_empty();
        until("it does not follow", || {
            self.nodes[lost].server.ask("INFO replication").contains("master_link_status:up")
        });
    }

    /// Whether this line of the nodes names the store's slot.
    fn is_in(&self, line: &str) -> bool {
        let ranges = line.split_whitespace().skip(8).filter(|range| !range.starts_with('['));
        let mut ranges = ranges.map(|range| range.split_once('-').unwrap_or((range, range)));
        ranges.any(|(first, last)| (first.parse().unwrap()..=last.parse().unwrap()).contains(&self.slot))
    }

    /// Moves the slot to another primary, a part of its keys after the other, with this between two of them.
    pub(crate) fn move_slot(&mut self, between: &mut dyn FnMut()) {
        let to = (self.owner + 1) % RANGES.len();
        self.begin_to_move(to);
        let keys = self.nodes[self.owner].server.ask(&format!("CLUSTER COUNTKEYSINSLOT {}", self.slot));
        let keys: u32 = keys.lines().next().unwrap().trim_start_matches(':').parse().unwrap();
        while self.move_keys(to, keys / STEPS + 1) {
            between();
        }
        self.end_move(to);
    }

    fn begin_to_move(&self, to: usize) {
        let (from_id, to_id) = (self.id(self.owner), self.id(to));
        self.nodes[to].server.ask(&format!("CLUSTER SETSLOT {} IMPORTING {from_id}", self.slot));
        self.nodes[self.owner].server.ask(&format!("CLUSTER SETSLOT {} MIGRATING {to_id}", self.slot));
    }

    fn end_move(&mut self, to: usize) {
        let to_id = self.id(to);
        for node in [to, self.owner] {
            let answer = self.nodes[node].server.ask(&format!("CLUSTER SETSLOT {} NODE {to_id}", self.slot));
            assert!(answer.starts_with("+OK"), "{answer}");
        }
        self.owner = to;
    }

    /// The folders of two gateways on it.
    fn gateways(&self, replicas: u32) -> [tempfile::TempDir; 2] {
        let store = format!("store = \"redis+cluster://{}\"", self.hosts());
        let session = format!("staleness = \"2s\"\nstore_replicas = {replicas}\n{store}");
        [gateway_with(&session), gateway_with(&session)]
    }

    /// How many sessions the node of the slot has.
    fn sessions(&self) -> usize {
        let keys = self.nodes[self.owner].server.ask(&format!("CLUSTER GETKEYSINSLOT {} 1000", self.slot));
        keys.lines().filter(|key| key.starts_with("{exeunt}:s:")).count()
    }

    /// Moves this number of the store's keys to another node; whether there were any.
    fn move_keys(&self, to: usize, count: u32) -> bool {
        let owner = &self.nodes[self.owner].server;
        let keys = owner.ask(&format!("CLUSTER GETKEYSINSLOT {} {}", self.slot, count + 1));
        let mut keys: Vec<_> = keys.split("\r\n").filter(|line| line.starts_with("{exeunt}:")).collect();
        // The events come last: then the node that has them already lacks other keys.
        if keys.len() > 1 {
            keys.retain(|key| *key != "{exeunt}:e");
        }
        for key in &keys {
            let key = key.replace('\0', "\\x00");
            let moved = owner.ask(&format!("MIGRATE 127.0.0.1 {} \"{key}\" 0 5000", self.nodes[to].port));
            assert!(moved.starts_with("+OK"), "{moved}");
        }
        !keys.is_empty()
    }
}

#[test]
fn a_replica_takes_over_from_a_node_that_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(folder.path(), 2);
    let [a, b] = cluster.gateways(1);
    let (one, other) = start(&a, &b);
    let (inside, outside) = (one.sign_in(), one.sign_in());
    assert_eq!([other.status(&inside), other.status(&outside)], [200, 200]);
    assert!(sign_out(b.path(), &outside));
    assert_eq!([one.status(&outside), other.status(&outside)], [401, 401]);
    let owner = cluster.owner;
    cluster.nodes[owner].server.stop();
    for folder in [a.path(), b.path()] {
        // The known session may be served until the trust is over; in the end it is served by what the new node says.
        until("no sign-in on the new node", || match sign_in(folder) {
            Some(late) => sign_out(folder, &late),
            None => false,
        });
        wait_for_status(folder, &inside, 200);
        wait_for_status(folder, &outside, 401);
    }
    drop((one, other));
}

/// While the slot is on its way neither node has everything: no session is taken for dead, and none is ended.
#[test]
fn the_slot_of_the_store_moves_to_another_node() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(folder.path(), 0);
    let [a, b] = cluster.gateways(0);
    let (one, other) = start(&a, &b);
    let (known, unknown, outside) = (one.sign_in(), one.sign_in(), one.sign_in());
    assert_eq!(other.status(&known), 200);
    let to = (cluster.owner + 1) % RANGES.len();
    cluster.begin_to_move(to);
    assert!(!sign_out(a.path(), &outside), "an end of half of the keys");
    assert_eq!(cluster.sessions(), 3, "an end that was refused was done by half");
    while cluster.move_keys(to, 1) {
        assert_eq!(status(b.path(), &unknown), Some(503), "half of the keys are taken for all of them");
        assert!([Some(200), Some(503)].contains(&status(b.path(), &known)));
    }
    cluster.end_move(to);
    for folder in [a.path(), b.path()] {
        wait_for_status(folder, &known, 200);
        wait_for_status(folder, &unknown, 200);
        wait_for_status(folder, &outside, 401);
    }
    drop((one, other));
}

#[test]
fn a_node_is_replaced_by_command_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(folder.path(), 2);
    let [a, b] = cluster.gateways(1);
    let (one, other) = start(&a, &b);
    let inside = one.sign_in();
    for _ in 0..2 {
        let mut outside = None;
        until("no sign-in", || {
            outside = sign_in(a.path());
            outside.is_some()
        });
        let outside = outside.unwrap();
        wait_for_status(b.path(), &outside, 200);
        assert!(sign_out(b.path(), &outside));
        cluster.fail_over();
        hold([a.path(), b.path()], &inside, &outside);
    }
    drop((one, other));
}
