//! Another server takes over: with Sentinels, who is signed in stays signed in, and who has signed out stays out.

use std::fs;
use std::path::Path;

use super::group::{Node, primary_with, until};
use super::sentinels::Sentinels;
use super::{gateway_at, start, wait_for_status};
use crate::restarts::{Program, sign_in, sign_out, status, status_of};

/// A primary and two replicas, the Sentinels that look after them, and the folders of two gateways.
fn looked_after(folder: &Path) -> (Vec<Node>, Sentinels, [tempfile::TempDir; 2]) {
    let nodes = primary_with(folder, 2);
    let sentinels = Sentinels::of(folder, &nodes);
    let gateway = || gateway_at(&sentinels.address(), "2s");
    let gateways = [gateway(), gateway()];
    (nodes, sentinels, gateways)
}

/// Who is signed in and who has signed out, at every gateway, once another server has taken over.
pub(super) fn hold(folders: [&Path; 2], inside: &str, outside: &str) {
    for folder in folders {
        wait_for_status(folder, inside, 200);
        never_inside(folder, outside);
        wait_for_status(folder, outside, 401);
    }
}

/// An end that the store has not confirmed yet is 503.
fn never_inside(folder: &Path, outside: &str) {
    let status = status(folder, outside);
    assert!([Some(401), Some(503)].contains(&status), "{status:?}");
}

#[test]
fn failover_keeps_sessions_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (nodes, sentinels, [a, b]) = looked_after(folder.path());
    let (one, other) = start(&a, &b);
    let (inside, outside) = (one.sign_in(), one.sign_in());
    assert!(sign_out(b.path(), &outside));
    let before = sentinels.primary(&nodes).port;
    sentinels.fail_over();
    until("no other server takes over", || sentinels.primary(&nodes).port != before);
    hold([a.path(), b.path()], &inside, &outside);
    // They follow each other on the new one.
    until("no sign-in on the new server", || match sign_in(a.path()) {
        Some(late) => {
            wait_for_status(b.path(), &late, 200);
            sign_out(b.path(), &late) && status(a.path(), &late) == Some(401)
        }
        None => false,
    });
    drop((one, other));
}

#[test]
fn hanging_primary_is_replaced_and_rejoins_as_a_replica() {
    let folder = tempfile::tempdir().unwrap();
    let (nodes, sentinels, [a, b]) = looked_after(folder.path());
    let (one, other) = start(&a, &b);
    let (inside, outside, wants_out) = (one.sign_in(), one.sign_in(), one.sign_in());
    assert!(sign_out(b.path(), &outside));
    let hangs = sentinels.primary(&nodes);
    hangs.server.signal("STOP");
    assert!(!sign_out(a.path(), &wants_out), "answered without a server");
    assert_eq!(status_of(b.path(), "/public", &inside), Some(200), "public routes go on");
    until("no other server takes over", || sentinels.primary(&nodes).port != hangs.port);
    hold([a.path(), b.path()], &inside, &outside);
    hold([a.path(), b.path()], &inside, &wants_out);
    // It has all its data, and calls itself a primary until a Sentinel makes it a replica.
    hangs.server.signal("CONT");
    until("it does not follow", || {
        [a.path(), b.path()].into_iter().for_each(|folder| never_inside(folder, &wants_out));
        hangs.server.ask("ROLE").contains("slave")
    });
    hold([a.path(), b.path()], &inside, &wants_out);
    drop((one, other));
}

#[test]
fn t77_a_failover_brings_no_ended_session_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut nodes, sentinels, [a, b]) = looked_after(folder.path());
    let (one, other) = start(&a, &b);
    let (inside, outside) = (one.sign_in(), one.sign_in());
    assert_eq!(other.status(&outside), 200);
    let (primary, replicas) = nodes.split_first_mut().unwrap();
    replicas.iter().for_each(|replica| replica.server.signal("STOP"));
    assert!(!sign_out(a.path(), &outside), "answered before a replica has it");
    // What the primary alone knows is lost.
    primary.server.stop();
    replicas.iter().for_each(|replica| replica.server.signal("CONT"));
    until("no other server takes over", || sentinels.primary(&nodes).port != nodes[0].port);
    hold([a.path(), b.path()], &inside, &outside);
    drop((one, other));
}

/// The others cannot be reached any more: no failover, but whoever asks the one that is left finds the primary.
#[test]
fn one_sentinel_of_three_names_the_primary() {
    let folder = tempfile::tempdir().unwrap();
    let (nodes, mut sentinels, [a, b]) = looked_after(folder.path());
    let one = Program::start(a.path());
    let (inside, outside) = (one.sign_in(), one.sign_in());
    sentinels.leave_one();
    for same in ["exeunt.key", "users.htpasswd"] {
        fs::copy(a.path().join(same), b.path().join(same)).unwrap();
    }
    let other = Program::start(b.path());
    assert_eq!(other.status(&inside), 200);
    assert!(sign_out(b.path(), &outside));
    // Both have to find it anew.
    nodes[0].server.ask("CLIENT KILL TYPE normal");
    hold([a.path(), b.path()], &inside, &outside);
    until("no sign-in", || sign_in(a.path()).is_some_and(|late| status(b.path(), &late) == Some(200)));
    drop((one, other));
}
