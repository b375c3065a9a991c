//! The server restarts, or the network to it is slow, silent or cut: gateways fail closed, lose nothing, recover by
//! themselves, and do not all ask at once.

use std::time::{Duration, Instant};

use super::server::RedisServer;
use super::{Stream, gateway_at, gateway_on, start, two, wait_for_status};
use crate::nemesis::{Network, Way};
use crate::restarts::{Program, sign_in, sign_out, status, status_of};

/// A server, a network to it, and the folders of two gateways, of which the second is behind the network.
fn behind_a_network(staleness: &str) -> (tempfile::TempDir, RedisServer, Network, [tempfile::TempDir; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let network = Network::to(server.socket(), folder.path());
    let behind = gateway_at(&format!("redis+unix://{}", network.socket.display()), staleness);
    let gateways = [gateway_on(&server, staleness), behind];
    (folder, server, network, gateways)
}

#[test]
fn gateway_behind_a_bad_network_refuses_sessions_until_it_is_good_again() {
    let (_folder, _server, network, [near, far]) = behind_a_network("1s");
    let (one, other) = start(&near, &far);
    for way in [Way::Slow(Duration::from_secs(5)), Way::Silent, Way::Cut] {
        let [stays, leaves, wants_out] = [(); 3].map(|()| one.sign_in());
        assert_eq!([&stays, &leaves, &wants_out].map(|cookie| other.known_status(cookie)), [200; 3], "{way:?}");
        let mut stream = Stream::open(far.path(), &stays);
        network.set(way);
        // It is answered once the gateway that cannot know of it serves no session any more.
        assert!(sign_out(near.path(), &leaves), "{way:?}");
        assert_eq!([&leaves, &stays].map(|cookie| status(far.path(), cookie)), [Some(503); 2], "{way:?}");
        assert!(!sign_out(far.path(), &wants_out), "{way:?}: an end that nobody has confirmed is answered as done");
        assert_eq!(sign_in(far.path()), None, "{way:?}");
        assert_eq!(status_of(far.path(), "/public", &stays), Some(200), "{way:?}: public routes go on");
        stream.ends();
        assert_eq!(one.status(&stays), 200, "{way:?}: a passing error has ended a session");
        network.set(Way::Open);
        let begun = Instant::now();
        for folder in [far.path(), near.path()] {
            wait_for_status(folder, &stays, 200);
            wait_for_status(folder, &leaves, 401);
            wait_for_status(folder, &wants_out, 401);
        }
        println!("{way:?}: all is well again after {:?}", begun.elapsed());
    }
}

/// The server has not got the end, and the gateway that knows of it is killed.
#[test]
fn an_unconfirmed_end_survives_a_kill_of_its_gateway() {
    let (_folder, _server, network, [near, far]) = behind_a_network("1s");
    let (one, other) = start(&near, &far);
    let cookie = one.sign_in();
    assert_eq!(other.status(&cookie), 200);
    network.set(Way::Cut);
    assert!(!sign_out(far.path(), &cookie));
    assert_ne!(status(far.path(), &cookie), Some(200), "it is refused at once");
    other.kill();
    assert_eq!(one.status(&cookie), 200, "the server has got the end all the same");
    network.set(Way::Open);
    let other = Program::start(far.path());
    assert_ne!(status(far.path(), &cookie), Some(200), "the kill has made it forget the end");
    wait_for_status(near.path(), &cookie, 401);
    wait_for_status(far.path(), &cookie, 401);
    drop((one, other));
}

/// Calls of scripts that the server has answered.
fn calls(server: &RedisServer) -> u64 {
    let statistics = server.ask("INFO commandstats");
    let of = |name: &str| {
        let line = statistics.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")))?;
        line.split(',').next()?.parse::<u64>().ok()
    };
    ["evalsha", "eval", "hgetall", "hmget", "get", "exists"].into_iter().filter_map(of).sum()
}

#[test]
fn known_session_is_served_without_the_server() {
    let (_folder, server, [a, b]) = two("1m");
    let (one, other) = start(&a, &b);
    let cookie = one.sign_in();
    assert_eq!(other.status(&cookie), 200);
    let before = calls(&server);
    for _ in 0..500 {
        assert_eq!([one.status(&cookie), other.status(&cookie)], [200, 200]);
    }
    // Both say now and then that they are there, and when sessions were used.
    let during = calls(&server) - before;
    assert!(during < 100, "{during} calls for 1000 requests");
}

/// Each session is confirmed once, however many ask for it.
#[test]
fn restarted_server_is_asked_once_for_each_session() {
    const SESSIONS: usize = 200;
    const CLIENTS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let mut server = RedisServer::start_with(folder.path(), &["--appendonly", "yes"]).unwrap();
    let gateway = gateway_on(&server, "2s");
    let program = Program::start(gateway.path());
    let cookies: Vec<_> = (0..SESSIONS).map(|_| program.sign_in()).collect();
    // Its options have it write to its disk: it is not empty.
    server.restart_empty();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| cookies.iter().for_each(|cookie| wait_for_status(gateway.path(), cookie, 200)));
        }
    });
    let calls = calls(&server);
    assert!(calls < 2 * SESSIONS as u64, "{calls} calls for {SESSIONS} sessions");
}
