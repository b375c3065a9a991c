//! Counting: the measured process under callgrind, twice.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::client::Client;
use super::scenario::{Request, Scenario};
use super::{Result, Role};

/// Requests of the first run: enough for every pool and buffer to be warm.
const FEW: u32 = 200;
/// Requests of the second run. Each logout needs a session of its own, so no more than the smallest table.
const MANY: u32 = 1000;

/// Large blocks are copied and filled by one instruction that processors repeat in a few cycles, and that callgrind
/// counts once a byte: a copy of 9 KB would count 9,000. With these, glibc uses vectors for every size.
const NO_STRING_INSTRUCTIONS: &str =
    "glibc.cpu.x86_rep_movsb_threshold=100000000:glibc.cpu.x86_rep_stosb_threshold=100000000";

/// The instructions of one request of this scenario.
pub fn instructions_per_request(scenario: &Scenario, upstream: &str, keep: Option<&Path>) -> Result<f64> {
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
    let requests = many.checked_sub(few).ok_or("more requests took fewer instructions")?;
    Ok(requests as f64 / f64::from(MANY - FEW))
}

/// All instructions of a measured process that answered so many requests.
fn run(scenario: &Scenario, upstream: &str, requests: u32, file: &Path) -> Result<u64> {
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(file);
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--zero-before=*counting_begins*"]).arg(out).arg(env::current_exe()?);
    command
        .args(["measured", scenario.name, upstream])
        .env("GLIBC_TUNABLES", NO_STRING_INSTRUCTIONS)
        .stderr(Stdio::null());
    let server = Role::start(&mut command)
        .map_err(|problem| format!("{problem}: is valgrind there? (Debian: apt-get install valgrind)"))?;
    ask(scenario.request, &server, requests)?;
    server.stop()?;
    total(&fs::read_to_string(file)?)
}

/// Asks so often, and insists on the right answer.
fn ask(request: Request, server: &Role, requests: u32) -> Result<()> {
    let mut client = Client::connect(&server.address)?;
    let mut sessions = server.lines.iter().cycle();
    let mut session = sessions.next().ok_or("no session")?;
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
