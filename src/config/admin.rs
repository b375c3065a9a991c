//! `[admin]`: the admin socket. `[metrics]`: the listener for monitoring.

use std::net::SocketAddr;
use std::path::Path;

use nix::unistd::Group;

use crate::admin::{AdminSettings, DEFAULT_SOCKET};
use crate::values::listen_address::ListenAddress;

use super::raw::RawTable;
use super::refusal::ValueRefusal;
use super::schema;
use super::server;

/// Reads the settings of the socket; `None` if it is disabled.
pub(crate) fn read(file: &RawTable<'_>, folder: &Path) -> Option<AdminSettings> {
    let table = file.table("admin", &schema::ADMIN);
    let group = table.item("group").and_then(|item| item.parse(group)).flatten();
    let path = match table.item("listen") {
        None => Some(folder.join(DEFAULT_SOCKET)),
        Some(item) if item.peek() == Some("") => None,
        Some(item) => item.parse(|text| match server::address(text, folder)? {
            ListenAddress::Unix(path) => Ok(path),
            ListenAddress::Tcp(_) => Err(ValueRefusal::new(
                "must be a unix socket: every process that can connect to it can end sessions, so TCP is not supported",
            )
            .write(format!("write \"unix:{DEFAULT_SOCKET}\", or \"\" for none"))),
        }),
    };
    path.map(|path| AdminSettings { path, group })
}

/// Reads `[metrics]`: the address to listen on; `None` if disabled.
pub(crate) fn monitoring(file: &RawTable<'_>, folder: &Path) -> Option<SocketAddr> {
    let item = file.table("metrics", &schema::METRICS).item("listen")?;
    if item.peek() == Some("") {
        return None;
    }
    item.parse(|text| match server::address(text, folder)? {
        ListenAddress::Tcp(address) => Ok(address),
        ListenAddress::Unix(_) => Err(ValueRefusal::new("must be a TCP address: Prometheus cannot read unix sockets")
            .write("write \"127.0.0.1:9464\", or \"\" for none")),
    })
}

/// The id of a group of this system; `None` for an empty name.
fn group(text: &str) -> Result<Option<u32>, ValueRefusal> {
    if text.is_empty() {
        return Ok(None);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(Some(group.gid.as_raw())),
        Ok(None) => Err(ValueRefusal::new(format!("this machine has no group \"{text}\""))
            .write(format!("run: groupadd --system {text}"))),
        Err(error) => Err(ValueRefusal::new(format!("the groups of this machine cannot be read: {error}"))),
    }
}
