//! Operators' access: HTTP on a unix socket, for users with permission to open that file only.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /healthz` | 200 as long as the program runs |
//! | `GET /readyz` | 200 while connections are accepted, 503 once the program is stopping |
//! | `DELETE /bans/{user}` | forgets the wrong passwords of an account, or of an address |
//! | `GET /sessions[?user=NAME&address=NETWORK&idle=SECONDS&age=SECONDS]` | who is signed in |
//! | `GET /sessions/{handle}` | one session, with its hosts and the names of the cookies that are kept for it |
//! | `DELETE /sessions?…` | ends those that the same query selects, and answers how many; all of them with `all=yes` |
//! | `DELETE /sessions/{handle}` | ends one session, and answers the receipt |
//! | `POST /reload` | reads the configuration again, and answers what changed; 422 with all problems if it is refused |
//! | `DELETE /users/{user}/sessions` | ends all sessions of a user, and answers the receipts |

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
pub use self::reload::{Reload, ReloadRefused, Reloaded, counted};
pub use self::server::AdminSocket;

/// Where the socket is unless the configuration says something else, from the folder of its file.
pub(crate) const DEFAULT_SOCKET: &str = "exeunt-admin.sock";

/// What `[admin]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where the socket is.
    pub path: PathBuf,
    /// The group that may connect too, by its number; without one only the owner of the process may.
    pub group: Option<u32>,
}
