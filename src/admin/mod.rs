//! The admin socket: HTTP on a unix socket, for users who may open that file.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /healthz` | 200 as long as the program runs |
//! | `GET /readyz` | 200 while connections are accepted, 503 once the program is stopping |
//! | `DELETE /bans/{user}` | clears the count of wrong passwords of an account, or of an address |
//! | `GET /sessions[?user=NAME&address=NETWORK&idle=SECONDS&age=SECONDS]` | the sessions |
//! | `GET /sessions/{handle}` | one session, with its hosts and the names of its vaulted cookies |
//! | `DELETE /sessions?…` | ends the sessions that the same query selects; with `all=yes` every session; returns how
//! many |
//! | `DELETE /sessions/{handle}` | ends one session; returns the receipt |
//! | `POST /reload` | reads the configuration again; returns what changed, or 422 with all problems |
//! | `DELETE /users/{user}/sessions` | ends all sessions of a user; returns the receipts |

mod answer;
pub mod client;
mod connections;
mod filter;
mod monitoring;
mod operator;
mod reload;
mod server;

use std::path::PathBuf;

pub use self::monitoring::Monitoring;
pub use self::reload::{Reload, ReloadRefused, ReloadReport, counted};
pub use self::server::AdminSocket;

/// The default path of the socket, relative to the folder of the configuration.
pub(crate) const DEFAULT_SOCKET: &str = "exeunt-admin.sock";

/// The settings of `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// The path of the socket.
    pub path: PathBuf,
    /// The id of the group that may connect as well; without it only the user of the process may.
    pub group: Option<u32>,
}
