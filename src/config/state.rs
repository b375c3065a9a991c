//! `state`: the folder for data that are kept over a restart.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::files;
use super::raw::RawTable;
use super::refusal::ValueRefusal;

/// The state directory of the systemd unit, which is not in the environment of an operator's shell.
pub(crate) const STATE_OF_THE_SERVICE: &str = "/var/lib/exeunt";

/// The location of the state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateFolder {
    /// The folder that the configuration names.
    Named(PathBuf),
    /// The service manager's folder, else the configuration's own.
    Beside(PathBuf),
}

impl StateFolder {
    /// The folder. `state_directory` is the service manager's list of folders, separated by colons: the first counts
    /// (systemd.exec(5)).
    pub(crate) fn resolve(&self, state_directory: Option<&OsStr>) -> PathBuf {
        let first = state_directory.and_then(|folders| folders.as_bytes().split(|&byte| byte == b':').next());
        let given = first.map(|folder| PathBuf::from(OsStr::from_bytes(folder))).filter(|path| path.is_absolute());
        match self {
            Self::Named(path) => path.clone(),
            Self::Beside(folder) => given.unwrap_or_else(|| folder.clone()),
        }
    }
}

/// Reads the state folder. If it does not exist, the start creates it.
pub(crate) fn read(file: &RawTable<'_>, folder: &Path) -> StateFolder {
    let named = file.item("state").and_then(|item| item.parse(|text| named(folder, text)));
    named.map_or_else(|| StateFolder::Beside(folder.to_owned()), StateFolder::Named)
}

fn named(folder: &Path, text: &str) -> Result<PathBuf, ValueRefusal> {
    let path = files::resolve(folder, text)?;
    if path.exists() && !path.is_dir() {
        let refusal = ValueRefusal::new(format!("{} must be a folder", path.display()));
        return Err(refusal.write("write \"/var/lib/exeunt\", or another folder that the gateway may write to"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_folder_overrides_the_service_managers() {
        let named = StateFolder::Named("/srv/state".into());
        let beside = StateFolder::Beside("/etc/exeunt".into());
        let cases = [
            (&named, Some("/var/lib/exeunt"), "/srv/state"),
            (&named, None, "/srv/state"),
            (&beside, Some("/var/lib/exeunt"), "/var/lib/exeunt"),
            (&beside, Some("/var/lib/exeunt:/var/lib/other"), "/var/lib/exeunt"),
            (&beside, Some(""), "/etc/exeunt"),
            (&beside, Some("relative"), "/etc/exeunt"),
            (&beside, None, "/etc/exeunt"),
        ];
        for (folder, given, want) in cases {
            assert_eq!(folder.resolve(given.map(OsStr::new)), Path::new(want), "{folder:?} {given:?}");
        }
    }
}
