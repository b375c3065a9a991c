//! Counting: the measured process under callgrind, twice.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::client::Client;
use super::redis::Redis;
use super::scenario::{Request, Scenario, Store};
use super::{Result, Role};

/// Requests of the first run: enough for every pool and buffer to be warm.
const FEW: u32 = 200;
/// Requests of the second run. Each logout needs a session of its own, so no more than the smallest table.
const MANY: u32 = 1000;

/// Large blocks are copied and filled by one instruction that processors repeat in a few cycles, and that callgrind
/// counts once a byte: a copy of 9 KB would count 9,000. With these, glibc uses vectors for every size.
const NO_STRING_INSTRUCTIONS: &str =
    "glibc.cpu.x86_rep_movsb_threshold=100000000:glibc.cpu.x86_rep_stosb_threshold=100000000";

/// What one request took, or all of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Instructions.
    pub instructions: f64,
    /// Calls of the system: what was received and sent, and how often the process waited.
    pub receives: f64,
    pub sends: f64,
    pub waits: f64,
}

/// What one request of this scenario takes.
pub fn count_request(scenario: &Scenario, upstream: &str, keep: Option<&Path>) -> Result<Counted> {
    let folder = tempfile::tempdir()?;
    let count = |requests| {
        let name = format!("{}.{requests}.callgrind", scenario.name);
        let file = folder.path().join(&name);
        let total = run(scenario, upstream, requests, &file)?;
        if let Some(keep) = keep {
            fs::create_dir_all(keep)?;
            fs::copy(&file, keep.join(&name))?;
        }
        Result::Ok(total)
    };
    let (few, many) = (count(FEW)?, count(MANY)?);
    let each = |part: fn(&Counted) -> f64| (part(&many) - part(&few)) / f64::from(MANY - FEW);
    Ok(Counted {
        instructions: each(|counted| counted.instructions),
        receives: each(|counted| counted.receives),
        sends: each(|counted| counted.sends),
        waits: each(|counted| counted.waits),
    })
}

/// All that a measured process took to answer so many requests.
fn run(scenario: &Scenario, upstream: &str, requests: u32, file: &Path) -> Result<Counted> {
    // Sessions of another run would be there, too.
    let kept = tempfile::tempdir()?;
    let redis = (scenario.store == Store::Redis).then(|| Redis::start(kept.path())).transpose()?;
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(file);
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--zero-before=*counting_begins*"]).arg(out).arg(env::current_exe()?);
    command
        .args(["measured", scenario.name, upstream])
        .arg(kept.path())
        .env("GLIBC_TUNABLES", NO_STRING_INSTRUCTIONS)
        .stderr(Stdio::null());
    let server = Role::start(&mut command)
        .map_err(|problem| format!("{problem}: is valgrind there? (Debian: apt-get install valgrind)"))?;
    ask(scenario.request, &server, requests)?;
    server.stop()?;
    drop(redis);
    let profile = fs::read_to_string(file)?;
    let calls = |function| calls(&profile, function) as f64;
    let (receives, sends, waits) = (calls("recv"), calls("send"), calls("epoll_wait"));
    Ok(Counted { instructions: total(&profile)? as f64, receives, sends, waits })
}

/// Asks so often, and insists on the right answer.
fn ask(request: Request, server: &Role, requests: u32) -> Result<()> {
    let mut client = Client::connect(&server.address)?;
    let mut sessions = server.lines.iter().cycle();
    let mut session = sessions.next().ok_or("no session")?;
    request.before(session).map(|before| client.ask(&before)).transpose()?;
    for _ in 0..requests {
        let status = client.ask(&request.bytes(session))?;
        if status != request.status() {
            return Err(format!("{} instead of {}", status, request.status()).into());
        }
        if request == Request::Logout {
            session = sessions.next().unwrap_or(session);
        }
    }
    Ok(())
}

/// The sum of a profile.
fn total(profile: &str) -> Result<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(line.ok_or("a profile without a sum")?.trim().parse()?)
}

/// The numbers of functions. The first time that a profile names a function it gives it a number, by which it is called
/// from then on: `cfn=(12) recv`, `cfn=(12)`.
fn numbers(profile: &str, is_it: impl Fn(&str) -> bool) -> Vec<&str> {
    let names = profile.lines().filter_map(|line| line.strip_prefix("cfn=").or(line.strip_prefix("fn=")));
    let names = names.filter_map(|name| name.split_once(' '));
    names.filter(|(_, name)| is_it(name)).map(|(number, _)| number).collect()
}

/// How often a function was called: a line `calls=` behind its number says it.
fn calls(profile: &str, function: &str) -> u64 {
    let numbers = numbers(profile, |name| name == function);
    let (mut is_it, mut calls) = (false, 0);
    for line in profile.lines() {
        if let Some(called) = line.strip_prefix("cfn=") {
            is_it = called.split(' ').next().is_some_and(|number| numbers.contains(&number));
        } else if let Some(count) = line.strip_prefix("calls=").filter(|_| is_it) {
            calls += count.split(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    calls
}
