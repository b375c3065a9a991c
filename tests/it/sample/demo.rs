//! `exeunt demo` as a process: every line that it prints is true.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// The running demo, and what it said at its start.
struct Demo {
    process: Child,
    message: Vec<String>,
    _output: BufReader<ChildStdout>,
}

impl Demo {
    fn start() -> Self {
        let mut process = exeunt(&["demo", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut message = Vec::new();
        while message.last().is_none_or(|line: &String| !line.contains("Ctrl-C")) {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "it ended after {message:?}");
            message.push(line.trim().to_owned());
        }
        Self { process, message, _output: output }
    }

    fn url(&self) -> &str {
        self.message.iter().find_map(|line| line.strip_prefix("Address")).unwrap().trim()
    }

    /// The one line to try that has these words in it.
    fn line(&self, words: &str) -> &str {
        let lines = self.message.iter().filter(|line| line.starts_with("curl ") && line.ends_with(words));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), 1, "{words}: {lines:?}");
        lines[0]
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn exeunt(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exeunt"));
    command.args(arguments).stderr(Stdio::null());
    command
}

/// A line as a user would paste it, in this folder.
fn shell(line: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).stderr(Stdio::null());
    command
}

fn output(line: &str, folder: &Path) -> String {
    let Output { stdout, status, .. } = shell(line, folder).output().unwrap();
    let text = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{line}: {status}\n{text}");
    text
}

fn json(line: &str, folder: &Path) -> serde_json::Value {
    serde_json::from_str(&output(line, folder)).unwrap()
}

#[test]
fn printed_examples_do_what_they_say() {
    let demo = Demo::start();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let printed = demo.message.iter().filter(|line| line.starts_with("curl ")).count();
    let mut tried = 0;
    let mut line = |words: &str| {
        tried += 1;
        demo.line(words)
    };
    let url = demo.url();
    let no_jar = line(&format!("-i {url}/"));
    assert!(no_jar.starts_with("curl -i ") && output(no_jar, folder).starts_with("HTTP/1.1 401 "));
    assert!(output(line("/login"), folder).starts_with("HTTP/1.1 303 "));
    assert_eq!(json(line("/.exeunt/session"), folder)["user"], "alice");
    let seen = json(line(&format!("-b jar {url}/headers.json")), folder);
    assert_eq!((&seen["user"], &seen["headers"]["cookie"]), (&"alice".into(), &serde_json::Value::Null));
    let spoofed = json(line(&format!("root' {url}/headers.json")), folder);
    assert_eq!(spoofed["headers"]["x-forwarded-user"], "alice");
    assert!(!spoofed.to_string().contains("root"), "{spoofed}");

    let in_front = line("/ticker/sse &").trim_end_matches(" &");
    let mut prices = shell(in_front, folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut ticks = BufReader::new(prices.stdout.take().unwrap());
    let mut first = String::new();
    ticks.read_line(&mut first).unwrap();
    assert!(first.starts_with("id: "), "{first}");
    assert_eq!(json(line("/logout"), folder)["user"], "alice");
    // This returns because the sign-out ends the stream; nothing else does.
    ticks.read_to_string(&mut String::new()).unwrap();
    prices.wait().unwrap();
    let dead = line(&format!("-i -b jar {url}/"));
    assert!(std::fs::read_to_string(folder.join("jar")).unwrap().contains("exeunt"), "the cookie is still there");
    assert!(output(dead, folder).starts_with("HTTP/1.1 401 "));
    assert_eq!(tried, printed, "a line to try is not tried here");
}

/// What operators check a deployment with; its own faults are the business of tests/e2e/smoke.py.
#[test]
fn smoke_test_passes_on_the_demo() {
    let demo = Demo::start();
    let line = format!("echo wonderland | deploy/smoke {} alice --echo /headers.json", demo.url());
    let message = output(&line, Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(message.lines().filter(|line| line.starts_with("ok")).count() >= 19, "{message}");
}

#[test]
fn demo_stops_at_sigint() {
    let mut demo = Demo::start();
    let told = Command::new("kill").args(["-INT", &demo.process.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(demo.process.wait().unwrap().code(), Some(0));
}

#[test]
fn demo_listens_on_loopback_only() {
    for address in ["0.0.0.0:0", "[::]:0", "8080"] {
        let status = exeunt(&["demo", "--listen", address]).status().unwrap();
        assert_eq!(status.code(), Some(2), "{address}");
    }
}
