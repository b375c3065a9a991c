//! The user of the systemd unit, and the files that it can read.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, User, getgrouplist};

use super::refusal::ValueRefusal;

/// The user and the configuration file of the unit.
const NAME: &str = "exeunt";
const FILE: &str = "/etc/exeunt/config.toml";
/// The folders with drop-in files of the unit.
const DROP_INS: [&str; 3] =
    ["/etc/systemd/system/exeunt.service.d", "/run/systemd/system/exeunt.service.d", "/etc/systemd/system"];

/// A user by id, with all groups.
#[derive(Clone, Debug)]
pub struct ServiceUser {
    /// The name of its group, for messages.
    pub group: String,
    /// The user id.
    pub uid: u32,
    /// The ids of its groups.
    pub groups: Vec<u32>,
}

impl ServiceUser {
    /// The unit's user, if root checks the configuration of the unit; `None` for other users, who check as themselves.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let is_asked = is_of_unit(path) && Uid::effective().is_root();
        let user = User::from_name(NAME).ok().flatten().filter(|_| is_asked)?;
        let groups = getgrouplist(&CString::new(NAME).ok()?, user.gid).ok()?;
        let groups = groups.iter().map(|group| group.as_raw()).collect();
        Some(Self { group: NAME.to_owned(), uid: user.uid.as_raw(), groups })
    }

    /// Why this user cannot read an existing file; `None` if it can.
    pub(super) fn access_refusal(&self, path: &Path) -> Option<ValueRefusal> {
        let path = fs::canonicalize(path).ok()?;
        let closed = path.ancestors().skip(1).filter(|folder| !self.may(folder, 1)).last();
        if let Some(folder) = closed {
            let shown = folder.display();
            return Some(
                ValueRefusal::new(format!("the service's user cannot enter the folder {shown}"))
                    .write(format!("run: chgrp {} {shown} && chmod g+x {shown}", self.group)),
            );
        }
        let needed = if path.is_dir() { 5 } else { 4 };
        let shown = path.display();
        let mode = if path.is_dir() { "750" } else { "640" };
        (!self.may(&path, needed)).then(|| {
            ValueRefusal::new(format!("the service's user cannot read {shown}"))
                .write(format!("run: chgrp {} {shown} && chmod {mode} {shown}", self.group))
        })
    }

    /// Whether the mode of a file gives this user these rights: 4 to read, 1 to enter.
    fn may(&self, path: &Path, rights: u32) -> bool {
        let Ok(metadata) = fs::metadata(path) else { return true };
        let shift = match () {
            () if self.uid == 0 => return true,
            () if metadata.uid() == self.uid => 6,
            () if self.groups.contains(&metadata.gid()) => 3,
            () => 0,
        };
        (metadata.mode() >> shift) & rights == rights
    }
}

/// Whether this is the configuration of the unit.
fn is_of_unit(path: &Path) -> bool {
    path.exists() && fs::canonicalize(path).ok() == fs::canonicalize(FILE).ok()
}

/// The first unprivileged port; `None` if `path` is the configuration of the unit and the unit has the privilege.
pub(super) fn first_port(path: &Path) -> Option<u16> {
    let folders = DROP_INS.iter().filter_map(|folder| fs::read_dir(folder).ok());
    let files = folders.flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &Path| {
        let text = path.to_string_lossy();
        text.ends_with("exeunt.service") || text.contains("exeunt.service.d/")
    };
    let mut texts = files.filter(|path| is_ours(path)).filter_map(|path| fs::read_to_string(path).ok());
    let grants = |line: &str| line.starts_with("AmbientCapabilities") && line.contains("CAP_NET_BIND_SERVICE");
    let set = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
    let first = set.and_then(|text| text.trim().parse().ok()).unwrap_or(1024);
    let granted = is_of_unit(path) && texts.any(|text| text.lines().any(grants));
    (!granted).then_some(first)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn modes_decide_about_access() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        fs::write(&file, "").unwrap();
        let (own, gid) = (fs::metadata(&file).unwrap().uid(), fs::metadata(&file).unwrap().gid());
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let user = |uid, groups: &[u32]| ServiceUser { group: "exeunt".into(), uid, groups: groups.to_vec() };
        let cases = [
            (0o755, 0o600, user(own + 1, &[gid]), Some("cannot read")),
            (0o755, 0o640, user(own + 1, &[gid]), None),
            (0o755, 0o640, user(own + 1, &[gid + 1]), Some("cannot read")),
            (0o755, 0o644, user(own + 1, &[]), None),
            (0o700, 0o644, user(own + 1, &[gid]), Some("cannot enter")),
            (0o710, 0o640, user(own + 1, &[gid]), None),
            (0o700, 0o600, user(own, &[]), None),
            (0o700, 0o600, user(0, &[]), None),
        ];
        for (of_folder, of_file, user, want) in cases {
            mode(folder.path(), of_folder);
            mode(&file, of_file);
            let said = user.access_refusal(&file).map(|refusal| refusal.what);
            assert_eq!(said.is_some(), want.is_some(), "{of_folder:o} {of_file:o} {user:?}: {said:?}");
            assert!(said.is_none_or(|said| said.contains(want.unwrap())));
        }
    }
}
