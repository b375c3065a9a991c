//! `[admin]`: the operator's socket.

use std::path::Path;

use nix::unistd::Group;

use crate::admin::{DEFAULT_SOCKET, Settings};
use crate::values::listen_address::ListenAddress;

use super::door;
use super::raw::{Refusal, Table};
use super::schema;

/// Reads where the socket is; `None` where the operator wants none.
pub fn read(file: &Table<'_>, folder: &Path) -> Option<Settings> {
    let table = file.table("admin", &schema::ADMIN);
    let group = table.item("group").and_then(|item| item.parse(group)).flatten();
    let path = match table.item("listen") {
        None => Some(folder.join(DEFAULT_SOCKET)),
        Some(item) if item.peek() == Some("") => None,
        Some(item) => item.parse(|text| match door::address(text, folder)? {
            ListenAddress::Unix(path) => Ok(path),
            ListenAddress::Tcp(_) => Err(Refusal::new("this socket ends sessions, so it is no TCP port")
                .write(format!("write \"unix:{DEFAULT_SOCKET}\", or \"\" for none"))),
        }),
    };
    path.map(|path| Settings { path, group })
}

/// The number of a group of this machine; nothing written, no group.
fn group(text: &str) -> Result<Option<u32>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(Some(group.gid.as_raw())),
        Ok(None) => Err(Refusal::new(format!("there is no group \"{text}\" on this machine"))
            .write(format!("make it: groupadd --system {text}"))),
        Err(error) => Err(Refusal::new(format!("the groups of this machine cannot be read: {error}"))),
    }
}
