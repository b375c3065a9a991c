//! What has to hold of everything that reached the application.

use std::sync::atomic::{AtomicU64, Ordering};

use exeunt::http1::cookie::OTHER_COOKIES;
use exeunt::values::target::Target;
use serde_json::Value;

use super::upstream::Seen;

/// Families of names that are the gateway's.
const OWN: [&str; 5] = ["x-forwarded-", "x-exeunt-", "remote-", "x-ssl-client-", "http-"];
/// The longest value in an access line.
const LOGGED: usize = 1024;

/// Compares what the application parsed with the access lines. `session`: whether a user was signed in.
pub fn check(seen: &[Seen], lines: Vec<String>, session: bool) {
    let mut lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (index, request) in seen.iter().enumerate() {
        if is_sent_again(request, &seen[..index]) {
            continue;
        }
        let target =
            Target::parse(request.target.as_bytes()).unwrap_or_else(|_| panic!("(2) two readings: {request:?}"));
        assert_eq!(target.to_bytes(), request.target.as_bytes(), "(2) not the one spelling");
        let text = target.path().text();
        let path = &text[..text.len().min(LOGGED)];
        let line = lines.iter().position(|line| {
            line["method"] == request.method.as_str() && line["path"] == path && line["route"].is_string()
        });
        let line = line.unwrap_or_else(|| panic!("(2) no access line: {request:?} in {lines:?}"));
        let user = lines.swap_remove(line)["user"].as_str().map(str::to_owned);
        has_identity(request, text, user.as_deref(), session);
        has_no_forged_identity(request);
    }
}

/// A request that may be made twice is, if a connection that was used before ends under it without an answer; for the
/// second time on a connection of its own.
fn is_sent_again(request: &Seen, before: &[Seen]) -> bool {
    let broken = matches!(request.values("x-mood").next(), Some("gone" | "half"));
    let idempotent = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"].contains(&request.method.as_str());
    let lines = |of: &Seen| of.headers.iter().filter(|(name, _)| name != "connection").cloned().collect::<Vec<_>>();
    let same = |other: &Seen| other.method == request.method && other.target == request.target;
    broken && idempotent && before.iter().any(|other| same(other) && lines(other) == lines(request))
}

/// (3): without a session only public paths are reached.
fn has_identity(request: &Seen, path: &str, user: Option<&str>, session: bool) {
    let told: Vec<&str> = request.values("x-forwarded-user").chain(request.values("remote-user")).collect();
    let public = path == "/public" || path.starts_with("/public/");
    match user {
        Some(user) => assert_eq!(told, [user, user], "(4) {request:?}"),
        None => assert!(public && told.is_empty(), "(3) {request:?}"),
    }
    assert!(user != Some("alice") || session, "(3) alice was not there: {request:?}");
    assert!(!path.starts_with("/staff/") || user == Some("alice"), "(3) {request:?}");
}

/// (4): of the gateway's names there are only those that it writes, with its values.
fn has_no_forged_identity(request: &Seen) {
    for (name, value) in &request.headers {
        let folded = name.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
        let holds = match name.as_str() {
            "x-forwarded-user" | "x-forwarded-preferred-username" | "remote-user" => {
                ["alice", "bob"].contains(&&**value)
            }
            "x-forwarded-groups" | "remote-groups" => value == "staff",
            "x-forwarded-for" => value == "127.0.0.1",
            "x-forwarded-proto" => value == "http",
            "x-forwarded-port" => value.bytes().all(|byte| byte.is_ascii_digit()),
            // Different in each process: a request that comes back is known by it.
            "x-exeunt-instance" => value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "x-forwarded-host" => request.values("host").eq([value.as_str()]),
            _ => !OWN.iter().any(|own| folded.starts_with(own)) && name.chars().all(is_plain),
        };
        assert!(holds, "(4) {name}: {value}");
    }
    let pairs = request.values("cookie").flat_map(|line| line.split(';'));
    let names = pairs.map(|pair| pair.split('=').next().unwrap().trim().to_ascii_lowercase());
    assert!(!names.into_iter().any(|name| is_our_cookie(&name)), "(4) our cookie: {request:?}");
}

/// Whether a name in small letters is one of the gateway's cookies.
fn is_our_cookie(name: &str) -> bool {
    let base = OTHER_COOKIES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    ["exeunt", "__host-exeunt", "__secure-exeunt"].contains(&base)
}

fn is_plain(sign: char) -> bool {
    sign == '-' || sign.is_ascii_alphanumeric()
}

/// (6): the memory of this process, as the system counts it.
#[derive(Default)]
pub struct Memory {
    runs: AtomicU64,
    base: AtomicU64,
}

impl Memory {
    /// Runs after which everything that is kept for good is there.
    const WARM: u64 = 1024;
    /// What the fuzzer's own lists may take, in pages of 4 KiB.
    const GROWTH: u64 = 64 * 1024;

    pub fn check(&self) {
        let runs = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        if !runs.is_multiple_of(Self::WARM) {
            return;
        }
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let resident: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        if runs == Self::WARM {
            self.base.store(resident, Ordering::Relaxed);
        }
        let base = self.base.load(Ordering::Relaxed);
        assert!(resident < base + Self::GROWTH, "(6) {resident} pages after {runs} runs, {base} before");
    }
}
