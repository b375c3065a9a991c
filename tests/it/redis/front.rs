//! Two and three gateways on one server, behind a real nginx that gives every request to the next one: what holds for
//! one gateway holds for them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::hosts::{LOGIN, SHOP, get, path};
use super::jars::start_application;
use super::server::RedisServer;
use super::{Stream, gateway_to};
use crate::restarts::{PATIENCE, Program, ask_at, sign_in, sign_out, status};

/// nginx with its socket where a gateway has its own. It ends with the test.
struct Nginx {
    folder: tempfile::TempDir,
    child: Child,
}

impl Nginx {
    fn before(gateways: &[tempfile::TempDir]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let servers: String =
            gateways.iter().map(|gateway| format!("server unix:{}/http.sock;", gateway.path().display())).collect();
        let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {place}/{name};\n"))
            .concat();
        let user = if nix::unistd::Uid::effective().is_root() { "user root;" } else { "" };
        let configuration = format!(
            "daemon off; worker_processes 1; pid {place}/nginx.pid; error_log stderr; {user}
            events {{}}
            http {{
                access_log off;
                # A stream that ends ends its connection.
                keepalive_timeout 0;
                {scratch}
                upstream exeunt {{ {servers} }}
                server {{
                    listen unix:{place}/http.sock;
                    location / {{
                        proxy_pass http://exeunt;
                        proxy_http_version 1.1;
                        proxy_set_header Host $http_host;
                        proxy_buffering off;
                        proxy_next_upstream off;
                        add_header X-Served $upstream_addr always;
                    }}
                }}
            }}"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).args(["-e", "stderr"]).stdin(Stdio::null());
        let child = command.spawn().expect("nginx is missing: apt-get install nginx-light");
        let nginx = Self { folder, child };
        let begun = Instant::now();
        while UnixStream::connect(nginx.path().join("http.sock")).is_err() {
            assert!(begun.elapsed() < PATIENCE, "nginx does not listen");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        nginx
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn gateways(count: usize, server: &RedisServer, upstream: &str) -> Vec<tempfile::TempDir> {
    let folders: Vec<_> = (0..count).map(|_| gateway_to(server, upstream)).collect();
    for folder in &folders {
        let path = folder.path().join("config.toml");
        let configuration = fs::read_to_string(&path).unwrap();
        let hosts = configuration.replacen('\n', "\nhosts = [\"shop.localhost\"]\n", 1);
        let streams = "[[route]]\npath = \"/ticker\"\nupstream = \"demo\"\n[login]";
        fs::write(path, hosts.replace("[login]", streams)).unwrap();
    }
    folders
}

#[test]
fn two_gateways_behind_nginx_act_as_one() {
    act_as_one(2);
}

#[test]
fn three_gateways_behind_nginx_act_as_one() {
    act_as_one(3);
}

fn act_as_one(count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let folders = gateways(count, &server, &start_application(folder.path()));
    let mut programs = vec![Program::start(folders[0].path())];
    for other in &folders[1..] {
        fs::copy(folders[0].path().join("exeunt.key"), other.path().join("exeunt.key")).unwrap();
        programs.push(Program::start(other.path()));
    }
    let nginx = Nginx::before(&folders);
    let front = nginx.path();
    every_gateway_serves(front, count);
    cookies_are_there(front);
    all_sessions_are_listed(front, count);
    another_host_is_opened(front, count);
    connections_are_counted_together(front, count);
    a_logout_is_one_everywhere(front, count);
    drop(nginx);
}

/// The statuses of a session at all gateways.
fn statuses(front: &Path, cookie: &str, count: usize) -> BTreeSet<u16> {
    (0..count).map(|_| status(front, cookie).unwrap()).collect()
}

fn every_gateway_serves(front: &Path, count: usize) {
    let cookie = sign_in(front).unwrap();
    let served: BTreeSet<_> = (0..2 * count)
        .map(|_| {
            let answer = get(front, LOGIN, "/", &cookie);
            assert_eq!(answer.status, 200);
            answer.head.lines().find(|line| line.starts_with("X-Served: ")).unwrap().to_owned()
        })
        .collect();
    assert_eq!(served.len(), count);
}

fn cookies_are_there(front: &Path) {
    let (cookie, mut has) = (sign_in(front).unwrap(), String::new());
    for round in 0..50 {
        let answer = get(front, LOGIN, &format!("/count/{round}"), &cookie);
        assert_eq!((answer.status, &*answer.body), (200, &*has));
        has = format!("count={round}");
    }
}

/// The sessions of a user, that of the cookie first.
fn own_sessions(front: &Path, cookie: &str) -> Vec<serde_json::Value> {
    let page: serde_json::Value = serde_json::from_str(&get(front, LOGIN, "/.exeunt/sessions", cookie).body).unwrap();
    page["sessions"].as_array().unwrap().clone()
}

fn all_sessions_are_listed(front: &Path, count: usize) {
    let everywhere = ask_at(front, LOGIN, "POST", "/logout", &sign_in(front).unwrap(), "everywhere=1").unwrap();
    assert!([200, 303].contains(&everywhere.status));
    let cookies: Vec<_> = (0..5).map(|_| sign_in(front).unwrap()).collect();
    let handles = |cookie: &str| {
        let sessions = own_sessions(front, cookie);
        sessions.iter().map(|session| session["session"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for cookie in &cookies {
        assert_eq!(handles(cookie).len(), cookies.len());
    }
    // The first one that is listed is the one that asks.
    let last = handles(&cookies[4]).remove(0);
    let end = |end: &str| ask_at(front, LOGIN, "POST", "/.exeunt/sessions", &cookies[0], &format!("end={end}"));
    assert_eq!(end(&last).unwrap().status, 200);
    assert_eq!(statuses(front, &cookies[4], count), BTreeSet::from([401]));
    assert_eq!(end("others").unwrap().status, 200);
    for (number, cookie) in cookies.iter().enumerate() {
        assert_eq!(statuses(front, cookie, count), BTreeSet::from([if number == 0 { 200 } else { 401 }]));
    }
}

fn another_host_is_opened(front: &Path, count: usize) {
    let login = sign_in(front).unwrap();
    let sent = get(front, SHOP, "/.exeunt/enter?next=/x", "");
    let back = get(front, LOGIN, &path(&sent.location), &login);
    let entered = get(front, SHOP, &path(&back.location), &sent.cookie.unwrap());
    let shop = entered.cookie.unwrap();
    let at_shop = || (0..count).map(|_| get(front, SHOP, "/.exeunt/session", &shop).status).collect::<BTreeSet<_>>();
    assert_eq!(at_shop(), BTreeSet::from([200]));
    assert!([200, 303].contains(&ask_at(front, SHOP, "POST", "/logout", &shop, "").unwrap().status));
    assert_eq!((at_shop(), statuses(front, &login, count)), (BTreeSet::from([401]), BTreeSet::from([401])));
}

fn connections_are_counted_together(front: &Path, count: usize) {
    let cookie = sign_in(front).unwrap();
    let streams: Vec<_> = (0..2 * count).map(|_| Stream::open(front, &cookie)).collect();
    let counted = || own_sessions(front, &cookie)[0]["connections"].as_u64().unwrap();
    let (want, begun) = (BTreeSet::from([streams.len() as u64]), Instant::now());
    loop {
        let seen: BTreeSet<_> = (0..count).map(|_| counted()).collect();
        if seen == want {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{seen:?} instead of {want:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn a_logout_is_one_everywhere(front: &Path, count: usize) {
    for round in 0..10 {
        let [cookie, other] = [sign_in(front).unwrap(), sign_in(front).unwrap()];
        let mut streams: Vec<_> = (0..count).map(|_| Stream::open(front, &cookie)).collect();
        if round % 2 == 0 {
            assert!(sign_out(front, &cookie));
            assert_eq!(statuses(front, &other, count), BTreeSet::from([200]));
        } else {
            let everywhere = ask_at(front, LOGIN, "POST", "/logout", &other, "everywhere=1").unwrap();
            assert!([200, 303].contains(&everywhere.status));
        }
        assert_eq!(statuses(front, &cookie, count), BTreeSet::from([401]));
        streams.iter_mut().for_each(Stream::ends);
    }
}
