//! Requests to the running gateway, over its admin socket.

use std::path::PathBuf;

use clap::Args;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::configured::ConfigFile;
use super::failure::CommandError;
use crate::admin::{DEFAULT_SOCKET, ReloadRefused, ReloadReport, client, counted};

/// Selects a running gateway.
#[derive(Clone, Debug, Args)]
pub(super) struct Running {
    /// The gateway's admin socket [default: that of the configuration]
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Running {
    fn socket(&self) -> Result<PathBuf, CommandError> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        let Some(found) = self.config.read()? else { return Ok(PathBuf::from(DEFAULT_SOCKET)) };
        let listen = found.text_at("admin", "listen");
        Ok(found.beside(listen.as_deref().and_then(|listen| listen.strip_prefix("unix:")).unwrap_or(DEFAULT_SOCKET)))
    }

    /// The gateway of this configuration.
    pub(super) fn of(config: ConfigFile) -> Self {
        Self { socket: None, config }
    }

    /// Sends a request and returns the answer; a refusal becomes an error with the gateway's message.
    pub(super) fn ask(&self, method: Method, target: &str) -> Result<Value, CommandError> {
        let (status, answer) = self.request(method, target)?;
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer.get("message").and_then(Value::as_str).unwrap_or("the gateway refused").to_owned();
        Err(CommandError::new(message, "to list the sessions: exeunt session list"))
    }

    /// Makes the gateway read its configuration again.
    ///
    /// # Errors
    /// It is not running, or it refused; nothing has changed.
    pub(super) fn reload(&self) -> Result<ReloadReport, GatewayRequestError> {
        let (status, answer) = self.request(Method::POST, "/reload")?;
        let unknown =
            |_| CommandError::new("the gateway's answer cannot be read", "check that both have the same version");
        if status.is_success() {
            return Ok(serde_json::from_value(answer).map_err(unknown)?);
        }
        let ReloadRefused { report } = serde_json::from_value(answer).map_err(unknown)?;
        Err(CommandError(format!("{report}the running gateway keeps its old configuration")).into())
    }

    /// Makes the gateway reload after a file was written, and returns the result as text.
    ///
    /// # Errors
    /// It is running, and has refused.
    pub(super) fn after_writing(&self) -> Result<String, CommandError> {
        match self.reload() {
            Ok(reloaded) => Ok(format!(
                "the running gateway has reloaded: {}",
                counted(reloaded.sessions_ended, "session", "ended")
            )),
            Err(GatewayRequestError::NotRunning(_)) => {
                Ok("no gateway is running: takes effect at the next start".to_owned())
            }
            Err(GatewayRequestError::Failed(problem)) => Err(problem),
        }
    }

    fn request(&self, method: Method, target: &str) -> Result<(StatusCode, Value), GatewayRequestError> {
        let path = self.socket()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CommandError::new(error, "free some memory"))?;
        runtime.block_on(client::ask(&path, method, target)).map_err(|error| {
            if error.is_absence() {
                return GatewayRequestError::NotRunning(path);
            }
            let help = format!(
                "check that this user may open the admin socket {}, or name another one: --socket FILE",
                path.display()
            );
            CommandError::new(error, help).into()
        })
    }
}

/// Why a request to a gateway failed.
#[derive(Debug)]
pub(super) enum GatewayRequestError {
    /// No gateway listens on this socket.
    NotRunning(PathBuf),
    /// A gateway listens, and the request failed.
    Failed(CommandError),
}

impl From<CommandError> for GatewayRequestError {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

impl From<GatewayRequestError> for CommandError {
    fn from(unanswered: GatewayRequestError) -> Self {
        match unanswered {
            GatewayRequestError::NotRunning(socket) => Self::new(
                format!("no gateway is running: no program listens on {}", socket.display()),
                "start it: exeunt serve; or name its admin socket: --socket FILE",
            ),
            GatewayRequestError::Failed(error) => error,
        }
    }
}

/// Encodes a name as a path segment.
pub(super) fn path_segment(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_socket_comes_from_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let socket = || Running { socket: None, config: ConfigFile { config: Some(file.clone()) } }.socket().ok();
        assert_eq!(socket(), None, "no such file");
        for (text, want) in [
            ("listen = []\n", folder.path().join("exeunt-admin.sock")),
            ("[admin]\nlisten = 'unix:/run/exeunt/admin.sock'\n[[broken\n", "/run/exeunt/admin.sock".into()),
            ("[admin]\nlisten = 'unix:in/a.sock'\n", folder.path().join("in/a.sock")),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(socket().unwrap(), want, "{text}");
        }
    }

    #[test]
    fn names_stay_one_part_of_an_address() {
        assert_eq!(path_segment("a/b?c jürgen"), "a%2Fb%3Fc%20j%C3%BCrgen");
    }
}
