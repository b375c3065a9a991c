//! What happens when the system has no more files to give.

use std::fs::File;
use std::io;
use std::process::Command;
use std::sync::Mutex;

use tokio::net::TcpSocket;
use tokio::sync::mpsc;

use super::app::{Harness, local};
use super::client::{Client, within};

/// The limit holds for a whole process, so the test runs in one of its own.
#[test]
fn running_out_of_files_does_not_end_the_accept_loop() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact \"$1\" --ignored --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg("server::exhaustion::with_few_files")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && message.contains("1 passed"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a process with few files: the test above runs it"]
async fn with_few_files() {
    let mut log = log_lines();
    let harness = Harness::open(local());
    let sockets = [(); 10].map(|()| TcpSocket::new_v4().unwrap());
    let all_files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let mut clients = Vec::new();
    for socket in sockets {
        clients.push(Client::over(socket.connect(harness.tcp_address()).await.unwrap()));
    }
    let line = within(log.recv()).await.unwrap();
    assert!(line.contains("cannot accept connections"), "{line}");
    assert_eq!(harness.server.connections(), 0);
    drop(all_files);
    for client in &mut clients {
        assert!(client.get("/hello").await.ends_with("hello"));
    }
}

/// The lines that the process logs.
fn log_lines() -> mpsc::UnboundedReceiver<String> {
    struct Lines(mpsc::UnboundedSender<String>);
    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(line).into_owned()).map_err(io::Error::other)?;
            Ok(line.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (lines, log) = mpsc::unbounded_channel();
    tracing_subscriber::fmt().with_writer(Mutex::new(Lines(lines))).init();
    log
}
