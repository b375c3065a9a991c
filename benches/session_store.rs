//! The file of sessions: durable sign-ins and sign-outs a second, with the disk's own rate beside them, the end of one
//! user's ten thousand sessions, and a start with a million sessions, ten of each user and one of each, and the memory
//! that they need. `cargo bench --bench session_store [-- SESSIONS]`, in the working folder's file system.
//!
//! `cargo bench --bench session_store -- redis`: sign-ins and sign-outs a second on a Redis server instead, and the end
//! of one user's sessions, where each answered change is on its disk, and where that happens once a second; needs
//! redis-server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should stop"
)]

#[allow(dead_code, reason = "tests need the rest of it")]
#[path = "../tests/it/redis/server.rs"]
mod server;

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exeunt::session::lifetime::Lifetime;
use exeunt::session::sign_in::SignIn;
use exeunt::session::store::SessionStore;
use exeunt::session::store::redis::{RedisAddress, RedisStore};
use exeunt::session::store::sqlite::SqliteStore;
use exeunt::session::table::{SessionSettings, SessionTable};
use exeunt::values::client_address::ClientAddress;
use exeunt::values::device::Device;
use exeunt::values::end_cause::EndCause;
use exeunt::values::identity::Identity;
use exeunt::values::mac::MacKeys;
use exeunt::values::time::Clock;

use self::server::RedisServer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: usize = 64;
/// Sign-ins of each client.
const OF_EACH: usize = 1000;
const SESSIONS: usize = 1_000_000;
/// Sessions of each user.
const OF_A_USER: [usize; 2] = [10, 1];
/// Sessions of a user that end together.
const TOGETHER: usize = 10_000;
/// What browsers say of themselves.
const DEVICES: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Safari/604.1",
    "curl/8.14.1",
];
/// Sign-ins at the same time, while the file is filled.
const AT_ONCE: usize = 1000;

fn per_second(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

/// One after the other: what could be done without sharing the wait for the disk.
fn syncs_per_second(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("synced")).unwrap();
    let begun = Instant::now();
    for _ in 0..1000 {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
    }
    per_second(1000, begun)
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn table(path: &Path, clock: &Clock) -> SessionTable {
    table_over(Arc::new(SqliteStore::open(path).unwrap()), clock)
}

fn table_over(store: Arc<dyn SessionStore>, clock: &Clock) -> SessionTable {
    let day = Duration::from_secs(24 * 60 * 60);
    let settings = SessionSettings {
        lifetime: Lifetime { idle: day, absolute: day },
        max_per_user: TOGETHER,
        capacity: 2 * SESSIONS,
    };
    SessionTable::over(settings, store, clock.clone(), Arc::new(MacKeys::generate().unwrap()))
}

fn sign_in(user: usize, number: usize) -> SignIn {
    let name = format!("user{user}");
    let identity = Identity::new(&name, Some(&format!("{name}@example.com")), None, &["staff".to_owned()]).unwrap();
    SignIn {
        device: Device::from_user_agent(DEVICES[number % DEVICES.len()]),
        address: ClientAddress::Ip(Ipv4Addr::from(0x0a00_0000 | number as u32 & 0xff_ffff).into()),
        ..SignIn::of("file", identity)
    }
}

/// Sign-ins and sign-outs of many clients at the same time.
async fn clients(store: Arc<dyn SessionStore>) {
    let clock = Clock::system();
    let table = Arc::new(table_over(store, &clock));
    let begun = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (table, now) = (Arc::clone(&table), clock.now());
            tokio::spawn(async move {
                for number in 0..OF_EACH {
                    table.open(sign_in(client, number), now).await.unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    println!("  sign-ins, {CLIENTS} clients: {:.0} a second", per_second(CLIENTS * OF_EACH, begun));
    let begun = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let table = Arc::clone(&table);
            tokio::spawn(async move {
                for session in table.list(&sign_in(client, 0).user) {
                    assert_eq!(table.end_all(vec![session], EndCause::Logout).await.len(), 1);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert!(table.is_empty());
    println!("  sign-outs, {CLIENTS} clients: {:.0} a second", per_second(CLIENTS * OF_EACH, begun));
}

/// Signs so many in.
async fn fill(table: SessionTable, sessions: usize, of_a_user: usize) {
    let (table, now) = (Arc::new(table), Clock::system().now());
    for first in (0..sessions).step_by(AT_ONCE) {
        let opening: Vec<_> = (first..first + AT_ONCE)
            .map(|number| {
                let table = Arc::clone(&table);
                tokio::spawn(async move { table.open(sign_in(number / of_a_user, number), now).await.is_ok() })
            })
            .collect();
        for opening in opening {
            assert!(opening.await.unwrap());
        }
    }
}

/// One transaction for all sessions of a user.
async fn batch(store: Arc<dyn SessionStore>) {
    fill(table_over(Arc::clone(&store), &Clock::system()), TOGETHER, TOGETHER).await;
    let begun = Instant::now();
    assert_eq!(store.end_all_of(&sign_in(0, 0).user).await.unwrap().len(), TOGETHER);
    println!("  the end of {TOGETHER} sessions of one user: {:.3} s", begun.elapsed().as_secs_f64());
}

/// One server, which writes to its disk this often.
async fn on_a_server(folder: &Path, fsync: &str) {
    let folder = folder.join(fsync);
    std::fs::create_dir(&folder).unwrap();
    let server = RedisServer::start_with(&folder, &["--appendonly", "yes", "--appendfsync", fsync]).unwrap();
    let address = RedisAddress::parse(&format!("redis+unix://{}", server.socket().display())).unwrap();
    let (staleness, keys) = (Duration::from_secs(5), MacKeys::generate().unwrap());
    let store = RedisStore::connect(&address, staleness, Clock::system(), &keys).await.unwrap();
    let store = Arc::new(store);
    let follows = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            loop {
                store.events().await.unwrap();
            }
        }
    });
    store.first_trusted().await;
    println!("Redis server, appendfsync {fsync}:");
    clients(Arc::clone(&store) as _).await;
    batch(store).await;
    follows.abort();
}

async fn start(path: &Path, sessions: usize, of_a_user: usize) {
    let clock = Clock::system();
    fill(table(path, &clock), sessions, of_a_user).await;
    println!("{of_a_user} of each user:");
    println!("  file: {} bytes a session", path.metadata().unwrap().len() as usize / sessions);
    let begun = Instant::now();
    let table = table(path, &clock);
    assert_eq!(table.load_all().await, Ok(sessions));
    println!("  a start with {sessions} sessions: {:.2} s", begun.elapsed().as_secs_f64());
}

/// Reads the file in a process that has nothing else: what it needs is what the sessions need.
async fn memory(path: &Path, sessions: usize) {
    let before = resident();
    let table = table(path, &Clock::system());
    assert_eq!(table.load_all().await, Ok(sessions));
    let each = (resident() - before) / sessions;
    println!("  memory: {each} bytes a session, 16 MiB for pages of the file included");
}

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [which, path, sessions] = &*arguments
        && which == "memory"
    {
        return memory(path.as_ref(), sessions.parse().unwrap()).await;
    }
    let folder = tempfile::tempdir_in(".").unwrap();
    println!("fdatasync of 4 KiB, one by one: {:.0} a second", syncs_per_second(folder.path()));
    if arguments.first().is_some_and(|which| which == "redis") {
        let folder = folder.path().canonicalize().unwrap();
        on_a_server(&folder, "always").await;
        return on_a_server(&folder, "everysec").await;
    }
    let sessions = arguments.first().map_or(SESSIONS, |sessions| sessions.parse().unwrap()).next_multiple_of(AT_ONCE);
    let file = |name: &str| Arc::new(SqliteStore::open(&folder.path().join(name)).unwrap());
    println!("file of sessions:");
    clients(file("clients.db")).await;
    batch(file("batch.db")).await;
    for of_a_user in OF_A_USER {
        let path = folder.path().join("sessions.db");
        start(&path, sessions, of_a_user).await;
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let child = child.arg("memory").arg(&path).arg(sessions.to_string());
        assert!(child.status().unwrap().success());
        std::fs::remove_file(&path).unwrap();
    }
}
