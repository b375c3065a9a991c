//! What a request costs in instructions, counted by callgrind: a signed-in request with a browser's head, with three
//! cookies in the vault, with sessions in a file or on a server, and with a short head; an anonymous request that is
//! sent to the sign-in form; a logout. Counts do not depend on the load of the machine, so small changes are visible.
//!
//! Three processes take part, so that only the gateway's own instructions are counted: the gateway under callgrind,
//! on one thread; a small upstream; and this one, which is the client. Counting begins when the sessions are there.
//! Every scenario runs twice, with few requests and with many: the difference is the requests' alone, without warming
//! up.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a measurement prints its table")]

mod callgrind;
mod client;
mod measured;
mod redis;
mod scenario;
mod upstream;

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use scenario::{PATHS, SCENARIOS, Scenario};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a signed-in request may cost, with the head of a browser and with the shortest.
const PAGE_LIMIT: f64 = 28_000.0;
const BARE_HEAD_LIMIT: f64 = 24_000.0;
/// What an access line may cost.
const ACCESS_LINE_LIMIT: f64 = 4_000.0;
/// A request is received from its client and sent to its upstream, the answer is received and sent back; in between the
/// process waits twice. A little more, for what happens seldom.
const CALLS_LIMIT: f64 = 2.01;
/// With a million sessions a request may cost this much more than with a thousand.
const MANY_SESSIONS_LIMIT: f64 = 1.02;

/// With three of the application's cookies in the vault a request may cost this much more than without.
const VAULTED_LIMIT: f64 = 1.05;

/// With sessions that are kept in a file or on a server a request may cost this much more than without.
const STORE_LIMIT: f64 = 1.01;

/// The limit of the costliest path, as a multiple of a signed-in request.
const COSTLIEST_PATH_LIMIT: f64 = 5.0;

const HELP: &str = "\
Counts the instructions of a request: cargo bench --bench instructions [-- OPTIONS] [SCENARIO]...

Needs valgrind and redis-server (Debian: apt-get install valgrind redis-server). Takes a few minutes, most of them for a
million sessions.
Exits with 1 if a request costs more than it may.

  SCENARIO         only these, by a part of their name: page, bare-head, stranger, logout, path; a comparison needs
                   both of its parts
  --keep FOLDER    leave callgrind's profiles there: read them with callgrind_annotate FILE
  --list           names all scenarios
  --help           this text
";

/// What was asked for on the command line.
#[derive(Default)]
struct Asked {
    parts: Vec<String>,
    keep: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let mut arguments = env::args().skip(1);
    let mut asked = Asked::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "upstream" => return upstream::run(),
            "measured" => return measured::run(&arguments.collect::<Vec<_>>()),
            "outside" => return measured::run_outside(&arguments.collect::<Vec<_>>()),
            "--keep" => asked.keep = Some(arguments.next().ok_or("--keep needs a folder")?.into()),
            "--list" => return Ok(list()),
            "--help" | "-h" => return Ok(print(HELP)),
            // Cargo says so.
            "--bench" => {}
            option if option.starts_with('-') => return Err(format!("there is no {option}: see --help").into()),
            part => asked.parts.push(part.to_owned()),
        }
    }
    count_all(&asked)
}

fn list() -> ExitCode {
    SCENARIOS.iter().for_each(|scenario| println!("{:<16} {}", scenario.name, scenario.about));
    ExitCode::SUCCESS
}

fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

/// Counts every scenario that was asked for, and compares.
fn count_all(asked: &Asked) -> Result<ExitCode> {
    let wanted = |scenario: &&Scenario| {
        asked.parts.is_empty() || asked.parts.iter().any(|part| scenario.name.contains(part.as_str()))
    };
    let upstream = Role::start(Command::new(env::current_exe()?).arg("upstream"))?;
    let mut counted = Vec::new();
    for scenario in SCENARIOS.iter().filter(wanted) {
        let each = callgrind::count_request(scenario, &upstream.address, asked.keep.as_deref())?;
        println!("{:<16} {:>10.0} instructions a request: {}", scenario.name, each.instructions, scenario.about);
        counted.push((scenario.name, each));
    }
    upstream.stop()?;
    let all_of = |name| counted.iter().find(|(other, _)| *other == name).map(|&(_, each)| each);
    let of = |name| all_of(name).map(|each| each.instructions);
    let page = all_of("page");
    let both = |one, other| of(one).zip(of(other));
    let paths = counted.iter().filter(|(name, _)| name.starts_with(PATHS)).map(|&(_, each)| each.instructions);
    let costliest = paths.reduce(f64::max).zip(of("page")).map(|(costliest, page)| costliest / page);
    let fine = [
        within("a signed-in request", of("page"), PAGE_LIMIT),
        within("the same with a short head", of("bare-head"), BARE_HEAD_LIMIT),
        within("its access line", both("page-logged", "page").map(|(with, without)| with - without), ACCESS_LINE_LIMIT),
        within("costliest target / a signed-in request", costliest, COSTLIEST_PATH_LIMIT),
        within("1,000,000 sessions / 1,000", both("page-million", "page").map(|(a, b)| a / b), MANY_SESSIONS_LIMIT),
        within("three vaulted cookies / none", both("page-vaulted", "page").map(|(a, b)| a / b), VAULTED_LIMIT),
        within("sessions in a file / in memory", both("page-sqlite", "page").map(|(a, b)| a / b), STORE_LIMIT),
        within("sessions on a server / in memory", both("page-redis", "page").map(|(a, b)| a / b), STORE_LIMIT),
        within("receives of a signed-in request", page.map(|page| page.receives), CALLS_LIMIT),
        within("sends", page.map(|page| page.sends), CALLS_LIMIT),
        within("waits for something to do", page.map(|page| page.waits), CALLS_LIMIT),
    ];
    Ok(if fine.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints a figure, if it was counted, and whether it is within its limit.
fn within(name: &str, figure: Option<f64>, limit: f64) -> bool {
    let Some(figure) = figure else { return true };
    let fine = figure <= limit;
    let (verdict, digits) = (if fine { "" } else { ": TOO MUCH" }, if limit < 100.0 { 3 } else { 0 });
    println!("{name}: {figure:.digits$} (at most {limit:.digits$}){verdict}");
    fine
}

/// Another process of this benchmark. It says its address on the first line of its output and ends when its input
/// does, so it cannot outlive this one.
struct Role {
    process: Child,
    input: Option<ChildStdin>,
    address: String,
    /// What it said after its address, up to an empty line.
    lines: Vec<String>,
}

impl Role {
    fn start(command: &mut Command) -> Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or("no output")?;
        let mut lines: Vec<String> = Vec::new();
        for line in BufReader::new(output).lines() {
            match line? {
                line if line.is_empty() => break,
                line => lines.push(line),
            }
        }
        let address = if lines.is_empty() { None } else { Some(lines.remove(0)) };
        Ok(Self { address: address.ok_or("a part of the benchmark did not start")?, process, input, lines })
    }

    fn stop(mut self) -> Result<()> {
        drop(self.input.take());
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a part of the benchmark ended with {status}").into()) }
    }
}

impl Drop for Role {
    /// After [`Role::stop`] there is nothing left to kill.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until the parent closes the input.
fn wait_for_the_end() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
