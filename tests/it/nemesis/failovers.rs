//! Servers behind Sentinels, of which another one takes over again and again.

use std::fs;

use super::tests::{BETWEEN, gateway, nothing_is_wrong, restart, rounds};
use super::{Clients, Gateway};
use crate::redis::group::{Node, primary_with, until};
use crate::redis::sentinels::Sentinels;
use crate::restarts::sign_in;

/// Why another server takes over.
#[derive(Clone, Copy, Debug)]
enum Failover {
    /// Somebody says so, while the primary works.
    Command,
    /// The primary hangs, and goes on later as if it still was one.
    Hang,
    /// The primary is killed, and its data is lost.
    Loss,
}

/// Servers with their Sentinels.
struct Servers {
    nodes: Vec<Node>,
    sentinels: Sentinels,
}

impl Servers {
    fn primary(&self) -> usize {
        let port = self.sentinels.primary(&self.nodes).port;
        self.nodes.iter().position(|node| node.port == port).unwrap()
    }

    /// Another server takes over, and the one before follows it.
    fn fail_over(&mut self, failover: Failover) {
        let before = self.primary();
        match failover {
            Failover::Command => self.sentinels.fail_over(),
            Failover::Hang => self.nodes[before].server.signal("STOP"),
            Failover::Loss => self.nodes[before].server.stop(),
        }
        until("no other server takes over", || self.primary() != before);
        match failover {
            Failover::Command => {}
            Failover::Hang => self.nodes[before].server.signal("CONT"),
            Failover::Loss => {
                let follow = format!("REPLICAOF 127.0.0.1 {}", self.nodes[self.primary()].port);
                self.nodes[before].server.restart_empty();
                self.nodes[before].server.ask(&follow);
            }
        }
        until("it does not follow", || {
            let said = self.nodes[before].server.ask("INFO replication");
            said.contains("role:slave") && said.contains("master_link_status:up")
        });
    }
}

/// People can sign in at each of these.
pub(super) fn serve(gateways: [&Gateway; 2]) {
    gateways.iter().for_each(|gateway| until("no sign-in", || sign_in(gateway.path()).is_some()));
}

#[test]
fn sessions_behind_sentinels_are_what_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    // One replica, which has to confirm: what is answered is on both.
    let nodes = primary_with(folder.path(), 1);
    let sentinels = Sentinels::of(folder.path(), &nodes);
    let mut servers = Servers { nodes, sentinels };
    let [one, other] = [gateway(&servers.sentinels.address()), gateway(&servers.sentinels.address())];
    let clients = Clients::default();
    let mut first = Some(one.start());
    for same in ["exeunt.key", "users.htpasswd"] {
        fs::copy(one.path().join(same), other.path().join(same)).unwrap();
    }
    let second = other.start();
    clients.run(&[&one, &other], 8, || {
        for _ in 0..rounds() {
            for failover in [Failover::Command, Failover::Hang, Failover::Loss] {
                serve([&one, &other]);
                clients.go_on(BETWEEN);
                servers.fail_over(failover);
            }
            // Whoever asked for the last ends does not ask again.
            restart(&mut first, &one);
        }
        serve([&one, &other]);
        clients.go_on(BETWEEN);
    });
    nothing_is_wrong(&clients.judge(&[(&one, first.as_ref().unwrap()), (&other, &second)]));
}
