//! Applications that keep their cookies from scripts, behind gateways that share a server, in front of which nothing is
//! sticky: each request goes to another gateway than the one before.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::server::RedisServer;
use super::{gateway_to, start};
use crate::restarts::body_of;

/// Answers `/NAME/VALUE` with a cookie of this name and value, which scripts may read if that is its name, and every
/// request with the cookies that it got. It ends with the test.
fn set_cookies(stream: UnixStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (stream.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let got = head.lines().find_map(|line| line.strip_prefix("Cookie: ")).unwrap_or_default();
    let path = head.split(' ').nth(1)?;
    let set = match path.trim_matches('/').split_once('/') {
        Some(("readable", value)) => format!("Set-Cookie: readable={value}; Path=/\r\n"),
        Some((name, value)) => format!("Set-Cookie: {name}={value}; HttpOnly; Path=/\r\n"),
        None => String::new(),
    };
    let length = got.len();
    let answer = format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {length}\r\nConnection: close\r\n\r\n{got}");
    stream.get_mut().write_all(answer.as_bytes()).ok()
}

pub(crate) fn start_application(folder: &Path) -> String {
    let path = folder.join("application.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(|| set_cookies(stream.unwrap()));
        }
    });
    format!("unix:{}", path.display())
}

pub(crate) fn got(folder: &Path, target: &str, cookie: &str) -> String {
    let (status, body) = body_of(folder, target, cookie).unwrap();
    assert_eq!(status, 200, "{target} {body}");
    body
}

fn sorted(line: &str) -> Vec<&str> {
    let mut pairs: Vec<_> = line.split("; ").filter(|pair| !pair.is_empty()).collect();
    pairs.sort();
    pairs
}

#[test]
fn cookie_set_at_one_gateway_is_sent_by_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let upstream = start_application(folder.path());
    let [a, b] = [gateway_to(&server, &upstream), gateway_to(&server, &upstream)];
    let (one, _other) = start(&a, &b);
    let cookie = one.sign_in();
    let mut has = String::new();
    for round in 0..200 {
        let folder = if round % 2 == 0 { a.path() } else { b.path() };
        assert_eq!(got(folder, &format!("/count/{round}"), &cookie), has, "round {round}");
        has = format!("count={round}");
    }
    assert_eq!([got(a.path(), "/", &cookie), got(b.path(), "/", &cookie)], [&*has, &*has]);
    let stored = fs::read(a.path().join("log")).unwrap();
    assert!(!stored.windows(6).any(|bytes| bytes == b"count="));
}

/// 20 in each of 10 sessions, all at the same time, half of them by way of each gateway.
#[test]
fn concurrent_cookies_of_two_gateways_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let upstream = start_application(folder.path());
    let [a, b] = [gateway_to(&server, &upstream), gateway_to(&server, &upstream)];
    let (one, _other) = start(&a, &b);
    let cookies: Vec<_> = (0..10).map(|_| one.sign_in()).collect();
    std::thread::scope(|scope| {
        for number in 0..200 {
            let (cookie, folder) = (&cookies[number % 10], [a.path(), b.path()][number / 10 % 2]);
            scope.spawn(move || got(folder, &format!("/c{number}/{number}"), cookie));
        }
    });
    for (session, cookie) in cookies.iter().enumerate() {
        let all: Vec<_> =
            (0..20).map(|number| number * 10 + session).map(|number| format!("c{number}={number}")).collect();
        for folder in [a.path(), b.path()] {
            assert_eq!(sorted(&got(folder, "/", cookie)), sorted(&all.join("; ")), "session {session}");
        }
    }
}
