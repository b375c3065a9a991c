//! What happens when the system has no more files to give.

use std::process::Command;

use tokio::net::TcpStream;

use super::app::{House, local};
use super::client::{Client, within};

/// The limit holds for a whole process, so the test runs in one of its own.
#[test]
fn running_out_of_files_does_not_end_the_accept_loop() {
    let test = "door::exhaustion::with_few_files";
    let status = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact \"$1\" --ignored --test-threads 1"])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a process with few files: the test above runs it"]
async fn with_few_files() {
    let house = House::open(local());
    let mut clients = Vec::new();
    while let Ok(stream) = TcpStream::connect(house.tcp_address()).await {
        clients.push(Client::over(stream));
    }
    assert!(house.door.connections() < clients.len(), "some were never accepted");
    clients.drain(..clients.len() / 2);
    let last = clients.last_mut().unwrap();
    assert!(within(last.get("/hello")).await.ends_with("hello"));
}
