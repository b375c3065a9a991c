//! A Cluster whose nodes are lost and replaced, and whose slot with the store moves from node to node.

use std::fs;

use super::failovers::serve;
use super::tests::{BETWEEN, gateway_with, nothing_is_wrong, restart, rounds};
use super::{Clients, Gateway};
use crate::redis::cluster::Cluster;
use crate::restarts::Program;

/// Operations between two parts of the keys that move.
const A_FEW: usize = 10;

/// Two gateways in front of a Cluster, of which so many replicas have to confirm, while this goes wrong.
fn consistent(cluster: &mut Cluster, replicas: u32, mut trouble: impl FnMut(&mut Cluster, &Clients, &mut Killed<'_>)) {
    let lines = format!("store = \"redis+cluster://{}\"\nstore_replicas = {replicas}", cluster.hosts());
    let [one, other] = [gateway_with(&lines), gateway_with(&lines)];
    let clients = Clients::default();
    let mut first = Killed { gateway: &one, program: Some(one.start()) };
    for same in ["exeunt.key", "users.htpasswd"] {
        fs::copy(one.path().join(same), other.path().join(same)).unwrap();
    }
    let second = other.start();
    clients.run(&[&one, &other], 8, || {
        for _ in 0..rounds() {
            serve([&one, &other]);
            clients.go_on(BETWEEN);
            trouble(cluster, &clients, &mut first);
        }
        serve([&one, &other]);
        clients.go_on(BETWEEN);
    });
    nothing_is_wrong(&clients.judge(&[(&one, first.program.as_ref().unwrap()), (&other, &second)]));
}

/// A gateway that may be killed meanwhile.
struct Killed<'a> {
    gateway: &'a Gateway,
    program: Option<Program<'a>>,
}

#[test]
fn history_is_consistent_while_the_slot_of_a_cluster_moves() {
    let folder = tempfile::tempdir().unwrap();
    consistent(&mut Cluster::start(folder.path(), 0), 0, |cluster, clients, first| {
        let (mut step, mut start) = (|| clients.go_on(A_FEW), false);
        cluster.move_slot(&mut step);
        clients.go_on(BETWEEN);
        // Once more, and what the gateway knew that asked for ends meanwhile is lost.
        cluster.move_slot(&mut || {
            step();
            if !std::mem::replace(&mut start, true) {
                first.program.take().unwrap().kill();
            }
        });
        first.program = Some(first.gateway.start());
    });
}

#[test]
fn history_is_consistent_while_nodes_of_a_cluster_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    consistent(&mut Cluster::start(folder.path(), 2), 2, |cluster, clients, first| {
        cluster.fail_over();
        clients.go_on(BETWEEN);
        cluster.lose_owner();
        // Whoever asked for the last ends does not ask again.
        restart(&mut first.program, first.gateway);
    });
}
