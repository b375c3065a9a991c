//! Talking to the gateway that runs, over its admin socket.

use std::path::{Path, PathBuf};

use clap::Args;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use toml::de::DeTable;

use super::failure::Failure;
use crate::admin::{DEFAULT_SOCKET, client};
use crate::config::DEFAULT_FILES;
use crate::credentials::user_file::read_any;

/// Which gateway is meant.
#[derive(Clone, Debug, Args)]
pub(super) struct Running {
    /// The gateway's admin socket [default: that of ./config.toml, else of /etc/exeunt/config.toml]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
}

impl Running {
    /// Asks it, and gives its answer; a refusal is a failure, in its own words.
    pub(super) fn ask(&self, method: Method, target: &str) -> Result<Value, Failure> {
        let path = self.socket.clone().unwrap_or_else(|| socket_of(DEFAULT_FILES.map(Path::new)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(error, "free some memory"))?;
        let answer = runtime.block_on(client::ask(&path, method, target));
        let help = format!(
            "this asked {}: is the gateway running, and may you open this file? Another one: --socket FILE",
            path.display()
        );
        let (status, answer) = answer.map_err(|error| Failure::new(error, help))?;
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer.get("message").and_then(Value::as_str).unwrap_or("the gateway refused").to_owned();
        Err(Failure::new(message, "see who is signed in: exeunt session list"))
    }
}

/// A name as a part of an address.
pub(super) fn part(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// The socket of the configuration that is there. Only this one key is read: whatever else may be wrong with the
/// configuration is no matter of these commands.
fn socket_of<const N: usize>(configurations: [&Path; N]) -> PathBuf {
    let found = configurations.into_iter().find_map(|path| Some((path, read_any(path).ok()?.0)));
    match found {
        Some((path, text)) => path.with_file_name(named_in(&text)),
        None => PathBuf::from(DEFAULT_SOCKET),
    }
}

fn named_in(configuration: &str) -> String {
    let (root, _) = DeTable::parse_recoverable(configuration);
    let admin = root.get_ref().get("admin").and_then(|admin| admin.get_ref().as_table());
    let listen = admin.and_then(|admin| admin.get("listen")).and_then(|listen| listen.get_ref().as_str());
    listen.and_then(|listen| listen.strip_prefix("unix:")).unwrap_or(DEFAULT_SOCKET).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_configuration_says_which_socket() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        assert_eq!(socket_of([&file]), Path::new("exeunt-admin.sock"));
        fs::write(&file, "listen = []\n").unwrap();
        assert_eq!(socket_of([&file]), folder.path().join("exeunt-admin.sock"));
        fs::write(&file, "[admin]\nlisten = 'unix:/run/exeunt/admin.sock'\n[[broken\n").unwrap();
        assert_eq!(socket_of([&file]), Path::new("/run/exeunt/admin.sock"));
        fs::write(&file, "[admin]\nlisten = 'unix:in/a.sock'\n").unwrap();
        assert_eq!(socket_of([&file]), folder.path().join("in/a.sock"), "relative to the configuration");
    }

    #[test]
    fn names_stay_one_part_of_an_address() {
        assert_eq!(part("a/b?c jürgen"), "a%2Fb%3Fc%20j%C3%BCrgen");
    }
}
