//! A Redis server of one run.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Result;

/// The name of its socket.
pub const SOCKET: &str = "redis.sock";

/// It is killed with this.
pub struct Redis(Child);

impl Redis {
    /// On a socket in this folder.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--unixsocket", SOCKET]).current_dir(folder);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|problem| {
                format!("{problem}: is redis-server there? (Debian: apt-get install redis-server)")
            })?;
        let output = process.stdout.take().ok_or("no output")?;
        let server = Self(process);
        let mut lines = BufReader::new(output).lines().map_while(std::io::Result::ok);
        if !lines.any(|line| line.contains("ready to accept connections")) {
            return Err("redis-server does not start".into());
        }
        // What it says later is read, so that it never waits for that.
        std::thread::spawn(move || lines.count());
        Ok(server)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
